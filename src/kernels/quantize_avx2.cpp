// SPDX-License-Identifier: Apache-2.0
// Quantisation with AVX2: eight lanes at a time, which are brought to 32 bits first.
#include "kernels/quantize_avx2.hpp"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "kernels/quantize_x86.hpp"

#define INLINE [[gnu::always_inline]] inline

namespace mote::avx2 {
namespace {

constexpr std::size_t kLanes = 8;

template <typename Lane>
INLINE __m256i load(const Lane* lanes) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(lanes));
}

/// Calls visit(lanes) with eight at a time; where fewer are left, the others are 0.
template <typename Lane, typename Visit>
INLINE void for_each_eight(const Lane* in, std::size_t count, const Visit& visit) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) visit(in + i);
  if (i == count) return;
  Lane part[kLanes] = {};
  std::memcpy(part, in + i, (count - i) * sizeof(Lane));
  visit(part);
}

std::uint64_t largest_magnitude(const std::int32_t* in, std::size_t count) {
  __m256i largest = _mm256_setzero_si256();
  for_each_eight(in, count, [&](const std::int32_t* eight) {
    largest = _mm256_max_epu32(largest, _mm256_abs_epi32(load(eight)));
  });
  return largest_of(largest);
}

std::uint64_t largest_magnitude(const std::int64_t* in, std::size_t count) {
  __m256i low = _mm256_setzero_si256();
  __m256i high = _mm256_setzero_si256();
  const auto widen = [&](__m256i lanes) {
    low = _mm256_blendv_epi8(low, lanes, _mm256_cmpgt_epi64(low, lanes));
    high = _mm256_blendv_epi8(high, lanes, _mm256_cmpgt_epi64(lanes, high));
  };
  for_each_eight(in, count, [&](const std::int64_t* eight) {
    widen(load(eight));
    widen(load(eight + kLanes / 2));
  });
  // Lanes are below 2^62, so that the least one can be negated.
  const __m256i down = _mm256_sub_epi64(_mm256_setzero_si256(), low);
  const __m256i most = _mm256_blendv_epi8(high, down, _mm256_cmpgt_epi64(down, high));
  alignas(32) std::uint64_t four[4];
  _mm256_store_si256(reinterpret_cast<__m256i*>(four), most);
  const std::uint64_t first = four[0] > four[1] ? four[0] : four[1];
  const std::uint64_t second = four[2] > four[3] ? four[2] : four[3];
  return first > second ? first : second;
}

/// Eight lanes brought to 31 bits.
struct Dropped {
  explicit Dropped(int /*drop*/) {}
  INLINE __m256i operator()(const std::int32_t* lanes) const { return load(lanes); }
};

/// Of 64 bits: divided by 2^drop, rounded half up. There is no arithmetic shift of 64 bits, so that
/// lanes are raised above 0 before it.
struct DroppedWide {
  explicit DroppedWide(int drop)
      : raise(_mm256_set1_epi64x(
            static_cast<std::int64_t>(kRaise + ((std::uint64_t{1} << drop) >> 1)))),
        raised(_mm256_set1_epi32(static_cast<int>(kRaise >> drop))),
        shift(_mm_cvtsi32_si128(drop)) {}
  INLINE __m256i operator()(const std::int64_t* lanes) const {
    const __m256i low = _mm256_srl_epi64(_mm256_add_epi64(load(lanes), raise), shift);
    const __m256i high = _mm256_srl_epi64(_mm256_add_epi64(load(lanes + 4), raise), shift);
    const __m256i words = _mm256_castps_si256(
        _mm256_shuffle_ps(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high), 0x88));
    return _mm256_sub_epi32(_mm256_permute4x64_epi64(words, 0xd8), raised);
  }
  static constexpr std::uint64_t kRaise = std::uint64_t{1} << 62;
  __m256i raise;
  __m256i raised;  // the lowest 32 bits
  __m128i shift;
};

/// False where the block is not one of the usual; nothing is then written.
template <typename Drop, typename Lane>
INLINE bool quantize_usual(Scale16& scale, std::int8_t* out, const Lane* in, std::size_t count,
                           Multiplier unit) {
  const std::uint64_t largest = largest_magnitude(in, count);
  BlockRounding rounding;
  if (largest == 0 || !x86::find_rounding(rounding, largest, unit)) return false;
  if (!is_rounded_in_halves(rounding)) return false;
  if (sizeof(Lane) == sizeof(std::int32_t) && rounding.drop != 0) return false;
  const Drop drop(rounding.drop);
  store_rounded(out, count, rounding, [&](std::size_t first, std::size_t lanes) {
    if (lanes == kLanes) return drop(in + first);
    Lane part[kLanes] = {};
    std::memcpy(part, in + first, lanes * sizeof(Lane));
    return drop(part);
  });
  scale = rounding.scale;
  return true;
}

}  // namespace

void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales, std::span<const std::int64_t> in,
                            std::size_t block, std::span<const Multiplier> units) {
  const Multiplier* unit = units.data();
  for (std::size_t first = 0; first < in.size(); first += block, ++scales) {
    const std::size_t count = in.size() - first < block ? in.size() - first : block;
    if (!quantize_usual<DroppedWide>(*scales, out + first, &in[first], count, *unit)) {
      *scales = ref::quantize_block_s64_s8(out + first, in.subspan(first, count), *unit);
    }
    if (units.size() > 1) ++unit;
  }
}

void quantize_blocks_s32_s8(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> in,
                            std::size_t block, Multiplier unit) {
  for (std::size_t first = 0; first < in.size(); first += block, ++scales) {
    const std::size_t count = in.size() - first < block ? in.size() - first : block;
    if (!quantize_usual<Dropped>(*scales, out + first, &in[first], count, unit)) {
      *scales = ref::quantize_block_s32_s8(out + first, in.subspan(first, count), unit);
    }
  }
}

}  // namespace mote::avx2
