// SPDX-License-Identifier: Apache-2.0
#include "firmware/one_chip.hpp"

#include <algorithm>
#include <array>
#include <new>

#include "firmware/board.hpp"
#include "firmware/signature.hpp"
#include "mote/arena.hpp"

namespace mote::firmware {
namespace {

constexpr std::string_view kHelp =
    "run [OPTION=VALUE]... [--] TEXT   writes on; Ctrl-C ends it\n"
    "    n temperature top_k top_p min_p repeat_penalty seed context batch\n"
    "info              board, model and memory\n"
    "bench [n=64]      work of a token at positions 1, 16, 64, ...\n"
    "signature         one hash over tokens and logits\n"
    "reset             starts anew\n"
    "A tool writes ! before a command and gets JSON.\n";

/// Positions of a pass through a prompt, where `run` does not say.
constexpr std::uint32_t kBatch = 8;
/// A prompt for `bench`, of so many tokens at most in a pass.
constexpr std::uint32_t kBenchBatch = 16;

}  // namespace

void OneChip::start() {
  console_.write("Mote one_chip on ");
  console_.write(board::name());
  console_.write("\n");
  model_.open(board::image_region());
  console_.prompt();
}

bool OneChip::step() {
  if (!console_.poll()) {
    board::sleep();
    return true;
  }
  console_.take_stop();
  const bool is_tool = console_.is_tool();
  bool goes_on = true;
  if (console_.is_too_long()) {
    write_error(console_, "the line", "at most 1023 bytes");
  } else {
    goes_on = answer(console_.line());
  }
  if (!is_line_dropped_) console_.drop_line();
  is_line_dropped_ = false;
  if (!is_tool && goes_on) console_.prompt();
  return goes_on;
}

bool OneChip::answer(std::span<char> line) {
  std::string_view rest(line.data(), line.size());
  const std::string_view command = take_word(rest);
  if (command == "run") {
    run(line.last(rest.size()));
  } else if (command == "bench") {
    bench(rest);
  } else if (command == "info") {
    info();
  } else if (command == "signature") {
    signature();
  } else if (command == "help") {
    if (!console_.is_tool()) console_.write(kHelp);
    Report(console_, console_.is_tool()).done().end();
  } else if (command == "reset") {
    Report(console_, console_.is_tool()).done().end();
    return false;
  } else if (!command.empty() || console_.is_tool()) {
    write_error(console_, command, "run, bench, info, signature, reset or help");
  }
  return true;
}

void OneChip::info() {
  Report report(console_, console_.is_tool());
  report.text("program", "one_chip").text("board", board::name());
  report_model(report, model_);
  report.number("arena_size", memory_.size()).number("arena_bytes", used_bytes_);
  report.number("program_bytes", board::arena().size() - memory_.size());
  report.number("stack_size", board::stack().size()).number("stack_bytes", used_stack_bytes());
  report.hex("identity", board::identity());
  report.done().end();
}

/// Whether there is a model to run; says what is wrong where there is none.
bool OneChip::is_ready() {
  if (model_.status != Status::ok) {
    write_error(console_, status_text(model_.status));
  } else if (model_.image.is_shard()) {
    write_error(console_, "the image is one chip's part", "a whole model");
  } else if (model_.tokenizer_status != Status::ok) {
    write_error(console_, status_text(model_.tokenizer_status));
  } else {
    return true;
  }
  return false;
}

bool OneChip::start_model(const RunConfig& run, std::span<std::byte> memory) {
  const Status status = transformer_.init(model_.image, run, memory);
  if (status != Status::ok) {
    write_error(console_, status_text(status));
    return false;
  }
  used_bytes_ = std::max(used_bytes_, Transformer::arena_bytes(model_.image, run));
  return true;
}

void OneChip::run(std::span<char> line) {
  if (!is_ready()) return;
  RunRequest request;
  const Complaint complaint = parse_run(request, line, model_.image.config());
  if (!complaint.is_none()) return write_error(console_, complaint);
  std::span<std::byte> memory = memory_;
  const auto prompt =
      encode_at_end(memory, model_.tokenizer, {request.text.data(), request.text.size()});
  if (prompt.empty()) return write_error(console_, "no token", "a text, and memory for it");
  RunConfig run = {request.context_length, request.batch != 0 ? request.batch : kBatch,
                   request.sampler.top_k};
  if (run.context_length == 0) {
    const auto bytes_of = [&](std::uint32_t context) {
      return Transformer::arena_bytes(model_.image, {context, run.batch, run.candidates});
    };
    run.context_length =
        largest_context(model_.image.config().context_length, memory.size(), bytes_of);
    if (run.context_length == 0) return write_error(console_, status_text(Status::arena_too_small));
  }
  if (!start_model(run, memory)) return;
  Status status = sampler_.configure(request.sampler);
  for (const std::uint32_t token : prompt) sampler_.accept(token);
  WorkClock prompt_clock;
  prompt_clock.start();
  // The last token's pass belongs to the first token drawn, so that each costs one pass.
  if (status == Status::ok) status = transformer_.decode(prompt.first(prompt.size() - 1));
  prompt_clock.stop();
  if (status == Status::ok && transformer_.position() == transformer_.position_limit()) {
    status = Status::context_full;
  }
  if (status != Status::ok) return write_error(console_, status_text(status));
  clock_ = {};
  AnswerWriter writer(console_, model_.tokenizer, prompt.back(), console_.is_tool());
  // What comes now may be the end of the answer, or the next line.
  console_.drop_line();
  is_line_dropped_ = true;
  console_.set_quiet(true);
  std::uint32_t drawn = 0;
  const AnswerEnd end = write_answer(writer, prompt.back(), request, drawn);
  console_.set_quiet(false);
  Report report(console_, writer.is_tool());
  report.number("prompt_tokens", prompt.size());
  report.number("prompt_work", prompt_clock.work()).number("prompt_us", prompt_clock.us());
  report.number("tokens", drawn).number("work", clock_.work()).number("us", clock_.us());
  report.text("unit", board::work_unit()).text("ended", end_name(end));
  report.number("context", run.context_length);
  report.number("arena_bytes", Transformer::arena_bytes(model_.image, run));
  report.number("program_bytes", board::arena().size() - memory.size());
  report.number("stack_bytes", used_stack_bytes());
  report.done().end();
}

/// Draws tokens after `last`, which the model has not seen yet.
AnswerEnd OneChip::write_answer(AnswerWriter& writer, std::uint32_t last, const RunRequest& request,
                                std::uint32_t& drawn) {
  AnswerEnd end = AnswerEnd::count;
  for (drawn = 0; drawn < request.tokens; ++drawn) {
    if (transformer_.position() == transformer_.position_limit()) {
      end = AnswerEnd::context;
      break;
    }
    clock_.start();
    // There is a position left, so that this cannot fail.
    const Status status = transformer_.decode({&last, 1});
    last = sampler_.sample(transformer_.candidates(sampler_));
    sampler_.accept(last);
    clock_.stop();
    if (status != Status::ok || model_.tokenizer.is_end(last)) {
      end = AnswerEnd::end_token;
      break;
    }
    writer.write(last);
    console_.poll();
    if (console_.take_stop()) {
      ++drawn;
      end = AnswerEnd::stopped;
      break;
    }
  }
  writer.flush();
  return end;
}

void OneChip::measure_token(std::string_view kind, std::uint32_t count) {
  std::array<std::uint32_t, kBenchBatch> tokens;
  const std::uint32_t position = transformer_.position();
  // Any tokens cost the same.
  for (std::uint32_t i = 0; i < count; ++i) {
    tokens[i] = (position + i + 1) % transformer_.config().vocab_size;
  }
  clock_ = {};
  clock_.start();
  const Status status = transformer_.decode(std::span(tokens).first(count));
  if (status == Status::ok) sampler_.sample(transformer_.candidates(sampler_));
  clock_.stop();
  if (kind.empty()) return;
  Report report(console_, console_.is_tool());
  report.text("pass", kind).number("position", position).number("tokens", count);
  report.number("work", clock_.work()).number("us", clock_.us());
  report.text("unit", board::work_unit()).end();
}

void OneChip::bench(std::string_view line) {
  if (!is_ready()) return;
  constexpr std::array<OptionRule, 1> kRules = {{{"n=64, the last position", 64, 1, kMaxContext}}};
  std::array<std::uint64_t, 1> last;
  const Complaint complaint = parse_options(last, kRules, line);
  if (!complaint.is_none()) return write_error(console_, complaint);
  const auto most = static_cast<std::uint32_t>(
      std::min<std::uint64_t>(last[0] + 1, model_.image.config().context_length));
  const RunConfig run = {most, std::min(kBenchBatch, most), 1};
  if (!start_model(run, memory_)) return;
  if (sampler_.configure({}) != Status::ok) return;
  measure_token("prefill", run.batch);
  transformer_.reset();
  measure_token("", 1);
  for (std::uint32_t next = 1; transformer_.position() < most;) {
    const bool is_told = transformer_.position() == next;
    measure_token(is_told ? "decode" : "", 1);
    if (is_told) next = next == 1 ? 16 : next * 4;
  }
  Report report(console_, console_.is_tool());
  report.number("arena_bytes", Transformer::arena_bytes(model_.image, run));
  report.number("stack_bytes", used_stack_bytes()).done().end();
}

void OneChip::signature() {
  if (!is_ready()) return;
  std::uint64_t value = 0;
  clock_ = {};
  clock_.start();
  const Status status = compute_signature(value, model_.image, model_.tokenizer, memory_);
  clock_.stop();
  if (status != Status::ok) return write_error(console_, status_text(status));
  Report report(console_, console_.is_tool());
  report.hex("signature", value).number("work", clock_.work());
  report.text("unit", board::work_unit()).done().end();
}

int run_one_chip() {
  Arena arena(board::arena());
  const auto program = arena.take<OneChip>(1);
  if (program.empty()) {
    board::write_console("error: the arena is too small for the program\r\n");
    return 1;
  }
  OneChip* one_chip = new (program.data()) OneChip(board::arena().subspan(arena.used_bytes()));
  one_chip->start();
  while (one_chip->step()) continue;
  return 0;
}

}  // namespace mote::firmware
