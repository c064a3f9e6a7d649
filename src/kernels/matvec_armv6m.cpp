// SPDX-License-Identifier: Apache-2.0
// Matrix times vector for processors that multiply 32 bits by 32 and keep 32 (Cortex-M0+), in plain
// C++. The vector's lanes are widened block by block for many rows. For int4 one multiplication
// makes the products of two lanes: with n0 and n1 the nibbles and x0 and x1 the lanes,
//   (n0 + n1 * 2^16) * (x1 + x0 * 2^16) = n0 * x1 + (n0 * x0 + n1 * x1) * 2^16   modulo 2^32,
// and the lower half stays within 16 bits over 32 lanes, so that it can be taken off at the end.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "base/fixed_point.hpp"
#include "kernels/matvec.hpp"
#include "mote/config.hpp"

namespace mote {
namespace {

/// Rows that share one widening of a block.
constexpr std::uint32_t kRowsPerGroup = 32;

/// Bytes of int4 weights whose lower halves stay within 16 bits: 16 of at most 15 * 127.
constexpr std::uint32_t kBytesOfRun = 16;
static_assert(kBytesOfRun * 15 * 127 < 1 << 15 && 2 * kBytesOfRun == kMaxBlock / 2);

std::uint32_t load_word(const void* bytes) {
  std::uint32_t word;
  std::memcpy(&word, __builtin_assume_aligned(bytes, 4), sizeof word);
  return word;
}

/// a * b, exact; |a| < 2^24, b < 2^27. Faster than the library's product of 64 bits.
std::int64_t multiply_wide(std::int32_t a, std::uint32_t b) {
  const std::uint32_t a0 = static_cast<std::uint32_t>(a) & 0xffffU;
  const std::int32_t a1 = a >> 16;
  const std::uint32_t b0 = b & 0xffffU;
  const auto b1 = static_cast<std::int32_t>(b >> 16);
  const std::int32_t middle =
      a1 * static_cast<std::int32_t>(b0) + static_cast<std::int32_t>(a0) * b1;
  const std::uint32_t low = a0 * b0;
  const std::uint32_t sum = low + (static_cast<std::uint32_t>(middle) << 16);
  const std::int32_t high = a1 * b1 + (middle >> 16) + (sum < low ? 1 : 0);
  return static_cast<std::int64_t>(
      static_cast<std::uint64_t>(static_cast<std::uint32_t>(high)) << 32 | sum);
}

/// A word for each lane.
struct Int8 {
  static constexpr std::uint32_t kWords = kMaxBlock;
  static void widen(std::uint32_t* out, const std::int8_t* x, std::uint32_t block) {
    for (std::uint32_t i = 0; i < block; ++i) out[i] = static_cast<std::uint32_t>(x[i]);
  }
  /// Not inline: the few registers are the loop's then.
  [[gnu::noinline]] static std::int32_t dot(const std::uint8_t* weights, const std::uint32_t* x,
                                            std::uint32_t block) {
    std::uint32_t sum = 0;
    const std::uint8_t* const end = weights + block;
    do {
#pragma GCC unroll 2
      for (int i = 0; i < 2; ++i) {
        const std::uint32_t word = load_word(weights);
        sum += extend(word) * x[0];
        sum += extend(word >> 8) * x[1];
        sum += extend(word >> 16) * x[2];
        sum += extend(word >> 24) * x[3];
        weights += 4;
        x += 4;
      }
    } while (weights != end);
    return static_cast<std::int32_t>(sum);
  }
  static std::uint32_t extend(std::uint32_t byte) {
    return static_cast<std::uint32_t>(static_cast<std::int8_t>(byte));
  }
  static constexpr std::uint32_t bytes(std::uint32_t block) {
    return block;
  }
};

/// Two lanes a word, as the head of the file tells; before each run what takes the 8 off that
/// nibbles are stored with.
struct Int4 {
  static constexpr std::uint32_t kWords = kMaxBlock / 2 + kMaxBlock / 2 / kBytesOfRun;

  static std::uint32_t pair(std::int8_t first, std::int8_t second) {
    return (static_cast<std::uint32_t>(first) << 16) + static_cast<std::uint32_t>(second);
  }
  static void widen(std::uint32_t* out, const std::int8_t* x, std::uint32_t block) {
    const std::uint32_t half = block / 2;
    for (std::uint32_t i = 0; i < half; i += kBytesOfRun) {
      std::uint32_t* const correction = out++;
      std::int32_t sum = 0;
      const std::uint32_t end = std::min(half, i + kBytesOfRun);
      for (std::uint32_t j = i; j < end; ++j) sum += x[j] + x[j + half];
      for (std::uint32_t j = i; j < end; j += 4) {
        *out++ = pair(x[j], x[j + 2]);
        *out++ = pair(x[j + half], x[j + half + 2]);
        *out++ = pair(x[j + 1], x[j + 3]);
        *out++ = pair(x[j + half + 1], x[j + half + 3]);
      }
      *correction = static_cast<std::uint32_t>(-8 * sum) << 16;
    }
  }
  /// One run, to which its correction has been added; not inline, as above.
  [[gnu::noinline]] static std::int32_t add_run(std::uint32_t run, const std::uint8_t* weights,
                                                const std::uint32_t* x, const std::uint8_t* end) {
    do {
      constexpr std::uint32_t kMask = 0x000f000f;
      const std::uint32_t word = load_word(weights);
      run += (word & kMask) * x[0];
      run += (word >> 4 & kMask) * x[1];
      run += (word >> 8 & kMask) * x[2];
      run += (word >> 12 & kMask) * x[3];
      weights += 4;
      x += 4;
    } while (weights != end);
    const auto lower = static_cast<std::uint32_t>(static_cast<std::int16_t>(run));
    return static_cast<std::int32_t>(run - lower) >> 16;
  }
  static std::int32_t dot(const std::uint8_t* weights, const std::uint32_t* x,
                          std::uint32_t block) {
    const std::uint32_t half = block / 2;
    const std::int32_t first = add_run(x[0], weights, x + 1, weights + std::min(half, kBytesOfRun));
    if (half <= kBytesOfRun) return first;
    x += 1 + kBytesOfRun;
    return first + add_run(x[0], weights + kBytesOfRun, x + 1, weights + half);
  }
  static constexpr std::uint32_t bytes(std::uint32_t block) { return block / 2; }
};

/// Rows first to first + rows - 1.
template <typename Format>
void multiply_rows(std::int32_t* out, const MatrixView& m, const ActivationView& x,
                   std::uint32_t first, std::uint32_t rows, int unit) {
  const std::uint32_t blocks = m.blocks();
  const std::uint32_t row_bytes = blocks * Format::bytes(m.block);
  const std::uint8_t* weights = m.weights + std::size_t{first} * row_bytes;
  const std::uint8_t* factors = m.block_factors;
  if (factors != nullptr) factors += std::size_t{first} * blocks;
  const std::int8_t* lanes = x.values;
  std::int64_t sums[kRowsPerGroup];
  std::uint32_t widened[Format::kWords];
  for (std::uint32_t b = 0; b < blocks; ++b) {
    Format::widen(widened, lanes, m.block);
    const std::uint32_t scale = x.scales[b];
    const std::uint8_t* row = weights;
    const std::uint8_t* factor = factors;
    for (std::uint32_t r = 0; r < rows; ++r) {
      std::int32_t dot = Format::dot(row, widened, m.block);
      if constexpr (std::is_same_v<Format, Int4>) {
        dot *= *factor;
        factor += blocks;
      }
      const std::int64_t product = multiply_wide(dot, scale);
      sums[r] = b == 0 ? product : sums[r] + product;
      row += row_bytes;
    }
    weights += Format::bytes(m.block);
    if (factors != nullptr) ++factors;
    lanes += m.block;
  }
  for (std::uint32_t r = 0; r < rows; ++r) {
    const Scale16 scale = m.row_scales[first + r];
    out[first + r] =
        multiply_shift(sums[r], scale.mantissa() * x.factor.mantissa, -(unit + scale.exponent()));
  }
}

template <typename Format>
void multiply(std::int32_t* out, const MatrixView& m, const ActivationView& x, int unit) {
  for (std::uint32_t r = 0; r < m.rows; r += kRowsPerGroup) {
    multiply_rows<Format>(out, m, x, r, std::min(kRowsPerGroup, m.rows - r), unit);
  }
}

}  // namespace

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  if (matrix.format == WeightFormat::int8_pairs) {
    return ref::matvec_pairs_s8_s32(out, matrix, x, fraction_bits);
  }
  // Images have whole words in rows of such blocks.
  if (matrix.block < 8 || reinterpret_cast<std::uintptr_t>(matrix.weights) % 4 != 0) {
    return ref::matvec_s8_s32(out, matrix, x, fraction_bits);
  }
  const int unit = x.factor.exponent + matrix.exponent + fraction_bits;
  matrix.format == WeightFormat::int4 ? multiply<Int4>(out, matrix, x, unit)
                                      : multiply<Int8>(out, matrix, x, unit);
}

}  // namespace mote
