// SPDX-License-Identifier: Apache-2.0
// Quantisation with AVX-512: eight blocks at once, eight of their lanes at a time.
#include "kernels/quantize_avx512.hpp"

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "kernels/quantize_x86.hpp"

#define INLINE [[gnu::always_inline]] inline

namespace mote::avx512 {
namespace {

constexpr std::size_t kLanes = 8;   // of a vector
constexpr std::size_t kGroup = 64;  // lanes that are stored at once

INLINE __m512i load(const std::int64_t* lanes, __mmask8 mask) {
  return _mm512_maskz_loadu_epi64(mask, lanes);
}

INLINE __m512i load(const std::int32_t* lanes, __mmask8 mask) {
  return _mm512_cvtepi32_epi64(_mm256_maskz_loadu_epi32(mask, lanes));
}

/// Byte v of number i becomes byte 8 * v + i.
INLINE __m512i transpose(__m512i bytes) {
  const __m512i order = _mm512_set_epi64(0x3f372f271f170f07, 0x3e362e261e160e06, 0x3d352d251d150d05,
                                         0x3c342c241c140c04, 0x3b332b231b130b03, 0x3a322a221a120a02,
                                         0x3931292119110901, 0x3830282018100800);
  return _mm512_permutexvar_epi8(order, bytes);
}

/// The largest magnitudes, of every eighth lane.
template <typename Lane>
INLINE __m512i largest_of(const Lane* in, std::size_t count) {
  __m512i largest = _mm512_setzero_si512();
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    largest = _mm512_max_epu64(largest, _mm512_abs_epi64(load(in + i, 0xff)));
  }
  if (i == count) return largest;
  return _mm512_max_epu64(largest, _mm512_abs_epi64(load(in + i, mask_of(count - i))));
}

template <typename Lane>
INLINE void round_lanes(std::int8_t* out, const Lane* in, std::size_t count,
                        const LaneRounding& rounding) {
  for (std::size_t i = 0; i < count; i += kLanes) {
    const __mmask8 mask = mask_of(count - i);
    _mm512_mask_cvtepi64_storeu_epi8(out + i, mask, rounding.round(load(in + i, mask)));
  }
}

/// One block, which takes less time alone. Whether it is usual.
template <typename Lane>
INLINE bool quantize_usual(std::int8_t* out, Scale16& scale, std::span<const Lane> in,
                           Multiplier unit) {
  const std::uint64_t largest = _mm512_reduce_max_epu64(largest_of(in.data(), in.size()));
  BlockRounding block;
  if (largest == 0 || !x86::find_rounding(block, largest, unit)) return false;
  const LaneRounding rounding = of_block(block);
  round_lanes(out, in.data(), in.size(), rounding);
  scale = block.scale;
  return true;
}

/// Up to 64 lanes of blocks of B, from block `block` on, rounded and stored at once: what reads
/// them next reads so many, and waits less for one store than for several.
template <std::size_t B, bool kFull, typename Lane>
INLINE void round_group(std::int8_t* out, const Lane* in, std::size_t count,
                        const Roundings& roundings, std::size_t block) {
  const __m512i byte = _mm512_set1_epi64(0xff);
  __m512i bytes = _mm512_setzero_si512();  // lane i of vector v in byte v of number i
#pragma GCC unroll 8
  for (std::size_t first = 0; first < kGroup; first += B) {
    if (!kFull && first >= count) break;
    const LaneRounding rounding = of_block(roundings, block + first / B);
#pragma GCC unroll 8
    for (std::size_t i = first; i < first + B; i += kLanes) {
      const __mmask8 mask = kFull || i + kLanes <= count ? 0xff
                            : i < count                  ? mask_of(count - i)
                                                         : 0;
      const __m512i lanes = rounding.round(load(in + i, mask));
      bytes = _mm512_or_si512(
          bytes, _mm512_slli_epi64(_mm512_and_si512(lanes, byte), static_cast<unsigned>(i)));
    }
  }
  const __mmask64 mask = kFull ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
  _mm512_mask_storeu_epi8(out, mask, transpose(bytes));
}

template <std::size_t B, typename Lane>
INLINE void round_all(std::int8_t* out, const Lane* in, std::size_t count,
                      const Roundings& roundings) {
  std::size_t first = 0;
  for (; first + kGroup <= count; first += kGroup) {
    round_group<B, true>(out + first, in + first, kGroup, roundings, first / B);
  }
  if (first == count) return;
  round_group<B, false>(out + first, in + first, count - first, roundings, first / B);
}

/// Blocks of any size.
template <typename Lane>
INLINE void round_all(std::int8_t* out, const Lane* in, std::size_t count, std::size_t block,
                      const Roundings& roundings) {
  for (std::size_t first = 0, b = 0; first < count; first += block, ++b) {
    const std::size_t lanes = count - first < block ? count - first : block;
    round_lanes(out + first, in + first, lanes, of_block(roundings, b));
  }
}

/// Up to eight blocks, of B lanes or, where that is 0, of `block`; `count` lanes in all. Returns
/// those that are not usual.
template <std::size_t B, typename Lane>
[[gnu::noinline]] unsigned quantize_usual(std::int8_t* out, Scale16* scales, const Lane* in,
                                          std::size_t count, std::size_t block,
                                          std::span<const Multiplier> units) {
  const std::size_t size = B != 0 ? B : block;
  __m512i largest[kBlocksTogether];
  for (__m512i& numbers : largest) numbers = _mm512_setzero_si512();
  std::size_t blocks = 0;
  for (std::size_t first = 0; first < count; first += size) {
    largest[blocks++] = largest_of(in + first, count - first < size ? count - first : size);
  }
  Roundings roundings;
  const __mmask8 all = mask_of(blocks);
  const __m512i each =
      units.size() == 1 ? in_each(units[0]) : _mm512_maskz_loadu_epi64(all, units.data());
  const unsigned usual = find_roundings(roundings, scales, largest_of_each(largest), each, all);
  if constexpr (B != 0) {
    round_all<B>(out, in, count, roundings);
  } else {
    round_all(out, in, count, block, roundings);
  }
  return all & ~usual;
}

template <typename Lane>
using QuantizeUsual = unsigned (*)(std::int8_t*, Scale16*, const Lane*, std::size_t, std::size_t,
                                   std::span<const Multiplier>);

template <typename Lane>
INLINE QuantizeUsual<Lane> quantize_usual_of(std::size_t block) {
  switch (block) {
    case 8:
      return quantize_usual<8, Lane>;
    case 16:
      return quantize_usual<16, Lane>;
    case 32:
      return quantize_usual<32, Lane>;
    case 64:
      return quantize_usual<64, Lane>;
    default:
      return quantize_usual<0, Lane>;
  }
}

/// All blocks, eight at a time; quantize_rare(out, lanes, block) rounds those that are not usual.
template <typename Lane, typename QuantizeRare>
INLINE void quantize_blocks(std::int8_t* out, Scale16* scales, std::span<const Lane> in,
                            std::size_t block, std::span<const Multiplier> units,
                            const QuantizeRare& quantize_rare) {
  if (in.size() <= block) {
    if (in.empty() || quantize_usual(out, *scales, in, units[0])) return;
    *scales = quantize_rare(out, in, units[0]);
    return;
  }
  const auto quantize = quantize_usual_of<Lane>(block);
  const std::size_t step = kBlocksTogether * block;
  for (std::size_t first = 0, b = 0; first < in.size(); first += step, b += kBlocksTogether) {
    const std::size_t count = in.size() - first < step ? in.size() - first : step;
    const auto some = units.size() == 1 ? units : units.subspan(b);
    unsigned rare = quantize(out + first, scales + b, &in[first], count, block, some);
    for (; rare != 0; rare &= rare - 1) {
      const auto at = static_cast<std::size_t>(__builtin_ctz(rare));
      const std::size_t lane = first + at * block;
      const std::size_t lanes = in.size() - lane < block ? in.size() - lane : block;
      scales[b + at] =
          quantize_rare(out + lane, in.subspan(lane, lanes), units[units.size() > 1 ? b + at : 0]);
    }
  }
}

}  // namespace

void quantize_blocks_s64_s8(std::int8_t* out, Scale16* scales, std::span<const std::int64_t> in,
                            std::size_t block, std::span<const Multiplier> units) {
  quantize_blocks(out, scales, in, block, units, ref::quantize_block_s64_s8);
}

void quantize_blocks_s32_s8(std::int8_t* out, Scale16* scales, std::span<const std::int32_t> in,
                            std::size_t block, Multiplier unit) {
  quantize_blocks(out, scales, in, block, {&unit, 1}, ref::quantize_block_s32_s8);
}

}  // namespace mote::avx512
