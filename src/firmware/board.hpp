// SPDX-License-Identifier: Apache-2.0
// What a board gives the programs: each function here is defined once, by the port. All of them
// are called from one context, never from an interrupt.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "mote/all_gather.hpp"

namespace mote::board {

/// The port's folder: "mps2_an386".
std::string_view name();

/// Where the model image lies, used in place: the region, which may be longer than the image.
/// Begins at a multiple of `kSectionAlignment`.
std::span<const std::uint8_t> image_region();
/// The memory for the model: all that the link leaves. Begins at a multiple of `kArenaAlignment`.
std::span<std::byte> arena();
/// The memory of the stack that is in use, filled with `kStackPaint` before the program began.
/// Empty where the board cannot say.
std::span<const std::byte> stack();
inline constexpr std::byte kStackPaint{0xa5};

/// The next byte of the console, or -1 where none has come.
int read_console();
/// Waits until there is room.
void write_console(std::string_view text);

/// Links to neighbours, byte streams. In a ring, link 0 leads to the next chip and link 1 to the
/// one before; in a star, a leaf has its hub at link 0.
std::uint32_t link_count();
/// What has come, as far as it fits; 0 where nothing has. Never waits.
std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out);
/// Takes the first bytes that there is room for and returns how many. Never waits.
std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes);
/// The largest frame that every link carries: mote::kMaxFrameBytes for byte streams,
/// mote::kMinFrameBytes at least.
std::size_t link_frame_bytes();

/// The seat that the board was built for. Where `seats` is 0 the console or a neighbour tells it.
struct FixedSeat {
  Topology topology = Topology::ring;
  std::uint32_t seats = 0;
  std::uint32_t seat = 0;
};
FixedSeat fixed_seat();

/// Starts step(what) on another core, or as a task of lower priority, and returns true; where the
/// board cannot, it returns false and the caller computes by itself.
bool start_apart(void (*step)(void*), void* what);
/// Whether what start_apart began has ended; what it wrote may then be read.
bool is_apart_done();

/// Microseconds since the start; never runs backwards, and wraps in no life of a board.
std::uint64_t now_us();
/// What the processor has done since the start, in units of `work_unit`.
std::uint64_t work_count();
/// "instructions" or "cycles"; what the board's documents say of exactness holds.
std::string_view work_unit();
/// Sleeps until a byte has come at the console or a link, what was started apart has ended, or a
/// few milliseconds have passed.
void sleep();

/// Differs from chip to chip, where the hardware has a number of its own.
std::uint64_t identity();
/// Another number after each start, as far as the board can.
std::uint32_t boot_number();

/// Ends the program: an emulator with that exit status; a chip stays where it is, or starts anew.
[[noreturn]] void exit(int status);

}  // namespace mote::board
