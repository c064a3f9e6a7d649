// SPDX-License-Identifier: Apache-2.0
// Queries and keys with AVX2: four pairs of lanes at a time, which are turned in 64 bits each and
// transformed in 32. Heads whose size is no multiple of 8, and large lanes, are left to the
// reference.
#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/heads_x86.hpp"
#include "kernels/quantize_avx2.hpp"
#include "kernels/rope.hpp"
#include "mote/config.hpp"

#define INLINE [[gnu::always_inline]] inline

namespace mote::avx2 {
namespace {

constexpr std::size_t kLanes = 8;  // of a vector
constexpr std::size_t kVectors = kMaxHeadSize / kLanes;

INLINE __m256i set(int value) {
  return _mm256_set1_epi32(value);
}

INLINE __m256i load(const std::int32_t* lanes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes));
}

/// The lane, or -lane - 1 of one below 0.
INLINE __m256i magnitude(__m256i lanes) {
  return _mm256_xor_si256(lanes, _mm256_srai_epi32(lanes, 31));
}

/// Each sine of kQuarterWave at eight places, and the next one in the upper half.
INLINE __m256i look_up_sines(__m256i index) {
  alignas(32) std::uint32_t at[8];
  _mm256_store_si256(reinterpret_cast<__m256i*>(at), index);
  const auto both = [&](int i) {
    int sines;
    std::memcpy(&sines, &kQuarterWave[0] + at[i], sizeof sines);
    return sines;
  };
  return _mm256_setr_epi32(both(0), both(1), both(2), both(3), both(4), both(5), both(6), both(7));
}

/// sine of sine_cosine, of eight phases.
INLINE __m256i sine(__m256i phase) {
  const __m256i quarter = set(1 << 30);
  const __m256i rising = _mm256_and_si256(phase, set((1 << 30) - 1));
  const __m256i falls = _mm256_srai_epi32(_mm256_slli_epi32(phase, 1), 31);
  const __m256i angle = _mm256_blendv_epi8(rising, _mm256_sub_epi32(quarter, rising), falls);
  // The end of the last step stands for the whole quarter.
  const __m256i index = _mm256_min_epi32(_mm256_srli_epi32(angle, 22), set(255));
  const __m256i between =
      _mm256_srli_epi32(_mm256_sub_epi32(angle, _mm256_slli_epi32(index, 22)), 6);
  const __m256i both = look_up_sines(index);
  const __m256i low = _mm256_and_si256(both, set(0xffff));
  const __m256i step = _mm256_sub_epi32(_mm256_srli_epi32(both, 16), low);
  const __m256i rise =
      _mm256_srai_epi32(_mm256_add_epi32(_mm256_mullo_epi32(step, between), set(1 << 15)), 16);
  const __m256i sign = _mm256_srai_epi32(phase, 31);
  return _mm256_sub_epi32(_mm256_xor_si256(_mm256_add_epi32(low, rise), sign), sign);
}

/// Sines and cosines of four pairs, in the lower halves of 64 bits.
struct Turn {
  __m256i sine;
  __m256i cosine;
};

INLINE Turn turn_of(const std::uint32_t* frequencies, std::uint32_t position) {
  const __m128i phase =
      _mm_mullo_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(frequencies)),
                      _mm_set1_epi32(static_cast<int>(position)));
  const __m128i ahead = _mm_add_epi32(phase, _mm_set1_epi32(1 << 30));
  const __m256i sines = sine(_mm256_set_m128i(ahead, phase));
  return {_mm256_cvtepi32_epi64(_mm256_castsi256_si128(sines)),
          _mm256_cvtepi32_epi64(_mm256_extracti128_si256(sines, 1))};
}

/// Turns four pairs, of lanes below 2^30: the result fits 32 bits.
INLINE void rotate(std::int32_t* lanes, const Turn& turn) {
  const __m256i half = _mm256_set1_epi64x(1 << 14);
  const __m256i x = load(lanes);
  const __m256i y = _mm256_srli_epi64(x, 32);
  const __m256i even =
      _mm256_sub_epi64(_mm256_mul_epi32(x, turn.cosine), _mm256_mul_epi32(y, turn.sine));
  const __m256i odd =
      _mm256_add_epi64(_mm256_mul_epi32(x, turn.sine), _mm256_mul_epi32(y, turn.cosine));
  const __m256i turned =
      _mm256_blend_epi32(_mm256_srli_epi64(_mm256_add_epi64(even, half), 15),
                         _mm256_slli_epi64(_mm256_add_epi64(odd, half), 32 - 15), 0xaa);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(lanes), turned);
}

/// The magnitudes of all lanes in one. // count a multiple of 8
INLINE __m256i join_magnitudes(const std::int32_t* lanes, std::size_t count) {
  __m256i all = _mm256_setzero_si256();
  for (std::size_t i = 0; i < count; i += kLanes) {
    all = _mm256_or_si256(all, magnitude(load(lanes + i)));
  }
  return all;
}

/// Whether any of the magnitudes is not below 2^bits.
INLINE bool exceeds(__m256i magnitudes, int bits) {
  return _mm256_testz_si256(magnitudes, _mm256_slli_epi32(set(-1), bits)) == 0;
}

/// The steps of the transform within a vector, of `width` lanes a transform: a lane and its partner
/// are added, the second of them negated.
INLINE __m256i transform_vector(__m256i lanes, std::size_t width) {
  if (width >= 2) {
    const __m256i signs = _mm256_setr_epi32(1, -1, 1, -1, 1, -1, 1, -1);
    lanes = _mm256_add_epi32(_mm256_shuffle_epi32(lanes, 0xb1), _mm256_sign_epi32(lanes, signs));
  }
  if (width >= 4) {
    const __m256i signs = _mm256_setr_epi32(1, 1, -1, -1, 1, 1, -1, -1);
    lanes = _mm256_add_epi32(_mm256_shuffle_epi32(lanes, 0x4e), _mm256_sign_epi32(lanes, signs));
  }
  if (width >= 8) {
    const __m256i signs = _mm256_setr_epi32(1, 1, 1, 1, -1, -1, -1, -1);
    lanes =
        _mm256_add_epi32(_mm256_permute4x64_epi64(lanes, 0x4e), _mm256_sign_epi32(lanes, signs));
  }
  return lanes;
}

/// hadamard_transform in runs of `width`, a multiple of 8.
INLINE void transform(__m256i* all, std::size_t vectors, std::size_t width) {
  for (std::size_t v = 0; v < vectors; ++v) all[v] = transform_vector(all[v], width);
  for (std::size_t step = 1; step * kLanes < width; step *= 2) {
    for (std::size_t v = 0; v < vectors; ++v) {
      if ((v & step) != 0) continue;
      const __m256i a = all[v];
      const __m256i b = all[v + step];
      all[v] = _mm256_add_epi32(a, b);
      all[v + step] = _mm256_sub_epi32(a, b);
    }
  }
}

template <std::size_t Vectors>
INLINE bool quantize_transformed(Scale16& scale, std::int8_t* out, const std::int32_t* head,
                                 std::size_t head_size, Multiplier unit) {
  const std::size_t width = head_size & (~head_size + 1);
  // 30 bits for the results.
  if (exceeds(join_magnitudes(head, head_size), 30 - __builtin_ctzll(width))) return false;
  __m256i all[Vectors];
  const std::size_t vectors = Vectors == 1 ? 1 : head_size / kLanes;
  for (std::size_t v = 0; v < vectors; ++v) all[v] = load(head + v * kLanes);
  transform(all, vectors, width);
  __m256i largest = _mm256_setzero_si256();
  for (std::size_t v = 0; v < vectors; ++v) {
    largest = _mm256_max_epu32(largest, _mm256_abs_epi32(all[v]));
  }
  const std::uint32_t most = largest_of(largest);
  BlockRounding rounding;
  if (most == 0 || !x86::find_rounding(rounding, most, unit)) return false;
  if (rounding.drop != 0 || !is_rounded_in_halves(rounding)) return false;
  store_rounded(out, vectors * kLanes, rounding,
                [&](std::size_t first, std::size_t) { return all[first / kLanes]; });
  scale = rounding.scale;
  return true;
}

}  // namespace

void rotate_heads(std::span<std::int32_t> heads, std::uint32_t head_size,
                  const std::uint32_t* frequencies, std::uint32_t position) {
  std::int32_t* const lanes = heads.data();
  const std::size_t count = heads.size();
  if (head_size % kLanes != 0 || exceeds(join_magnitudes(lanes, count), 30)) {
    return ref::rotate_heads(heads, head_size, frequencies, position);
  }
  for (std::size_t lane = 0; lane < head_size; lane += kLanes) {
    const Turn turn = turn_of(frequencies + lane / 2, position);
    for (std::size_t i = lane; i < count; i += head_size) rotate(lanes + i, turn);
  }
}

void quantize_heads_s32_s8(std::int8_t* out, Scale16* scales, std::span<std::int32_t> heads,
                           std::size_t head_size, std::span<std::int64_t> scratch,
                           Multiplier unit) {
  for (std::size_t lane = 0; lane < heads.size(); lane += head_size, ++scales) {
    const auto head = heads.subspan(lane, head_size);
    if (head_size == kLanes) {
      if (quantize_transformed<1>(*scales, out + lane, head.data(), head_size, unit)) continue;
    } else if (head_size % kLanes == 0) {
      if (quantize_transformed<kVectors>(*scales, out + lane, head.data(), head_size, unit)) {
        continue;
      }
    }
    *scales = ref::quantize_transformed_s32_s8(out + lane, head, scratch, unit);
  }
}

}  // namespace mote::avx2
