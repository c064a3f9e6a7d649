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
#define INLINE_LAMBDA __attribute__((always_inline))

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

/// One head, transformed. `count` pairs, which `vectors` hold.
INLINE void load_transformed(Pairs* all, const std::int32_t* head, std::size_t count,
                             std::size_t vectors) {
  for (std::size_t v = 0; v < vectors; ++v) {
    const std::size_t first = v * kPairs;
    const __m512i lanes = _mm512_maskz_loadu_epi64(mask_of(count - first), head + 2 * first);
    all[v] = {_mm512_srai_epi64(_mm512_slli_epi64(lanes, 32), 32), _mm512_srai_epi64(lanes, 32)};
  }
  transform(all, vectors, count & (~count + 1));
}

INLINE __m512i largest_of(const Pairs* all, std::size_t vectors) {
  __m512i largest = _mm512_setzero_si512();
  for (std::size_t v = 0; v < vectors; ++v) {
    largest = _mm512_max_epu64(
        largest, _mm512_max_epu64(_mm512_abs_epi64(all[v].even), _mm512_abs_epi64(all[v].odd)));
  }
  return largest;
}

INLINE void store_rounded(std::int8_t* out, const Pairs* all, std::size_t head_size,
                          const LaneRounding& rounding) {
  for (std::size_t first = 0; first < head_size; first += 2 * kPairs, ++all) {
    const __m128i bytes = _mm_unpacklo_epi8(_mm512_cvtepi64_epi8(rounding.round(all->even)),
                                            _mm512_cvtepi64_epi8(rounding.round(all->odd)));
    const std::size_t rest = head_size - first;
    if (rest < 2 * kPairs) {
      _mm_mask_storeu_epi8(out + first, static_cast<__mmask16>((1U << rest) - 1U), bytes);
    } else {
      _mm_storeu_si128(reinterpret_cast<__m128i*>(out + first), bytes);
    }
  }
}

/// One head, which takes less time alone. Whether it is usual.
template <std::size_t Vectors>
INLINE bool quantize_transformed(std::int8_t* out, Scale16& scale, const std::int32_t* head,
                                 std::size_t head_size, Multiplier unit) {
  Pairs all[Vectors];
  const std::size_t count = head_size / 2;
  const std::size_t vectors = Vectors == 1 ? 1 : (count + kPairs - 1) / kPairs;
  load_transformed(all, head, count, vectors);
  const std::uint64_t largest = _mm512_reduce_max_epu64(largest_of(all, vectors));
  BlockRounding rounding;
  if (largest == 0 || !x86::find_rounding(rounding, largest, unit)) return false;
  store_rounded(out, all, head_size, of_block(rounding));
  scale = rounding.scale;
  return true;
}

/// Up to eight heads. Returns those that are not usual.
template <std::size_t Vectors>
[[gnu::noinline]] unsigned quantize_transformed(std::int8_t* out, Scale16* scales,
                                                const std::int32_t* lanes, std::size_t heads,
                                                std::size_t head_size, Multiplier unit) {
  Pairs all[kBlocksTogether * Vectors];
  const std::size_t count = head_size / 2;
  const std::size_t vectors = Vectors == 1 ? 1 : (count + kPairs - 1) / kPairs;
  __m512i largest[kBlocksTogether];
  for (__m512i& numbers : largest) numbers = _mm512_setzero_si512();
  for (std::size_t h = 0; h < heads; ++h) {
    load_transformed(all + h * vectors, lanes + h * head_size, count, vectors);
    largest[h] = largest_of(all + h * vectors, vectors);
  }
  Roundings roundings;
  const __mmask8 mask = mask_of(heads);
  const __mmask8 usual =
      find_roundings(roundings, scales, largest_of_each(largest), in_each(unit), mask);
  for (std::size_t h = 0; h < heads; ++h) {
    store_rounded(out + h * head_size, all + h * vectors, head_size, of_block(roundings, h));
  }
  return mask & ~unsigned{usual};
}

/// The maxima of both halves of each of four vectors, in order.
INLINE __m512i largest_of_halves(const __m512i (&in)[4]) {
  const auto larger = [](__m512i a, __m512i b) INLINE_LAMBDA { return _mm512_max_epu64(a, b); };
  const __m512i low =
      larger(_mm512_unpacklo_epi64(in[0], in[1]), _mm512_unpackhi_epi64(in[0], in[1]));
  const __m512i high =
      larger(_mm512_unpacklo_epi64(in[2], in[3]), _mm512_unpackhi_epi64(in[2], in[3]));
  const __m512i all =
      larger(_mm512_shuffle_i64x2(low, high, 0x88), _mm512_shuffle_i64x2(low, high, 0xdd));
  // These are of 0, 2, 1, 3, 4, 6, 5, 7.
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 1, 3, 4, 6, 5, 7), all);
}

/// Up to eight heads of eight lanes, two in each vector of pairs.
[[gnu::noinline]] unsigned quantize_short(std::int8_t* out, Scale16* scales,
                                          const std::int32_t* lanes, std::size_t heads,
                                          Multiplier unit) {
  Pairs all[4];
  __m512i most[4];
  for (std::size_t v = 0; v < 4; ++v) {
    const __mmask8 mask = heads > 2 * v ? mask_of(4 * heads - kPairs * v) : 0;
    const __m512i pairs = _mm512_maskz_loadu_epi64(mask, lanes + 2 * kPairs * v);
    all[v] = {_mm512_srai_epi64(_mm512_slli_epi64(pairs, 32), 32), _mm512_srai_epi64(pairs, 32)};
    transform(&all[v], 1, 4);
    most[v] = largest_of(&all[v], 1);
  }
  Roundings roundings;
  const __mmask8 mask = mask_of(heads);
  const __mmask8 usual =
      find_roundings(roundings, scales, largest_of_halves(most), in_each(unit), mask);
  __m512i bytes = _mm512_setzero_si512();  // of pair i, those of vector v in bytes 2 v and 2 v + 1
  const __m512i byte = _mm512_set1_epi64(0xff);
  for (unsigned v = 0; v < 4; ++v) {
    const __m512i first = _mm512_setr_epi64(0, 0, 0, 0, 1, 1, 1, 1);
    const LaneRounding rounding =
        of_blocks(roundings, _mm512_add_epi64(first, _mm512_set1_epi64(2 * std::int64_t{v})));
    const __m512i even = _mm512_and_si512(rounding.round(all[v].even), byte);
    const __m512i odd = _mm512_and_si512(rounding.round(all[v].odd), byte);
    bytes = _mm512_or_si512(bytes, _mm512_slli_epi64(even, 16 * v));
    bytes = _mm512_or_si512(bytes, _mm512_slli_epi64(odd, 16 * v + 8));
  }
  const __m512i order = _mm512_set_epi64(0x3f3e37362f2e2726, 0x1f1e17160f0e0706, 0x3d3c35342d2c2524,
                                         0x1d1c15140d0c0504, 0x3b3a33322b2a2322, 0x1b1a13120b0a0302,
                                         0x3938313029282120, 0x1918111009080100);
  _mm512_mask_storeu_epi8(out, ~std::uint64_t{0} >> (64 - 8 * heads),
                          _mm512_permutexvar_epi8(order, bytes));
  return mask & ~unsigned{usual};
}

template <std::size_t Vectors>
INLINE unsigned quantize_any(std::int8_t* out, Scale16* scales, const std::int32_t* lanes,
                             std::size_t heads, std::size_t head_size, Multiplier unit) {
  if (heads > 1) return quantize_transformed<Vectors>(out, scales, lanes, heads, head_size, unit);
  return quantize_transformed<Vectors>(out, *scales, lanes, head_size, unit) ? 0 : 1;
}

INLINE unsigned quantize_eight(std::int8_t* out, Scale16* scales, const std::int32_t* lanes,
                               std::size_t heads, std::size_t head_size, Multiplier unit) {
  if (head_size == kPairs && heads > 1) return quantize_short(out, scales, lanes, heads, unit);
  if (head_size <= 2 * kPairs) {
    return quantize_any<1>(out, scales, lanes, heads, head_size, unit);
  }
  return quantize_any<kVectors>(out, scales, lanes, heads, head_size, unit);
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

void quantize_heads_s32_s8(std::int8_t* out, Scale16* scales, std::span<std::int32_t> heads,
                           std::size_t head_size, std::span<std::int64_t> scratch,
                           Multiplier unit) {
  const std::size_t step = kBlocksTogether * head_size;
  for (std::size_t first = 0; first < heads.size(); first += step, scales += kBlocksTogether) {
    const auto some =
        heads.subspan(first, heads.size() - first < step ? heads.size() - first : step);
    const std::size_t count = some.size() / head_size;
    unsigned rare = quantize_eight(out + first, scales, some.data(), count, head_size, unit);
    for (; rare != 0; rare &= rare - 1) {
      const auto at = static_cast<std::size_t>(__builtin_ctz(rare));
      scales[at] = ref::quantize_transformed_s32_s8(
          out + first + at * head_size, some.subspan(at * head_size, head_size), scratch, unit);
    }
  }
}

}  // namespace mote::avx512
