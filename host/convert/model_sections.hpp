// SPDX-License-Identifier: Apache-2.0
// The bytes of the small sections that describe a model (SPEC.md, "Config",
// "Sections").
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "convert/checkpoint.hpp"
#include "convert/convert.hpp"
#include "mote/config.hpp"

namespace mote::host {

/// The image's configuration. Throws `Error` that begins with `where` for a
/// shape or an option out of SPEC.md's ranges.
ModelConfig make_config(const CheckpointShape& shape, const ConvertOptions& options,
                        std::string_view where);

std::vector<std::uint8_t> encode_config(const ModelConfig& config);

/// Turns per position * 2^32 of each pair of lanes. // (head_size / 2)
/// round(2^32 * base^(-2i / head_size) / (2 pi factor_i)), whole turns dropped.
///   factors (head_size / 2) as CheckpointShape::rope_factors; empty: all 1
std::vector<std::uint8_t> encode_rope_frequencies(std::uint32_t head_size, double base,
                                                  std::span<const double> factors = {});

/// The attention section of a layer; empty where it is causal. Throws `Error`
/// that begins with `where` for values out of SPEC.md's ranges, and for a
/// window that together with its sinks is longer than the context that the
/// model was trained on.
std::vector<std::uint8_t> encode_attention(const LayerAttention& attention,
                                           const ModelConfig& config, std::string_view where);

/// Lines of name (always), license, source and the chat template (where given). Throws `Error` for
/// control characters.
std::vector<std::uint8_t> encode_metadata(const ConvertOptions& options);

}  // namespace mote::host
