// SPDX-License-Identifier: Apache-2.0
#include "board/wire.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace mote::host {
namespace {

constexpr std::size_t kChunkBytes = 64;
/// Besides what the latency keeps on its way: many frames, as some emulated UARTs do not wait.
constexpr std::size_t kBufferBytes = 65536;
constexpr double kBitsPerByte = 10;  // with start and stop
/// A pause so short is taken for this computer's being late, not for the sender's pause.
constexpr double kCatchUpUs = 2000;

double byte_us(const WireConfig& config) {
  return config.baud == 0 ? 0 : kBitsPerByte * 1e6 / config.baud;
}

std::size_t bytes_on_the_way(const WireConfig& config) {
  // Without a limit of the rate, what a line of 10 Mbaud would hold.
  const double per_us = config.baud == 0 ? 1 : 1 / byte_us(config);
  return static_cast<std::size_t>(static_cast<double>(config.latency_us) * per_us);
}

}  // namespace

Wire::Wire(const WireConfig& config, std::uint64_t seed)
    : config_(config), random_(seed), limit_(kBufferBytes + bytes_on_the_way(config)) {
  gap_ = draw_gap();
}

std::uint64_t Wire::draw_gap() {
  if (config_.bit_error_rate <= 0) return UINT64_MAX;
  // Uniform in (0, 1]; the number of successes before a failure is geometric.
  const double uniform = (static_cast<double>(random_.next()) + 1) / 4294967296.0;
  const double gap = std::floor(std::log(uniform) / std::log1p(-config_.bit_error_rate));
  return static_cast<std::uint64_t>(gap);
}

void Wire::damage(std::span<std::uint8_t> bytes) {
  const std::uint64_t bits = bytes.size() * 8;
  std::uint64_t at = 0;
  while (gap_ < bits - at) {
    at += gap_;
    bytes[at / 8] ^= static_cast<std::uint8_t>(1U << (at % 8));
    ++counters_.flipped_bits;
    ++at;
    gap_ = draw_gap();
  }
  if (gap_ != UINT64_MAX) gap_ -= bits - at;
}

std::size_t Wire::room() const {
  return size_ >= limit_ ? 0 : std::min(limit_ - size_, kChunkBytes);
}

void Wire::put(std::span<const std::uint8_t> bytes, std::uint64_t now_us) {
  if (bytes.empty()) return;
  const auto now = static_cast<double>(now_us);
  const double begin = free_us_ + kCatchUpUs >= now ? free_us_ : now;
  free_us_ = begin + static_cast<double>(bytes.size()) * byte_us(config_);
  Chunk chunk = {free_us_ + static_cast<double>(config_.latency_us), {bytes.begin(), bytes.end()}};
  damage(chunk.bytes);
  chunks_.push_back(std::move(chunk));
  size_ += bytes.size();
}

std::span<const std::uint8_t> Wire::arrived(std::uint64_t now_us) const {
  if (chunks_.empty() || chunks_.front().due_us > static_cast<double>(now_us)) return {};
  return std::span(chunks_.front().bytes).subspan(taken_);
}

void Wire::take(std::size_t bytes) {
  counters_.bytes += bytes;
  size_ -= bytes;
  taken_ += bytes;
  if (taken_ < chunks_.front().bytes.size()) return;
  taken_ = 0;
  chunks_.pop_front();
}

std::uint64_t Wire::next_us() const {
  if (chunks_.empty()) return kNever;
  return static_cast<std::uint64_t>(std::ceil(chunks_.front().due_us));
}

void Wire::lose() {
  counters_.lost_bytes += size_;
  chunks_.clear();
  size_ = 0;
  taken_ = 0;
}

}  // namespace mote::host
