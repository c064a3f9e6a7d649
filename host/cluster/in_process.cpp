// SPDX-License-Identifier: Apache-2.0
#include "cluster/in_process.hpp"

#include <fmt/format.h>

#include "run/engine.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

/// A message may come before the session that it belongs to; then it is asked for again.
constexpr std::uint64_t kRetryRounds = 64;

}  // namespace

std::string describe(const ErrorMessage& error) {
  std::string text = fmt::format("chip {}: {}", error.seat, status_text(error.status));
  if (error.seat != error.other) text += fmt::format(" (says chip {})", error.other);
  if (error.expected != error.found) {
    text += fmt::format("; expected {:016x}, found {:016x}", error.expected, error.found);
  }
  return text;
}

InProcessCluster::InProcessCluster(const std::vector<const Image*>& images,
                                   const InProcessOptions& options)
    : options_(options), frame_(options.frame_bytes) {
  for (std::uint32_t seat = 0; seat < images.size(); ++seat) {
    NodeConfig config;
    config.topology = options.topology;
    config.seats = static_cast<std::uint32_t>(images.size());
    config.seat = seat;
    config.hub = options.hub;
    config.frame_bytes = options.frame_bytes;
    config.boot = 1;
    config.timing.retry_us = kRetryRounds;
    if (!options.weights.empty()) config.weight = options.weights.at(seat);
    CoordinatorConfig coordinator;
    coordinator.policy = options.policy;
    chips_.push_back(
        std::make_unique<Chip>(*images[seat], config, coordinator, options.run, now_us_));
  }
}

void InProcessCluster::start(std::span<const std::uint32_t> text, const SamplerConfig& sampler,
                             std::uint32_t max_tokens) {
  AnswerRequest request;
  request.run = options_.run;
  request.sampler = sampler;
  request.max_tokens = max_tokens;
  check(chip(0).coordinator().start(text, request, now_us_), "the cluster");
  told_ = text.size();
}

void InProcessCluster::carry(std::uint32_t seat, std::uint32_t port) {
  while (const std::size_t bytes = chips_[seat]->node().transmit(port, frame_)) {
    for (const PortAddress& to : receivers_of(options_.topology, static_cast<std::uint32_t>(size()),
                                              options_.hub, {seat, port})) {
      chips_[to.seat]->node().receive(to.port, std::span(frame_).first(bytes), now_us_);
    }
  }
}

void InProcessCluster::round() {
  ++now_us_;
  for (auto& chip : chips_) chip->advance(now_us_);
  for (std::uint32_t seat = 0; seat < size(); ++seat) {
    for (std::uint32_t port = 0; port < chip(seat).node().port_count(); ++port) carry(seat, port);
  }
}

bool InProcessCluster::next_token() {
  using State = Coordinator::State;
  while (told_ == text().size()) {
    const State state = chip(0).coordinator().state();
    if (state == State::failed) throw Error(describe(chip(0).coordinator().failure()));
    if (state == State::done || state == State::idle) return false;
    round();
  }
  ++told_;
  return true;
}

}  // namespace mote::host
