// SPDX-License-Identifier: Apache-2.0
// The choice of a token. Weights are 2^x in Q30, so that the best candidate weighs 2^30 and a mass
// is a sum below 2^51; every pass computes them anew, which needs no memory.
#include "mote/sampler.hpp"

#include <algorithm>
#include <limits>

#include "base/assert.hpp"
#include "base/fixed_point.hpp"
#include "kernels/exp2.hpp"

namespace mote {
namespace {

constexpr std::uint64_t kLog2eQ30 = 1549082005;    // log2(e) * 2^30
constexpr std::uint32_t kMaxExponent = 31U << 16;  // Q16; the weight is 0 from here on
constexpr int kMinPShift = 14;                     // from Q16 to the weights' Q30
constexpr std::size_t kMaxCandidates = std::size_t{1} << 20;
constexpr std::uint32_t kMaxRepeatPenalty = 16 * kOneQ16;

// The product of the widest difference of logits, 2^32 - 1, stays in 64 bits with the rounding.
static_assert(kLog2eQ30 < (1ULL << 31));

// (best - logit) / t * log2(e) in Q16, rounded half up once.
std::uint32_t exponent_q16(std::int32_t best, std::int32_t logit, std::uint32_t temperature_q16) {
  const std::int64_t difference = std::int64_t{best} - logit;
  MOTE_ASSERT(difference >= 0);
  // Q16 * Q30 / Q16 is Q30; dividing by 2^14 more leaves Q16.
  const std::uint64_t divisor = std::uint64_t{temperature_q16} << 14;
  const std::uint64_t scaled = static_cast<std::uint64_t>(difference) * kLog2eQ30;
  const std::uint64_t exponent = divide(scaled + divisor / 2, divisor);
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(exponent, kMaxExponent));
}

// ceil(mass * fraction): the least mass that reaches the fraction.
std::uint64_t scale_up(std::uint64_t mass, std::uint32_t fraction_q16) {
  const std::uint64_t low = (mass & 0xffff) * fraction_q16;
  return (mass >> 16) * fraction_q16 + ((low + 0xffff) >> 16);
}

// floor(random * mass / 2^32), exact for masses below 2^63.
std::uint64_t scale_random(std::uint32_t random, std::uint64_t mass) {
  const std::uint64_t low = (mass & 0xffffffffU) * random;
  return (mass >> 32) * random + (low >> 32);
}

}  // namespace

Sampler::Sampler() = default;

Status Sampler::configure(const SamplerConfig& config) {
  const bool valid = config.top_k >= 1 && config.top_p_q16 >= 1 && config.top_p_q16 <= kOneQ16 &&
                     config.min_p_q16 < kOneQ16 && config.repeat_penalty_q16 >= kOneQ16 &&
                     config.repeat_penalty_q16 <= kMaxRepeatPenalty &&
                     config.repeat_window <= kMaxRepeatWindow;
  if (!valid) return Status::bad_sampler_config;
  config_ = config;
  random_.reseed(config.seed);
  clear_history();
  begin_logits();
  return Status::ok;
}

void Sampler::accept(std::uint32_t token) {
  history_[history_count_ % kMaxRepeatWindow] = token;
  ++history_count_;
}

void Sampler::skip(std::uint32_t draws) {
  if (config_.temperature_q16 == 0) return;
  for (std::uint32_t i = 0; i < draws; ++i) random_.next();
}

// Sorted by insertion: 64 tokens at most, of which few are new to each other.
void Sampler::begin_logits() {
  recent_count_ = 0;
  recent_next_ = 0;
  if (config_.repeat_penalty_q16 == kOneQ16) return;
  const std::uint64_t last = std::min<std::uint64_t>(history_count_, config_.repeat_window);
  for (std::uint64_t i = history_count_ - last; i < history_count_; ++i) {
    const std::uint32_t token = history_[i % kMaxRepeatWindow];
    const auto end = recent_.begin() + recent_count_;
    const auto place = std::lower_bound(recent_.begin(), end, token);
    if (place != end && *place == token) continue;
    std::copy_backward(place, end, end + 1);
    *place = token;
    ++recent_count_;
  }
}

void Sampler::penalize(std::uint32_t first_token, std::span<std::int32_t> logits) {
  for (; recent_next_ < recent_count_; ++recent_next_) {
    const std::uint32_t token = recent_[recent_next_];
    // A chip has some of the vocabulary only.
    if (token < first_token) continue;
    const std::size_t index = token - first_token;
    if (index >= logits.size()) return;
    logits[index] = penalized(logits[index]);
  }
}

std::int32_t Sampler::penalized(std::int32_t logit) const {
  const std::int64_t penalty = config_.repeat_penalty_q16;
  if (logit > 0) {
    const std::uint64_t raised = static_cast<std::uint64_t>(logit) * kOneQ16;
    return static_cast<std::int32_t>(
        divide(raised + config_.repeat_penalty_q16 / 2, config_.repeat_penalty_q16));
  }
  const std::int64_t lowered = (logit * penalty + kOneQ16 / 2) >> 16;
  constexpr std::int64_t lowest = std::numeric_limits<std::int32_t>::min();
  return static_cast<std::int32_t>(std::max<std::int64_t>(lowered, lowest));
}

std::uint32_t Sampler::weight(std::span<const Candidate> candidates, std::size_t index) const {
  const std::int32_t best = candidates[0].logit;
  return exp2_negative(exponent_q16(best, candidates[index].logit, config_.temperature_q16));
}

// Drops all that min-p excludes, and those without weight; returns the mass of the others.
// Weights fall along the candidates, so that all that is dropped stands at the end.
std::uint64_t Sampler::keep_likely(std::span<const Candidate>& candidates) const {
  const std::uint32_t least = std::max<std::uint32_t>(1, config_.min_p_q16 << kMinPShift);
  std::uint64_t mass = 0;
  std::size_t count = 0;
  for (; count < candidates.size(); ++count) {
    const std::uint32_t mine = weight(candidates, count);
    if (mine < least) break;
    mass += mine;
  }
  candidates = candidates.first(count);
  return mass;
}

// Drops all behind the smallest set that reaches top-p of `mass`; returns the mass of that set.
std::uint64_t Sampler::keep_nucleus(std::span<const Candidate>& candidates,
                                    std::uint64_t mass) const {
  if (config_.top_p_q16 == kOneQ16) return mass;
  const std::uint64_t enough = scale_up(mass, config_.top_p_q16);
  std::uint64_t reached = 0;
  std::size_t count = 0;
  while (reached < enough) {
    reached += weight(candidates, count);
    ++count;
  }
  candidates = candidates.first(count);
  return reached;
}

std::uint32_t Sampler::sample(std::span<const Candidate> candidates) {
  MOTE_ASSERT(!candidates.empty() && candidates.size() <= kMaxCandidates);
  if (config_.temperature_q16 == 0) return candidates[0].token;
  std::span<const Candidate> kept =
      candidates.first(std::min<std::size_t>(candidates.size(), config_.top_k));
  std::uint64_t mass = keep_likely(kept);
  mass = keep_nucleus(kept, mass);
  std::uint64_t rest = scale_random(random_.next(), mass);
  std::size_t index = 0;
  for (std::uint64_t mine = weight(kept, 0); rest >= mine; mine = weight(kept, index)) {
    rest -= mine;
    ++index;
  }
  return kept[index].token;
}

}  // namespace mote
