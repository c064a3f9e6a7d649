// SPDX-License-Identifier: Apache-2.0
// One question to a simulated cluster, up to its answer, its error or the end of patience.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulate/simulation.hpp"

namespace mote::host {

struct Question {
  std::vector<std::uint32_t> prompt;
  SamplerConfig sampler;
  std::uint32_t max_tokens = 0;
};

enum class AnswerEnd : std::uint8_t {
  whole,             // all tokens were drawn
  failed,            // the coordinator says why not
  coordinator_gone,  // its chip is off, and stays so
  hung,              // neither within the time that the coordinator allows itself
};

/// A token, when it was drawn, and the exchange that it was drawn from.
struct DrawnToken {
  std::uint64_t at_ns = 0;
  std::uint32_t sequence = 0;
};

struct Answer {
  AnswerEnd end = AnswerEnd::hung;
  std::vector<std::uint32_t> text;  // the prompt and what was drawn
  std::vector<DrawnToken> drawn;
  ErrorMessage error;           // where it failed
  std::uint32_t sessions = 0;   // that were opened
  std::uint32_t questions = 0;  // it was asked anew where the coordinator's chip had restarted
  std::uint64_t end_ns = 0;
};

/// What one chip answers, without any cluster: the text with the drawn tokens.
std::vector<std::uint32_t> answer_of_one_chip(const Image& image, const RunConfig& run,
                                              const Question& question);

/// Asks seat 0, and asks again where its chip has lost the question. Time is limited by the
/// coordinator's own promise: `give_up_us` after the last token it has an answer or an error.
class Asker {
 public:
  Asker(Simulation& simulation, const Question& question, const SimulationOptions& options);

  /// One event. False where the answer has ended.
  bool step();
  const Answer& answer() const { return answer_; }

 private:
  void ask();
  void take_tokens(std::uint32_t sequence);
  bool end(AnswerEnd how);

  Simulation& simulation_;
  const Question& question_;
  AnswerRequest request_;
  std::uint64_t patience_us_ = 0;
  std::uint32_t boot_ = 0;         // of the chip that was asked
  std::uint64_t progress_us_ = 0;  // when it was asked, or the last token
  Answer answer_;
};

}  // namespace mote::host
