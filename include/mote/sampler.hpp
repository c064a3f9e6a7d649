// SPDX-License-Identifier: Apache-2.0
// From logits to the next token, in fixed point: the same draw on every machine.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/status.hpp"

namespace mote {

/// Fraction bits of a logit and of the sampler's settings.
inline constexpr int kLogitFractionBits = 16;
inline constexpr std::uint32_t kOneQ16 = 1U << 16;

struct Candidate {
  std::int32_t logit = 0;  // Q16
  std::uint32_t token = 0;

  /// The order of candidates: higher logit first, then lower token. It is total.
  friend constexpr bool operator<(const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
  }
};

/// The best `capacity` candidates of a stream of logits, in the caller's memory.
class CandidateList {
 public:
  CandidateList() = default;
  explicit CandidateList(std::span<Candidate> memory) : memory_(memory) {}

  void clear();
  /// O(1) for a logit that is not among the best so far, else O(log capacity). Not after `sort`.
  void offer(Candidate candidate) {
    const bool is_full = count_ == memory_.size();
    if (is_full && (count_ == 0 || !(candidate < memory_[0]))) return;
    insert(candidate);
  }
  /// The same for tokens from `first` on, in rising order, none below one that was offered before.
  void offer(std::uint32_t first, std::span<const std::int32_t> logits);
  /// Best first. The list stays sorted until `clear`, which must come before the next `offer`.
  std::span<Candidate> sort();
  std::size_t size() const { return count_; }

 private:
  void insert(Candidate candidate);

  std::span<Candidate> memory_;  // a heap with the worst first until `sort`
  std::size_t count_ = 0;
  bool sorted_ = false;
};

inline constexpr std::size_t kMaxRepeatWindow = 64;

struct SamplerConfig {
  std::uint32_t temperature_q16 = 0;               // 0: greedy
  std::uint32_t top_k = 1;                         // 1 to the candidates that the run keeps
  std::uint32_t top_p_q16 = kOneQ16;               // 1: off; 1 to kOneQ16
  std::uint32_t min_p_q16 = 0;                     // 0: off; below kOneQ16
  std::uint32_t repeat_penalty_q16 = kOneQ16;      // 1: off; kOneQ16 to 16 * kOneQ16
  std::uint32_t repeat_window = kMaxRepeatWindow;  // last tokens penalised, to kMaxRepeatWindow
  std::uint64_t seed = 0;
};

/// PCG-XSH-RR 64/32 (O'Neill, "PCG: A Family of Simple Fast Space-Efficient Statistically Good
/// Algorithms for Random Number Generation", 2014), with its reference increment.
class Pcg32 {
 public:
  explicit constexpr Pcg32(std::uint64_t seed = 0) { reseed(seed); }
  constexpr void reseed(std::uint64_t seed) {
    state_ = 0;
    next();
    state_ += seed;
    next();
  }
  constexpr std::uint32_t next() {
    const std::uint64_t old = state_;
    state_ = old * 6364136223846793005ULL + kIncrement;
    const auto xorshifted = static_cast<std::uint32_t>(((old >> 18) ^ old) >> 27);
    const auto rotation = static_cast<std::uint32_t>(old >> 59);
    return (xorshifted >> rotation) | (xorshifted << ((32U - rotation) & 31U));
  }

 private:
  static constexpr std::uint64_t kIncrement = (54ULL << 1) | 1;
  std::uint64_t state_ = 0;
};

/// Chooses tokens, and remembers those chosen for the repetition penalty.
class Sampler {
 public:
  Sampler();

  /// Sets the generator to the seed and forgets the history. `bad_sampler_config` where a setting
  /// is out of the range that SamplerConfig names; nothing is changed then.
  Status configure(const SamplerConfig& config);

  /// Tells the sampler a token of the text, given or sampled.
  void accept(std::uint32_t token);
  void clear_history() { history_count_ = 0; }
  /// Leaves the generator where it stands after `draws` calls of `sample`, to go on with a text.
  void skip(std::uint32_t draws);

  /// Begins a pass over the logits in rising order of token: `penalize` then gets them in blocks.
  void begin_logits();
  /// Applies the repetition penalty (Keskar and others, "CTRL", 2019) to the logits of consecutive
  /// tokens: of those in the window, a positive one is divided, a negative one multiplied, both
  /// rounded half up; INT32_MIN where it would be less.
  void penalize(std::uint32_t first_token, std::span<std::int32_t> logits);

  /// Draws from `candidates`, best first and not empty; drops all but top_k, then min-p, then
  /// top-p (the smallest set whose mass reaches it), then draws by 2^((logit - best) / t * log2 e).
  /// Reorders nothing. Greedy (temperature 0) takes the first and draws no number; else one number
  /// of 32 bits is drawn, whatever is left, so that a candidate's chance is off by less than 2^-32.
  ///   candidates  (1 to 2^20)
  std::uint32_t sample(std::span<const Candidate> candidates);

 private:
  std::int32_t penalized(std::int32_t logit) const;
  std::uint32_t weight(std::span<const Candidate> candidates, std::size_t index) const;
  std::uint64_t keep_likely(std::span<const Candidate>& candidates) const;
  std::uint64_t keep_nucleus(std::span<const Candidate>& candidates, std::uint64_t mass) const;

  SamplerConfig config_;
  Pcg32 random_;
  std::array<std::uint32_t, kMaxRepeatWindow> history_{};  // ring of the last tokens
  std::uint64_t history_count_ = 0;                        // tokens accepted so far
  std::array<std::uint32_t, kMaxRepeatWindow> recent_{};   // penalised in this pass; sorted, unique
  std::size_t recent_count_ = 0;
  std::size_t recent_next_ = 0;
};

}  // namespace mote
