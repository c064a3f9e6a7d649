// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <string_view>
#include <utility>

#include "convert/checkpoint.hpp"
#include "convert/llama2c.hpp"
#include "mote/config.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

constexpr std::string_view kSupported = "supported: llama2.c (legacy, version 1, version 2)";

/// A checkpoint that keeps its file mapped.
class Llama2cFile final : public Checkpoint {
 public:
  explicit Llama2cFile(MappedFile file)
      : file_(std::move(file)), checkpoint_(file_.bytes(), file_.path()) {}

  const CheckpointShape& shape() const override { return checkpoint_.shape(); }
  std::string format() const override { return checkpoint_.format(); }
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                std::uint32_t row) const override {
    checkpoint_.read_row(out, tensor, layer, row);
  }

 private:
  MappedFile file_;
  Llama2cCheckpoint checkpoint_;
};

std::string_view first_bytes(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 16)};
}

/// safetensors has no magic: a u64 length, then that many bytes of JSON.
bool is_safetensors(std::string_view head, std::uint64_t file_bytes) {
  if (head.size() < 9 || head[8] != '{') return false;
  std::uint64_t json_bytes = 0;
  std::memcpy(&json_bytes, head.data(), sizeof json_bytes);
  return json_bytes <= file_bytes - sizeof json_bytes;
}

/// The name of a format that is known but not read; empty for all others.
std::string_view unsupported_format(std::string_view head, std::uint64_t file_bytes) {
  if (head.starts_with("GGUF")) return "GGUF";
  if (head.starts_with("ggml") || head.starts_with("lmgg") || head.starts_with("tjgg")) {
    return "GGML, the predecessor of GGUF,";
  }
  if (head.starts_with("PK\x03\x04")) return "a zip archive (PyTorch)";
  if (head.starts_with("MOTE")) return "a Mote image as source";
  if (is_safetensors(head, file_bytes)) return "safetensors";
  return {};
}

/// Legacy files have no magic; a width beyond every image says that this is something else.
bool may_be_llama2c(std::string_view head) {
  std::uint32_t word = 0;
  if (head.size() < sizeof word) return false;
  std::memcpy(&word, head.data(), sizeof word);
  return word == kLlama2cMagic || (word >= 1 && word <= (1U << 20));
}

}  // namespace

std::unique_ptr<Checkpoint> open_checkpoint(const std::string& path) {
  MappedFile file(path);
  const std::string_view head = first_bytes(file.bytes());
  const std::string_view unsupported = unsupported_format(head, file.bytes().size());
  if (!unsupported.empty()) {
    throw Error(fmt::format("{}: {} is not supported; {}", path, unsupported, kSupported));
  }
  if (!may_be_llama2c(head)) {
    throw Error(fmt::format("{}: the format is not known; {}", path, kSupported));
  }
  return std::make_unique<Llama2cFile>(std::move(file));
}

}  // namespace mote::host
