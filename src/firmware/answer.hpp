// SPDX-License-Identifier: Apache-2.0
// What `run` asks, and how an answer is told.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "firmware/console.hpp"
#include "firmware/model.hpp"
#include "firmware/text.hpp"
#include "mote/arena.hpp"
#include "mote/sampler.hpp"
#include "mote/tokenizer.hpp"
#include "mote/transformer.hpp"

namespace mote::firmware {

struct RunRequest {
  std::uint32_t tokens = 0;          // to be drawn at most
  std::uint32_t context_length = 0;  // 0: the largest that fits
  std::uint32_t batch = 0;           // 0: the program's own choice
  SamplerConfig sampler;             // top_k: the candidates of the run
  std::span<char> text;
};

/// Reads the line behind `run`, and resolves its escapes in place.
Complaint parse_run(RunRequest& request, std::span<char> line, const ModelConfig& config);

/// Says what was wrong.
void write_error(Console& console, std::string_view what, std::string_view expected = {});
inline void write_error(Console& console, const Complaint& complaint) {
  write_error(console, complaint.word, complaint.expected);
}

/// The tokens of `text` at the end of `memory`, which loses them; empty where there is no room for
/// encoding or the text has no token.
std::span<std::uint32_t> encode_at_end(std::span<std::byte>& memory, const Tokenizer& tokenizer,
                                       std::string_view text);

/// Why an answer ended.
enum class AnswerEnd : std::uint8_t { count, end_token, context, stopped };
std::string_view end_name(AnswerEnd end);

/// Tells an answer token by token: text as it comes, or a line of JSON each.
class AnswerWriter {
 public:
  AnswerWriter() = default;
  /// `previous`: the last token of the prompt.
  AnswerWriter(Console& console, const Tokenizer& tokenizer, std::uint32_t previous, bool is_tool)
      : console_(&console), tokenizer_(&tokenizer), previous_(previous), is_tool_(is_tool) {}

  bool is_tool() const { return is_tool_; }
  void write(std::uint32_t token);
  /// What is left of a character that never became whole.
  void flush();

 private:
  void add(Report& report, std::string_view piece);

  Console* console_ = nullptr;
  const Tokenizer* tokenizer_ = nullptr;
  std::uint32_t previous_ = kNoToken;
  bool is_tool_ = false;
  Utf8Stream stream_;
};

/// Work and time of several pieces of computing together.
class WorkClock {
 public:
  void start();
  void stop();
  std::uint64_t work() const { return work_; }
  std::uint64_t us() const { return us_; }

 private:
  std::uint64_t work_ = 0;  // minus what the counter showed at `start`, until `stop`
  std::uint64_t us_ = 0;
};

}  // namespace mote::firmware
