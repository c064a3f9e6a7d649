// SPDX-License-Identifier: Apache-2.0
// Symbols of the linker script. Their addresses matter, not what lies there.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
extern std::byte mote_stack_limit[];
extern std::byte mote_stack_top[];
extern std::uint32_t mote_data_start[];
extern std::uint32_t mote_data_end[];
extern const std::uint32_t mote_data_load[];
extern std::uint32_t mote_bss_start[];
extern std::uint32_t mote_bss_end[];
extern std::byte mote_arena_start[];
extern std::byte mote_arena_end[];
extern const std::uint8_t mote_image_start[];
extern const std::uint8_t mote_image_end[];
/// The last bytes of the memory, outside the arena: written before the start by who starts the
/// chip.
extern const std::uint32_t mote_chip_number[];

/// The program: common/one_chip.cpp, cluster_node.cpp or board_test.cpp.
int mote_main();
}
