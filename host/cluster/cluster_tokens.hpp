// SPDX-License-Identifier: Apache-2.0
// A cluster as a source of tokens.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/sampler.hpp"
#include "run/generate.hpp"

namespace mote::host {

/// `Cluster` is InProcessCluster or RemoteCluster.
template <typename Cluster>
class ClusterTokens : public TokenSource {
 public:
  /// `cluster` runs with a context of `context_length` and outlives this.
  ClusterTokens(Cluster& cluster, const SamplerConfig& sampler, std::uint32_t context_length)
      : cluster_(cluster), sampler_(sampler), context_length_(context_length) {}

  /// Returns once the first token is drawn.
  void start(std::span<const std::uint32_t> prompt, std::uint32_t max_tokens) override {
    const std::size_t room = std::size_t{context_length_} + 1;
    const std::size_t left = room - std::min(room, prompt.size());
    cluster_.start(prompt, sampler_,
                   static_cast<std::uint32_t>(std::min<std::size_t>(left, max_tokens)));
    has_first_ = cluster_.next_token();
    count_ = prompt.size();
  }

  bool next_token(std::uint32_t& token) override {
    if (!has_first_ && !cluster_.next_token()) return false;
    has_first_ = false;
    token = cluster_.text()[count_];
    ++count_;
    return true;
  }

  bool is_full() const override { return count_ > context_length_; }
  void stop() override { cluster_.stop(); }

 private:
  Cluster& cluster_;
  SamplerConfig sampler_;
  std::uint32_t context_length_;
  bool has_first_ = false;
  std::size_t count_ = 0;  // tokens of the text that were told
};

}  // namespace mote::host
