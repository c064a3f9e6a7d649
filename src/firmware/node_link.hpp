// SPDX-License-Identifier: Apache-2.0
// One link of the board: frames that leave piece by piece, counters, and the search for a seat.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/frame.hpp"
#include "mote/message.hpp"
#include "mote/node.hpp"

namespace mote::firmware {

/// Counters of a link since the start.
struct LinkCounters {
  std::uint64_t bytes_in = 0;
  std::uint64_t bytes_out = 0;
  std::uint64_t frames_in = 0;  // undamaged ones, while the chip has a seat
  std::uint64_t frames_out = 0;
  std::uint64_t damaged = 0;         // frames that came damaged, while the chip has a seat
  std::uint64_t payload_bytes = 0;   // sent; here and below without those of the present seat
  std::uint64_t repeated_bytes = 0;  // payload sent again
};

class NodeLink {
 public:
  /// Passes over bytes that came before the chip had a seat.
  void ignore(std::span<const std::uint8_t> bytes);
  /// A node begins: it gets whole frames only, none that began before.
  ///   frame  where frames that leave are made: the largest, or empty where the node has no port
  ///   here
  void begin_seat(std::span<std::uint8_t> frame);
  /// Hands bytes that came to the node, which has this link at `port`.
  void deliver(TensorParallelNode& node, std::uint32_t port, std::span<const std::uint8_t> bytes,
               std::uint64_t now_us);
  /// Looks for a seat message among bytes that came; false where none ends in them.
  bool find_seat(SeatAssignment& seat, std::span<const std::uint8_t> bytes);

  /// Whether all of the last frame has left.
  bool is_free() const { return sent_ == size_; }
  /// Where the next frame is made, while is_free().
  std::span<std::uint8_t> space() { return frame_; }
  void commit(std::size_t bytes);
  /// Makes a seat message the next frame, while is_free().
  ///   source  the seat of this chip
  void commit_seat(const SeatAssignment& seat, std::uint32_t source);
  /// Writes what the board takes; true where that was anything.
  bool flush(std::uint32_t link);
  /// Reads what the board has; empty where that is nothing.
  std::span<const std::uint8_t> read(std::uint32_t link, std::span<std::uint8_t> memory);

  /// Keeps what a node counted that is about to be replaced.
  void keep(const PortCounters& counters);
  const LinkCounters& counters() const { return counters_; }
  /// When the last undamaged frame came; 0: never.
  std::uint64_t heard_us() const { return heard_us_; }

 private:
  std::span<std::uint8_t> frame_;
  std::uint16_t size_ = 0;
  std::uint16_t sent_ = 0;
  bool is_within_frame_ = false;
  bool skips_frame_ = false;
  // What may be the frame of a seat message: that is shorter than most others.
  static constexpr std::size_t kSeatFrameBytes =
      max_frame_bytes(kMessageHeaderBytes + kSeatAssignmentBytes);
  std::array<std::uint8_t, kSeatFrameBytes> seat_frame_{};
  std::uint8_t seat_bytes_ = 0;  // more than fit: the frame is none
  std::uint64_t heard_us_ = 0;
  LinkCounters counters_;
};

}  // namespace mote::firmware
