// SPDX-License-Identifier: Apache-2.0
#include "simulate/speed.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "mote/partition.hpp"
#include "run/engine.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kLeastRetryUs = 1000;
constexpr std::uint64_t kWorkAhead = 8;  // heartbeats that may be lost

/// The longest work that a chip may have, were it alone.
std::uint64_t longest_work_us(const Image& image, const SimulationOptions& options) {
  const ModelConfig& config = image.config();
  const Slice whole = Slice::whole(config);
  std::uint64_t macs = 0;
  for (std::uint32_t i = 0; i < kExchanges; ++i) {
    const Phase phase = {static_cast<Exchange>(i), 1};
    const std::uint64_t positions = phase.exchange == Exchange::candidates ? 1 : options.run.batch;
    macs = std::max(macs, positions * phase_macs(config, whole, phase, options.run.context_length));
  }
  double slowest = 1;
  for (const ChipSpec& chip : options.chips) slowest = std::min(slowest, chip.speed);
  return static_cast<std::uint64_t>(options.cycles_per_mac * static_cast<double>(macs) /
                                    (options.clock_mhz * slowest)) +
         1;
}

/// About the longest exchange: every chip's frames, one after another.
std::uint64_t longest_exchange_us(const Image& image, const SimulationOptions& options) {
  const ModelConfig& config = image.config();
  const NetworkOptions& network = options.network;
  const std::uint32_t lanes = std::max(config.hidden_padded(), config.dim_padded());
  const double bytes = 2.0 * lanes * options.run.batch;
  const double frames = bytes / network.frame_bytes + 2.0 * static_cast<double>(network.seats);
  return static_cast<std::uint64_t>(bytes * 1e6 / network.bytes_per_s +
                                    frames * network.message_us + 2 * network.latency_us);
}

/// Patience that suits chips and links of any speed: what is lost is asked for soon, but not
/// before it can have come; who is silent is given up as late as by default, or later.
void set_timing(SimulationOptions& options, const Image& image) {
  const std::uint64_t work_us = longest_work_us(image, options);
  ClusterTiming& timing = options.timing;
  timing.retry_us = 2 * work_us + 2 * longest_exchange_us(image, options) + kLeastRetryUs;
  timing.heartbeat_us = std::max<std::uint64_t>(timing.heartbeat_us, 2 * timing.retry_us);
  timing.silence_us = std::max<std::uint64_t>(timing.silence_us, kWorkAhead * timing.heartbeat_us);
  CoordinatorConfig& coordinator = options.coordinator;
  coordinator.stall_us = std::max<std::uint64_t>(coordinator.stall_us, 2 * timing.silence_us);
  coordinator.give_up_us =
      std::max<std::uint64_t>(coordinator.give_up_us, 4 * coordinator.stall_us);
}

/// Counters of all ports at one time, and the payload of each link.
struct Counted {
  PortCounters all;
  std::vector<PortCounters> links;
};

void add(PortCounters& sum, const PortCounters& port) {
  sum.frames += port.frames;
  sum.bytes += port.bytes;
  sum.payload_bytes += port.payload_bytes;
  sum.repeated_bytes += port.repeated_bytes;
}

/// The link that a port belongs to: of a ring the one behind the lower port 0, of a star that of
/// the leaf.
std::uint32_t link_of(const NetworkOptions& network, std::uint32_t seats, PortAddress port) {
  switch (network.topology) {
    case Topology::ring:
      return port.port == 0 ? port.seat : (port.seat + seats - 1) % seats;
    case Topology::star:
      return port.seat != network.hub ? port.seat : port.port + (port.port >= network.hub ? 1 : 0);
    case Topology::broadcast:
      break;
  }
  return 0;
}

Counted count(Simulation& simulation, const NetworkOptions& network) {
  Counted counted;
  counted.links.resize(simulation.size());
  for (std::uint32_t seat = 0; seat < simulation.size(); ++seat) {
    if (!simulation.chip(seat).is_on()) continue;
    const TensorParallelNode& node = simulation.chip(seat).node();
    for (std::uint32_t port = 0; port < node.port_count(); ++port) {
      add(counted.all, node.counters(port));
      add(counted.links[link_of(network, simulation.size(), {seat, port})], node.counters(port));
    }
  }
  return counted;
}

TokenTraffic traffic_between(const Counted& begin, const Counted& end, double tokens) {
  TokenTraffic traffic;
  const double frames = static_cast<double>(end.all.frames - begin.all.frames);
  const double payload = static_cast<double>(end.all.payload_bytes - begin.all.payload_bytes);
  const double bytes = static_cast<double>(end.all.bytes - begin.all.bytes);
  traffic.messages = frames / tokens;
  if (frames > 0) traffic.overhead_bytes = (bytes - payload) / frames;
  traffic.repeated_payload =
      static_cast<double>(end.all.repeated_bytes - begin.all.repeated_bytes) / tokens;
  std::uint32_t links = 0;
  for (std::size_t i = 0; i < end.links.size(); ++i) {
    const std::uint64_t of_link = end.links[i].payload_bytes - begin.links[i].payload_bytes;
    const std::uint64_t all = end.links[i].bytes - begin.links[i].bytes;
    links += end.links[i].frames != 0 ? 1 : 0;
    traffic.link_payload = std::max(traffic.link_payload, static_cast<double>(of_link) / tokens);
    traffic.link_bytes = std::max(traffic.link_bytes, static_cast<double>(all) / tokens);
  }
  if (links != 0) traffic.mean_link_payload = payload / tokens / links;
  return traffic;
}

bool all_are_on(Simulation& simulation) {
  for (std::uint32_t seat = 0; seat < simulation.size(); ++seat) {
    if (!simulation.chip(seat).is_on()) return false;
  }
  return true;
}

SpeedRun run_question(const SimulationOptions& options, const Question& question) {
  Simulation simulation(options);
  TimeTrace trace(simulation.size());
  simulation.set_trace(&trace);
  Asker asker(simulation, question, options);
  SpeedRun run;
  Counted begin;
  bool has_begun = false;
  while (asker.step()) {
    if (has_begun || asker.answer().drawn.empty()) continue;
    begin = count(simulation, options.network);
    has_begun = true;
  }
  run.answer = asker.answer();
  run.events = simulation.events().count();
  run.hash = simulation.events().hash();
  const auto& drawn = run.answer.drawn;
  if (drawn.empty()) return run;
  run.prompt_s = static_cast<double>(drawn.front().at_ns) * 1e-9;
  if (drawn.size() < 2) return run;
  const double tokens = static_cast<double>(drawn.size() - 1);
  run.tokens_per_s = tokens * 1e9 / static_cast<double>(drawn.back().at_ns - drawn.front().at_ns);
  const bool is_smooth = run.answer.sessions == 1 && all_are_on(simulation);
  if (!is_smooth) return run;
  run.traffic = traffic_between(begin, count(simulation, options.network), tokens);
  run.parts = trace.account(drawn.front().sequence, drawn.back().sequence);
  for (TimeParts& parts : run.parts) parts *= 1e-3 / tokens;
  return run;
}

}  // namespace

SimulationOptions speed_simulation(const Image& image, const SpeedOptions& options) {
  SimulationOptions simulation;
  const LinkCard& link = options.link;
  NetworkOptions& network = simulation.network;
  network.topology =
      options.topology.value_or(link.is_shared_medium ? Topology::broadcast : Topology::ring);
  network.seats = static_cast<std::uint32_t>(options.weights.size());
  network.frame_bytes = std::min(options.frame_bytes, link.max_frame_bytes);
  network.bytes_per_s = link.bytes_per_s;
  network.message_us = link.message_us;
  network.latency_us = options.latency_us;
  network.message_cost_on_cpu = options.message_cost_on_cpu;
  const std::uint8_t fastest = std::ranges::max(options.weights);
  if (fastest == 0) throw Error("--weights-of-chips: all weights are 0");
  for (const std::uint8_t weight : options.weights) {
    simulation.chips.push_back(
        {image.bytes(), weight, weight == 0 ? 1.0 : static_cast<double>(weight) / fastest});
  }
  simulation.clock_mhz = options.clock_mhz;
  simulation.cycles_per_mac = options.cycles_per_mac;
  simulation.single_context = options.single_context;
  simulation.run = options.run;
  if (simulation.run.context_length == 0) {
    simulation.run.context_length = image.config().context_length;
  }
  simulation.coordinator.policy = options.policy;
  simulation.faults = options.faults;
  simulation.verify_interval = has_fault(options.faults, FaultKind::flash) ? 1 : 0;
  simulation.seed = options.seed;
  set_timing(simulation, image);
  return simulation;
}

SpeedResult measure_speed(const Image& image, const SpeedOptions& options) {
  SpeedResult result;
  SpeedOptions alone = options;
  alone.weights = {1};
  alone.faults = {};
  const SimulationOptions simulation = speed_simulation(image, options);
  result.topology = simulation.network.topology;
  result.cluster = run_question(simulation, options.question);
  result.one_chip = run_question(speed_simulation(image, alone), options.question);
  result.is_identical =
      result.cluster.answer.text == answer_of_one_chip(image, simulation.run, options.question);
  return result;
}

}  // namespace mote::host
