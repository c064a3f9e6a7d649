// SPDX-License-Identifier: Apache-2.0
// A cluster under virtual time: the nodes and the coordinator that devices run, over a modelled
// network, with faults. A run is a function of its options.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "simulate/event_queue.hpp"
#include "simulate/fault_plan.hpp"
#include "simulate/network.hpp"
#include "simulate/simulated_chip.hpp"
#include "simulate/time_trace.hpp"

namespace mote::host {

struct SimulationOptions {
  NetworkOptions network;       // `seats` is the number of `chips`
  std::vector<ChipSpec> chips;  // seat 0 is the coordinator's
  double clock_mhz = 160;
  double cycles_per_mac = 3.3;
  /// A chip that computes neither hears nor forwards; else an interrupt handler does.
  bool single_context = false;
  std::uint32_t verify_interval = 0;
  RunConfig run;
  ClusterTiming timing;
  CoordinatorConfig coordinator;
  FaultPlan faults;
  std::uint64_t seed = 0;  // of chance
};

class Simulation : private NetworkClient {
 public:
  explicit Simulation(const SimulationOptions& options);

  /// One event.
  void step();
  std::uint64_t now_ns() const { return events_.now_ns(); }
  std::uint64_t now_us() const { return now_ns() / 1000; }

  std::uint32_t size() const { return static_cast<std::uint32_t>(chips_.size()); }
  SimulatedChip& chip(std::uint32_t seat) { return *chips_[seat]; }
  /// Begins an answer on seat 0, which is on.
  Status ask(std::span<const std::uint32_t> text, const AnswerRequest& request);

  const EventQueue& events() const { return events_; }
  const Network& network() const { return network_; }
  /// Faults of the plan that have begun.
  std::uint32_t faults_begun() const { return faults_begun_; }
  /// Follows where time goes from now on; `trace` outlives this.
  void set_trace(TimeTrace* trace) { trace_ = trace; }

 private:
  std::size_t pull(PortAddress from, std::span<std::uint8_t> out, std::uint64_t& start_ns) override;
  void deliver(const Frame& frame) override;

  void tick(std::uint32_t seat);
  void finish_work(std::uint32_t seat, std::uint32_t number);
  void begin_work(std::uint32_t seat);
  double time_ns(std::uint64_t macs, double speed) const;
  void receive(SimulatedChip& chip, const Frame& frame);
  void settle(std::uint32_t seat);
  void begin_fault(std::uint32_t index);
  void end_fault(std::uint32_t index);
  void set_dead(const TimedFault& fault, bool is_dead);

  SimulationOptions options_;
  Pcg32 random_;
  EventQueue events_;
  Network network_;
  std::vector<std::unique_ptr<SimulatedChip>> chips_;
  std::uint64_t tick_ns_ = 0;
  double total_speed_ = 0;
  std::uint32_t faults_begun_ = 0;
  TimeTrace* trace_ = nullptr;
};

}  // namespace mote::host
