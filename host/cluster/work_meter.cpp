// SPDX-License-Identifier: Apache-2.0
#include "cluster/work_meter.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "support/output_file.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kPastUs = 1'000'000'000;

double share(double part, double whole) {
  return whole > 0 ? 100 * part / whole : 0.0;
}

double per_token(std::uint64_t bytes, const WorkStats& stats) {
  return static_cast<double>(bytes) / static_cast<double>(std::max<std::uint64_t>(stats.tokens, 1));
}

double rate(const WorkStats& stats) {
  return stats.total_s() > 0 ? static_cast<double>(stats.tokens) / stats.total_s() : 0.0;
}

}  // namespace

std::uint64_t clock_us() {
  const auto time = std::chrono::steady_clock::now().time_since_epoch();
  const auto us = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
  return static_cast<std::uint64_t>(us) + kPastUs;
}

WorkStats operator-(const WorkStats& later, const WorkStats& earlier) {
  return {later.compute_s - earlier.compute_s,
          later.wire_s - earlier.wire_s,
          later.wait_s - earlier.wait_s,
          later.sent_bytes - earlier.sent_bytes,
          later.received_bytes - earlier.received_bytes,
          later.tokens - earlier.tokens};
}

std::string format_work(const WorkStats& stats) {
  const double total = stats.total_s();
  return fmt::format(
      "{} tokens, {:.1f} tokens/s; compute {:.1f} %, wire {:.1f} %, waiting {:.1f} %; {:.0f} bytes "
      "sent and {:.0f} received a token",
      stats.tokens, rate(stats), share(stats.compute_s, total), share(stats.wire_s, total),
      share(stats.wait_s, total), per_token(stats.sent_bytes, stats),
      per_token(stats.received_bytes, stats));
}

nlohmann::ordered_json work_json(const WorkStats& stats) {
  const double total = stats.total_s();
  return {{"tokens", stats.tokens},
          {"seconds", total},
          {"tokens_per_s", rate(stats)},
          {"compute_percent", share(stats.compute_s, total)},
          {"wire_percent", share(stats.wire_s, total)},
          {"waiting_percent", share(stats.wait_s, total)},
          {"sent_bytes_per_token", per_token(stats.sent_bytes, stats)},
          {"received_bytes_per_token", per_token(stats.received_bytes, stats)}};
}

void write_work_json(const std::string& path, const nlohmann::ordered_json& json) {
  const std::string text = json.dump(2) + "\n";
  OutputFile file(path);
  file.write_at(0, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  file.commit();
}

void WorkMeter::enter(Account account) {
  const Clock::time_point now = Clock::now();
  const double seconds = std::chrono::duration<double>(now - since_).count();
  if (account_ == Account::compute) stats_.compute_s += seconds;
  if (account_ == Account::wire) stats_.wire_s += seconds;
  if (account_ == Account::wait) stats_.wait_s += seconds;
  account_ = account;
  since_ = now;
}

}  // namespace mote::host
