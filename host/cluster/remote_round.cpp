// SPDX-License-Identifier: Apache-2.0
// One round of a driver: waits for the links, takes what came, computes, sends.
#include <poll.h>

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "cluster/port_link.hpp"
#include "cluster/remote_cluster.hpp"
#include "cluster/remote_setup.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

using Account = WorkMeter::Account;

/// Links that are to be opened are looked at so often.
constexpr std::uint64_t kLookUs = 50'000;

}  // namespace

void RemoteCluster::run_round(std::uint64_t most_wait_us) {
  wait(most_wait_us);
  const std::uint64_t now_us = clock_us();
  receive(now_us);
  compute(now_us);
  send(now_us);
  tell_arrivals();
}

/// Sleeps until a link has something or the node's next tick is due.
void RemoteCluster::wait(std::uint64_t most_wait_us) {
  std::vector<pollfd> polled;
  for (const auto& chip : chips_) {
    Link* link = chip->link();
    polled.push_back(
        {link != nullptr ? link->fd() : -1, link != nullptr ? link->poll_events() : short{0}, 0});
  }
  const std::uint64_t tick_us = std::min(node_.config().timing.retry_us / 4, kLookUs);
  const auto wait_ms = static_cast<int>((std::min(most_wait_us, tick_us) + 999) / 1000);
  meter_.enter(Account::wait);
  ::poll(polled.data(), polled.size(), node_.has_work() ? 0 : wait_ms);
  meter_.enter(Account::wire);
  for (std::size_t i = 0; i < chips_.size(); ++i) {
    if (polled[i].revents != 0) chips_[i]->link()->finish_connecting();
    is_readable_[i] = (polled[i].revents & ~POLLOUT) != 0;
  }
}

/// Takes what came, notices links that are lost, and opens them anew.
void RemoteCluster::receive(std::uint64_t now_us) {
  for (std::uint32_t port = 0; port < chips_.size(); ++port) {
    RemoteChip& chip = *chips_[port];
    if (chip.is_open() && is_readable_[port]) receive_frames(node_, port, *chip.link(), now_us);
    if (chip.take_loss(now_us)) lose_line(port);
    if (chip.keep_open(now_us)) {
      // What an earlier link has left of a frame ends here.
      const std::uint8_t zero = 0;
      node_.receive(port, {&zero, 1}, now_us);
    }
  }
}

/// The answer under way tells of it by itself.
void RemoteCluster::lose_line(std::uint32_t port) {
  const RemoteChip& chip = *chips_[port];
  coordinator_.seat_down(chip.seat());
  const bool is_running = coordinator_.state() == Coordinator::State::running;
  if (was_there_[port] && !is_running) {
    options_.say(fmt::format("{}: {}", chip.name(), chip.trouble()));
  }
  was_there_[port] = false;
}

void RemoteCluster::compute(std::uint64_t now_us) {
  node_.tick(now_us);
  poll_coordinator(now_us);
  if (!node_.has_work()) return;
  meter_.enter(Account::compute);
  node_.work(now_us);
  meter_.enter(Account::wire);
  poll_coordinator(now_us);
}

void RemoteCluster::poll_coordinator(std::uint64_t now_us) {
  using State = Coordinator::State;
  const bool was_running = coordinator_.state() == State::running;
  const std::uint32_t sessions = coordinator_.sessions();
  coordinator_.poll(now_us);
  const bool is_forming = coordinator_.state() == State::forming;
  if (was_running && (is_forming || coordinator_.sessions() != sessions)) tell_loss(now_us);
}

void RemoteCluster::send(std::uint64_t now_us) {
  for (std::uint32_t port = 0; port < chips_.size(); ++port) {
    RemoteChip& chip = *chips_[port];
    if (!chip.is_open()) continue;
    if (!seats_[chip.seat()].is_known) chip.tell_seat(now_us);
    send_frames(node_, port, *chip.link());
  }
}

void RemoteCluster::tell_arrivals() {
  for (std::size_t i = 0; i < chips_.size(); ++i) {
    if (!was_there_[i] && is_there(*chips_[i])) {
      was_there_[i] = true;
      if (is_set_up_) options_.say(chips_[i]->name() + " is there");
    }
  }
}

/// A chip of the session has failed. What no other try would change is an error at the beginning.
void RemoteCluster::tell_loss(std::uint64_t now_us) {
  const ErrorMessage& loss = coordinator_.last_loss();
  if (loss.seat == 0) return options_.say(describe_error("the driver", loss));
  RemoteChip& chip = *chips_[loss.seat - 1U];
  was_there_[loss.seat - 1U] = false;
  std::string what = describe_error(chip.name(), loss);
  if (is_refusal(loss.status)) {
    if (text().size() == given_) throw Error(what);
  } else if (!chip.is_open() && !chip.trouble().empty()) {
    what = fmt::format("{}: {}", chip.name(), chip.trouble());
  } else if (loss.status != Status::chip_restarted) {
    // It may hang; whoever takes its place there needs a line of its own.
    chip.reopen(now_us);
  }
  if (coordinator_.state() == Coordinator::State::forming) {
    return options_.say(what + "; waiting for chips");
  }
  const std::size_t count = members();
  options_.say(fmt::format("{}; going on with {} {}", what, count, count == 1 ? "chip" : "chips"));
}

}  // namespace mote::host
