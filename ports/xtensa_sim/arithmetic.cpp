// SPDX-License-Identifier: Apache-2.0
// What the compiler calls for arithmetic that the LX106 lacks, and Debian's libgcc for it does not
// have. The dividend's leading zeros are skipped; dividing by 0 gives all ones.
#include <bit>
#include <cstdint>

namespace {

template <typename Unsigned>
struct Division {
  Unsigned quotient;
  Unsigned remainder;
};

template <typename Unsigned>
constexpr Division<Unsigned> divide(Unsigned dividend, Unsigned divisor) {
  Unsigned quotient = 0;
  Unsigned remainder = 0;
  for (auto bit = static_cast<int>(std::bit_width(dividend)); bit-- > 0;) {
    // The remainder is below the divisor; where doubling it drops a bit it exceeds the divisor.
    const bool overflows = (remainder >> (sizeof(Unsigned) * 8 - 1)) != 0;
    remainder = remainder << 1 | (dividend >> bit & 1);
    quotient <<= 1;
    if (overflows || remainder >= divisor) {
      remainder -= divisor;
      quotient |= 1;
    }
  }
  return {quotient, remainder};
}

template <typename Unsigned>
constexpr Unsigned magnitude(Unsigned value, bool negative) {
  return negative ? Unsigned{0} - value : value;
}

}  // namespace

extern "C" {

std::uint32_t __udivsi3(std::uint32_t a, std::uint32_t b) {
  return divide(a, b).quotient;
}

std::uint32_t __umodsi3(std::uint32_t a, std::uint32_t b) {
  return divide(a, b).remainder;
}

std::uint32_t __divsi3(std::uint32_t a, std::uint32_t b) {
  const bool a_negative = (a >> 31) != 0;
  const bool b_negative = (b >> 31) != 0;
  const std::uint32_t quotient =
      divide(magnitude(a, a_negative), magnitude(b, b_negative)).quotient;
  return magnitude(quotient, a_negative != b_negative);
}

std::uint64_t __udivdi3(std::uint64_t a, std::uint64_t b) {
  return divide(a, b).quotient;
}

std::uint64_t __umoddi3(std::uint64_t a, std::uint64_t b) {
  return divide(a, b).remainder;
}

std::uint64_t __divdi3(std::uint64_t a, std::uint64_t b) {
  const bool a_negative = (a >> 63) != 0;
  const bool b_negative = (b >> 63) != 0;
  const std::uint64_t quotient =
      divide(magnitude(a, a_negative), magnitude(b, b_negative)).quotient;
  return magnitude(quotient, a_negative != b_negative);
}

/// From four products of 16 bits, which the processor has.
std::uint64_t __umulsidi3(std::uint32_t a, std::uint32_t b) {
  const std::uint32_t a_low = a & 0xffff;
  const std::uint32_t b_low = b & 0xffff;
  const std::uint32_t a_high = a >> 16;
  const std::uint32_t b_high = b >> 16;
  const std::uint32_t low = a_low * b_low;
  const std::uint32_t left = a_low * b_high;
  const std::uint32_t right = a_high * b_low;
  const std::uint32_t middle = (low >> 16) + (left & 0xffff) + (right & 0xffff);
  const std::uint32_t high = a_high * b_high + (left >> 16) + (right >> 16) + (middle >> 16);
  return std::uint64_t{high} << 32 | (middle << 16 | (low & 0xffff));
}

std::uint64_t __muldi3(std::uint64_t a, std::uint64_t b) {
  const auto a_low = static_cast<std::uint32_t>(a);
  const auto b_low = static_cast<std::uint32_t>(b);
  const std::uint32_t cross =
      a_low * static_cast<std::uint32_t>(b >> 32) + static_cast<std::uint32_t>(a >> 32) * b_low;
  return __umulsidi3(a_low, b_low) + (std::uint64_t{cross} << 32);
}
}
