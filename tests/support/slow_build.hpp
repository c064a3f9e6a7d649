// SPDX-License-Identifier: Apache-2.0
// Whether this is a build in which long tests take too long.
#pragma once

#if !defined(__OPTIMIZE__) || defined(__SANITIZE_ADDRESS__)
#define MOTE_SLOW_BUILD 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MOTE_SLOW_BUILD 1
#endif
#endif
#ifndef MOTE_SLOW_BUILD
#define MOTE_SLOW_BUILD 0
#endif

namespace mote::test {

/// Address sanitizer, or no optimisation.
inline constexpr bool kIsSlowBuild = MOTE_SLOW_BUILD != 0;

}  // namespace mote::test
