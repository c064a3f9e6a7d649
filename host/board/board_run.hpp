// SPDX-License-Identifier: Apache-2.0
// An answer of virtual boards: models cut, emulators started, the first chip asked, all of them
// looked at afterwards.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "board/catalogue.hpp"
#include "board/shard_files.hpp"
#include "board/virtual_cluster.hpp"
#include "mote/sampler.hpp"
#include "run/engine.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {

/// A chip that is to fail: its emulator is killed, and started again, once so many tokens have
/// come.
struct PlannedKill {
  std::uint32_t chip = 0;
  std::uint32_t token = 1;
};

/// "2@10". Throws `Error`.
PlannedKill parse_kill(const std::string& text);

struct BoardRunOptions {
  std::string model;                // path of a whole image
  std::vector<std::string> boards;  // names; chip i is boards[i mod n]
  std::uint32_t chips = 1;
  std::string program;  // "one_chip" or "cluster_node"; empty: as the number of chips demands
  Topology topology = Topology::ring;
  std::string firmware_folder;       // empty: looked for
  std::uint32_t context_length = 0;  // 0: the model's
  WireConfig wire;
  std::uint64_t wire_seed = 1;
  bool counts_work = true;  // exactly, where the emulators can
  std::vector<PlannedKill> kills;
  std::uint64_t give_up_us = 120'000'000;        // without a new token
  const std::atomic<bool>* must_stop = nullptr;  // which a signal may set
};

struct BoardQuestion {
  std::string prompt;
  std::uint32_t max_tokens = 64;
  std::uint32_t batch = 8;  // positions of a pass through the prompt
  SamplerConfig sampler;
};

/// What a chip says of itself after an answer, and what it was given.
struct ChipAccount {
  std::string name;   // "chip 2 (mps2_an386)"
  std::string board;  // "mps2_an386"
  std::string title;
  std::uint32_t starts = 1;
  ShardReport image;
  nlohmann::json info;   // of its command `info`
  nlohmann::json links;  // of its command `links`; null with one_chip
};

struct BoardAnswer {
  std::vector<std::uint32_t> tokens;
  std::string text;     // drawn, without the prompt
  nlohmann::json done;  // what chip 0 said at the end
  double seconds = 0;   // of this computer, from the question on
  double start_seconds = 0;
  std::vector<ChipAccount> chips;
};

class BoardRun {
 public:
  using Json = nlohmann::json;
  using WriteText = std::function<void(std::string_view)>;

  /// Opens the model and cuts it. Throws `Error` where something is missing or does not fit.
  explicit BoardRun(BoardRunOptions options);

  /// Starts all boards and gives them their seats; returns when all have answered.
  void start();
  /// Asks chip 0. `write` gets the text as it comes, `say` a line about what happens besides.
  BoardAnswer ask(const BoardQuestion& question, const WriteText& write, const WriteText& say);
  /// Sends `command` to a chip, without its `!`, and returns its answer. Throws `Error` where it
  /// says one, or nothing for long.
  Json command(std::size_t chip, const std::string& command);

  const BoardRunOptions& options() const { return options_; }
  const Image& image() const { return image_; }
  const ShardFiles& shards() const { return shards_; }
  VirtualCluster& cluster() { return cluster_; }
  const VirtualCluster& cluster() const { return cluster_; }

 private:
  VirtualCluster make_cluster() const;
  void wait_for_boards(std::vector<std::size_t> chips, bool shows_progress);
  bool has_answered(std::size_t chip, std::uint64_t begin_us);
  void give_seat(std::size_t chip);
  Json await_done(std::size_t chip, const std::string& command, std::uint64_t patience_us,
                  const std::function<void(const Json&)>& take);
  ChipAccount account_of(std::size_t chip);
  void kill_as_planned(std::size_t tokens, const WriteText& say);

  BoardRunOptions options_;
  Catalogue catalogue_;
  MappedFile file_;
  Image image_;
  ShardFiles shards_;
  VirtualCluster cluster_;
  std::vector<std::uint32_t> starts_;  // (chips)
  double start_seconds_ = 0;
};

/// The line of the command `run` that asks `question`.
std::string format_run_command(const BoardQuestion& question, std::uint32_t context_length);

}  // namespace mote::host
