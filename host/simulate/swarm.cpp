// SPDX-License-Identifier: Apache-2.0
#include "simulate/swarm.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "cluster/in_process.hpp"

namespace mote::host {
namespace {

/// Events that may wait at once: of each chip a tick, work, a frame on each port and faults; and
/// frames that are delayed, each a hundredth of a second at most.
constexpr std::size_t kMostWaiting = 1000;
/// Each so many seeds are run twice.
constexpr std::uint64_t kReplayInterval = 16;

/// The chip that asked is gone: the others wait for another, and are in no session of it.
bool are_free(Simulation& simulation) {
  for (std::uint32_t seat = 0; seat < simulation.size(); ++seat) {
    SimulatedChip& chip = simulation.chip(seat);
    if (chip.is_on() && chip.node().is_in_session()) return false;
  }
  return true;
}

/// Sets how an answer ended. Returns what must not be; empty where all is well.
std::string judge_end(SwarmRun& run, const SwarmCase& one, Simulation& simulation,
                      const Answer& answer) {
  switch (answer.end) {
    case AnswerEnd::whole:
      if (answer.sessions > 1 || answer.questions > 1) run.end = RunEnd::exact_after_loss;
      return "";
    case AnswerEnd::failed:
      run.end = RunEnd::error;
      run.error = describe(answer.error);
      if (answer.error.status == Status::ok || answer.error.seat >= simulation.size()) {
        return "an error without a name";
      }
      return one.may_fail ? "" : "an error where an answer was possible: " + run.error;
    case AnswerEnd::coordinator_gone:
      run.end = RunEnd::coordinator_gone;
      if (!are_free(simulation)) return "a chip stays in the session of one that is gone";
      return one.may_fail ? "" : "the coordinator's chip is off";
    case AnswerEnd::hung:
      break;
  }
  return "neither an answer nor an error";
}

std::string judge(SwarmRun& run, const SwarmCase& one, Simulation& simulation, const Answer& answer,
                  const std::vector<std::uint32_t>& expected) {
  const bool is_whole = answer.end == AnswerEnd::whole;
  const std::size_t known = is_whole ? expected.size() : answer.text.size();
  const bool is_right = known == answer.text.size() && known <= expected.size() &&
                        std::equal(answer.text.begin(), answer.text.end(), expected.begin());
  if (!is_right) return "a wrong token";
  if (simulation.events().most_waiting() > kMostWaiting) return "the queue of events grows";
  return judge_end(run, one, simulation, answer);
}

/// Asks one question after another, as long as they are answered.
void ask_all(SwarmRun& run, const SwarmCase& one, const Image& image, Simulation& simulation) {
  for (const Question& question : one.questions) {
    Asker asker(simulation, question, one.simulation);
    while (asker.step()) {
    }
    const Answer& answer = asker.answer();
    run.sessions += answer.sessions;
    run.questions += answer.questions;
    run.end_us = answer.end_ns / 1000;
    run.failure = judge(run, one, simulation, answer,
                        answer_of_one_chip(image, one.simulation.run, question));
    if (!run.failure.empty() || answer.end != AnswerEnd::whole) return;
  }
}

}  // namespace

const char* run_end_name(RunEnd end) {
  constexpr const char* kNames[kRunEnds] = {"exact", "exact after a loss", "error",
                                            "coordinator gone"};
  return kNames[static_cast<std::size_t>(end)];
}

SwarmRun run_case(const SwarmCase& one, const SwarmModels& models) {
  SwarmRun run;
  Simulation simulation(one.simulation);
  ask_all(run, one, models.image(one.model), simulation);
  run.events = simulation.events().count();
  run.most_waiting = simulation.events().most_waiting();
  run.hash = simulation.events().hash();
  run.network = simulation.network().counters();
  return run;
}

SwarmResult run_swarm(SwarmModels& models, std::uint64_t first, std::uint64_t count,
                      const std::function<void(const SwarmCounts&)>& progress) {
  SwarmResult result;
  SwarmCounts& counts = result.counts;
  for (result.seed = first; result.seed < first + count; ++result.seed) {
    const SwarmCase one = draw_case(models, result.seed);
    const SwarmRun run = run_case(one, models);
    result.failure = run.failure;
    if (result.failure.empty() && result.seed % kReplayInterval == 0 &&
        run_case(one, models).hash != run.hash) {
      result.failure = "another run of the same seed";
    }
    if (!result.failure.empty()) return result;
    const auto end = static_cast<std::size_t>(run.end);
    ++counts.runs;
    ++counts.all[end];
    counts.events += run.events;
    counts.most_waiting = std::max(counts.most_waiting, run.most_waiting);
    for (std::uint32_t kind = 0; kind < kFaultKinds; ++kind) {
      if (has_fault(one.simulation.faults, static_cast<FaultKind>(kind))) {
        ++counts.of_kind[kind][end];
      }
    }
    if (progress) progress(counts);
  }
  return result;
}

std::string format_counts(const SwarmCounts& counts) {
  std::string text = fmt::format("{:<12}", "runs with");
  for (std::size_t end = 0; end < kRunEnds; ++end) {
    text += fmt::format("{:>20}", run_end_name(static_cast<RunEnd>(end)));
  }
  const auto row = [&](const char* name, const std::array<std::uint64_t, kRunEnds>& ends) {
    text += fmt::format("\n{:<12}", name);
    for (const std::uint64_t runs : ends) text += fmt::format("{:>20}", runs);
  };
  for (std::uint32_t kind = 0; kind < kFaultKinds; ++kind) {
    row(fault_name(static_cast<FaultKind>(kind)), counts.of_kind[kind]);
  }
  row("all", counts.all);
  text += fmt::format("\n{} runs, {} events, at most {} waiting at once\n", counts.runs,
                      counts.events, counts.most_waiting);
  return text;
}

}  // namespace mote::host
