// SPDX-License-Identifier: Apache-2.0
// What the RISC-V boards share: counters, sleep, and the interrupt controller (PLIC) that ends it.
#pragma once

#include <cstdint>
#include <span>

namespace mote::port {

/// Interrupt sources below 64 wake hart 0. Interrupts stay disabled; a pending one ends `wfi`.
void start_interrupts(std::span<const std::uint8_t> sources);

/// Semihosting calls: a debugger's services, which emulators offer too.
enum class HostCall : std::uint32_t { write_text = 0x04, exit_extended = 0x20 };
std::uint32_t call_host(HostCall call, const void* argument);

}  // namespace mote::port

extern "C" {
/// The board's devices; called before mote_main.
void mote_board_start();
[[noreturn]] void mote_exit(int status);
}
