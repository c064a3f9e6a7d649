// SPDX-License-Identifier: Apache-2.0
#include "support/fake_board.hpp"

#include <algorithm>
#include <sstream>
#include <stdexcept>

namespace mote::test {
namespace {

FakeBoard* current = nullptr;

}  // namespace

void use_board(FakeBoard& board) {
  current = &board;
}

std::vector<std::string> json_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (line.starts_with('{')) lines.push_back(line);
  }
  return lines;
}

}  // namespace mote::test

namespace mote::board {

using test::current;
using test::FakeWire;

std::string_view name() {
  return "fake";
}

std::span<const std::uint8_t> image_region() {
  return current->image.span();
}

std::span<std::byte> arena() {
  return current->arena;
}

std::span<const std::byte> stack() {
  return current->stack;
}

int read_console() {
  if (current->typed.empty()) return -1;
  const int byte = static_cast<unsigned char>(current->typed.front());
  current->typed.erase(0, 1);
  return byte;
}

void write_console(std::string_view text) {
  current->shown += text;
}

std::uint32_t link_count() {
  return static_cast<std::uint32_t>(current->in.size());
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  auto& bytes = current->in[link]->bytes;
  const std::size_t count = std::min(bytes.size(), out.size());
  std::copy_n(bytes.begin(), count, out.begin());
  bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(count));
  return count;
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  FakeWire& wire = *current->out[link];
  if (wire.is_cut) return bytes.size();
  const std::size_t room = wire.room - std::min(wire.room, wire.bytes.size());
  const std::size_t count = std::min(room, bytes.size());
  for (std::uint8_t byte : bytes.first(count)) {
    ++wire.carried;
    if (wire.flip_each != 0 && wire.carried % wire.flip_each == 0) {
      byte = static_cast<std::uint8_t>(byte ^ 1U << wire.carried / wire.flip_each % 8);
    }
    wire.bytes.push_back(byte);
  }
  return count;
}

std::size_t link_frame_bytes() {
  return current->frame_bytes;
}

FixedSeat fixed_seat() {
  return current->fixed;
}

bool start_apart(void (*step)(void*), void* what) {
  if (!current->computes_apart) return false;
  current->apart = step;
  current->apart_argument = what;
  return true;
}

/// What is computed apart ends at the second look.
bool is_apart_done() {
  if (current->apart == nullptr) return true;
  current->apart(current->apart_argument);
  current->apart = nullptr;
  return false;
}

std::uint64_t now_us() {
  return current->now_us;
}

std::uint64_t work_count() {
  return current->now_us * 3;
}

std::string_view work_unit() {
  return "cycles";
}

void sleep() {
  ++current->sleeps;
}

std::uint64_t identity() {
  return 0x1234;
}

std::uint32_t boot_number() {
  return current->boot;
}

void exit(int status) {
  throw std::runtime_error("exit " + std::to_string(status));
}

}  // namespace mote::board
