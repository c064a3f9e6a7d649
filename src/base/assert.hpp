// SPDX-License-Identifier: Apache-2.0
// Assertions for programmer errors. They stay on in release builds outside kernel loops.
#pragma once

#ifndef MOTE_CHECK_KERNELS
#define MOTE_CHECK_KERNELS 0
#endif

namespace mote {

/// Stops the program: a trap needs no library and is seen by every debugger.
[[noreturn]] inline void fail_assertion() {
  __builtin_trap();
}

}  // namespace mote

#define MOTE_ASSERT(condition) ((condition) ? static_cast<void>(0) : ::mote::fail_assertion())

/// Checked in debug builds only: conditions inside the innermost loops.
#if MOTE_CHECK_KERNELS
#define MOTE_KERNEL_ASSERT(condition) MOTE_ASSERT(condition)
#else
#define MOTE_KERNEL_ASSERT(condition) static_cast<void>(0)
#endif
