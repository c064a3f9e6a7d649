// SPDX-License-Identifier: Apache-2.0
// The console of a chip of a cluster.
#include <algorithm>
#include <array>

#include "firmware/board.hpp"
#include "firmware/cluster_node.hpp"
#include "mote/arena.hpp"

namespace mote::firmware {
namespace {

constexpr std::string_view kHelp =
    "seat ring|star|broadcast SEATS [SEAT] [silence_ms=3000] [retry_ms=250]\n"
    "                  gives this chip a seat, 0 if not named: the one that answers\n"
    "run [OPTION=VALUE]... [--] TEXT   writes on; Ctrl-C ends it\n"
    "    n temperature top_k top_p min_p repeat_penalty seed context batch\n"
    "info              board, model, memory, seat\n"
    "links             what went through the links\n"
    "reset             starts anew\n"
    "A tool writes ! before a command and gets JSON.\n";

/// Positions of a pass through a prompt, where `run` does not say: few, since each chip keeps all
/// lanes of their activations.
constexpr std::uint32_t kBatch = 4;

constexpr std::array<std::string_view, 3> kTopologies = {"ring", "star", "broadcast"};

}  // namespace

bool ClusterNode::take_command() {
  const bool is_tool = console_.is_tool();
  bool goes_on = true;
  if (console_.is_too_long()) {
    write_error(console_, "the line", "at most 1023 bytes");
  } else {
    goes_on = answer(console_.line());
  }
  console_.drop_line();
  if (!is_tool && goes_on && !is_answering_) console_.prompt();
  return goes_on;
}

bool ClusterNode::answer(std::span<char> line) {
  std::string_view rest(line.data(), line.size());
  const std::string_view command = take_word(rest);
  if (command == "run") {
    run(line.last(rest.size()));
  } else if (command == "seat") {
    seat(rest);
  } else if (command == "info") {
    info();
  } else if (command == "links") {
    report_links();
  } else if (command == "help") {
    if (!console_.is_tool()) console_.write(kHelp);
    Report(console_, console_.is_tool()).done().end();
  } else if (command == "reset") {
    Report(console_, console_.is_tool()).done().end();
    return false;
  } else if (!command.empty() || console_.is_tool()) {
    write_error(console_, command, "run, seat, info, links, reset or help");
  }
  return true;
}

void ClusterNode::info() {
  Report report(console_, console_.is_tool());
  report.text("program", "cluster_node").text("board", board::name());
  report_model(report, model_);
  if (has_seat()) {
    report.text("topology", kTopologies[static_cast<std::size_t>(seat_.topology)]);
  }
  report.number("seat", has_seat() ? seat_.seat : 0).number("seats", has_seat() ? seat_.seats : 0);
  report.number("context", session_run_.context_length).number("batch", session_run_.batch);
  report.number("candidates", session_run_.candidates);
  report.number("arena_size", has_seat() ? node_memory_.size() : memory_.size());
  report.number("arena_bytes", used_bytes_);
  const std::size_t program_bytes = board::arena().size() - memory_.size();
  report.number("program_bytes",
                program_bytes + (has_seat() ? memory_.size() - node_memory_.size() : 0));
  report.number("stack_size", board::stack().size()).number("stack_bytes", used_stack_bytes());
  report.hex("identity", board::identity());
  report.done().end();
}

void ClusterNode::report_link(Report& report, std::uint32_t link) {
  const LinkCounters& counters = links_[link].counters();
  PortCounters node;
  for (std::uint32_t port = 0; port < port_count(); ++port) {
    if (link_of(port) == link) node = node_.counters(port);
  }
  report.number("link", link);
  report.number("bytes_in", counters.bytes_in).number("bytes_out", counters.bytes_out);
  report.number("frames_in", counters.frames_in).number("frames_out", counters.frames_out);
  report.number("payload", counters.payload_bytes + node.payload_bytes);
  report.number("repeated", counters.repeated_bytes + node.repeated_bytes);
  report.number("damaged", counters.damaged);
}

void ClusterNode::report_links() {
  Report report(console_, console_.is_tool());
  report.begin_list("links");
  for (std::uint32_t link = 0; link < links_.size(); ++link) {
    report.begin_item();
    report_link(report, link);
  }
  report.end_list();
  report.number("seat", has_seat() ? seat_.seat : 0).number("seats", has_seat() ? seat_.seats : 0);
  report.number("sessions", sessions_);
  report.number("work", clock_.work()).text("unit", board::work_unit());
  report.number("us", board::now_us());
  report.number("compute_us", clock_.us()).number("waiting_us", waiting_us_);
  report.done().end();
}

void ClusterNode::seat(std::string_view line) {
  if (model_.status != Status::ok) return write_error(console_, status_text(model_.status));
  constexpr std::string_view kExpected = "seat ring|star|broadcast SEATS [SEAT]";
  const std::string_view topology = take_word(line);
  const auto found = std::ranges::find(kTopologies, topology);
  std::uint64_t seats = 0;
  std::uint64_t number = 0;
  const bool is_wired = found != kTopologies.end() && parse_number(seats, take_word(line));
  std::string_view rest = line;
  if (parse_number(number, take_word(rest))) line = rest;
  if (!is_wired || seats < 1 || seats > kMaxChips || number >= seats) {
    return write_error(console_, topology, kExpected);
  }
  constexpr std::array<OptionRule, 2> kRules = {{
      {"silence_ms=3000, 100 to 600000", kTiming.silence_us / 1000, 100, 600'000},
      {"retry_ms=250, 1 to 60000", kTiming.retry_us / 1000, 1, 60'000},
  }};
  std::array<std::uint64_t, 2> options;
  const Complaint complaint = parse_options(options, kRules, line);
  if (!complaint.is_none()) return write_error(console_, complaint);
  if (!line.empty()) return write_error(console_, line, kExpected);
  SeatAssignment seat;
  seat.topology = static_cast<Topology>(found - kTopologies.begin());
  seat.seats = static_cast<std::uint8_t>(seats);
  seat.seat = static_cast<std::uint8_t>(number);
  seat.frame_bytes = static_cast<std::uint16_t>(board::link_frame_bytes());
  ClusterTiming timing = kTiming;
  timing.silence_us = options[0] * 1000;
  timing.retry_us = options[1] * 1000;
  timing.heartbeat_us = std::min(timing.heartbeat_us, timing.silence_us / 4);
  const Status status = take_seat(seat, first_link(seat.topology), timing, board::now_us());
  if (status != Status::ok) return write_error(console_, status_text(status));
  source_ = SeatSource::fixed;
  Report report(console_, console_.is_tool());
  report.number("seat", number).number("seats", seats).done().end();
}

/// Whether this chip can begin an answer; says why where it cannot.
bool ClusterNode::is_ready() {
  if (model_.status != Status::ok) {
    write_error(console_, status_text(model_.status));
  } else if (!has_seat()) {
    write_error(console_, "this chip has no seat", "seat ring SEATS");
  } else if (!is_coordinator()) {
    write_error(console_, "this chip only computes", "run at the chip of seat 0");
  } else if (model_.tokenizer_status != Status::ok) {
    write_error(console_, "the image has no tokenizer", "the shard of rank 0");
  } else if (is_answering_) {
    write_error(console_, "an answer is under way", "run after its end");
  } else {
    return true;
  }
  return false;
}

/// The largest context with which this chip can hold its shard, or alone the whole model; chips
/// with less memory refuse it.
std::uint32_t ClusterNode::fitting_context(const RunRequest& request) const {
  const Image& image = model_.image;
  const auto bytes_of = [&](std::uint32_t context) {
    const RunConfig run = {context, request.batch, request.sampler.top_k};
    return TensorParallelNode::arena_bytes(image, node_.config(), run, image.held());
  };
  return largest_context(image.config().context_length, node_memory_.size(), bytes_of);
}

void ClusterNode::run(std::span<char> line) {
  if (!is_ready()) return;
  request_ = {};
  const Complaint complaint = parse_run(request_, line, model_.image.config());
  if (!complaint.is_none()) return write_error(console_, complaint);
  if (request_.batch == 0) request_.batch = kBatch;
  if (request_.context_length == 0) request_.context_length = fitting_context(request_);
  if (request_.context_length == 0) {
    return write_error(console_, status_text(Status::arena_too_small));
  }
  // Between answers the memory of sessions is free.
  node_.close_session();
  std::span<std::byte> memory = node_memory_;
  const auto prompt =
      encode_at_end(memory, model_.tokenizer, {request_.text.data(), request_.text.size()});
  if (prompt.empty()) return write_error(console_, "no token", "a text, and memory for it");
  AnswerRequest request;
  request.run = {request_.context_length, request_.batch, request_.sampler.top_k};
  request.sampler = request_.sampler;
  request.max_tokens = std::min<std::uint32_t>(request_.tokens, request_.context_length + 1);
  console_.take_stop();
  start_us_ = board::now_us();
  const Status status = coordinator_.start(prompt, request, start_us_);
  if (status != Status::ok) return write_error(console_, status_text(status));
  writer_ = AnswerWriter(console_, model_.tokenizer, prompt.back(), console_.is_tool());
  given_ = prompt.size();
  told_ = given_;
  told_sessions_ = 1;
  start_work_ = clock_.work();
  first_us_ = 0;
  is_answering_ = true;
  console_.set_quiet(true);
}

void ClusterNode::tell_answer() {
  tell_losses();
  tell_tokens();
  if (!is_answering_) return;
  if (console_.take_stop()) return finish_answer(AnswerEnd::stopped);
  const Coordinator::State state = coordinator_.state();
  if (state == Coordinator::State::failed) return fail_answer();
  if (state != Coordinator::State::done) return;
  finish_answer(told_ - given_ < request_.tokens ? AnswerEnd::context : AnswerEnd::count);
}

void ClusterNode::tell_tokens() {
  const auto text = coordinator_.text();
  for (; told_ < text.size(); ++told_) {
    if (first_us_ == 0) {
      first_us_ = board::now_us();
      first_work_ = clock_.work();
    }
    if (model_.tokenizer.is_end(text[told_])) return finish_answer(AnswerEnd::end_token);
    writer_.write(text[told_]);
  }
}

/// A new session after the first one means that a chip was lost, or has come back.
void ClusterNode::tell_losses() {
  if (coordinator_.sessions() <= told_sessions_) return;
  told_sessions_ = coordinator_.sessions();
  const ErrorMessage& loss = coordinator_.last_loss();
  Report report(console_, writer_.is_tool());
  report.number("lost_seat", loss.seat).text("why", status_text(loss.status));
  report.number("members", coordinator_.ready().members).end();
}

void ClusterNode::finish_answer(AnswerEnd end) {
  const std::uint64_t now_us = board::now_us();
  if (first_us_ == 0) {
    first_us_ = now_us;
    first_work_ = clock_.work();
  }
  writer_.flush();
  Report report(console_, writer_.is_tool());
  report.number("prompt_tokens", given_);
  report.number("prompt_work", first_work_ - start_work_);
  report.number("prompt_us", first_us_ - start_us_);
  report.number("tokens", told_ - given_).number("work", clock_.work() - first_work_);
  report.number("us", now_us - first_us_);
  report.text("unit", board::work_unit()).text("ended", end_name(end));
  report.number("context", request_.context_length);
  report.number("sessions", coordinator_.sessions());
  report.number("members", coordinator_.ready().members);
  report.number("arena_bytes", used_bytes_).number("stack_bytes", used_stack_bytes());
  report.done().end();
  coordinator_.stop();
  is_answering_ = false;
  console_.set_quiet(false);
  if (!writer_.is_tool()) console_.prompt();
}

void ClusterNode::fail_answer() {
  const ErrorMessage& error = coordinator_.failure();
  writer_.flush();
  Report report(console_, writer_.is_tool());
  report.text("error", status_text(error.status)).number("seat", error.seat);
  report.number("tokens", told_ - given_).end();
  is_answering_ = false;
  console_.set_quiet(false);
  if (!writer_.is_tool()) console_.prompt();
}

}  // namespace mote::firmware
