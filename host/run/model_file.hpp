// SPDX-License-Identifier: Apache-2.0
// An image file opened to be run on this computer.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "mote/image.hpp"
#include "mote/status.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {

/// Throws `Error` "<what>: <text of status>" unless `status` is ok.
void check(Status status, const std::string& what);

/// Opens the image in `bytes`, which is named `path` in errors.
Image open_image(const std::string& path, std::span<const std::uint8_t> bytes, Verify verify);

/// A model or a shard, mapped. One with paired lanes, which are for other processors, is copied to
/// plain lanes, and keeps its content hash. Throws `Error` that names the path where it is not
/// valid.
class ModelFile {
 public:
  ModelFile(const std::string& path, Verify verify);

  const Image& image() const { return image_; }

 private:
  struct alignas(kSectionAlignment) Aligned {
    std::uint8_t bytes[kSectionAlignment];
  };

  MappedFile file_;
  std::vector<Aligned> plain_;  // empty: the file is used in place
  Image image_;
};

}  // namespace mote::host
