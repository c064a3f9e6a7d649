// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

#include "convert/checkpoint.hpp"
#include "convert/llama2c.hpp"
#include "gguf/gguf_checkpoint.hpp"
#include "huggingface/huggingface_checkpoint.hpp"
#include "huggingface/safetensors.hpp"
#include "mote/config.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

constexpr std::string_view kSupported =
    "supported: GGUF, Hugging Face folders, llama2.c (legacy, version 1, "
    "version 2)";

/// A checkpoint that keeps its file mapped.
template <typename Reader>
class CheckpointFile final : public Checkpoint {
 public:
  explicit CheckpointFile(MappedFile file)
      : file_(std::move(file)), checkpoint_(file_.bytes(), file_.path()) {}

  const CheckpointShape& shape() const override { return checkpoint_.shape(); }
  std::string format() const override { return checkpoint_.format(); }
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t layer,
                std::uint32_t row) const override {
    checkpoint_.read_row(out, tensor, layer, row);
  }
  void release_pages() const override { file_.release_pages(); }

 private:
  MappedFile file_;
  Reader checkpoint_;
};

std::string_view first_bytes(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), std::min<std::size_t>(bytes.size(), 16)};
}

/// The name of a format that is known but not read; empty for all others.
std::string_view unsupported_format(std::string_view head, const MappedFile& file) {
  if (head.starts_with("ggml") || head.starts_with("lmgg") || head.starts_with("tjgg")) {
    return "GGML, the predecessor of GGUF,";
  }
  if (head.starts_with("PK\x03\x04")) return "a zip archive (PyTorch)";
  if (head.starts_with("MOTE")) return "a Mote image as source";
  if (looks_like_safetensors(file.bytes().first(head.size()), file.bytes().size())) {
    return "a safetensors file without its folder";
  }
  return {};
}

/// Legacy files have no magic; a width beyond every image says that this is
/// something else.
bool may_be_llama2c(std::string_view head) {
  std::uint32_t word = 0;
  if (head.size() < sizeof word) return false;
  std::memcpy(&word, head.data(), sizeof word);
  return word == kLlama2cMagic || (word >= 1 && word <= (1U << 20));
}

}  // namespace

std::unique_ptr<Checkpoint> open_checkpoint(const std::string& path) {
  if (std::filesystem::is_directory(path)) return open_huggingface_folder(path);
  MappedFile file(path);
  const std::string_view head = first_bytes(file.bytes());
  if (head.starts_with("GGUF")) {
    return std::make_unique<CheckpointFile<GgufCheckpoint>>(std::move(file));
  }
  const std::string_view unsupported = unsupported_format(head, file);
  if (!unsupported.empty()) {
    throw Error(fmt::format("{}: {} is not supported; {}", path, unsupported, kSupported));
  }
  if (!may_be_llama2c(head)) {
    throw Error(fmt::format("{}: the format is not known; {}", path, kSupported));
  }
  return std::make_unique<CheckpointFile<Llama2cCheckpoint>>(std::move(file));
}

}  // namespace mote::host
