// SPDX-License-Identifier: Apache-2.0
// An image in memory, made of the sections of another and of matrices that replace some of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <span>

#include "convert/convert.hpp"
#include "mote/image.hpp"
#include "mote/transformer.hpp"

namespace mote::host {

/// The first `n_layers` layers of `original` with `rounded` in the place of its own matrices. It is
/// open and valid but for the section checksums and the content hash, which nobody needs here.
class WorkingImage {
 public:
  WorkingImage(const Image& original, const RoundedMatrices& rounded, std::uint32_t n_layers);

  const Image& image() const { return image_; }

 private:
  struct Free {
    void operator()(std::uint8_t* memory) const {
      ::operator delete[](memory, std::align_val_t{kSectionAlignment});
    }
  };
  std::unique_ptr<std::uint8_t[], Free> memory_;
  Image image_;
};

/// A transformer over an image, with its memory.
class WorkingModel {
 public:
  /// `image` outlives this. Throws `Error` where its shape is too large for this computer.
  WorkingModel(const Image& image, std::uint32_t context_length, std::uint32_t batch);

  Transformer& transformer() { return transformer_; }

 private:
  std::unique_ptr<std::max_align_t[]> arena_;
  Transformer transformer_;
};

}  // namespace mote::host
