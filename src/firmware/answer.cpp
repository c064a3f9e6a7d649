// SPDX-License-Identifier: Apache-2.0
#include "firmware/answer.hpp"

#include <algorithm>
#include <array>

#include "firmware/board.hpp"

namespace mote::firmware {
namespace {

/// Pieces of tokens are written in parts of so many bytes.
constexpr std::size_t kPartBytes = 32;

enum RunOption : std::uint8_t {
  n,
  context,
  batch,
  temperature,
  top_k,
  top_p,
  min_p,
  penalty,
  seed
};
constexpr std::array<OptionRule, 9> kRunRules = {{
    {"n=64, tokens to write", UINT32_MAX, 1, UINT32_MAX},
    {"context=256, 1 to the model's positions; 0: what fits", 0, 0, kMaxContext},
    {"batch=8, positions of a pass, 1 to 64", 0, 1, kMaxBatch},
    {"temperature=0.8, 0 to 100", 0, 0, 100 * kOneQ16, true},
    {"top_k=40; 0: all", 40, 0, kMaxVocabulary},
    {"top_p=0.95, above 0 to 1", 62259, 1, kOneQ16, true},
    {"min_p=0.05, 0 to below 1", 3277, 0, kOneQ16 - 1, true},
    {"repeat_penalty=1.1, 1 to 16", kOneQ16, kOneQ16, 16 * kOneQ16, true},
    {"seed=1, below 2^64", 1, 0, 0, false, true},
}};

}  // namespace

Complaint parse_run(RunRequest& request, std::span<char> line, const ModelConfig& config) {
  std::array<std::uint64_t, kRunRules.size()> values;
  std::string_view rest(line.data(), line.size());
  const Complaint complaint = parse_options(values, kRunRules, rest);
  if (!complaint.is_none()) return complaint;
  request.text = line.last(rest.size());
  if (!unescape(request.text)) return {rest, "\\n, \\r, \\t, \\\\ or \\xHH"};
  const auto value = [&values](RunOption option) {
    return static_cast<std::uint32_t>(values[option]);
  };
  request.tokens = value(n);
  request.context_length = value(context);
  request.batch = value(batch);
  SamplerConfig& sampler = request.sampler;
  sampler.temperature_q16 = value(temperature);
  const std::uint32_t most = value(top_k) == 0 ? kMaxVocabulary : value(top_k);
  sampler.top_k = sampler.temperature_q16 == 0 ? 1 : std::min(most, config.vocab_size);
  sampler.top_p_q16 = value(top_p);
  sampler.min_p_q16 = value(min_p);
  sampler.repeat_penalty_q16 = value(penalty);
  sampler.seed = values[seed];
  return {};
}

void write_error(Console& console, std::string_view what, std::string_view expected) {
  const bool is_tool = console.is_tool();
  Report report(console, is_tool);
  report.begin_text("error");
  report.add_text(what);
  if (!expected.empty()) {
    report.add_text(": expected ");
    report.add_text(expected);
  }
  report.end_text();
  report.end();
}

std::span<std::uint32_t> encode_at_end(std::span<std::byte>& memory, const Tokenizer& tokenizer,
                                       std::string_view text) {
  const std::size_t most = Tokenizer::max_tokens(text.size());
  const std::size_t bytes = align_up(most * sizeof(std::uint32_t), kArenaAlignment);
  if (memory.size() < 2 * bytes) return {};
  const std::size_t room = memory.size() / kArenaAlignment * kArenaAlignment;
  Arena arena(memory.subspan(room - 2 * bytes));
  const auto scratch = arena.take<std::uint32_t>(most);
  const auto tokens = arena.take<std::uint32_t>(most);
  std::size_t count = 0;
  if (tokenizer.encode(tokens, count, scratch, text) != Status::ok) return {};
  // They move to the very end.
  const auto kept = std::span(tokens).last(count);
  std::copy_backward(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(count),
                     tokens.end());
  const std::size_t kept_bytes = align_up(count * sizeof(std::uint32_t), kArenaAlignment);
  memory = memory.first(room - std::min(kept_bytes + kArenaAlignment, 2 * bytes));
  return kept;
}

std::string_view end_name(AnswerEnd end) {
  constexpr std::array<const char*, 4> kNames = {"n", "end_token", "context", "stopped"};
  return kNames[static_cast<std::size_t>(end)];
}

void AnswerWriter::add(Report& report, std::string_view piece) {
  std::array<char, kPartBytes + Utf8Stream::kMaxHeldBytes> out;
  while (!piece.empty()) {
    const std::string_view part = front(piece, kPartBytes);
    report.add_text(stream_.push(part, out));
    piece.remove_prefix(part.size());
  }
}

void AnswerWriter::write(std::uint32_t token) {
  const std::string_view piece = tokenizer_->decode(previous_, token);
  previous_ = token;
  Report report(*console_, is_tool_);
  if (!is_tool_) return add(report, piece);
  report.number("token", token);
  report.begin_text("text");
  add(report, piece);
  report.end_text();
  report.end();
}

void AnswerWriter::flush() {
  std::array<char, Utf8Stream::kMaxHeldBytes> out;
  const std::string_view rest = stream_.flush(out);
  Report report(*console_, is_tool_);
  if (!is_tool_) return report.add_text(rest);
  if (rest.empty()) return;
  report.text("text", rest);
  report.end();
}

void WorkClock::start() {
  work_ -= board::work_count();
  us_ -= board::now_us();
}

void WorkClock::stop() {
  work_ += board::work_count();
  us_ += board::now_us();
}

}  // namespace mote::firmware
