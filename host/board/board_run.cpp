// SPDX-License-Identifier: Apache-2.0
#include "board/board_run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <utility>

#include "cluster/work_meter.hpp"
#include "plan/link.hpp"
#include "shard/shard_summary.hpp"
#include "support/error.hpp"
#include "support/progress.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::json;

constexpr std::uint64_t kPumpUs = 20'000;
/// A board that has not answered is asked again: bytes that come before its port is open are lost.
constexpr std::uint64_t kAskAgainUs = 1'000'000;
constexpr std::uint64_t kCommandUs = 20'000'000;  // by when a chip answers a question about itself
constexpr std::size_t kMaxLine = 1023;            // of a board's console

double seconds_since(std::uint64_t begin_us) {
  return static_cast<double>(clock_us() - begin_us) / 1e6;
}

ShardFiles cut_model(const BoardRunOptions& options, const Image& image) {
  Progress progress("cut");
  return ShardFiles(options.model, image, options.chips,
                    [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
}

Image open_whole_model(const std::string& path, std::span<const std::uint8_t> bytes) {
  const Image image = open_image(path, bytes, Verify::full);
  if (image.is_shard()) {
    throw Error(fmt::format("{}: holds the part of {}; the whole model is needed", path,
                            rank_text(image.shard())));
  }
  open_tokenizer(path, image);  // refuses what could not run
  return image;
}

BoardRunOptions checked(BoardRunOptions options) {
  if (options.program.empty()) options.program = options.chips == 1 ? "one_chip" : "cluster_node";
  if (options.program == "one_chip" && options.chips != 1) {
    throw Error(fmt::format("--program one_chip: is for one chip, not for {}", options.chips));
  }
  for (const PlannedKill& kill : options.kills) {
    if (kill.chip >= options.chips) {
      throw Error(fmt::format("--kill {}@{}: the chips are 0 to {}", kill.chip, kill.token,
                              options.chips - 1));
    }
    if (kill.chip == 0) {
      throw Error(fmt::format("--kill 0@{}: chip 0 gives the answer; when it fails, so does that",
                              kill.token));
    }
  }
  return options;
}

std::string q16_text(std::uint32_t value) {
  return fmt::format("{:.6f}", value / 65536.0);
}

/// With the escapes of the console (src/firmware/text.hpp).
std::string escaped(std::string_view text) {
  std::string out;
  for (const char letter : text) {
    const auto byte = static_cast<unsigned char>(letter);
    if (letter == '\\') {
      out += "\\\\";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += letter;
    }
  }
  return out;
}

std::string error_text(const std::string& name, const Json& answer) {
  const Json& error = answer.at("error");
  return fmt::format("{}: {}", name, error.is_string() ? error.get<std::string>() : error.dump());
}

std::string loss_text(const Json& said) {
  const auto members = said.value("members", 0U);
  return fmt::format("chip {} was lost: {}; {} {} on", said.at("lost_seat").dump(),
                     said.value("why", std::string("no reason given")), members,
                     members == 1 ? "chip goes" : "chips go");
}

}  // namespace

PlannedKill parse_kill(const std::string& text) {
  PlannedKill kill;
  const char* const end = text.data() + text.size();
  const auto chip = std::from_chars(text.data(), end, kill.chip);
  if (chip.ec == std::errc() && chip.ptr != end && *chip.ptr == '@') {
    const auto token = std::from_chars(chip.ptr + 1, end, kill.token);
    if (token.ec == std::errc() && token.ptr == end && kill.token != 0) return kill;
  }
  throw Error(fmt::format("--kill {}: expected CHIP@TOKEN, such as 2@10", text));
}

std::string format_run_command(const BoardQuestion& question, std::uint32_t context_length) {
  const SamplerConfig& sampler = question.sampler;
  std::string line = fmt::format("run n={} batch={}", question.max_tokens, question.batch);
  if (context_length != 0) line += fmt::format(" context={}", context_length);
  line += " temperature=" + q16_text(sampler.temperature_q16);
  if (sampler.temperature_q16 != 0) {
    line += fmt::format(" top_k={} top_p={} min_p={} seed={}", sampler.top_k,
                        q16_text(sampler.top_p_q16), q16_text(sampler.min_p_q16), sampler.seed);
  }
  if (sampler.repeat_penalty_q16 != kOneQ16) {
    line += " repeat_penalty=" + q16_text(sampler.repeat_penalty_q16);
  }
  line += " -- " + escaped(question.prompt);
  if (line.size() + 1 > kMaxLine) {
    throw Error(
        fmt::format("--prompt: {} bytes too long for the boards' consoles, whose lines "
                    "have {}",
                    line.size() + 1 - kMaxLine, kMaxLine));
  }
  return line;
}

BoardRun::BoardRun(BoardRunOptions options)
    : options_(checked(std::move(options))),
      catalogue_(find_firmware_folder(options_.firmware_folder)),
      file_(options_.model),
      image_(open_whole_model(options_.model, file_.bytes())),
      shards_(cut_model(options_, image_)),
      cluster_(make_cluster()),
      starts_(options_.chips, 1) {}

VirtualCluster BoardRun::make_cluster() const {
  VirtualClusterConfig config;
  for (std::uint32_t chip = 0; chip < options_.chips; ++chip) {
    config.boards.push_back(&catalogue_.find(options_.boards[chip % options_.boards.size()]));
  }
  config.images = shards_.paths();
  config.program = options_.program;
  config.topology = options_.topology;
  config.wire = options_.wire;
  config.seed = options_.wire_seed;
  config.counts_work = options_.counts_work;
  config.must_stop = options_.must_stop;
  VirtualCluster cluster(std::move(config));
  if (cluster.is_lockstep() && !options_.kills.empty()) {
    throw Error("--kill: chips that run in lock step cannot be killed alone");
  }
  return cluster;
}

/// Takes what a board says after its start; true once that is about itself.
bool BoardRun::has_answered(std::size_t chip, std::uint64_t begin_us) {
  Console& console = cluster_.console(chip);
  for (auto said = console.next(); said; said = console.next()) {
    if (said->contains("board")) return true;
  }
  const std::uint64_t start_us = cluster_.board(chip).start_us;
  if (clock_us() <= begin_us + start_us) return false;
  const std::string& text = console.last_text();
  throw Error(fmt::format("{}: has not answered for {:g} s{}", console.name(),
                          static_cast<double>(start_us) / 1e6,
                          text.empty() ? text : "; it said: " + text));
}

void BoardRun::wait_for_boards(std::vector<std::size_t> chips, bool shows_progress) {
  Progress progress("start", shows_progress);
  const std::size_t all = chips.size();
  const std::uint64_t begin_us = clock_us();
  for (std::uint64_t ask_us = 0; !chips.empty();) {
    if (clock_us() >= ask_us) {
      ask_us = clock_us() + kAskAgainUs;
      for (const std::size_t chip : chips) {
        Console& console = cluster_.console(chip);
        // The empty line ends whatever noise the board may have read.
        if (console.is_sent()) console.send("\n!info");
      }
    }
    cluster_.pump(kPumpUs);
    std::erase_if(chips, [&](std::size_t chip) { return has_answered(chip, begin_us); });
    progress.update(all - chips.size(), all);
  }
}

void BoardRun::start() {
  const std::uint64_t begin_us = clock_us();
  std::vector<std::size_t> all(options_.chips);
  std::iota(all.begin(), all.end(), 0U);
  for (const std::size_t chip : all) cluster_.start(chip);
  wait_for_boards(all, true);
  // In a ring each chip tells the next.
  const std::size_t told = options_.topology == Topology::ring ? 1 : all.size();
  for (std::size_t chip = 0; chip < told; ++chip) give_seat(chip);
  start_seconds_ = seconds_since(begin_us);
}

void BoardRun::give_seat(std::size_t chip) {
  if (options_.program == "one_chip") return;
  command(chip,
          fmt::format("seat {} {} {}", topology_name(options_.topology), options_.chips, chip));
}

Json BoardRun::await_done(std::size_t chip, const std::string& command, std::uint64_t patience_us,
                          const std::function<void(const Json&)>& take) {
  std::uint64_t heard_us = clock_us();
  while (clock_us() < heard_us + patience_us) {
    cluster_.pump(kPumpUs);
    for (auto said = cluster_.console(chip).next(); said; said = cluster_.console(chip).next()) {
      heard_us = clock_us();
      if (said->contains("error")) throw Error(error_text(cluster_.chip_name(chip), *said));
      // What a board that was asked more than once at its start says late.
      if (said->contains("board") && command != "info") continue;
      if (said->contains("done")) return *said;
      if (take) take(*said);
    }
  }
  throw Error(fmt::format("{}: has said nothing for {} s after the command {}",
                          cluster_.chip_name(chip), patience_us / 1'000'000,
                          command.substr(0, command.find(' '))));
}

Json BoardRun::command(std::size_t chip, const std::string& command) {
  cluster_.console(chip).send("!" + command);
  return await_done(chip, command, kCommandUs, {});
}

void BoardRun::kill_as_planned(std::size_t tokens, const WriteText& say) {
  for (const PlannedKill& kill : options_.kills) {
    if (kill.token != tokens) continue;
    cluster_.kill(kill.chip);
    cluster_.start(kill.chip);
    ++starts_[kill.chip];
    say(fmt::format("{} was killed after {} tokens and started again",
                    cluster_.chip_name(kill.chip), tokens));
    if (options_.topology == Topology::ring) continue;  // its neighbour tells it
    wait_for_boards({kill.chip}, false);
    give_seat(kill.chip);
  }
}

ChipAccount BoardRun::account_of(std::size_t chip) {
  if (starts_[chip] > 1) wait_for_boards({chip}, false);
  const BoardEntry& board = cluster_.board(chip);
  ChipAccount account = {cluster_.chip_name(chip), board.name, board.title, starts_[chip],
                         shards_.reports()[chip],  {},         {}};
  // First, for with its answer all is over that was said of the chip at its start.
  if (options_.program != "one_chip") account.links = command(chip, "links");
  account.info = command(chip, "info");
  return account;
}

BoardAnswer BoardRun::ask(const BoardQuestion& question, const WriteText& write,
                          const WriteText& say) {
  BoardAnswer answer;
  const std::string line = format_run_command(question, options_.context_length);
  const std::uint64_t begin_us = clock_us();
  cluster_.console(0).send("!" + line);
  answer.done = await_done(0, "run", options_.give_up_us, [&](const Json& said) {
    const std::string text = said.value("text", std::string());
    answer.text += text;
    write(text);
    if (said.contains("lost_seat")) say(loss_text(said));
    if (!said.contains("token")) return;
    answer.tokens.push_back(said.at("token").get<std::uint32_t>());
    kill_as_planned(answer.tokens.size(), say);
  });
  answer.seconds = seconds_since(begin_us);
  answer.start_seconds = start_seconds_;
  for (std::size_t chip = 0; chip < cluster_.size(); ++chip) {
    answer.chips.push_back(account_of(chip));
  }
  return answer;
}

}  // namespace mote::host
