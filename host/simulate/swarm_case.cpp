// SPDX-License-Identifier: Apache-2.0
#include "simulate/swarm_case.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "plan/link.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kMs = 1'000'000;  // in nanoseconds
constexpr std::uint32_t kMaxSeats = 8;

/// Draws from one generator.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  std::uint32_t below(std::uint32_t end) { return random_.next() % end; }
  std::uint32_t within(std::uint32_t low, std::uint32_t high) {
    return low + below(high - low + 1);
  }
  bool one_in(std::uint32_t n) { return below(n) == 0; }
  /// Half of the time nothing.
  double rate(double most) { return one_in(2) ? 0 : most * within(1, 1000) / 1000; }

 private:
  Pcg32 random_;
};

/// Some chips have whole images and any weight.
void draw_whole_images(SimulationOptions& options, const Image& image, Dice& dice) {
  const bool equal = dice.one_in(2);
  for (ChipSpec& chip : options.chips) {
    chip.image = image.bytes();
    chip.weight = static_cast<std::uint8_t>(equal ? 1 : dice.within(0, 3));
    chip.speed = std::max<double>(chip.weight, 1) / 3;
  }
}

/// Some chips have shards, the others are spares with whole images.
void draw_shards(SimulationOptions& options, SwarmModels& models, std::uint32_t model, Dice& dice) {
  const auto seats = static_cast<std::uint32_t>(options.chips.size());
  const std::uint32_t spares = dice.one_in(2) ? dice.below(seats) : 0;
  std::uint32_t rank = 0;
  std::uint32_t spares_left = spares;
  const std::uint32_t turn = dice.below(seats - spares);
  for (std::uint32_t seat = 0; seat < seats; ++seat) {
    ChipSpec& chip = options.chips[seat];
    chip.image = models.image(model).bytes();
    if (dice.below(seats - seat) < spares_left) {
      --spares_left;
    } else {
      const std::uint32_t chips = seats - spares;
      chip.image = models.shard(model, options.coordinator.policy, chips, (rank++ + turn) % chips);
    }
  }
}

void draw_cluster(SwarmCase& one, SwarmModels& models, Dice& dice) {
  SimulationOptions& options = one.simulation;
  const std::uint32_t seats = dice.within(2, kMaxSeats);
  options.chips.resize(seats);
  NetworkOptions& network = options.network;
  network.topology = static_cast<Topology>(dice.below(3));
  network.seats = seats;
  network.hub = dice.one_in(2) ? 0 : dice.below(seats);
  network.frame_bytes = dice.one_in(2) ? 250 : 512;
  network.latency_us = dice.one_in(2) ? 0 : dice.below(100);
  network.message_cost_on_cpu = dice.one_in(4);
  options.single_context = dice.one_in(4);
  options.coordinator.policy = static_cast<HeadPolicy>(dice.below(2));
  if (dice.below(5) < 3) {
    draw_whole_images(options, models.image(one.model), dice);
  } else {
    draw_shards(options, models, one.model, dice);
  }
}

SamplerConfig draw_sampler(const ModelConfig& config, Dice& dice) {
  SamplerConfig sampler;
  if (dice.one_in(3)) return sampler;
  sampler.temperature_q16 = kOneQ16;
  sampler.top_k = dice.within(1, std::min<std::uint32_t>(8, config.vocab_size));
  sampler.repeat_penalty_q16 = kOneQ16 + dice.below(kOneQ16);
  sampler.seed = dice.below(1U << 31);
  return sampler;
}

void draw_questions(SwarmCase& one, const ModelConfig& config, Dice& dice) {
  RunConfig& run = one.simulation.run;
  run.context_length = dice.within(20, config.context_length);
  run.batch = dice.within(1, 8);
  one.questions.resize(dice.one_in(4) ? 2 : 1);
  for (Question& question : one.questions) {
    question.sampler = draw_sampler(config, dice);
    run.candidates = std::max(run.candidates, question.sampler.top_k);
    const std::uint32_t tokens = dice.within(1, 12);
    for (std::uint32_t i = 0; i < tokens; ++i) {
      question.prompt.push_back(dice.below(config.vocab_size));
    }
    question.max_tokens = dice.within(4, 14);
  }
}

/// About what the answers take without faults: the steps of each exchange.
std::uint64_t expected_ns(const SwarmCase& one, const ModelConfig& config) {
  const std::uint64_t exchanges = 4 * std::uint64_t{config.n_layers} + 2;
  std::uint64_t passes = 0;
  for (const Question& question : one.questions) {
    passes += question.max_tokens + question.prompt.size() / one.simulation.run.batch;
  }
  const std::uint64_t chips = one.simulation.chips.size();
  const bool is_ring = one.simulation.network.topology == Topology::ring;
  return passes * exchanges * (is_ring ? chips / 2 + 1 : chips) * 65'000 + 2 * kMs;
}

TimedFault draw_fault(std::uint32_t seats, std::uint64_t within_ns, Dice& dice) {
  TimedFault fault;
  fault.kind = static_cast<FaultKind>(dice.within(static_cast<std::uint32_t>(FaultKind::partition),
                                                  static_cast<std::uint32_t>(FaultKind::flash)));
  // The coordinator's chip has its share of faults, but not so often that nothing else is seen.
  fault.seat = dice.below(seats);
  if (fault.seat == 0 && !dice.one_in(3)) fault.seat = dice.below(seats);
  fault.at_ns = within_ns / 1000 * dice.below(1000);
  fault.duration_ns = dice.within(1, 300) * kMs;
  const bool lasts = fault.kind == FaultKind::reset || fault.kind == FaultKind::flash ||
                     (fault.kind == FaultKind::partition && fault.seat != 0);
  if (lasts && dice.one_in(3)) fault.duration_ns = TimedFault::kForEver;
  if (fault.kind == FaultKind::partition && dice.one_in(2)) {
    fault.other = (fault.seat + dice.within(1, seats - 1)) % seats;
  }
  fault.factor = dice.within(2, 20);
  fault.bit = (std::uint64_t{dice.below(1U << 30)} << 8) + dice.below(256);
  return fault;
}

void draw_faults(SwarmCase& one, const ModelConfig& config, Dice& dice) {
  FaultPlan& plan = one.simulation.faults;
  plan.rates.drop = dice.rate(0.03);
  plan.rates.corrupt = dice.rate(0.02);
  plan.rates.duplicate = dice.rate(0.03);
  plan.rates.reorder = dice.rate(0.03);
  plan.rates.delay = dice.rate(0.05);
  plan.rates.delay_us = dice.within(10, 8000);
  const std::uint64_t within_ns = expected_ns(one, config);
  const std::uint32_t count = dice.within(1, 4);
  const auto seats = static_cast<std::uint32_t>(one.simulation.chips.size());
  for (std::uint32_t i = 0; i < count; ++i) {
    plan.timed.push_back(draw_fault(seats, within_ns, dice));
  }
}

bool is_lost_for_ever(const FaultPlan& plan, std::uint32_t seat) {
  return std::ranges::any_of(plan.timed, [&](const TimedFault& fault) {
    return fault.seat == seat && fault.is_for_ever() && fault.other == TimedFault::kAllLinks;
  });
}

bool is_cut_for_ever(const FaultPlan& plan, std::uint32_t a, std::uint32_t b) {
  return std::ranges::any_of(plan.timed, [&](const TimedFault& fault) {
    return fault.is_for_ever() &&
           ((fault.seat == a && fault.other == b) || (fault.seat == b && fault.other == a));
  });
}

bool has_dead_wire(const FaultPlan& plan) {
  return std::ranges::any_of(plan.timed, [](const TimedFault& fault) {
    return fault.is_for_ever() && fault.kind == FaultKind::partition &&
           fault.other != TimedFault::kAllLinks;
  });
}

/// Seats that seat 0 reaches in the end over chips that stay.
SeatMask reached_seats(const SimulationOptions& options) {
  NetworkOptions network = options.network;
  network.seats = static_cast<std::uint32_t>(options.chips.size());
  SeatMask reached = 1;
  std::vector<std::uint32_t> border = {0};
  while (!border.empty()) {
    const std::uint32_t seat = border.back();
    border.pop_back();
    const std::uint32_t ports =
        Routes::port_count(network.topology, network.seats, seat, network.hub);
    for (std::uint32_t port = 0; port < ports; ++port) {
      for (const PortAddress& to :
           receivers_of(network.topology, network.seats, network.hub, {seat, port})) {
        const bool is_new = (reached & seat_bit(to.seat)) == 0;
        if (!is_new || is_lost_for_ever(options.faults, to.seat) ||
            is_cut_for_ever(options.faults, seat, to.seat)) {
          continue;
        }
        reached |= seat_bit(to.seat);
        border.push_back(to.seat);
      }
    }
  }
  return reached;
}

Image opened(std::span<const std::uint8_t> bytes, ImageMemory& memory) {
  memory = ImageMemory(bytes);
  Image image;
  static_cast<void>(image.open(memory.span(), Verify::structure));
  return image;
}

}  // namespace

void set_swarm_timing(SimulationOptions& options) {
  options.timing.retry_us = 4'000;
  options.timing.heartbeat_us = 10'000;
  options.timing.silence_us = 60'000;
  options.coordinator.forming_us = 40'000;
  options.coordinator.stall_us = 120'000;
  options.coordinator.give_up_us = 5'000'000;
  options.verify_interval = 1;
}

bool may_fail(const SimulationOptions& options) {
  const FaultPlan& plan = options.faults;
  // A damaged image of the coordinator's chip ends the answer even where it gets a new one.
  const bool asker_is_hit = std::ranges::any_of(plan.timed, [](const TimedFault& fault) {
    return fault.seat == 0 && (fault.kind == FaultKind::flash || fault.is_for_ever());
  });
  if (asker_is_hit) return true;
  // Blocks have one way each, and no chip with a shard can be left out.
  const bool is_star = options.network.topology == Topology::star;
  const SeatMask reached = reached_seats(options);
  std::uint32_t ranks = 0;
  std::uint32_t held = 0;
  std::uint32_t spares = 0;
  for (std::uint32_t seat = 0; seat < options.chips.size(); ++seat) {
    ImageMemory memory({});
    const Image image = opened(options.chips[seat].image, memory);
    const bool is_reached = (reached & seat_bit(seat)) != 0;
    if (image.is_shard()) ranks = image.shard().chips;
    if (is_reached && image.is_shard()) ++held;
    if (is_reached && !image.is_shard()) ++spares;
  }
  // Seat 0 with a whole image and no shards anywhere can go on alone.
  if (ranks == 0) return false;
  return held + spares < ranks || (has_dead_wire(plan) && !is_star);
}

SwarmCase draw_case(SwarmModels& models, std::uint64_t seed) {
  // Neighbouring seeds of the generator begin alike; the odd factor sets them apart.
  Dice dice(seed * 0x9e3779b97f4a7c15ULL);
  SwarmCase one;
  one.seed = seed;
  one.model = dice.below(models.count());
  const ModelConfig& config = models.image(one.model).config();
  draw_cluster(one, models, dice);
  set_swarm_timing(one.simulation);
  draw_questions(one, config, dice);
  draw_faults(one, config, dice);
  one.simulation.seed = seed;
  one.may_fail = may_fail(one.simulation);
  return one;
}

std::string describe(const SwarmCase& one, const SwarmModels& models) {
  const SimulationOptions& options = one.simulation;
  std::string chips;
  for (const ChipSpec& chip : options.chips) {
    ImageMemory memory({});
    const Image image = opened(chip.image, memory);
    chips += chips.empty() ? "" : " ";
    chips += image.is_shard() ? fmt::format("shard {}/{}", image.shard().rank, image.shard().chips)
                              : fmt::format("whole:{}", chip.weight);
  }
  return fmt::format(
      "model {} (dim {}), {} with hub {}, {} chips ({}), policy {}, frames of {}, batch {}, "
      "latency {} us{}{}, {} question(s) of {}, tokens {}, context {}, may fail: {}\nfaults: {}",
      one.model, models.image(one.model).config().dim, topology_name(options.network.topology),
      options.network.hub, options.chips.size(), chips,
      static_cast<int>(options.coordinator.policy), options.network.frame_bytes, options.run.batch,
      options.network.latency_us, options.single_context ? ", single context" : "",
      options.network.message_cost_on_cpu ? ", message cost on the processor" : "",
      one.questions.size(), one.questions[0].prompt.size(), one.questions[0].max_tokens,
      options.run.context_length, one.may_fail, describe(options.faults));
}

}  // namespace mote::host
