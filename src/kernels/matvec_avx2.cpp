// SPDX-License-Identifier: Apache-2.0
// The product with AVX2: four rows a pass, 32 bytes of weights a row and step.
//
// vpmaddubsw multiplies unsigned by signed bytes and adds up two of them in 16 bits. For int8 the
// unsigned ones are the magnitudes of the weights, and their signs go to the lanes: at most
// 2 * 128 * 127, which fits. For int4 they are the weights as stored, plus 8, and what that adds is
// taken out again. Sums of four bytes, then of eight, are multiplied with the scale of their block.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/isa_rounding.hpp"
#include "kernels/matvec.hpp"
#include "kernels/matvec_x86.hpp"
#include "kernels/step_runs.hpp"

// Numbers in registers stay there only where everything is one function.
#define INLINE [[gnu::always_inline]] inline

namespace mote::avx2 {
namespace {

constexpr std::uint32_t kRows = 4;
constexpr std::uint32_t kChunk = 32;  // bytes of weights a step

INLINE __m256i load(const void* bytes) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(bytes));
}

/// The same where fewer than 32 bytes are left; the others are 0.
INLINE __m256i load_part(const void* bytes, std::uint32_t count) {
  alignas(32) std::uint8_t part[kChunk] = {};
  std::memcpy(part, bytes, count);
  return load(part);
}

INLINE __m256i load_some(const void* bytes, std::uint32_t count) {
  return count >= kChunk ? load(bytes) : load_part(bytes, count);
}

/// Sums of neighbouring pairs of int16 in 32 bits, then of pairs of those: the low half of every 64
/// bits holds the sum of eight bytes' products.
INLINE __m256i add_fours(__m256i pairs) {
  const __m256i twos = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  return _mm256_add_epi32(twos, _mm256_srli_epi64(twos, 32));
}

/// The scale or factor of each 64 bits of sums of a step, of which each block has `Sums`. Those
/// past the last block belong to lanes that are 0.
template <std::uint32_t Sums, typename T>
INLINE __m256i spread(const T* of_blocks, std::uint32_t count) {
  const auto at = [&](std::uint32_t sum) {
    const std::uint32_t block = sum / Sums;
    return static_cast<long long>(of_blocks[block < count ? block : count - 1]);
  };
  return _mm256_setr_epi64x(at(0), at(1), at(2), at(3));
}

/// sums[i] = the sum of the four int64 of `rows[i]`.
INLINE __m256i add_up(const __m256i (&rows)[kRows]) {
  const __m256i a = _mm256_add_epi64(_mm256_unpacklo_epi64(rows[0], rows[1]),
                                     _mm256_unpackhi_epi64(rows[0], rows[1]));
  const __m256i b = _mm256_add_epi64(_mm256_unpacklo_epi64(rows[2], rows[3]),
                                     _mm256_unpackhi_epi64(rows[2], rows[3]));
  return _mm256_add_epi64(_mm256_permute2x128_si256(a, b, 0x20),
                          _mm256_permute2x128_si256(a, b, 0x31));
}

INLINE void round_rows(std::int32_t* out, __m256i sums, const Scale16* row_scales,
                       std::uint32_t count, std::uint32_t x_mantissa, int unit) {
  alignas(32) std::int64_t values[kRows];
  _mm256_store_si256(reinterpret_cast<__m256i*>(values), sums);
  for (std::uint32_t r = 0; r < count; ++r) {
    out[r] = isa::round_row(values[r], row_scales[r], x_mantissa, unit);
  }
}

/// Adds a step of int8 to the sums of four rows.
template <std::uint32_t B>
INLINE void add_int8(__m256i (&sums)[kRows], const std::uint8_t* const (&rows)[kRows],
                     const ActivationView& v, std::uint32_t lane, std::uint32_t lanes) {
  const __m256i x = load_some(v.values + lane, lanes);
  const __m256i scale =
      spread<(B < 32 ? B / 8 : 4)>(v.scales + lane / B, lanes < B ? 1 : lanes / B);
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const __m256i w = load_some(rows[r] + lane, lanes);
    const __m256i dots =
        add_fours(_mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(x, w)));
    sums[r] = _mm256_add_epi64(sums[r], _mm256_mul_epi32(dots, scale));
  }
}

/// Lanes of an int4 step: of each block the first halves, and the second halves.
struct Halves {
  __m256i low;
  __m256i high;
};

template <std::uint32_t B>
INLINE Halves split_halves(__m256i a, __m256i b) {
  if (B == 64) return {a, b};
  if (B == 32) {
    return {_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31)};
  }
  return {_mm256_permute4x64_epi64(_mm256_unpacklo_epi64(a, b), 0xd8),
          _mm256_permute4x64_epi64(_mm256_unpackhi_epi64(a, b), 0xd8)};
}

/// Sums of eight products of unsigned weights.
INLINE __m256i multiply_halves(__m256i low, __m256i high, const Halves& x) {
  return add_fours(
      _mm256_add_epi16(_mm256_maddubs_epi16(low, x.low), _mm256_maddubs_epi16(high, x.high)));
}

/// Adds a step of int4, of 64 lanes, to the sums of four rows.
template <std::uint32_t B>
INLINE void add_int4(__m256i (&sums)[kRows], const std::uint8_t* const (&rows)[kRows],
                     const std::uint8_t* const (&factors)[kRows], const ActivationView& v,
                     std::uint32_t lane, std::uint32_t lanes) {
  const std::uint32_t first = lanes < 32 ? lanes : 32;
  const Halves x = split_halves<B>(load_some(v.values + lane, first),
                                   load_some(v.values + lane + first, lanes - first));
  constexpr std::uint32_t kSums = B / 16;
  const std::uint32_t blocks = lanes / B;
  const __m256i scale = spread<kSums>(v.scales + lane / B, blocks);
  const __m256i nibble = _mm256_set1_epi8(15);
  const __m256i eight = _mm256_set1_epi8(8);
  const __m256i excess = multiply_halves(eight, eight, x);
  for (std::uint32_t r = 0; r < kRows; ++r) {
    const __m256i w = load_some(rows[r] + lane / 2, lanes / 2);
    const __m256i dots = multiply_halves(_mm256_and_si256(w, nibble),
                                         _mm256_and_si256(_mm256_srli_epi16(w, 4), nibble), x);
    const __m256i factor = spread<kSums>(factors[r] + lane / B, blocks);
    const __m256i products = _mm256_mul_epi32(_mm256_sub_epi32(dots, excess), factor);
    sums[r] = _mm256_add_epi64(sums[r], _mm256_mul_epi32(products, scale));
  }
}

template <std::uint32_t B, bool IsInt4>
void matvec(std::int32_t* out, const MatrixView& m, const ActivationView& x, int unit) {
  constexpr std::uint32_t kStep = IsInt4 ? 2 * kChunk : kChunk;
  const std::size_t row_bytes = IsInt4 ? m.columns / 2 : m.columns;
  const std::size_t blocks = m.columns / B;
  StepRuns runs;
  find_runs<B, (B > kStep ? B : kStep)>(runs, x.scales, m.columns);
  for (std::uint32_t first = 0; first < m.rows; first += kRows) {
    const std::uint32_t count = m.rows - first < kRows ? m.rows - first : kRows;
    const std::uint8_t* rows[kRows];
    const std::uint8_t* factors[kRows];
    __m256i sums[kRows];
    for (std::uint32_t r = 0; r < kRows; ++r) {
      const std::size_t row = first + (r < count ? r : 0);
      rows[r] = m.weights + row * row_bytes;
      factors[r] = IsInt4 ? m.block_factors + row * blocks : nullptr;
      sums[r] = _mm256_setzero_si256();
    }
    for (std::uint32_t i = 0; i < runs.count; ++i) {
      const std::uint32_t end = runs.end[i];
      for (std::uint32_t lane = runs.first[i]; lane < end; lane += kStep) {
        const std::uint32_t lanes = end - lane < kStep ? end - lane : kStep;
        if constexpr (IsInt4) {
          add_int4<B>(sums, rows, factors, x, lane, lanes);
        } else {
          add_int8<B>(sums, rows, x, lane, lanes);
        }
      }
    }
    round_rows(out + first, add_up(sums), m.row_scales + first, count, x.factor.mantissa, unit);
  }
}

}  // namespace

void matvec_s8_s32(std::int32_t* out, const MatrixView& matrix, const ActivationView& x,
                   int fraction_bits) {
  if (matrix.format == WeightFormat::int8_pairs) {
    return ref::matvec_pairs_s8_s32(out, matrix, x, fraction_bits);
  }
  const int unit = x.factor.exponent + matrix.exponent + fraction_bits;
  const bool is_int4 = matrix.format == WeightFormat::int4;
  switch (matrix.block) {
    case 8:
      if (is_int4) break;
      return matvec<8, false>(out, matrix, x, unit);
    case 16:
      return is_int4 ? matvec<16, true>(out, matrix, x, unit)
                     : matvec<16, false>(out, matrix, x, unit);
    case 32:
      return is_int4 ? matvec<32, true>(out, matrix, x, unit)
                     : matvec<32, false>(out, matrix, x, unit);
    case 64:
      return is_int4 ? matvec<64, true>(out, matrix, x, unit)
                     : matvec<64, false>(out, matrix, x, unit);
    default:
      break;
  }
  ref::matvec_s8_s32(out, matrix, x, fraction_bits);
}

}  // namespace mote::avx2
