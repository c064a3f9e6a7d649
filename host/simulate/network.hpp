// SPDX-License-Identifier: Apache-2.0
// A modelled network under virtual time: what carries frames, how long it takes, what it does to
// them on the way.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <span>
#include <vector>

#include "cluster/wiring.hpp"
#include "mote/sampler.hpp"
#include "simulate/event_queue.hpp"

namespace mote::host {

struct NetworkOptions {
  Topology topology = Topology::ring;
  std::uint32_t seats = 1;
  std::uint32_t hub = 0;
  std::uint32_t frame_bytes = 512;  // the longest frame
  double bytes_per_s = 5e6;
  double message_us = 50;  // of each frame, whatever its length
  double latency_us = 0;   // from the last byte sent to its arrival
  /// Who spends `message_us`: the sending chip's processor, or else the link (as a DMA controller
  /// and its driver do).
  bool message_cost_on_cpu = false;
};

/// What happens to a frame by chance, each as a probability.
struct FaultRates {
  double drop = 0;
  double corrupt = 0;
  double duplicate = 0;
  double reorder = 0;  // it arrives after the next one
  double delay = 0;    // it waits up to delay_us
  double delay_us = 0;

  bool any() const { return drop + corrupt + duplicate + reorder + delay > 0; }
};

/// A frame on its way.
struct Frame {
  std::vector<std::uint8_t> bytes;
  PortAddress from;
  PortAddress to;
  std::uint64_t message_ns = 0;
  std::uint64_t wire_ns = 0;
};

/// What the network asks of the chips.
class NetworkClient {
 public:
  /// The next frame of a port, written to `out`; 0 where it has none now. `start_ns` is when its
  /// bytes may begin to leave.
  virtual std::size_t pull(PortAddress from, std::span<std::uint8_t> out,
                           std::uint64_t& start_ns) = 0;
  virtual void deliver(const Frame& frame) = 0;

 protected:
  ~NetworkClient() = default;
};

/// Frames that were carried, and what chance did to them.
struct NetworkCounters {
  std::uint64_t frames = 0;
  std::uint64_t dropped = 0;
  std::uint64_t corrupted = 0;
  std::uint64_t duplicated = 0;
  std::uint64_t reordered = 0;
  std::uint64_t delayed = 0;
  std::uint64_t cut_off = 0;  // by a dead link
};

/// Each direction of a link is a transmitter that carries one frame at a time; a shared medium is
/// one for all. It pulls a frame whenever it is free and someone may have one.
class Network {
 public:
  Network(const NetworkOptions& options, const FaultRates& rates, EventQueue& events,
          NetworkClient& client, Pcg32& random);

  /// A chip may have something to send.
  void poll(std::uint32_t seat);
  void take_sent(const Event& event);
  void take_arrival(const Event& event);

  /// The direction from one chip to another is dead until as many calls have said it is not.
  void set_dead(std::uint32_t from, std::uint32_t to, bool is_dead);
  /// A chip stops in the middle of what it sends.
  void truncate_frames_of(std::uint32_t seat);

  const NetworkCounters& counters() const { return counters_; }

 private:
  static constexpr std::uint32_t kNone = 0xffffffffU;
  struct Transmitter {
    bool is_busy = false;
    std::uint32_t turn = 0;  // shared medium: whom to ask first
    Frame frame;
    std::uint32_t held = kNone;  // a frame that waits for the next
  };

  bool is_shared() const { return options_.topology == Topology::broadcast; }
  std::uint32_t transmitter_of(PortAddress from) const;
  void start(std::uint32_t transmitter);
  bool start_from(std::uint32_t transmitter, PortAddress from);
  void launch(Transmitter& transmitter, PortAddress to);
  void launch_later(const Frame& frame, PortAddress to, std::uint64_t delay_ns);
  void corrupt(std::vector<std::uint8_t>& bytes);
  bool happens(double probability);
  std::uint32_t keep(const Frame& frame, PortAddress to);
  void release(std::uint32_t slot);
  void deliver(Frame& frame);

  NetworkOptions options_;
  FaultRates rates_;
  EventQueue& events_;
  NetworkClient& client_;
  Pcg32& random_;
  std::vector<std::uint32_t> first_transmitter_;  // (seats + 1)
  std::vector<Transmitter> transmitters_;
  std::vector<std::vector<PortAddress>> receivers_;  // of each transmitter; shared: of each seat
  std::vector<std::uint8_t> dead_;                   // (seats, seats) from, to
  std::deque<Frame> slots_;                          // frames under way or waiting
  std::vector<std::uint32_t> free_slots_;
  std::vector<std::uint8_t> buffer_;
  NetworkCounters counters_;
};

}  // namespace mote::host
