// SPDX-License-Identifier: Apache-2.0
#include "cluster/node_server.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <random>
#include <thread>

#include <fmt/format.h>

#include "cluster/port_link.hpp"
#include "support/error.hpp"
#include "transport/serial_link.hpp"

namespace mote::host {
namespace {

using Account = WorkMeter::Account;

/// How soon a signal that asks for the end is noticed.
constexpr int kIdleMs = 200;
constexpr auto kReopenAfter = std::chrono::milliseconds(500);
constexpr std::size_t kReadBytes = 16384;

std::uint64_t random_number() {
  std::random_device device;
  return std::uint64_t{device()} << 32 | device();
}

/// The memory that any answer needs: the whole context, the largest batch, all candidates.
std::size_t enough_bytes(const Image& image, const NodeConfig& config) {
  const ModelConfig& model = image.config();
  const RunConfig run = {model.context_length, kMaxBatch, model.vocab_size};
  return TensorParallelNode::arena_bytes(image, config, run, image.held());
}

bool is_same(const SeatAssignment& a, const SeatAssignment& b) {
  return a.seats == b.seats && a.seat == b.seat && a.hub == b.hub &&
         a.coordinator == b.coordinator && a.topology == b.topology &&
         a.frame_bytes == b.frame_bytes;
}

}  // namespace

NodeServer::NodeServer(const Image& image, const NodeServerOptions& options)
    : image_(image),
      options_(options),
      address_(options.listen.text),
      identity_(random_number()),
      boot_(static_cast<std::uint32_t>(random_number())) {
  if (!options_.listen.is_serial()) {
    listener_ = std::make_unique<TcpListener>(options_.listen);
    address_ = listener_->address();
    return;
  }
  std::string trouble;
  link_ = open_serial(options_.listen, trouble);
  if (link_ == nullptr) throw Error(fmt::format("{}: {}", address_, trouble));
}

/// The next driver's connection, or the serial port again; null where none has come for a while.
std::unique_ptr<Link> NodeServer::wait_for_link() {
  meter_.enter(Account::idle);
  if (listener_ != nullptr) {
    pollfd door = {listener_->fd(), POLLIN, 0};
    return ::poll(&door, 1, kIdleMs) > 0 ? listener_->accept() : nullptr;
  }
  std::string trouble;
  auto link = open_serial(options_.listen, trouble);
  if (link == nullptr) std::this_thread::sleep_for(kReopenAfter);
  return link;
}

void NodeServer::run(const std::atomic<bool>& must_stop) {
  while (!must_stop && !(options_.once && was_served_)) {
    if (link_ != nullptr) {
      serve_round();
      continue;
    }
    link_ = wait_for_link();
    reader_ = {};
    heard_us_ = clock_us();
  }
  if (link_ != nullptr && has_seat_) leave("the node ends");
}

void NodeServer::serve_round() {
  const bool has_work = has_seat_ && node_.has_work();
  const auto tick_ms = static_cast<int>(node_.config().timing.retry_us / 4000);
  wait(has_work ? 0 : has_seat_ ? std::min(tick_ms, kIdleMs) : kIdleMs);
  const std::uint64_t now_us = clock_us();
  receive(now_us);
  if (has_seat_) {
    node_.tick(now_us);
    if (node_.has_work()) {
      meter_.enter(Account::compute);
      node_.work(now_us);
      meter_.enter(Account::wire);
      count_tokens();
    }
    send_frames(node_, 0, *link_);
  }
  if (link_->is_down()) return leave(link_->down_reason());
  const bool is_silent = now_us - heard_us_ >= kDriverSilenceUs;
  if (is_silent && (listener_ != nullptr || has_seat_)) leave("the driver has fallen silent");
}

void NodeServer::wait(int timeout_ms) {
  meter_.enter(has_seat_ && node_.is_in_session() ? Account::wait : Account::idle);
  pollfd poll_link = {link_->fd(), link_->poll_events(), 0};
  ::poll(&poll_link, 1, timeout_ms);
  meter_.enter(has_seat_ && node_.is_in_session() ? Account::wire : Account::idle);
}

void NodeServer::receive(std::uint64_t now_us) {
  std::array<std::uint8_t, kReadBytes> memory;
  const auto bytes = std::span(memory).first(link_->read(memory));
  if (bytes.empty()) return;
  heard_us_ = now_us;
  // A connection has one driver; at a serial port another may come at any time.
  if (!has_seat_ || listener_ == nullptr) look_for_seat(bytes, now_us);
  if (has_seat_) node_.receive(0, bytes, now_us);
}

void NodeServer::look_for_seat(std::span<const std::uint8_t> bytes, std::uint64_t now_us) {
  for (;;) {
    const auto message = reader_.read(bytes);
    if (message.empty()) return;
    MessageHeader header;
    SeatAssignment seat;
    if (decode_header(header, message) != Status::ok || header.type != MessageType::seat ||
        decode_payload(seat, message.subspan(kMessageHeaderBytes)) != Status::ok) {
      continue;
    }
    if (!is_known_seat(seat)) take_seat(seat, now_us);
  }
}

/// A driver repeats the seat until it has heard the chip. One that does so in the middle of an
/// answer is another driver, or has given this chip up.
bool NodeServer::is_known_seat(const SeatAssignment& seat) const {
  return has_seat_ && is_same(seat, seat_) && !node_.is_in_session();
}

void NodeServer::take_seat(const SeatAssignment& seat, std::uint64_t now_us) {
  NodeConfig config;
  config.topology = seat.topology;
  config.seats = seat.seats;
  config.seat = seat.seat;
  config.hub = seat.hub;
  config.coordinator = seat.coordinator;
  config.frame_bytes = std::min<std::uint32_t>(seat.frame_bytes, kMaxFrameBytes);
  config.verify_interval = options_.verify_interval;
  config.weight = options_.weight;
  config.identity = identity_;
  config.boot = ++boot_;
  config.timing.retry_us = retry_us(options_.listen);
  if (Routes::port_count(config.topology, config.seats, config.seat, config.hub) != 1) {
    return options_.say("the driver wires this chip otherwise than by one link; refused");
  }
  std::size_t bytes = options_.memory_bytes;
  if (bytes == 0) bytes = enough_bytes(image_, config);
  if (memory_ == nullptr || memory_->span().size() != bytes) {
    memory_ = std::make_unique<ArenaMemory>(bytes);
  }
  const Status status = node_.init(image_, config, memory_->span(), {}, now_us);
  has_seat_ = status == Status::ok;
  if (!has_seat_) return options_.say(fmt::format("refused a seat: {}", status_text(status)));
  seat_ = seat;
  options_.say(fmt::format("seat {} of {} for {}", seat.seat, seat.seats, link_->name()));
}

void NodeServer::count_tokens() {
  if (!node_.is_in_session()) return;
  const std::size_t size = node_.text().size();
  if (node_.session() == counted_session_ && size > counted_) closed_.tokens += size - counted_;
  counted_ = size;
  counted_session_ = node_.session();
}

void NodeServer::leave(std::string_view why) {
  if (has_seat_) {
    options_.say(fmt::format("{}: {}; so far {}", link_->name(), why, format_work(stats())));
  }
  was_served_ = was_served_ || has_seat_;
  has_seat_ = false;
  heard_us_ = clock_us();
  // A serial port stays open for the next driver, unless it is lost.
  if (listener_ == nullptr && !link_->is_down()) return;
  closed_.sent_bytes += link_->sent_bytes();
  closed_.received_bytes += link_->received_bytes();
  link_.reset();
}

WorkStats NodeServer::stats() const {
  WorkStats stats = meter_.stats();
  stats.tokens = closed_.tokens;
  stats.sent_bytes = closed_.sent_bytes + (link_ != nullptr ? link_->sent_bytes() : 0);
  stats.received_bytes = closed_.received_bytes + (link_ != nullptr ? link_->received_bytes() : 0);
  return stats;
}

}  // namespace mote::host
