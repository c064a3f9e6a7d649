// SPDX-License-Identifier: Apache-2.0
// The steps of quantisation with AVX-512, for the kernels that end in it: how eight blocks are
// rounded is found at once, each in 64 bits; then come the lanes of one block after another.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "kernels/fold_avx512.hpp"
#include "kernels/quantize.hpp"
#include "kernels/round_block_x86.hpp"

namespace mote::avx512 {

// Inline by force: no copy of these may be kept for other machines.

inline constexpr std::size_t kBlocksTogether = 8;

/// The first `count` of eight, or all.
[[gnu::always_inline]] inline __mmask8 mask_of(std::size_t count) {
  return static_cast<__mmask8>(count < 8 ? (1U << count) - 1U : 0xffU);
}

/// The maxima of the numbers of each of eight vectors, in order.
[[gnu::always_inline]] inline __m512i largest_of_each(const __m512i (&in)[kBlocksTogether]) {
  return fold_each(
      in,
      [](__m512i a, __m512i b) __attribute__((always_inline)) { return _mm512_max_epu64(a, b); });
}

/// A unit for eight blocks, as eight of them lie in memory.
[[gnu::always_inline]] inline __m512i in_each(Multiplier unit) {
  static_assert(sizeof unit == sizeof(std::int64_t));
  return _mm512_set1_epi64(std::int64_t{unit.exponent} << 32 | std::int64_t{unit.mantissa});
}

/// BlockRounding of eight blocks, with what rounds where a number is shifted.
struct Roundings {
  __m512i half_drop;
  __m512i drop;
  __m512i ratio;
  __m512i half;
  __m512i shift;
};

/// As x86::find_rounding, of eight blocks, whose scales are written for those in `blocks`.
///   units as eight Multiplier lie in memory
/// Returns the blocks that are usual; what is written of others is not valid.
[[gnu::always_inline]] inline __mmask8 find_roundings(Roundings& out, Scale16* scales,
                                                      __m512i largest, __m512i units,
                                                      __mmask8 blocks) {
  const auto set = [](std::int64_t value) __attribute__((always_inline)) {
    return _mm512_set1_epi64(value);
  };
  const __m512i one = set(1);
  const __m512i drop = _mm512_max_epi64(_mm512_sub_epi64(set(64 - 30), _mm512_lzcnt_epi64(largest)),
                                        _mm512_setzero_si512());
  const __m512i half_drop = _mm512_srli_epi64(_mm512_sllv_epi64(one, drop), 1);
  const __m512i top = _mm512_srlv_epi64(_mm512_add_epi64(largest, half_drop), drop);
  const __m512i unit_mantissa = _mm512_and_si512(units, set(0xffffffff));
  const __m512i lift = _mm512_sub_epi64(_mm512_lzcnt_epi64(unit_mantissa), set(64 - 20));
  const __m512i mantissa = _mm512_sllv_epi64(unit_mantissa, lift);
  const __m512i exponent = _mm512_add_epi64(_mm512_sub_epi64(_mm512_srai_epi64(units, 32), lift),
                                            _mm512_add_epi64(drop, set(kScaleFractionBits)));
  // 31 bits, rounded up, over 127, rounded up.
  const __m512i product = _mm512_mul_epu32(top, mantissa);
  const __m512i raise = _mm512_lzcnt_epi64(product);
  const __m512i high = _mm512_sllv_epi64(product, raise);
  const __m512i thirty_one = _mm512_srli_epi64(high, 33);
  const __mmask8 has_rest = _mm512_test_epi64_mask(high, set((std::int64_t{1} << 33) - 1));
  const __m512i dividend =
      _mm512_mask_add_epi64(_mm512_add_epi64(thirty_one, set(126)), has_rest, thirty_one, set(127));
  // 2^38 / 127, rounded up, is 119 / 127 too large: exact below 2^38 / 119.
  const __m512i step = _mm512_srli_epi64(_mm512_mul_epu32(dividend, set(2164392969)), 38);
  // 24 or 25 bits; of these 12, rounded up.
  const __m512i twelve = _mm512_add_epi64(_mm512_srli_epi64(step, 24), set(12));
  const __m512i raised =
      _mm512_sub_epi64(_mm512_add_epi64(step, _mm512_sllv_epi64(one, twelve)), one);
  const __m512i full = _mm512_srlv_epi64(raised, twelve);
  const __mmask8 carries = _mm512_cmpeq_epi64_mask(full, set(4096));
  const __m512i scale = _mm512_mask_mov_epi64(full, carries, set(2048));
  const __m512i plain = _mm512_sub_epi64(_mm512_add_epi64(twelve, set(33)), raise);
  const __m512i relative = _mm512_mask_add_epi64(plain, carries, plain, one);
  const __m512i scale_exponent = _mm512_add_epi64(exponent, relative);
  const __m512i shift = _mm512_add_epi64(relative, set(11));
  // Both are exact as doubles, and no quotient is so near to an integer that it becomes one.
  const __m512i ratio = _mm512_cvttpd_epi64(_mm512_div_pd(
      _mm512_cvtepi64_pd(_mm512_slli_epi64(mantissa, 11)), _mm512_cvtepi64_pd(scale)));
  // The implied bit of a scale counts as one of its exponent.
  const __m512i bits = _mm512_add_epi64(_mm512_slli_epi64(scale_exponent, 11), scale);
  _mm_mask_storeu_epi16(scales, blocks, _mm512_cvtepi64_epi16(bits));
  out.half_drop = half_drop;
  out.drop = drop;
  out.ratio = ratio;
  out.half = _mm512_sllv_epi64(one, _mm512_sub_epi64(shift, one));
  out.shift = shift;
  const __mmask8 has_lanes = _mm512_test_epi64_mask(largest, largest);
  const __mmask8 is_lifted = _mm512_cmpge_epi64_mask(lift, _mm512_setzero_si512());
  const __mmask8 has_scale = _mm512_cmplt_epu64_mask(scale_exponent, set(30));
  const __mmask8 has_shift = _mm512_cmplt_epu64_mask(_mm512_sub_epi64(shift, one), set(62));
  return static_cast<__mmask8>(blocks & has_lanes & is_lifted & has_scale & has_shift);
}

/// How eight lanes are rounded, those of their blocks.
struct LaneRounding {
  __m512i half_drop;
  __m512i drop;
  __m512i ratio;
  __m512i half;
  __m512i shift;

  /// Eight lanes rounded, in 64 bits each.
  [[gnu::always_inline]] __m512i round(__m512i lanes) const {
    const __m512i top = _mm512_srav_epi64(_mm512_add_epi64(lanes, half_drop), drop);
    return _mm512_srav_epi64(_mm512_add_epi64(_mm512_mul_epi32(top, ratio), half), shift);
  }
};

/// Of lanes whose blocks `places` names.
[[gnu::always_inline]] inline LaneRounding of_blocks(const Roundings& all, __m512i places) {
  const auto pick = [places](__m512i numbers) __attribute__((always_inline)) {
    return _mm512_permutexvar_epi64(places, numbers);
  };
  return {pick(all.half_drop), pick(all.drop), pick(all.ratio), pick(all.half), pick(all.shift)};
}

/// All lanes are of one block of several, or of one alone.
[[gnu::always_inline]] inline LaneRounding of_block(const Roundings& all, std::size_t block) {
  return of_blocks(all, _mm512_set1_epi64(static_cast<std::int64_t>(block)));
}
[[gnu::always_inline]] inline LaneRounding of_block(const BlockRounding& rounding) {
  const auto set = [](std::uint64_t number) __attribute__((always_inline)) {
    return _mm512_set1_epi64(static_cast<std::int64_t>(number));
  };
  const auto drop = static_cast<std::uint64_t>(rounding.drop);
  const auto shift = static_cast<std::uint64_t>(rounding.shift);
  return {set((std::uint64_t{1} << drop) >> 1), set(drop), set(rounding.ratio),
          set(std::uint64_t{1} << (shift - 1)), set(shift)};
}

}  // namespace mote::avx512
