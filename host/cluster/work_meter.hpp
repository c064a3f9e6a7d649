// SPDX-License-Identifier: Apache-2.0
// Where the time of a chip goes, and what it sent and received.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include <nlohmann/json.hpp>

namespace mote::host {

/// Microseconds of a clock that never goes back. Its beginning lies far enough in the past that 0
/// is long ago.
std::uint64_t clock_us();

/// What a chip did in some time.
struct WorkStats {
  double compute_s = 0;  // phases of the model
  double wire_s = 0;     // frames made and read, bytes handed to and taken from the system
  double wait_s = 0;     // for what others compute or for links
  std::uint64_t sent_bytes = 0;
  std::uint64_t received_bytes = 0;
  std::uint64_t tokens = 0;  // drawn

  double total_s() const { return compute_s + wire_s + wait_s; }
  friend WorkStats operator-(const WorkStats& later, const WorkStats& earlier);
};

/// "96 tokens, 1234.5 tokens/s; compute 61 %, wire 20 %, waiting 19 %; 812 bytes sent and 790
/// received a token".
std::string format_work(const WorkStats& stats);
nlohmann::ordered_json work_json(const WorkStats& stats);
/// Writes `work_json` and a line's end to the file of `path`.
void write_work_json(const std::string& path, const nlohmann::ordered_json& json);

/// Gives all time to one account at a time.
class WorkMeter {
 public:
  enum class Account : std::uint8_t { idle, compute, wire, wait };

  /// The time since the last call belongs to the account of that call.
  void enter(Account account);
  /// Times only.
  const WorkStats& stats() const { return stats_; }

 private:
  using Clock = std::chrono::steady_clock;

  Account account_ = Account::idle;
  Clock::time_point since_ = Clock::now();
  WorkStats stats_;
};

}  // namespace mote::host
