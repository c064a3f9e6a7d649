// SPDX-License-Identifier: Apache-2.0
// The board of a sketch. Arduino.h comes last: its macros are not for other headers.
#include <algorithm>

#include "firmware/board.hpp"
#include "firmware/cluster_node.hpp"
#include "firmware/one_chip.hpp"
#include "mote/message.hpp"
#include "mote_platform.h"

// After the others.
#include "Mote.h"

namespace mote::arduino {
namespace {

Setup board_setup;
std::uint32_t boot;

Stream& link_stream(std::uint32_t link) {
  return link == 0 ? *board_setup.next : *board_setup.previous;
}

std::size_t count_of(int bytes) {
  return static_cast<std::size_t>(std::max<int>(0, bytes));
}

int run(const Setup& setup, int (*program)()) {
  board_setup = setup;
  boot = platform_random();
  return program();
}

}  // namespace

int run_one_chip(const Setup& setup) {
  return run(setup, firmware::run_one_chip);
}

int run_cluster_node(const Setup& setup) {
  return run(setup, firmware::run_cluster_node);
}

}  // namespace mote::arduino

namespace mote::board {

using arduino::board_setup;

std::string_view name() {
  return "arduino";
}

std::span<const std::uint8_t> image_region() {
  return {board_setup.image.data, board_setup.image.bytes};
}

std::span<std::byte> arena() {
  return {static_cast<std::byte*>(board_setup.arena), board_setup.arena_bytes};
}

std::span<const std::byte> stack() {
  return {};
}

int read_console() {
  return board_setup.console->read();
}

void write_console(std::string_view text) {
  board_setup.console->write(reinterpret_cast<const std::uint8_t*>(text.data()), text.size());
}

std::uint32_t link_count() {
  if (board_setup.next == nullptr) return 0;
  return board_setup.previous == nullptr ? 1 : 2;
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  Stream& stream = arduino::link_stream(link);
  const std::size_t count = std::min(out.size(), arduino::count_of(stream.available()));
  for (std::size_t i = 0; i < count; ++i) out[i] = static_cast<std::uint8_t>(stream.read());
  return count;
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  Stream& stream = arduino::link_stream(link);
  const std::size_t room = arduino::count_of(stream.availableForWrite());
  return stream.write(bytes.data(), std::min(room, bytes.size()));
}

std::size_t link_frame_bytes() {
  return kMaxFrameBytes;
}

FixedSeat fixed_seat() {
  return {.topology = Topology::ring, .seats = board_setup.seats, .seat = board_setup.seat};
}

bool start_apart(void (*step)(void*), void* what) {
  return arduino::platform_start_apart(step, what);
}

bool is_apart_done() {
  return arduino::platform_is_apart_done();
}

// micros() wraps every 71 minutes; the program asks far more often.
std::uint64_t now_us() {
  static std::uint64_t total = 0;
  static std::uint32_t last = 0;
  const std::uint32_t now = static_cast<std::uint32_t>(micros());
  total += static_cast<std::uint32_t>(now - last);
  last = now;
  return total;
}

// Arduino has no counter of its own for this; the clock's rate is the core's constant.
std::uint64_t work_count() {
  return now_us() * (F_CPU / 1'000'000);
}

std::string_view work_unit() {
  return "cycles";
}

void sleep() {
  if (board_setup.console->available() > 0) return;
  for (std::uint32_t link = 0; link < link_count(); ++link) {
    if (arduino::link_stream(link).available() > 0) return;
  }
  arduino::platform_sleep();
}

std::uint64_t identity() {
  return board_setup.identity != 0 ? board_setup.identity : arduino::platform_identity();
}

std::uint32_t boot_number() {
  return arduino::boot;
}

void exit(int) {
  for (;;) delay(1000);
}

}  // namespace mote::board
