// SPDX-License-Identifier: Apache-2.0
// What the library assumes of a compiler and a machine; a target that differs fails to build.
#pragma once

#include <bit>
#include <climits>
#include <cstdint>

namespace mote {

/// Whether the compiler minimises space (-Os): then loops that could be compiled once for each
/// common length are compiled once for all.
#ifdef __OPTIMIZE_SIZE__
inline constexpr bool kFavorsSize = true;
#else
inline constexpr bool kFavorsSize = false;
#endif

/// Whether registers have 64 bits, so that it does not pay to work on halves of an int64.
inline constexpr bool kHasWideRegisters = sizeof(void*) == 8;

static_assert(CHAR_BIT == 8);
static_assert(std::endian::native == std::endian::little, "images are used in place");
static_assert((-5 >> 1) == -3, "right shifts of negative numbers round down");
static_assert(static_cast<std::int8_t>(0x80) == -128, "two's complement");
static_assert(sizeof(int) == 4);

}  // namespace mote
