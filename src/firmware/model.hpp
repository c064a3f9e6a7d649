// SPDX-License-Identifier: Apache-2.0
// The model that a board holds, and the memory that there is for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "firmware/console.hpp"
#include "mote/image.hpp"
#include "mote/status.hpp"
#include "mote/tokenizer.hpp"
#include "mote/transformer.hpp"

namespace mote::firmware {

struct Model {
  Image image;
  Tokenizer tokenizer;
  Status status = Status::image_bad_magic;                // of the image
  Status tokenizer_status = Status::image_bad_tokenizer;  // not ok where a shard has none

  /// Opens the image at the front of `region`, which may be longer, and checks all of it.
  void open(std::span<const std::uint8_t> region);
};

/// What the model is, field by field.
void report_model(Report& report, const Model& model);

/// The most positions, up to `most`, for which bytes_of(positions) fits `room`; 0 where not even
/// one does. `bytes_of` never falls.
template <typename BytesOf>
std::uint32_t largest_context(std::uint32_t most, std::size_t room, BytesOf bytes_of) {
  std::uint32_t fits = 0;
  std::uint32_t above = most + 1;
  if (bytes_of(most) <= room) return most;
  while (fits + 1 < above) {
    const std::uint32_t middle = fits + (above - fits) / 2;
    if (bytes_of(middle) <= room) {
      fits = middle;
    } else {
      above = middle;
    }
  }
  return fits;
}

/// The most of the stack that has been in use, in bytes; 0 where the board cannot say.
std::size_t used_stack_bytes();

}  // namespace mote::firmware
