// SPDX-License-Identifier: Apache-2.0
// Chips with the program cluster_node, wired by a test, on one clock.
#pragma once

#include <functional>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "firmware/cluster_node.hpp"
#include "support/firmware_model.hpp"

namespace mote::test {

/// A board with its program, which may start anew.
class FakeChip {
 public:
  FakeChip(const Bytes& image, std::size_t arena_bytes) : board_(image, arena_bytes) {}

  FakeBoard& board() { return board_; }
  /// Begins the program; what it was before is forgotten.
  void start(std::uint64_t now_us) {
    board_.now_us = now_us;
    ++board_.boot;
    use_board(board_);
    links_ = std::vector<firmware::NodeLink>(board_.in.size());
    program_ = std::make_unique<firmware::ClusterNode>(board_.arena, links_);
    program_->start();
    is_running_ = true;
  }
  void stop() { is_running_ = false; }
  void step(std::uint64_t now_us) {
    if (!is_running_) return;
    board_.now_us = now_us;
    use_board(board_);
    is_running_ = program_->step();
  }
  bool is_running() const { return is_running_; }

 private:
  FakeBoard board_;
  std::vector<firmware::NodeLink> links_;
  std::unique_ptr<firmware::ClusterNode> program_;
  bool is_running_ = false;
};

class FakeCluster {
 public:
  static constexpr std::uint64_t kRoundUs = 200;

  explicit FakeCluster(const std::vector<Bytes>& images, std::size_t arena_bytes = 1U << 19) {
    for (const Bytes& image : images) {
      chips_.push_back(std::make_unique<FakeChip>(image, arena_bytes));
    }
  }

  FakeChip& chip(std::size_t i) { return *chips_[i]; }
  std::size_t size() const { return chips_.size(); }
  std::uint64_t now_us() const { return now_us_; }

  /// One more link of each of both chips.
  void wire(std::size_t a, std::size_t b) {
    const auto there = std::make_shared<FakeWire>();
    const auto back = std::make_shared<FakeWire>();
    chip(a).board().out.push_back(there);
    chip(b).board().in.push_back(there);
    chip(b).board().out.push_back(back);
    chip(a).board().in.push_back(back);
    wires_.push_back(there);
    wires_.push_back(back);
  }
  const std::vector<std::shared_ptr<FakeWire>>& wires() const { return wires_; }

  /// Link 0 to the next chip and link 1 to the one before, each chip's two links swapped where
  /// `crossed` names it.
  void wire_ring(std::size_t crossed = SIZE_MAX) {
    for (auto& one : chips_) {
      one->board().in.resize(2);
      one->board().out.resize(2);
    }
    for (std::size_t i = 0; i < size(); ++i) {
      const std::size_t next = (i + 1) % size();
      const auto there = std::make_shared<FakeWire>();
      const auto back = std::make_shared<FakeWire>();
      FakeBoard& from = chip(i).board();
      FakeBoard& to = chip(next).board();
      const std::size_t out = i == crossed ? 1 : 0;
      const std::size_t in = next == crossed ? 0 : 1;
      from.out[out] = to.in[in] = there;
      from.in[out] = to.out[in] = back;
      wires_.push_back(there);
      wires_.push_back(back);
    }
  }

  void start() {
    for (auto& one : chips_) one->start(now_us_);
  }
  void step() {
    now_us_ += kRoundUs;
    for (auto& one : chips_) one->step(now_us_);
  }
  /// Runs until `is_reached`, at most `seconds` of the chips' time; false where it is not.
  bool run_until(const std::function<bool()>& is_reached, std::uint64_t seconds = 60) {
    const std::uint64_t end_us = now_us_ + seconds * 1'000'000;
    while (!is_reached()) {
      if (now_us_ >= end_us) return false;
      step();
    }
    return true;
  }

  /// What chip `i` answers to a command, once it is done.
  std::vector<nlohmann::json> ask(std::size_t i, const std::string& command,
                                  std::uint64_t seconds = 200) {
    FakeBoard& board = chip(i).board();
    board.shown.clear();
    board.typed += "!" + command + "\n";
    EXPECT_TRUE(run_until([&] { return is_answered(i); }, seconds)) << command << board.shown;
    return answers_of(board);
  }
  bool is_answered(std::size_t i) {
    const std::string& shown = chip(i).board().shown;
    if (shown.empty() || shown.back() != '\n') return false;
    const auto lines = json_lines(shown);
    if (lines.empty()) return false;
    const auto last = nlohmann::json::parse(lines.back());
    return last.contains("done") || last.contains("error");
  }
  std::size_t told_count(std::size_t i) { return told_tokens(answers_of(chip(i).board())).size(); }

 private:
  std::vector<std::unique_ptr<FakeChip>> chips_;
  std::vector<std::shared_ptr<FakeWire>> wires_;
  std::uint64_t now_us_ = 1'000'000;
};

}  // namespace mote::test
