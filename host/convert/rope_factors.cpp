// SPDX-License-Identifier: Apache-2.0
#include "convert/rope_factors.hpp"

#include <fmt/format.h>

#include <cmath>
#include <numbers>

#include "support/error.hpp"

namespace mote::host {
namespace {

void check_scaling(const Llama3Scaling& scaling, std::string_view where) {
  const bool valid = scaling.factor >= 1 && scaling.low_freq_factor > 0 &&
                     scaling.high_freq_factor > scaling.low_freq_factor &&
                     scaling.original_context >= 1 && std::isfinite(scaling.factor) &&
                     std::isfinite(scaling.high_freq_factor) &&
                     std::isfinite(scaling.original_context);
  if (valid) return;
  throw Error(fmt::format(
      "{}: llama3 RoPE scaling has factor {}, low_freq_factor {}, high_freq_factor {} and original "
      "context {}; must be factor >= 1, 0 < low < high and context >= 1",
      where, scaling.factor, scaling.low_freq_factor, scaling.high_freq_factor,
      scaling.original_context));
}

}  // namespace

std::vector<double> make_llama3_factors(const Llama3Scaling& scaling, std::uint32_t head_size,
                                        double base, std::string_view where) {
  check_scaling(scaling, where);
  std::vector<double> factors(head_size / 2);
  for (std::uint32_t i = 0; i < head_size / 2; ++i) {
    const double wavelength = 2 * std::numbers::pi * std::pow(base, 2.0 * i / head_size);
    const double turns = scaling.original_context / wavelength;
    if (turns > scaling.high_freq_factor) {
      factors[i] = 1;
    } else if (turns < scaling.low_freq_factor) {
      factors[i] = scaling.factor;
    } else {
      const double smooth =
          (turns - scaling.low_freq_factor) / (scaling.high_freq_factor - scaling.low_freq_factor);
      factors[i] = 1 / ((1 - smooth) / scaling.factor + smooth);
    }
  }
  return factors;
}

std::vector<double> make_linear_factors(double factor, std::uint32_t head_size) {
  if (factor == 1) return {};
  return std::vector<double>(head_size / 2, factor);
}

}  // namespace mote::host
