// SPDX-License-Identifier: Apache-2.0
#include "simulate/simulation.hpp"

#include <algorithm>
#include <cmath>

namespace mote::host {
namespace {

NodeConfig node_config(const SimulationOptions& options, std::uint32_t seat) {
  NodeConfig config;
  config.topology = options.network.topology;
  config.seats = static_cast<std::uint32_t>(options.chips.size());
  config.seat = seat;
  config.hub = options.network.hub;
  config.frame_bytes = options.network.frame_bytes;
  config.verify_interval = options.verify_interval;
  config.weight = options.chips[seat].weight;
  config.identity = seat;
  config.timing = options.timing;
  return config;
}

NetworkOptions network_options(const SimulationOptions& options) {
  NetworkOptions network = options.network;
  network.seats = static_cast<std::uint32_t>(options.chips.size());
  return network;
}

}  // namespace

Simulation::Simulation(const SimulationOptions& options)
    : options_(options),
      random_(options.seed),
      network_(network_options(options), options.faults.rates, events_, *this, random_),
      tick_ns_(std::max<std::uint64_t>(options.timing.retry_us / 4, 1) * 1000) {
  for (std::uint32_t seat = 0; seat < options_.chips.size(); ++seat) {
    chips_.push_back(std::make_unique<SimulatedChip>(
        options_.chips[seat], node_config(options_, seat), options_.coordinator, options_.run));
    chips_.back()->power_on(0);
    if (options_.chips[seat].weight != 0) total_speed_ += options_.chips[seat].speed;
    // Chips are not in step with each other.
    events_.push(tick_ns_ * seat / options_.chips.size(), EventKind::tick, seat);
  }
  const auto& timed = options_.faults.timed;
  for (std::uint32_t i = 0; i < timed.size(); ++i)
    events_.push(timed[i].at_ns, EventKind::fault, i);
}

Status Simulation::ask(std::span<const std::uint32_t> text, const AnswerRequest& request) {
  const Status status = chips_[0]->coordinator().start(text, request, now_us());
  if (status == Status::ok) settle(0);
  return status;
}

void Simulation::step() {
  const Event event = events_.pop();
  switch (event.kind) {
    case EventKind::tick:
      return tick(event.subject);
    case EventKind::work_done:
      return finish_work(event.subject, event.detail);
    case EventKind::sent:
      return network_.take_sent(event);
    case EventKind::arrival:
      return network_.take_arrival(event);
    case EventKind::fault:
      return event.detail == 0 ? begin_fault(event.subject) : end_fault(event.subject);
  }
}

void Simulation::tick(std::uint32_t seat) {
  events_.push(now_ns() + tick_ns_, EventKind::tick, seat);
  SimulatedChip& chip = *chips_[seat];
  if (!chip.is_on() || (options_.single_context && chip.work.is_under_way)) return;
  chip.node().tick(now_us());
  settle(seat);
}

/// The state of a chip may have changed: its coordinator looks, it computes, it speaks.
void Simulation::settle(std::uint32_t seat) {
  SimulatedChip& chip = *chips_[seat];
  if (chip.has_coordinator()) chip.coordinator().poll(now_us());
  if (!chip.work.is_under_way && chip.node().has_work()) begin_work(seat);
  network_.poll(seat);
}

double Simulation::time_ns(std::uint64_t macs, double speed) const {
  return options_.cycles_per_mac * static_cast<double>(macs) * 1e3 / (options_.clock_mhz * speed);
}

void Simulation::begin_work(std::uint32_t seat) {
  SimulatedChip& chip = *chips_[seat];
  SimulatedChip::Work& work = chip.work;
  work.is_under_way = true;
  work.session = chip.node().session();
  work.sequence = chip.node().sequence();
  work.exchange = chip.node().next_work().exchange;
  work.begin_ns = std::max(now_ns(), chip.handler_free_ns);
  if (trace_ != nullptr) work.even_ns = time_ns(chip.next_macs_of_all(), total_speed_);
  const double ns = time_ns(chip.next_macs(), chip.spec().speed) * chip.slowness;
  events_.push(work.begin_ns + static_cast<std::uint64_t>(std::llround(ns)), EventKind::work_done,
               seat, ++work.number);
}

/// What was computed takes effect now. A session that has ended meanwhile took the work with it.
void Simulation::finish_work(std::uint32_t seat, std::uint32_t number) {
  SimulatedChip& chip = *chips_[seat];
  SimulatedChip::Work& work = chip.work;
  if (!work.is_under_way || work.number != number) return;
  if (work.stolen_ns != 0) {
    events_.push(now_ns() + work.stolen_ns, EventKind::work_done, seat, number);
    work.stolen_ns = 0;
    return;
  }
  work.is_under_way = false;
  TensorParallelNode& node = chip.node();
  const bool is_same = node.session() == work.session && node.sequence() == work.sequence;
  if (is_same && node.has_work()) {
    node.work(now_us());
    if (trace_ != nullptr) {
      const WorkSpan span = {work.exchange, work.begin_ns, now_ns(), work.even_ns};
      trace_->take_work(seat, node.sequence(), span, node.has_work());
    }
  }
  std::vector<Frame> waiting;
  waiting.swap(chip.inbox);
  for (const Frame& frame : waiting) receive(chip, frame);
  settle(seat);
}

std::size_t Simulation::pull(PortAddress from, std::span<std::uint8_t> out,
                             std::uint64_t& start_ns) {
  SimulatedChip& chip = *chips_[from.seat];
  if (!chip.is_on() || (options_.single_context && chip.work.is_under_way)) return 0;
  const std::size_t bytes = chip.node().transmit(from.port, out);
  if (bytes != 0 && options_.network.message_cost_on_cpu) {
    const auto cost_ns =
        static_cast<std::uint64_t>(std::llround(options_.network.message_us * 1e3));
    chip.handler_free_ns = std::max(now_ns(), chip.handler_free_ns) + cost_ns;
    start_ns = chip.handler_free_ns;
    if (chip.work.is_under_way) chip.work.stolen_ns += cost_ns;
  }
  return bytes;
}

void Simulation::receive(SimulatedChip& chip, const Frame& frame) {
  TensorParallelNode& node = chip.node();
  const bool had_work = trace_ != nullptr && node.has_work();
  node.receive(frame.to.port, frame.bytes, now_us());
  if (trace_ != nullptr) {
    trace_->take_frame(frame, now_ns(), node.sequence(), !had_work && node.has_work());
  }
}

void Simulation::deliver(const Frame& frame) {
  SimulatedChip& chip = *chips_[frame.to.seat];
  if (!chip.is_on()) return;
  if (options_.single_context && chip.work.is_under_way) {
    chip.inbox.push_back(frame);
    return;
  }
  receive(chip, frame);
  settle(frame.to.seat);
}

void Simulation::set_dead(const TimedFault& fault, bool is_dead) {
  for (std::uint32_t seat = 0; seat < size(); ++seat) {
    const bool concerns = fault.other == TimedFault::kAllLinks || fault.other == seat;
    if (seat == fault.seat || !concerns) continue;
    network_.set_dead(fault.seat, seat, is_dead);
    network_.set_dead(seat, fault.seat, is_dead);
  }
}

void Simulation::begin_fault(std::uint32_t index) {
  const TimedFault& fault = options_.faults.timed[index];
  SimulatedChip& chip = *chips_[fault.seat];
  ++faults_begun_;
  switch (fault.kind) {
    case FaultKind::partition:
      set_dead(fault, true);
      break;
    case FaultKind::slow:
      chip.slowness *= fault.factor;
      break;
    case FaultKind::flash:
      if (chip.flip_image_bit(fault.bit)) break;
      [[fallthrough]];
    default:
      network_.truncate_frames_of(fault.seat);
      chip.power_off();
      break;
  }
  if (!fault.is_for_ever()) {
    events_.push(now_ns() + fault.duration_ns, EventKind::fault, index, 1);
  }
}

void Simulation::end_fault(std::uint32_t index) {
  const TimedFault& fault = options_.faults.timed[index];
  SimulatedChip& chip = *chips_[fault.seat];
  if (fault.kind == FaultKind::partition) return set_dead(fault, false);
  if (fault.kind == FaultKind::slow) {
    chip.slowness /= fault.factor;
    return;
  }
  if (fault.kind == FaultKind::flash) {
    chip.power_off();
    chip.renew_image();
  }
  if (chip.is_on()) return;
  chip.power_on(now_us());
  if (chip.is_on()) settle(fault.seat);
}

}  // namespace mote::host
