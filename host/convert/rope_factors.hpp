// SPDX-License-Identifier: Apache-2.0
// What divides RoPE's frequencies in models that were stretched to longer contexts.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace mote::host {

/// Llama 3's scaling ("rope_type": "llama3"): wavelengths beyond original_context / low_freq_factor
/// are stretched by `factor`, those below original_context / high_freq_factor stay, and between the
/// two the frequencies are blended.
struct Llama3Scaling {
  double factor = 8;
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_context = 8192;  // positions
};

/// What divides base^(-2i / head_size) of each pair of lanes. // (head_size / 2)
/// Source of the formula: the Llama 3.1 reference code of Meta, `apply_scaling`.
/// Throws `Error` that begins with `where` for values that make no frequency.
std::vector<double> make_llama3_factors(const Llama3Scaling& scaling, std::uint32_t head_size,
                                        double base, std::string_view where);

/// Linear scaling: all frequencies divided by `factor`. // (head_size / 2); empty for a factor of 1
std::vector<double> make_linear_factors(double factor, std::uint32_t head_size);

}  // namespace mote::host
