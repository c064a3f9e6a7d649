// SPDX-License-Identifier: Apache-2.0
#include "simulate/network.hpp"

#include <cmath>
#include <cstring>

#include "mote/all_gather.hpp"

namespace mote::host {
namespace {

std::uint64_t to_ns(double us) {
  return static_cast<std::uint64_t>(std::llround(us * 1e3));
}

/// Eight bytes at a time: it is run over every byte that arrives.
std::uint64_t hash_of(std::span<const std::uint8_t> bytes) {
  std::uint64_t hash = bytes.size();
  for (std::size_t i = 0; i < bytes.size(); i += 8) {
    std::uint64_t word = 0;
    std::memcpy(&word, &bytes[i], std::min<std::size_t>(8, bytes.size() - i));
    hash = (hash ^ word) * 0xbf58476d1ce4e5b9ULL;
    hash ^= hash >> 31;
  }
  return hash;
}

}  // namespace

Network::Network(const NetworkOptions& options, const FaultRates& rates, EventQueue& events,
                 NetworkClient& client, Pcg32& random)
    : options_(options),
      rates_(rates),
      events_(events),
      client_(client),
      random_(random),
      dead_(std::size_t{options.seats} * options.seats),
      buffer_(options.frame_bytes) {
  for (std::uint32_t seat = 0; seat < options.seats; ++seat) {
    first_transmitter_.push_back(static_cast<std::uint32_t>(receivers_.size()));
    const std::uint32_t ports =
        Routes::port_count(options.topology, options.seats, seat, options.hub);
    for (std::uint32_t port = 0; port < ports; ++port) {
      receivers_.push_back(
          receivers_of(options.topology, options.seats, options.hub, {seat, port}));
    }
  }
  transmitters_.resize(is_shared() ? 1 : receivers_.size());
}

std::uint32_t Network::transmitter_of(PortAddress from) const {
  return is_shared() ? 0 : first_transmitter_[from.seat] + from.port;
}

void Network::poll(std::uint32_t seat) {
  if (options_.seats < 2) return;
  if (is_shared()) return start(0);
  const std::uint32_t end = seat + 1 < options_.seats
                                ? first_transmitter_[seat + 1]
                                : static_cast<std::uint32_t>(transmitters_.size());
  for (std::uint32_t i = first_transmitter_[seat]; i < end; ++i) {
    if (!transmitters_[i].is_busy) start_from(i, {seat, i - first_transmitter_[seat]});
  }
}

/// On a shared medium the chips are asked in turn.
void Network::start(std::uint32_t transmitter) {
  Transmitter& medium = transmitters_[transmitter];
  for (std::uint32_t i = 0; !medium.is_busy && i < options_.seats; ++i) {
    const std::uint32_t seat = (medium.turn + i) % options_.seats;
    if (start_from(transmitter, {seat, 0})) medium.turn = seat + 1;
  }
}

bool Network::start_from(std::uint32_t transmitter, PortAddress from) {
  std::uint64_t start_ns = events_.now_ns();
  const std::size_t bytes = client_.pull(from, buffer_, start_ns);
  if (bytes == 0) return false;
  Transmitter& by = transmitters_[transmitter];
  by.is_busy = true;
  by.frame.from = from;
  by.frame.bytes.assign(buffer_.begin(), buffer_.begin() + static_cast<std::ptrdiff_t>(bytes));
  by.frame.message_ns = to_ns(options_.message_us);
  by.frame.wire_ns = to_ns(static_cast<double>(bytes) * 1e6 / options_.bytes_per_s);
  if (!options_.message_cost_on_cpu) start_ns += by.frame.message_ns;
  events_.push(start_ns + by.frame.wire_ns, EventKind::sent, transmitter);
  return true;
}

void Network::take_sent(const Event& event) {
  // It stays busy while the frame is delivered: receivers may answer at once.
  Transmitter& by = transmitters_[event.subject];
  ++counters_.frames;
  const PortAddress from = by.frame.from;
  const auto& receivers = receivers_[is_shared() ? from.seat : event.subject];
  const std::uint32_t held = by.held;
  by.held = kNone;
  for (const PortAddress& to : receivers) launch(by, to);
  if (held != kNone) {
    launch_later(slots_[held], slots_[held].to, 0);
    release(held);
  }
  by.is_busy = false;
  poll(from.seat);
}

bool Network::happens(double probability) {
  return probability > 0 && random_.next() < probability * 4294967296.0;
}

/// The frame of a transmitter leaves for one receiver, and chance has its way with it.
void Network::launch(Transmitter& transmitter, PortAddress to) {
  Frame& frame = transmitter.frame;
  if (!rates_.any()) return launch_later(frame, to, 0);
  if (happens(rates_.drop)) {
    ++counters_.dropped;
    return;
  }
  if (happens(rates_.duplicate)) {
    ++counters_.duplicated;
    launch_later(frame, to, 0);
  }
  const std::vector<std::uint8_t> whole = frame.bytes;
  if (happens(rates_.corrupt)) corrupt(frame.bytes);
  std::uint64_t delay_ns = 0;
  if (happens(rates_.delay)) {
    ++counters_.delayed;
    delay_ns = to_ns(rates_.delay_us * random_.next() / 4294967296.0);
  }
  if (transmitter.held == kNone && happens(rates_.reorder)) {
    ++counters_.reordered;
    transmitter.held = keep(frame, to);
  } else {
    launch_later(frame, to, delay_ns);
  }
  frame.bytes = whole;
}

/// One to eight flipped bits, or something else entirely.
void Network::corrupt(std::vector<std::uint8_t>& bytes) {
  ++counters_.corrupted;
  if (random_.next() % 4 == 0) {
    bytes.resize(random_.next() % (2 * options_.frame_bytes) + 1);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random_.next());
    return;
  }
  const std::uint32_t flips = random_.next() % 8 + 1;
  for (std::uint32_t i = 0; i < flips; ++i) {
    const std::uint32_t bit = random_.next() % static_cast<std::uint32_t>(8 * bytes.size());
    bytes[bit / 8] = static_cast<std::uint8_t>(bytes[bit / 8] ^ 1U << bit % 8);
  }
}

void Network::launch_later(const Frame& frame, PortAddress to, std::uint64_t delay_ns) {
  const std::uint64_t latency_ns = to_ns(options_.latency_us) + delay_ns;
  const std::uint32_t slot = keep(frame, to);
  if (latency_ns != 0) {
    events_.push(events_.now_ns() + latency_ns, EventKind::arrival, slot);
    return;
  }
  deliver(slots_[slot]);
  release(slot);
}

void Network::take_arrival(const Event& event) {
  deliver(slots_[event.subject]);
  release(event.subject);
}

void Network::deliver(Frame& frame) {
  if (dead_[std::size_t{frame.from.seat} * options_.seats + frame.to.seat] != 0) {
    ++counters_.cut_off;
    return;
  }
  events_.mix(hash_of(frame.bytes));
  client_.deliver(frame);
}

std::uint32_t Network::keep(const Frame& frame, PortAddress to) {
  if (free_slots_.empty()) {
    free_slots_.push_back(static_cast<std::uint32_t>(slots_.size()));
    slots_.emplace_back();
  }
  const std::uint32_t slot = free_slots_.back();
  free_slots_.pop_back();
  slots_[slot] = frame;
  slots_[slot].to = to;
  return slot;
}

void Network::release(std::uint32_t slot) {
  free_slots_.push_back(slot);
}

void Network::set_dead(std::uint32_t from, std::uint32_t to, bool is_dead) {
  std::uint8_t& count = dead_[std::size_t{from} * options_.seats + to];
  count = static_cast<std::uint8_t>(is_dead ? count + 1 : count - 1);
}

void Network::truncate_frames_of(std::uint32_t seat) {
  for (Transmitter& by : transmitters_) {
    if (by.is_busy && by.frame.from.seat == seat) {
      by.frame.bytes.resize(random_.next() % by.frame.bytes.size() + 1);
    }
  }
}

}  // namespace mote::host
