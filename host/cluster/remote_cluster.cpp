// SPDX-License-Identifier: Apache-2.0
#include "cluster/remote_cluster.hpp"

#include <algorithm>
#include <random>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "cluster/port_link.hpp"
#include "cluster/remote_setup.hpp"
#include "run/engine.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

using Account = WorkMeter::Account;

/// An exchange that stands still for so long, with all its chips heard, has lost one that does not
/// know it: more than any exchange takes, and several questions for what is missing.
constexpr std::uint64_t kStallUs = 4'000'000;
constexpr std::uint64_t kStallRetries = 10;
/// Rounds that take in what came while the driver did something else.
constexpr int kCatchUpRounds = 1000;

NodeConfig node_config(const RemoteOptions& options) {
  NodeConfig config;
  config.topology = Topology::star;
  config.seats = static_cast<std::uint32_t>(options.chips.size()) + 1;
  config.frame_bytes = kMaxFrameBytes;
  config.weight = options.weight;
  config.boot = std::random_device{}();
  config.timing.silence_us = options.timeout_us;
  config.timing.heartbeat_us = std::min(config.timing.heartbeat_us, options.timeout_us / 4);
  for (const Address& chip : options.chips) {
    config.timing.retry_us = std::max(config.timing.retry_us, retry_us(chip));
  }
  return config;
}

SeatAssignment seat_of(const NodeConfig& config, std::size_t seat) {
  SeatAssignment assignment;
  assignment.seats = static_cast<std::uint8_t>(config.seats);
  assignment.seat = static_cast<std::uint8_t>(seat);
  assignment.topology = config.topology;
  assignment.frame_bytes = static_cast<std::uint16_t>(config.frame_bytes);
  return assignment;
}

RemoteOptions checked(const RemoteOptions& options) {
  if (options.chips.empty() || options.chips.size() >= kMaxChips) {
    throw Error(fmt::format("{} chips; a driver has 1 to {}", options.chips.size(), kMaxChips - 1));
  }
  return options;
}

}  // namespace

RemoteCluster::RemoteCluster(const Image& image, const RemoteOptions& options)
    : options_(checked(options)),
      memory_(
          TensorParallelNode::arena_bytes(image, node_config(options), options.run, image.held())),
      seats_(options.chips.size() + 1),
      text_memory_(std::size_t{options.run.context_length} + 1),
      was_there_(options.chips.size()),
      is_readable_(options.chips.size()) {
  const NodeConfig config = node_config(options);
  check(node_.init(image, config, memory_.span(), seats_, clock_us()), "the driver");
  CoordinatorConfig coordinator;
  coordinator.policy = options.policy;
  // Who is there is found out before.
  coordinator.forming_us = 0;
  coordinator.give_up_us = options.give_up_us;
  coordinator.stall_us =
      std::max({kStallUs, 2 * options.timeout_us, kStallRetries * config.timing.retry_us});
  coordinator_ = Coordinator(node_, seats_, text_memory_, coordinator);
  for (std::size_t i = 0; i < options.chips.size(); ++i) {
    chips_.push_back(std::make_unique<RemoteChip>(options.chips[i], seat_of(config, i + 1)));
  }
  wait_for_chips(chips_.size(), options.wait_us);
  check_chips();
  is_set_up_ = true;
}

bool RemoteCluster::is_there(const RemoteChip& chip) const {
  const SeatRecord& record = seats_[chip.seat()];
  return chip.is_open() && record.is_known && clock_us() - record.heard_us < options_.timeout_us;
}

std::size_t RemoteCluster::chips() const {
  return static_cast<std::size_t>(
      std::ranges::count_if(chips_, [&](const auto& chip) { return is_there(*chip); }));
}

std::size_t RemoteCluster::members() const {
  const Ready& ready = coordinator_.ready();
  const auto weights = std::span(ready.weights).first(ready.members);
  return weights.size() - static_cast<std::size_t>(std::ranges::count(weights, 0));
}

bool RemoteCluster::has_input() const {
  return std::ranges::find(is_readable_, true) != is_readable_.end();
}

std::string RemoteCluster::complaint_about(const RemoteChip& chip) const {
  const SeatRecord& record = seats_[chip.seat()];
  if (record.has_error) return describe_error(chip.name(), record.error);
  if (!chip.is_open()) return fmt::format("{}: {}", chip.name(), chip.trouble());
  return fmt::format("{}: the line is open, but no chip answers; it may serve another driver",
                     chip.name());
}

/// Throws where the chips cannot begin; tells of those that are missing.
void RemoteCluster::check_chips() const {
  std::vector<PresentChip> present;
  std::vector<std::string> missing;
  for (const auto& chip : chips_) {
    const SeatRecord& record = seats_[chip->seat()];
    if (record.has_error && is_refusal(record.error.status)) throw Error(complaint_about(*chip));
    if (is_there(*chip)) {
      present.push_back({chip->name(), record.hello});
    } else {
      missing.push_back(complaint_about(*chip));
    }
  }
  if (present.empty()) throw Error(fmt::format("{}", fmt::join(missing, "; ")));
  for (const std::string& one : missing) options_.say(one + "; going on without it");
  check_setup(node_.image(), present);
}

bool RemoteCluster::wait_for_chips(std::size_t count, std::uint64_t wait_us) {
  const std::uint64_t end_us = clock_us() + wait_us;
  while (chips() < count && clock_us() < end_us) run_round(end_us - clock_us());
  meter_.enter(Account::idle);
  return chips() >= count;
}

void RemoteCluster::start(std::span<const std::uint32_t> text, const SamplerConfig& sampler,
                          std::uint32_t max_tokens) {
  // After an idle time lines may have been closed, behind much that is old.
  const auto open = std::ranges::count_if(chips_, [](const auto& chip) { return chip->is_open(); });
  for (int i = 0; i < kCatchUpRounds && (i == 0 || has_input()); ++i) run_round(0);
  wait_for_chips(static_cast<std::size_t>(open), options_.timeout_us);
  AnswerRequest request;
  request.run = options_.run;
  request.sampler = sampler;
  request.max_tokens = max_tokens;
  check(coordinator_.start(text, request, clock_us()), "the cluster");
  given_ = text.size();
  told_ = text.size();
  before_ = totals();
  run_round(0);
}

bool RemoteCluster::next_token() {
  using State = Coordinator::State;
  while (told_ == text().size()) {
    const State state = coordinator_.state();
    if (state == State::failed) {
      const ErrorMessage& error = coordinator_.failure();
      const bool is_own = error.seat == 0;
      throw Error(describe_error(is_own ? "the driver" : chips_[error.seat - 1U]->name(), error));
    }
    if (state == State::done || state == State::idle) break;
    run_round(options_.timeout_us);
  }
  meter_.enter(Account::idle);
  if (told_ == text().size()) return false;
  ++told_;
  ++tokens_;
  return true;
}

WorkStats RemoteCluster::totals() const {
  WorkStats stats = meter_.stats();
  stats.tokens = tokens_;
  for (const auto& chip : chips_) {
    stats.sent_bytes += chip->sent_bytes();
    stats.received_bytes += chip->received_bytes();
  }
  return stats;
}

}  // namespace mote::host
