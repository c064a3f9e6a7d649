// SPDX-License-Identifier: Apache-2.0
// Images for tests: of synthetic models of any shape, and of the shared model files.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include "convert/checkpoint.hpp"
#include "convert/convert.hpp"
#include "mote/image.hpp"
#include "support/spec_image.hpp"

namespace mote::test {

/// A copy of some bytes at an address where an image may begin, or `shift` bytes behind one. It is
/// exactly as long as they are, so that a sanitizer sees the first byte that is read past it.
class AlignedBytes {
 public:
  explicit AlignedBytes(std::span<const std::uint8_t> bytes, std::size_t shift = 0);

  std::span<std::uint8_t> span() { return {memory_.get() + shift_, size_}; }
  std::span<const std::uint8_t> span() const { return {memory_.get() + shift_, size_}; }

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const {
      ::operator delete[](memory, std::align_val_t{kSectionAlignment});
    }
  };
  std::unique_ptr<std::uint8_t[], Free> memory_;
  std::size_t shift_ = 0;
  std::size_t size_ = 0;
};

/// A synthetic model and how it is rounded.
struct ModelSpec {
  host::CheckpointShape shape;
  WeightFormat weights = WeightFormat::int8;
  std::uint32_t block = 32;
  std::uint64_t seed = 1;
  std::vector<host::LayerAttention> attention = {};  // one for each layer; empty: all causal
};

/// The smallest model that has every kind of section: rows, heads and layers that fill no block.
ModelSpec tiny_model();

Bytes make_image(const ModelSpec& model);

/// An image that is open; throws where it is not valid.
class OpenImage {
 public:
  explicit OpenImage(const ModelSpec& model) : OpenImage(make_image(model)) {}
  explicit OpenImage(const Bytes& bytes);

  const Image& image() const { return image_; }
  const Image* operator->() const { return &image_; }

 private:
  AlignedBytes memory_;
  Image image_;
};

/// A model of the shared folder with its tokenizer.
struct SharedModel {
  const char* model;
  const char* tokenizer;
};
inline constexpr SharedModel kStories260K = {"models/stories260K.bin", "models/tok512.bin"};
inline constexpr SharedModel kBabyllama = {"models/babyllama-0.9M.bin", "models/tok105.bin"};
inline constexpr SharedModel kStories3M = {"models/stories3.3M-q80.bin", "models/tok4096.bin"};

/// The path of a file of the shared folder, whether it is there or not.
std::string shared_path(const std::string& name);
/// The first file of `model` that is not there; empty where all are.
std::string missing_file(const SharedModel& model);

/// Every layer gets `attention`.
void convert_shared(const std::string& out_path, const SharedModel& model, WeightFormat weights,
                    const host::LayerAttention& attention = {});
Bytes convert_shared(const SharedModel& model, WeightFormat weights);

}  // namespace mote::test

/// Leaves a test whose file is not on this machine.
#define MOTE_SKIP_WITHOUT(missing_path)                           \
  do {                                                            \
    const std::string missing_path_ = (missing_path);             \
    if (!missing_path_.empty()) {                                 \
      GTEST_SKIP() << missing_path_ << " is not on this machine"; \
    }                                                             \
  } while (false)
