// SPDX-License-Identifier: Apache-2.0
// The program for one chip that holds a whole model: a console that answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/answer.hpp"
#include "firmware/console.hpp"
#include "firmware/model.hpp"
#include "mote/sampler.hpp"
#include "mote/transformer.hpp"

namespace mote::firmware {

/// Runs until `reset`, then returns the program's exit status: 0, or 1 where the board's arena
/// cannot hold the program.
int run_one_chip();

/// What the program is; it lies at the front of the board's arena.
class OneChip {
 public:
  /// `memory` is what the model may use, and outlives this.
  explicit OneChip(std::span<std::byte> memory) : memory_(memory) {}

  /// Opens the model and greets.
  void start();
  /// Answers a command, where one has come; false once `reset` has.
  bool step();

 private:
  bool answer(std::span<char> line);
  void info();
  void run(std::span<char> line);
  void bench(std::string_view line);
  void signature();

  bool is_ready();
  bool start_model(const RunConfig& run, std::span<std::byte> memory);
  AnswerEnd write_answer(AnswerWriter& writer, std::uint32_t last, const RunRequest& request,
                         std::uint32_t& drawn);
  void measure_token(std::string_view kind, std::uint32_t count);

  std::span<std::byte> memory_;
  std::size_t used_bytes_ = 0;  // the most that a model has asked of `memory_`
  Console console_;
  bool is_line_dropped_ = false;  // by the command itself
  Model model_;
  Transformer transformer_;
  Sampler sampler_;
  WorkClock clock_;
};

}  // namespace mote::firmware
