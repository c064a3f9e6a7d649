// SPDX-License-Identifier: Apache-2.0
// A transformer with its own arena, for tests that only want results.
#pragma once

#include <algorithm>

#include <cstddef>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "mote/sampler.hpp"
#include "mote/transformer.hpp"

namespace mote::test {

using Tokens = std::vector<std::uint32_t>;
using Logits = std::vector<std::int32_t>;

inline Tokens random_tokens(std::uint32_t vocab_size, std::size_t count, std::uint64_t seed = 11) {
  Pcg32 random(seed);
  Tokens tokens(count);
  for (std::uint32_t& token : tokens) token = random.next() % vocab_size;
  return tokens;
}

/// `filling` is what the arena holds before the model starts. Errors throw.
class RunningModel {
 public:
  RunningModel(const Image& image, const RunConfig& run, const Slice& slice,
               std::byte filling = std::byte{0})
      : arena_(Transformer::arena_bytes(image, run, slice) / sizeof(Unit)) {
    std::ranges::fill(std::as_writable_bytes(std::span(arena_)), filling);
    check(model_.init(image, run, std::as_writable_bytes(std::span(arena_)), slice));
  }
  RunningModel(const Image& image, const RunConfig& run, std::byte filling = std::byte{0})
      : RunningModel(image, run, Slice::whole(image.config()), filling) {}

  Transformer& transformer() { return model_; }
  Transformer* operator->() { return &model_; }

  void decode(std::span<const std::uint32_t> tokens) { check(model_.decode(tokens)); }
  void rewind(std::uint32_t position) { check(model_.rewind(position)); }
  Logits logits() {
    Logits logits(model_.config().vocab_size);
    model_.logits(logits);
    return logits;
  }
  Logits logits_after(std::span<const std::uint32_t> tokens) {
    decode(tokens);
    return logits();
  }
  /// The logits after each of `tokens`, one token a pass.
  std::vector<Logits> logits_after_each(std::span<const std::uint32_t> tokens) {
    std::vector<Logits> all;
    for (const std::uint32_t token : tokens) all.push_back(logits_after({&token, 1}));
    return all;
  }

 private:
  /// The arena's alignment; its sizes are multiples of it.
  struct alignas(kArenaAlignment) Unit {
    std::byte bytes[kArenaAlignment];
  };
  static void check(Status status) {
    if (status != Status::ok) throw std::runtime_error(status_text(status));
  }

  std::vector<Unit> arena_;
  Transformer model_;
};

}  // namespace mote::test
