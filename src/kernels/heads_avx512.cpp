// SPDX-License-Identifier: Apache-2.0
// Queries and keys with AVX-512: eight pairs of lanes at a time, in 64 bits each. Even and odd
// lanes stand in vectors of their own, so that the first step of the transform is between these,
// and the others are between pairs.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/heads_x86.hpp"
#include "kernels/quantize_avx512.hpp"
#include "kernels/rope.hpp"
#include "mote/config.hpp"

#define INLINE [[gnu::always_inline]] inline

namespace mote::avx512 {
namespace {

constexpr std::size_t kPairs = 8;  // in a vector
constexpr std::size_t kVectors = kMaxHeadSize / 2 / kPairs;

/// Even and odd lanes of eight pairs.
struct Pairs {
  __m512i even;
  __m512i odd;
};

/// sine of sine_cosine, of sixteen phases.
INLINE __m512i sine(__m512i phase) {
  const __m512i quarter = _mm512_set1_epi32(1 << 30);
  const __mmask16 falls = _mm512_test_epi32_mask(phase, quarter);
  const __m512i rising = _mm512_and_si512(phase, _mm512_set1_epi32((1 << 30) - 1));
  const __m512i angle = _mm512_mask_sub_epi32(rising, falls, quarter, rising);
  // The end of the last step stands for the whole quarter.
  const __m512i index = _mm512_min_epi32(_mm512_srli_epi32(angle, 22), _mm512_set1_epi32(255));
  const __m512i between =
      _mm512_srli_epi32(_mm512_sub_epi32(angle, _mm512_slli_epi32(index, 22)), 6);
  // Each gathered word holds a sine and the next one.
  const __m512i both = _mm512_i32gather_epi32(index, &kQuarterWave, 2);
  const __m512i low = _mm512_and_si512(both, _mm512_set1_epi32(0xffff));
  const __m512i step = _mm512_sub_epi32(_mm512_srli_epi32(both, 16), low);
  const __m512i rise = _mm512_srai_epi32(
      _mm512_add_epi32(_mm512_mullo_epi32(step, between), _mm512_set1_epi32(1 << 15)), 16);
  const __m512i magnitude = _mm512_add_epi32(low, rise);
  return _mm512_mask_sub_epi32(magnitude, _mm512_movepi32_mask(phase), _mm512_setzero_si512(),
                               magnitude);
}

/// A product of Q15, rounded half up and saturated to 32 bits, in 64.
INLINE __m512i narrow(__m512i product) {
  const __m512i rounded =
      _mm512_srai_epi64(_mm512_add_epi64(product, _mm512_set1_epi64(1 << 14)), 15);
  return _mm512_max_epi64(_mm512_min_epi64(rounded, _mm512_set1_epi64(INT32_MAX)),
                          _mm512_set1_epi64(INT32_MIN));
}

/// Sines and cosines of eight pairs.
struct Turn {
  __m512i sine;
  __m512i cosine;
};

INLINE Turn turn_of(__m256i frequencies, std::uint32_t position) {
  const __m256i phase =
      _mm256_mullo_epi32(frequencies, _mm256_set1_epi32(static_cast<int>(position)));
  const __m256i ahead = _mm256_add_epi32(phase, _mm256_set1_epi32(1 << 30));
  const __m512i sines = sine(_mm512_inserti64x4(_mm512_castsi256_si512(phase), ahead, 1));
  return {_mm512_cvtepi32_epi64(_mm512_castsi512_si256(sines)),
          _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(sines, 1))};
}

/// Turns the pairs in `mask` of the eight at `lanes`.
INLINE void rotate(std::int32_t* lanes, const Turn& turn, __mmask8 mask) {
  const __m512i x = _mm512_maskz_loadu_epi64(mask, lanes);
  const __m512i y = _mm512_srli_epi64(x, 32);
  const __m512i even =
      narrow(_mm512_sub_epi64(_mm512_mul_epi32(x, turn.cosine), _mm512_mul_epi32(y, turn.sine)));
  const __m512i odd =
      narrow(_mm512_add_epi64(_mm512_mul_epi32(x, turn.sine), _mm512_mul_epi32(y, turn.cosine)));
  _mm512_mask_storeu_epi64(lanes, mask,
                           _mm512_mask_mov_epi32(even, 0xaaaa, _mm512_slli_epi64(odd, 32)));
}

/// One step of the transform between lanes of a vector: `other` has each lane's partner in its
/// place, `second` marks the second of each two.
INLINE __m512i butterfly(__m512i lanes, __m512i other, __mmask8 second) {
  return _mm512_mask_sub_epi64(_mm512_add_epi64(lanes, other), second, other, lanes);
}

/// The steps within a vector, of `pairs` pairs a transform.
INLINE __m512i transform_vector(__m512i lanes, std::size_t pairs) {
  if (pairs >= 2) {
    lanes = butterfly(lanes, _mm512_permutex_epi64(lanes, 0xb1), 0xaa);
  }
  if (pairs >= 4) {
    lanes = butterfly(lanes, _mm512_permutex_epi64(lanes, 0x4e), 0xcc);
  }
  if (pairs >= 8) {
    lanes = butterfly(lanes, _mm512_shuffle_i64x2(lanes, lanes, 0x4e), 0xf0);
  }
  return lanes;
}

/// hadamard_transform of turned pairs, in runs of `pairs`, a power of two.
INLINE void transform(Pairs* all, std::size_t vectors, std::size_t pairs) {
  for (std::size_t v = 0; v < vectors; ++v) {
    const Pairs p = all[v];
    all[v].even = transform_vector(_mm512_add_epi64(p.even, p.odd), pairs);
    all[v].odd = transform_vector(_mm512_sub_epi64(p.even, p.odd), pairs);
  }
  for (std::size_t step = 1; step * kPairs < pairs; step *= 2) {
    for (std::size_t v = 0; v < vectors; ++v) {
      if ((v & step) != 0) continue;
      const Pairs a = all[v];
      const Pairs b = all[v + step];
      all[v] = {_mm512_add_epi64(a.even, b.even), _mm512_add_epi64(a.odd, b.odd)};
      all[v + step] = {_mm512_sub_epi64(a.even, b.even), _mm512_sub_epi64(a.odd, b.odd)};
    }
  }
}

INLINE __mmask8 mask_of(std::size_t rest) {
  return static_cast<__mmask8>(rest < kPairs ? (1U << rest) - 1U : 0xffU);
}

template <std::size_t Vectors>
INLINE bool quantize_transformed(Scale16& scale, std::int8_t* out, const std::int32_t* head,
                                 std::size_t head_size, Multiplier unit) {
  Pairs all[Vectors];
  const std::size_t count = head_size / 2;
  const std::size_t vectors = Vectors == 1 ? 1 : (count + kPairs - 1) / kPairs;
  for (std::size_t v = 0; v < vectors; ++v) {
    const std::size_t first = v * kPairs;
    const __m512i lanes = _mm512_maskz_loadu_epi64(mask_of(count - first), head + 2 * first);
    all[v] = {_mm512_srai_epi64(_mm512_slli_epi64(lanes, 32), 32), _mm512_srai_epi64(lanes, 32)};
  }
  transform(all, vectors, count & (~count + 1));
  __m512i largest = _mm512_setzero_si512();
  for (std::size_t v = 0; v < vectors; ++v) {
    largest = _mm512_max_epu64(
        largest, _mm512_max_epu64(_mm512_abs_epi64(all[v].even), _mm512_abs_epi64(all[v].odd)));
  }
  const std::uint64_t magnitude = _mm512_reduce_max_epu64(largest);
  BlockRounding rounding;
  if (magnitude == 0 || !find_rounding(rounding, magnitude, unit)) return false;
  for (std::size_t v = 0; v < vectors; ++v) {
    const __m128i bytes =
        _mm_unpacklo_epi8(_mm512_cvtepi64_epi8(round_lanes(all[v].even, rounding)),
                          _mm512_cvtepi64_epi8(round_lanes(all[v].odd, rounding)));
    const std::size_t rest = head_size - 2 * v * kPairs;
    const auto mask = static_cast<__mmask16>(rest < 16 ? (1U << rest) - 1U : 0xffffU);
    _mm_mask_storeu_epi8(out + 2 * v * kPairs, mask, bytes);
  }
  scale = rounding.scale;
  return true;
}

}  // namespace

void rotate_heads(std::span<std::int32_t> heads, std::uint32_t head_size,
                  const std::uint32_t* frequencies, std::uint32_t position) {
  std::int32_t* const lanes = heads.data();
  const std::size_t count = heads.size();
  if (head_size == kPairs) {
    // Two heads fill a vector.
    const Turn turn = turn_of(
        _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(frequencies))),
        position);
    for (std::size_t i = 0; i < count; i += 2 * kPairs) {
      rotate(lanes + i, turn, mask_of((count - i) / 2));
    }
    return;
  }
  for (std::size_t pair = 0; pair < head_size / 2; pair += kPairs) {
    const __mmask8 mask = mask_of(head_size / 2 - pair);
    const Turn turn = turn_of(_mm256_maskz_loadu_epi32(mask, frequencies + pair), position);
    for (std::size_t i = 0; i < count; i += head_size) rotate(lanes + i + 2 * pair, turn, mask);
  }
}

Scale16 quantize_transformed_s32_s8(std::int8_t* out, std::span<std::int32_t> head,
                                    std::span<std::int64_t> scratch, Multiplier unit) {
  Scale16 scale;
  const std::size_t count = head.size();
  const bool done = count <= 2 * kPairs
                        ? quantize_transformed<1>(scale, out, head.data(), count, unit)
                        : quantize_transformed<kVectors>(scale, out, head.data(), count, unit);
  if (done) return scale;
  return ref::quantize_transformed_s32_s8(out, head, scratch, unit);
}

}  // namespace mote::avx512
