// SPDX-License-Identifier: Apache-2.0
// From reset to mote_main on any Cortex-M.
#include <cstddef>
#include <cstdint>

#include "common/layout.hpp"
#include "common/registers.hpp"
#include "cortex_m/machine.hpp"
#include "firmware/board.hpp"

namespace mote::port {
namespace {

[[maybe_unused]] constexpr std::uint32_t kCoprocessorAccess = 0xe000ed88;

/// Everything below the caller's frame; what lies above is in use.
[[gnu::noinline]] void paint_stack() {
  auto* const end = static_cast<std::byte*>(__builtin_frame_address(0)) - 32;
  for (volatile std::byte* at = mote_stack_limit; at < end; ++at) *at = board::kStackPaint;
}

void fill_memory() {
  const std::uint32_t* from = mote_data_load;
  for (std::uint32_t* to = mote_data_start; to < mote_data_end; ++to) *to = *from++;
  for (std::uint32_t* to = mote_bss_start; to < mote_bss_end; ++to) *to = 0;
}

}  // namespace

/// Ends the program with 64 and the number of the exception.
[[noreturn]] void handle_fault() {
  std::uint32_t exception;
  asm volatile("mrs %0, ipsr" : "=r"(exception));
  board::exit(static_cast<int>(64 + (exception & 63)));
}

}  // namespace mote::port

extern "C" [[noreturn]] void mote_start() {
  using namespace mote::port;
  asm volatile("cpsid i");  // a pending interrupt ends `wfi` all the same
#if defined(__ARM_FEATURE_CMSE)
  asm volatile("msr msplim, %0" ::"r"(mote_stack_limit));
#endif
#if defined(__ARM_FP) || defined(__ARM_FEATURE_MVE)
  word_at(kCoprocessorAccess) = word_at(kCoprocessorAccess) | 0xfU << 20;
  asm volatile("dsb\n isb");
#endif
  paint_stack();
  fill_memory();
  mote_board_start();
  mote::board::exit(mote_main());
}

namespace {

struct Vectors {
  std::byte* stack;
  void (*handlers[15])();
};

}  // namespace

using mote::port::handle_fault;

extern "C" {
extern const Vectors mote_vectors;
[[gnu::section(".vectors"), gnu::used]] const Vectors mote_vectors = {
    mote_stack_top,
    {mote_start, handle_fault, handle_fault, handle_fault, handle_fault, handle_fault, handle_fault,
     nullptr, nullptr, nullptr, handle_fault, handle_fault, nullptr, handle_fault, handle_fault}};
}
