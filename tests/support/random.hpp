// SPDX-License-Identifier: Apache-2.0
// Reproducible numbers for tests, among them the awkward ones that uniform draws never hit.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace mote::test {

/// SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t z = state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }

  /// 0 to bound - 1. // bound at least 1
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }

  /// low to high, both included.
  template <typename T = std::int64_t>
  T between(std::int64_t low, std::int64_t high) {
    const std::uint64_t width = static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low);
    const std::uint64_t offset = width == ~std::uint64_t{0} ? next() : below(width + 1);
    return static_cast<T>(static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + offset));
  }

  /// `bits` bits in long runs of zeros and of ones, as libsecp256k1 draws them: carries, borrows
  /// and saturation happen at the ends of such runs.
  std::uint64_t awkward(int bits = 64) {
    std::uint64_t value = 0;
    for (int filled = 0; filled < bits;) {
      const int run = std::min(bits - filled, 1 + between<int>(0, 1 + between<int>(0, bits)));
      const std::uint64_t ones = run >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << run) - 1;
      if (next() % 2 == 0) value |= ones << filled;
      filled += run;
    }
    return value;
  }

  /// A magnitude of up to `bits` awkward bits with either sign. // bits at most 63
  std::int64_t awkward_signed(int bits) {
    const auto magnitude = static_cast<std::int64_t>(awkward(between<int>(1, bits)));
    return next() % 2 == 0 ? magnitude : -magnitude;
  }

  /// 0 to 1, 1 excluded.
  double unit() { return std::ldexp(static_cast<double>(next() >> 11), -53); }

  /// Standard normal.
  double normal() {
    constexpr double kTurn = 6.283185307179586;
    return std::sqrt(-2.0 * std::log(1.0 - unit())) * std::cos(kTurn * unit());
  }

 private:
  std::uint64_t state_;
};

}  // namespace mote::test
