// SPDX-License-Identifier: Apache-2.0
// The container safetensors: u64 length of a JSON header, the header, the data. The header maps
// names to {"dtype", "shape", "data_offsets": [begin, end]}, counted from the end of the header.
// Source: the README of huggingface/safetensors.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "convert/stored_tensors.hpp"

namespace mote::host {

struct SafeTensor {
  std::string name;
  StoredTensor stored;  // F32, F16 or BF16; its bytes lie inside the file
};

/// A view of a safetensors file: the bytes must outlive it.
class SafetensorsFile {
 public:
  /// Throws `Error` that names `path`, the tensor and what was expected where a length, a shape or
  /// an offset is wrong, tensors overlap, or a tensor is of another type or has not 1 or 2
  /// dimensions. Memory is bounded by the size of the header.
  SafetensorsFile(std::span<const std::uint8_t> bytes, std::string path);

  const std::string& path() const { return path_; }
  const std::vector<SafeTensor>& tensors() const { return tensors_; }

 private:
  std::string path_;
  std::vector<SafeTensor> tensors_;
};

/// Whether a file of `file_bytes` that begins with `head` can be one: it has no magic.
bool looks_like_safetensors(std::span<const std::uint8_t> head, std::uint64_t file_bytes);

}  // namespace mote::host
