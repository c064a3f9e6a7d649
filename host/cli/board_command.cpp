// SPDX-License-Identifier: Apache-2.0
// `mote board`: firmware under emulators, one board or several that answer as one.
#include <fmt/format.h>

#include <atomic>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "board/board_check.hpp"
#include "board/board_report.hpp"
#include "board/terminal.hpp"
#include "cli/cluster_names.hpp"
#include "cli/commands.hpp"
#include "cli/sampler_options.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kOneChipBatch = 8;
constexpr std::uint32_t kNodeBatch = 4;

struct BoardOptions {
  BoardRunOptions run;
  BoardQuestion question;
  SamplerOptions sampling;
  std::string topology = topology_name(Topology::ring);
  std::vector<std::string> kills;
  double give_up_s = 0;
  std::optional<std::uint32_t> console;
  bool lists = false;
  bool checks = false;
  bool json = false;
};

void write_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) throw Error("standard output: cannot write");
}

std::atomic<bool> must_stop = false;
static_assert(std::atomic<bool>::is_always_lock_free, "a signal may set it");

/// The first signal ends the run in good order, with the files of the shards removed.
void stop_on_signals() {
  struct sigaction action {};
  action.sa_handler = [](int) { must_stop = true; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  ::sigaction(SIGINT, &action, nullptr);
  ::sigaction(SIGTERM, &action, nullptr);
}

void list_boards(const BoardOptions& options) {
  const Catalogue catalogue(find_firmware_folder(options.run.firmware_folder));
  for (const BoardEntry& board : catalogue.boards()) {
    fmt::print("{:<18} {}\n", board.name, board.title);
  }
}

BoardRunOptions run_options(const BoardOptions& options) {
  BoardRunOptions run = options.run;
  if (run.boards.empty() || run.model.empty()) {
    throw Error("board: needs --board and --model; --list names the boards");
  }
  run.topology = kTopologies.at(options.topology);
  if (run.topology == Topology::broadcast) {
    throw Error("--topology broadcast: boards here have links of two ends; ring or star");
  }
  for (const std::string& kill : options.kills) run.kills.push_back(parse_kill(kill));
  run.must_stop = &must_stop;
  run.give_up_us = static_cast<std::uint64_t>(options.give_up_s * 1e6);
  return run;
}

void print_report(const BoardRun& run, const BoardOptions& options, const BoardQuestion& question,
                  const BoardAnswer& answer) {
  const Plan plan = plan_of(run, question, answer);
  BoardReport report = {run, question, answer, plan, options.checks, {}};
  if (options.checks) report.differences = find_differences(run, question, answer);
  if (!options.json) write_text("\n\n");
  write_text(options.json ? format_board_json(report) : format_board_text(report));
  if (!report.differences.empty()) throw Error("the boards differ: " + report.differences[0]);
}

void run_boards(const BoardOptions& options) {
  if (options.lists) return list_boards(options);
  stop_on_signals();
  BoardRun run(run_options(options));
  if (options.console && *options.console >= run.options().chips) {
    throw Error(fmt::format("--console {}: the chips are 0 to {}", *options.console,
                            run.options().chips - 1));
  }
  run.start();
  if (options.console) return attach_terminal(run.cluster(), *options.console);
  BoardQuestion question = options.question;
  // Each chip of a cluster keeps all lanes of a batch.
  if (question.batch == 0) question.batch = run.options().chips == 1 ? kOneChipBatch : kNodeBatch;
  SamplerOptions sampling = options.sampling;
  if (options.checks && sampling.seed < 0) sampling.seed = 0;
  question.sampler = sampling.resolve(run.image().config().vocab_size);
  const auto write = [&](std::string_view text) {
    if (!options.json) write_text(text);
  };
  write(question.prompt);
  const auto say = [](std::string_view line) { fmt::print(stderr, "mote: {}\n", line); };
  print_report(run, options, question, run.ask(question, write, say));
}

void add_board_options(CLI::App& command, BoardOptions& options) {
  BoardRunOptions& run = options.run;
  command
      .add_option("--board", run.boards,
                  "Board of the chips, or several by commas, which go round; --list names them")
      ->delimiter(',');
  command.add_option("--chips", run.chips, "Chips, 1 to 64")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxChips));
  command.add_option("--topology", options.topology, "ring, or star around chip 0")
      ->capture_default_str()
      ->check(CLI::IsMember(kTopologies));
  command
      .add_option("--program", run.program,
                  "one_chip or cluster_node; if not given: as the number of chips demands")
      ->check(CLI::IsMember({"one_chip", "cluster_node"}));
  command.add_option(
      "--firmware-dir", run.firmware_folder,
      "Folder of boards.json and of the boards' programs; if not given: build/ports");
  command.add_flag("--list", options.lists, "Name the boards and stop");
}

void add_question_options(CLI::App& command, BoardOptions& options) {
  command.add_option("-m,--model", options.run.model, "Model image (.mote), whole");
  command.add_option("-p,--prompt", options.question.prompt, "Text to begin with");
  command.add_option("-n,--predict", options.question.max_tokens, "Tokens to write at most")
      ->capture_default_str()
      ->check(CLI::Range(1U, 65535U));
  command
      .add_option("-c,--context", options.run.context_length,
                  "Positions of context; 0: the model's, or what fits")
      ->capture_default_str();
  command
      .add_option("-b,--batch", options.question.batch,
                  "Positions of one pass through the prompt; if not given: 8, or 4 with several "
                  "chips")
      ->check(CLI::Range(1U, kMaxBatch));
  options.question.batch = 0;
  options.sampling.temperature = 0;
  options.sampling.add_to(command);
  command
      .add_option("--give-up", options.give_up_s,
                  "Seconds without a new token after which the answer has failed")
      ->default_val(120.0)
      ->check(CLI::Range(1.0, 86400.0));
}

void add_wire_options(CLI::App& command, BoardOptions& options) {
  WireConfig& wire = options.run.wire;
  command
      .add_option("--baud", wire.baud,
                  "Bits a second on a link, ten of them a byte; 0: as fast as the emulators are")
      ->default_val(1'000'000);
  command.add_option("--latency-us", wire.latency_us, "Microseconds from one end to the other")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{10'000'000}));
  command
      .add_option("--bit-errors", wire.bit_error_rate,
                  "Share of the bits on every link that are flipped, such as 1e-4")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 0.5));
  command.add_option("--wire-seed", options.run.wire_seed, "Of the bit errors")
      ->capture_default_str()
      ->check(CLI::Range(std::uint64_t{0}, std::uint64_t{UINT32_MAX}));
  command
      .add_option("--kill", options.kills,
                  "CHIP@TOKEN: kill that chip when so many tokens have come, and start it again")
      ->delimiter(',');
}

}  // namespace

void add_board_command(CLI::App& app) {
  auto options = std::make_shared<BoardOptions>();
  CLI::App* command = app.add_subcommand(
      "board", "Run the boards' firmware under emulators, alone or as a cluster");
  command->footer(
      "The firmware is built by scripts/build_ports.sh. Times are this computer's; bytes and "
      "counted instructions are the boards'.\n"
      "Example:\n"
      "  mote board --board riscv32_virt -m stories260K.mote -p Once -n 64\n"
      "  mote board --board mps2_an386 --chips 4 -m stories260K.mote -p Once --check\n"
      "  mote board --board mps2_an386,riscv32_sifive_u --chips 4 -m M.mote -p Once --kill 2@10\n"
      "  mote board --board mps2_an386 --chips 4 -m M.mote --console 0");
  add_board_options(*command, *options);
  add_question_options(*command, *options);
  add_wire_options(*command, *options);
  command->add_flag("!--no-count", options->run.counts_work,
                    "Do not make the emulators count instructions; their own clocks tell the work");
  command->add_option("--console", options->console, "Type at this chip's console yourself");
  command->add_flag("--check", options->checks,
                    "Demand the tokens of this computer, and the plan's bytes; exit 1 otherwise");
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { run_boards(*options); });
}

}  // namespace mote::host
