// SPDX-License-Identifier: Apache-2.0
// A chip of a cluster as a program: waits for a driver, takes the seat that it is given, computes.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "cluster/chip.hpp"
#include "cluster/work_meter.hpp"
#include "mote/frame.hpp"
#include "mote/image.hpp"
#include "mote/message.hpp"
#include "mote/node.hpp"
#include "transport/address.hpp"
#include "transport/link.hpp"
#include "transport/tcp_link.hpp"

namespace mote::host {

struct NodeServerOptions {
  Address listen;
  std::uint8_t weight = 1;            // relative speed
  std::size_t memory_bytes = 0;       // arena; 0: enough for the model's whole context
  std::uint32_t verify_interval = 0;  // tokens between two checks of the image; 0: never
  bool once = false;                  // ends when the first driver has left
  /// Gets a line about drivers that come and go.
  std::function<void(std::string_view)> say = [](std::string_view) {};
};

/// One driver at a time; the next one waits. A driver that leaves, or has said nothing for
/// kDriverSilenceUs, makes room for the next at once. A serial port has no connections: whoever
/// gives the chip a seat is its driver.
class NodeServer {
 public:
  static constexpr std::uint64_t kDriverSilenceUs = 8'000'000;

  /// `image` outlives this. Throws `Error` where it cannot listen.
  NodeServer(const Image& image, const NodeServerOptions& options);

  /// What a driver calls this chip, with the port that was chosen.
  const std::string& address() const { return address_; }
  /// Serves until `must_stop`, which a signal may set.
  void run(const std::atomic<bool>& must_stop);
  /// Of all answers so far.
  WorkStats stats() const;

 private:
  std::unique_ptr<Link> wait_for_link();
  void serve_round();
  void wait(int timeout_ms);
  void look_for_seat(std::span<const std::uint8_t> bytes, std::uint64_t now_us);
  void take_seat(const SeatAssignment& seat, std::uint64_t now_us);
  bool is_known_seat(const SeatAssignment& seat) const;
  void receive(std::uint64_t now_us);
  void count_tokens();
  void leave(std::string_view why);

  const Image& image_;
  NodeServerOptions options_;
  std::string address_;
  std::unique_ptr<TcpListener> listener_;  // null at a serial port
  std::unique_ptr<Link> link_;
  FrameReader reader_;  // finds the seat among what comes
  std::uint64_t heard_us_ = 0;
  bool has_seat_ = false;
  SeatAssignment seat_;
  std::uint64_t identity_;
  std::uint32_t boot_;
  std::unique_ptr<ArenaMemory> memory_;
  TensorParallelNode node_;
  bool was_served_ = false;

  WorkMeter meter_;
  WorkStats closed_;         // bytes of links that are gone, and tokens
  std::size_t counted_ = 0;  // tokens of the text that are counted, given or drawn
  std::uint8_t counted_session_ = 0;
};

}  // namespace mote::host
