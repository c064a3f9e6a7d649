// SPDX-License-Identifier: Apache-2.0
// An exponential in float whose bits depend on neither library nor machine.
#pragma once

#include <bit>
#include <cstdint>

namespace mote::host {

/// e^x within 3e-7 of itself; x is limited to +-87. Always part of its caller, so that a file for
/// one instruction set leaves no copy for others.
[[gnu::always_inline]] inline float portable_exp(float x) {
  const float below = x < 87.0F ? x : 87.0F;
  const float limited = below > -87.0F ? below : -87.0F;
  const float turns = limited * 1.44269504F;
  const auto power = static_cast<std::int32_t>(turns + (turns < 0 ? -0.5F : 0.5F));
  const auto whole = static_cast<float>(power);
  // ln 2 in two parts, the first exact in a product with `whole`.
  const float rest = (limited - whole * 0.693359375F) + whole * 2.12194440e-4F;
  float sum = 1.0F / 5040;
  sum = sum * rest + 1.0F / 720;
  sum = sum * rest + 1.0F / 120;
  sum = sum * rest + 1.0F / 24;
  sum = sum * rest + 1.0F / 6;
  sum = sum * rest + 0.5F;
  sum = sum * rest + 1.0F;
  sum = sum * rest + 1.0F;
  return sum * std::bit_cast<float>((power + 127) << 23);
}

}  // namespace mote::host
