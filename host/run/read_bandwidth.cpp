// SPDX-License-Identifier: Apache-2.0
#include "run/read_bandwidth.hpp"

#include <chrono>
#include <cstddef>
#include <cstring>

namespace mote::host {
namespace {

constexpr std::size_t kLine = 64;

/// What one load brings in on every computer.
using Vector [[gnu::vector_size(16), gnu::may_alias]] = std::uint64_t;

Vector load(const std::uint8_t* bytes) {
  Vector vector;
  std::memcpy(&vector, bytes, sizeof vector);
  return vector;
}

}  // namespace

std::uint64_t fold_lines(std::span<const std::uint8_t> bytes) {
  Vector sums[4] = {};
  const std::uint8_t* line = bytes.data();
  for (const std::uint8_t* const end = line + bytes.size() / kLine * kLine; line != end;
       line += kLine) {
    for (std::size_t i = 0; i < 4; ++i) sums[i] ^= load(line + i * sizeof(Vector));
  }
  const Vector all = sums[0] ^ sums[1] ^ sums[2] ^ sums[3];
  return all[0] ^ all[1];
}

double measure_reading(ThreadTeam& team, std::span<const std::uint8_t> bytes) {
  const std::size_t part = bytes.size() / team.size() / kLine * kLine;
  const auto begin = std::chrono::steady_clock::now();
  team.run([&](std::uint32_t thread) {
    const std::uint64_t folded = fold_lines(bytes.subspan(thread * part, part));
    asm volatile("" : : "r"(folded));
  });
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return static_cast<double>(part * team.size()) / seconds.count();
}

}  // namespace mote::host
