// SPDX-License-Identifier: Apache-2.0
#include "simulate/answer.hpp"

#include <algorithm>

#include "run/engine.hpp"

namespace mote::host {

std::vector<std::uint32_t> answer_of_one_chip(const Image& image, const RunConfig& run,
                                              const Question& question) {
  ArenaMemory memory(Transformer::arena_bytes(image, run));
  Transformer model;
  check(model.init(image, run, memory.span()), "one chip");
  Sampler sampler;
  check(sampler.configure(question.sampler), "one chip");
  std::vector<std::uint32_t> text = question.prompt;
  for (const std::uint32_t token : text) sampler.accept(token);
  check(model.decode(text), "one chip");
  const std::size_t limit = text.size() + question.max_tokens;
  while (text.size() < limit && text.size() <= run.context_length) {
    const std::uint32_t token = sampler.sample(model.candidates(sampler));
    sampler.accept(token);
    text.push_back(token);
    const bool goes_on = text.size() < limit && text.size() <= run.context_length;
    if (goes_on) check(model.decode({&token, 1}), "one chip");
  }
  return text;
}

Asker::Asker(Simulation& simulation, const Question& question, const SimulationOptions& options)
    : simulation_(simulation), question_(question) {
  request_.run = options.run;
  request_.sampler = question.sampler;
  request_.max_tokens = question.max_tokens;
  patience_us_ = options.coordinator.give_up_us + 2 * options.timing.retry_us;
  ask();
}

void Asker::ask() {
  ++answer_.questions;
  answer_.drawn.clear();
  boot_ = simulation_.chip(0).boot();
  progress_us_ = simulation_.now_us();
  check(simulation_.ask(question_.prompt, request_), "the question");
}

bool Asker::end(AnswerEnd how) {
  answer_.end = how;
  answer_.end_ns = simulation_.now_ns();
  return false;
}

void Asker::take_tokens(std::uint32_t sequence) {
  const Coordinator& coordinator = simulation_.chip(0).coordinator();
  const auto text = coordinator.text();
  if (text.size() > question_.prompt.size() + answer_.drawn.size()) {
    answer_.drawn.push_back({simulation_.now_ns(), sequence});
    progress_us_ = simulation_.now_us();
  }
  if (text.size() != answer_.text.size()) answer_.text.assign(text.begin(), text.end());
  answer_.sessions = coordinator.sessions();
}

bool Asker::step() {
  SimulatedChip& chip = simulation_.chip(0);
  const std::uint32_t sequence = chip.is_on() ? chip.node().sequence() : 0;
  simulation_.step();
  if (!chip.is_on()) {
    const bool waited = simulation_.now_us() - progress_us_ >= 2 * patience_us_;
    return !waited || end(AnswerEnd::coordinator_gone);
  }
  if (chip.boot() != boot_) ask();
  take_tokens(sequence);
  switch (chip.coordinator().state()) {
    case Coordinator::State::done:
      return end(AnswerEnd::whole);
    case Coordinator::State::failed:
      answer_.error = chip.coordinator().failure();
      return end(AnswerEnd::failed);
    default:
      return simulation_.now_us() - progress_us_ < patience_us_ || end(AnswerEnd::hung);
  }
}

}  // namespace mote::host
