// SPDX-License-Identifier: Apache-2.0
// Chips whose wires and clock a test holds in its hands: frames can be lost, doubled, delayed and
// put in another order, chips can fall silent and start anew.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <stdexcept>
#include <utility>
#include <vector>

#include "cluster/chip.hpp"
#include "cluster/wiring.hpp"
#include "support/running_model.hpp"
#include "support/spec_image.hpp"

namespace mote::test {

/// A node with its memory and, on the coordinator's seat, the coordinator.
class WiredChip {
 public:
  WiredChip(const Image& image, const NodeConfig& config, const CoordinatorConfig& coordinator,
            const RunConfig& run, std::uint64_t now_us, std::size_t arena_bytes)
      : memory_(arena_bytes),
        records_(config.seat == config.coordinator ? config.seats : 0),
        text_(records_.empty() ? 0 : run.context_length + 1) {
    const Status status = node_.init(image, config, memory_.span(), records_, now_us);
    if (status != Status::ok) throw std::runtime_error(status_text(status));
    coordinator_ = Coordinator(node_, records_, text_, coordinator);
  }

  TensorParallelNode& node() { return node_; }
  Coordinator& coordinator() { return coordinator_; }
  std::span<SeatRecord> records() { return records_; }

  /// `meanwhile`, where it is not empty, happens on both sides of what the node computes.
  void advance(std::uint64_t now_us, const std::function<void()>& meanwhile) {
    node_.tick(now_us);
    if (!records_.empty()) coordinator_.poll(now_us);
    if (node_.has_work()) work(now_us, meanwhile);
    if (!records_.empty()) coordinator_.poll(now_us);
  }

 private:
  void work(std::uint64_t now_us, const std::function<void()>& meanwhile) {
    if (!meanwhile) return node_.work(now_us);
    if (!node_.start_work(now_us)) return;
    meanwhile();
    node_.compute();
    meanwhile();
    node_.finish_work();
  }

  host::ArenaMemory memory_;
  std::vector<SeatRecord> records_;
  std::vector<std::uint32_t> text_;
  TensorParallelNode node_;
  Coordinator coordinator_;
};

/// A frame on its way, and the message in it.
struct Flight {
  host::PortAddress from;
  host::PortAddress to;
  Bytes frame;
  MessageHeader header;
  Bytes payload;
  std::uint64_t sent_us = 0;
  std::uint64_t due_us = 0;
};

inline Bytes frame_of(const MessageHeader& header, std::span<const std::uint8_t> payload = {}) {
  Bytes message(kMessageHeaderBytes);
  encode_header(message, header);
  message.insert(message.end(), payload.begin(), payload.end());
  Bytes frame(max_frame_bytes(message.size()));
  frame.resize(encode_frame(frame, message));
  return frame;
}

template <typename Payload>
Bytes encoded_payload(const Payload& payload) {
  Bytes bytes(kMaxMessageBytes);
  bytes.resize(encode_payload(bytes, payload));
  return bytes;
}

/// Reads a frame back; throws where it holds no valid message.
inline void decode_flight(Flight& flight) {
  FrameReader reader;
  std::span<const std::uint8_t> bytes(flight.frame);
  const auto message = reader.read(bytes);
  if (decode_header(flight.header, message) != Status::ok) throw std::runtime_error("bad frame");
  flight.payload.assign(message.begin() + kMessageHeaderBytes, message.end());
}

/// Retry, heartbeat and silence, for a clock on which a frame and a piece of work take 1 us.
inline constexpr ClusterTiming kWiredTiming = {40, 100, 1000};

struct WiredOptions {
  WiredOptions() {
    node.timing = kWiredTiming;
    node.boot = 1;
    coordinator.forming_us = 200;
    coordinator.give_up_us = 40'000;
    coordinator.stall_us = 5000;
  }

  NodeConfig node;  // seat, weight and identity are set for each chip
  CoordinatorConfig coordinator;
  RunConfig run;
  SamplerConfig sampler;
  std::vector<std::uint8_t> weights;     // of each seat; empty: all 1
  std::vector<std::size_t> arena_bytes;  // of each seat; empty: enough
};

class WiredNodes {
 public:
  /// When the copies of a frame arrive, in us from now; none where it is lost.
  using Fate = std::function<std::vector<std::uint64_t>(const Flight&)>;

  WiredNodes(std::vector<const Image*> images, WiredOptions options)
      : options_(std::move(options)), images_(std::move(images)), chips_(images_.size()) {
    for (std::uint32_t seat = 0; seat < images_.size(); ++seat) start_chip(seat, 1);
  }
  WiredNodes(const Image& image, std::size_t seats, const WiredOptions& options)
      : WiredNodes(std::vector<const Image*>(seats, &image), options) {}

  std::uint32_t size() const { return static_cast<std::uint32_t>(images_.size()); }
  TensorParallelNode& node(std::size_t seat) { return chips_[seat]->node(); }
  Coordinator& coordinator() { return chips_[options_.node.coordinator]->coordinator(); }
  std::span<SeatRecord> records() { return chips_[options_.node.coordinator]->records(); }
  std::uint64_t now_us() const { return now_us_; }
  void pass_time(std::uint64_t us) { now_us_ += us; }

  void take_down(std::size_t seat) { chips_[seat].reset(); }
  bool is_down(std::size_t seat) const { return chips_[seat] == nullptr; }
  void start_chip(std::uint32_t seat, std::uint32_t boot) {
    NodeConfig config = options_.node;
    config.seats = size();
    config.seat = seat;
    config.identity = 100 + seat;
    config.boot = boot;
    if (!options_.weights.empty()) config.weight = options_.weights.at(seat);
    const std::size_t bytes = options_.arena_bytes.empty()
                                  ? TensorParallelNode::arena_bytes(
                                        *images_[seat], config, options_.run, images_[seat]->held())
                                  : options_.arena_bytes.at(seat);
    chips_[seat] = std::make_unique<WiredChip>(*images_[seat], config, options_.coordinator,
                                               options_.run, now_us_, bytes);
  }

  /// All seats as members in their order, the text not counted.
  Ready ready() const {
    Ready ready;
    std::ranges::copy(images_[0]->model_hash().first<8>(), ready.model.begin());
    ready.run = options_.run;
    ready.policy = options_.coordinator.policy;
    ready.sampler = options_.sampler;
    ready.boot = options_.node.boot;
    ready.members = static_cast<std::uint8_t>(size());
    for (std::uint32_t seat = 0; seat < size(); ++seat) {
      ready.seats[seat] = static_cast<std::uint8_t>(seat);
      ready.weights[seat] = options_.weights.empty() ? std::uint8_t{1} : options_.weights.at(seat);
    }
    return ready;
  }
  /// Opens a session on the coordinator's node, without a coordinator.
  Status open(std::uint8_t session, const Tokens& text) {
    Ready opened = ready();
    opened.tokens = static_cast<std::uint32_t>(text.size());
    return node(options_.node.coordinator).open_session(session, opened, text, now_us_);
  }
  Status start(const Tokens& text, std::uint32_t max_tokens) {
    return coordinator().start(text, {options_.run, options_.sampler, max_tokens}, now_us_);
  }

  /// Puts a frame on the wire to a port.
  void put(host::PortAddress to, Bytes frame, std::uint64_t delay_us = 0) {
    under_way_.push_back({{}, to, std::move(frame), {}, {}, now_us_, now_us_ + delay_us});
  }
  void put(host::PortAddress to, const MessageHeader& header,
           std::span<const std::uint8_t> payload = {}) {
    put(to, frame_of(header, payload));
  }

  /// One us: every chip does a piece of work, all that they have to say goes onto the wires, and
  /// what is due arrives.
  void step() {
    ++now_us_;
    for (auto& chip : chips_) {
      if (chip != nullptr) chip->advance(now_us_, meanwhile);
    }
    transmit();
    deliver();
  }
  void run(std::uint64_t steps) {
    for (std::uint64_t i = 0; i < steps; ++i) step();
  }
  /// False where it did not come about in so many steps.
  template <typename Condition>
  bool run_until(Condition condition, std::uint64_t most_steps = 100'000) {
    for (std::uint64_t i = 0; i < most_steps && !condition(); ++i) step();
    return condition();
  }

  void transmit() {
    for (std::uint32_t seat = 0; seat < size(); ++seat) {
      if (is_down(seat)) continue;
      for (std::uint32_t port = 0; port < node(seat).port_count(); ++port) send({seat, port});
    }
  }
  void deliver() {
    std::deque<Flight> due;
    std::erase_if(under_way_, [&](Flight& flight) {
      if (flight.due_us > now_us_) return false;
      due.push_back(std::move(flight));
      return true;
    });
    for (const Flight& flight : due) {
      if (!is_down(flight.to.seat)) {
        node(flight.to.seat).receive(flight.to.port, flight.frame, now_us_);
      }
    }
  }

  Fate fate;                                   // empty: every frame arrives at once
  std::function<void()> meanwhile;             // happens while a node computes
  std::function<void(const Flight&)> on_send;  // sees every frame, once for each chip that hears it

 private:
  void send(host::PortAddress from) {
    Bytes frame(options_.node.frame_bytes);
    while (const std::size_t bytes = node(from.seat).transmit(from.port, frame)) {
      for (const host::PortAddress& to :
           host::receivers_of(options_.node.topology, size(), options_.node.hub, from)) {
        Flight flight{from,   to, Bytes(frame.begin(), frame.begin() + std::ptrdiff_t(bytes)),
                      {},     {}, now_us_,
                      now_us_};
        decode_flight(flight);
        if (on_send) on_send(flight);
        if (!fate) {
          under_way_.push_back(std::move(flight));
          continue;
        }
        for (const std::uint64_t delay_us : fate(flight)) {
          under_way_.push_back(flight);
          under_way_.back().due_us += delay_us;
        }
      }
    }
  }

  WiredOptions options_;
  std::vector<const Image*> images_;
  std::vector<std::unique_ptr<WiredChip>> chips_;
  std::deque<Flight> under_way_;
  std::uint64_t now_us_ = 1'000'000;
};

}  // namespace mote::test
