// SPDX-License-Identifier: Apache-2.0
// What GGUF metadata may ask for beyond the plain model.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "gguf/gguf_file.hpp"

namespace mote::host {

/// Throws `Error` that names the key where one of `architecture`'s asks for something that is not
/// supported, or is not known.
void refuse_gguf_features(const GgufFile& file, const std::string& architecture);

/// From linear scaling and the tensor rope_freqs.weight (that of llama 3); YaRN and LongRoPE are
/// refused by name. // (head_size / 2) what divides each frequency; empty: all 1
std::vector<double> read_gguf_rope_factors(const GgufFile& file, const std::string& architecture,
                                           std::uint32_t head_size);

}  // namespace mote::host
