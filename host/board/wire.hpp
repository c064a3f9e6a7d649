// SPDX-License-Identifier: Apache-2.0
// One direction of a link between two boards: bytes that take their time and may be damaged. It has
// no clock and does no I/O.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "mote/sampler.hpp"

namespace mote::host {

struct WireConfig {
  std::uint32_t baud = 0;        // bits a second, ten of them a byte; 0: no limit
  std::uint64_t latency_us = 0;  // of each byte, besides
  double bit_error_rate = 0;     // of each of the eight data bits; 0 to below 1
};

struct WireCounters {
  std::uint64_t bytes = 0;         // that came out
  std::uint64_t flipped_bits = 0;  // among all that went in
  std::uint64_t lost_bytes = 0;    // that went in when nobody was there to hear them
};

class Wire {
 public:
  static constexpr std::uint64_t kNever = UINT64_MAX;

  /// The damage is a function of `seed` and of the number of each bit.
  Wire(const WireConfig& config, std::uint64_t seed);

  /// How many bytes go in at once; 0 while too many are on their way.
  std::size_t room() const;
  /// At most room() bytes, sent at `now_us`.
  void put(std::span<const std::uint8_t> bytes, std::uint64_t now_us);
  /// Bytes that have come through by `now_us`, in order; empty where none has.
  std::span<const std::uint8_t> arrived(std::uint64_t now_us) const;
  /// Takes the first of what has arrived.
  void take(std::size_t bytes);
  /// When the next bytes will have come through; kNever where none are on their way.
  std::uint64_t next_us() const;
  /// Loses what is on its way.
  void lose();

  const WireCounters& counters() const { return counters_; }

 private:
  /// A few bytes that arrive together, as a receiver with a FIFO takes them.
  struct Chunk {
    double due_us = 0;
    std::vector<std::uint8_t> bytes;
  };

  void damage(std::span<std::uint8_t> bytes);
  std::uint64_t draw_gap();

  WireConfig config_;
  Pcg32 random_;
  std::uint64_t gap_ = 0;  // undamaged bits until the next damaged one
  std::size_t limit_ = 0;  // bytes on their way
  std::size_t size_ = 0;
  std::size_t taken_ = 0;  // of the first chunk
  std::deque<Chunk> chunks_;
  double free_us_ = -1e9;  // when the line has sent all
  WireCounters counters_;
};

}  // namespace mote::host
