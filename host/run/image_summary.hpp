// SPDX-License-Identifier: Apache-2.0
// What an image holds, for people: names, sizes, bytes that one token reads.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "mote/image.hpp"

namespace mote::host {

/// "token_embedding", "layers.3.w_gate".
std::string section_name(const Section& section);

/// "int8", "int4" or "raw".
std::string format_name(WeightFormat format);

struct ImageSummary {
  std::uint64_t parameters = 0;    // weights, biases and gains
  std::uint64_t weight_bytes = 0;  // of matrices, biases and gains, scales included
  std::uint64_t tokenizer_bytes = 0;
  /// Bytes of weights and scales that decoding one token reads: every matrix and bias once, one row
  /// of the embedding, and the classifier. Keys and values come on top.
  std::uint64_t bytes_per_token = 0;
};
ImageSummary summarize(const Image& image);

/// The formats of the image's matrices, such as "int8", "int4" or "int8 + int4".
std::string weight_formats(const Image& image);

/// Two digits a byte.
std::string hex_text(std::span<const std::uint8_t> bytes);

/// The value of `key` in the metadata; empty where it has none.
std::string metadata_value(const Image& image, std::string_view key);

}  // namespace mote::host
