// SPDX-License-Identifier: Apache-2.0
// What one chip gives to one exchange, as a row of items that messages carry in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/sampler.hpp"
#include "mote/transformer.hpp"

namespace mote {

/// Bytes of an embedding row in one item, and tokens of the text.
inline constexpr std::uint32_t kEmbeddingItemBytes = 64;
inline constexpr std::uint32_t kTextItemTokens = 8;

/// One exchange of a session. The first one carries the tokens of the text so far.
struct Step {
  bool is_text = false;  // then nothing else counts
  Phase phase;
  std::uint32_t position = 0;             // of the first token of the batch
  std::uint32_t count = 0;                // tokens of the batch
  std::span<const std::uint32_t> tokens;  // of the batch; empty while they are not known

  /// Positions of the batch that travel.
  constexpr Range positions() const {
    return phase.exchange == Exchange::final_input ? Range{count - 1, 1} : Range{0, count};
  }
};

/// Memory of an exchange that is not the transformer's.
struct SharedMemory {
  std::span<std::uint32_t> text;    // (tokens that the first exchange carries)
  std::span<Candidate> candidates;  // (ranks, k)
  std::uint32_t k = 0;              // candidates that a chip keeps
};

/// The share of one chip. Items: blocks of a vector (Scale16, then the lanes that exist), position
/// by position; 64 bytes or less of an embedding row; a candidate (logit i32, token u32); 8 tokens
/// or less of the text (u32).
class Share {
 public:
  /// Transformer, memory and step outlive this. `gives_text` where the chip is the one that has the
  /// text.
  Share(const Transformer& transformer, const SharedMemory& memory, const Step& step,
        const Slice& slice, std::uint32_t rank, bool gives_text)
      : transformer_(transformer),
        memory_(memory),
        step_(step),
        slice_(slice),
        rank_(rank),
        gives_text_(gives_text) {}

  /// Items of the share. Of an embedding whose tokens are not known, those of one row.
  std::uint32_t item_count() const;
  std::size_t item_bytes(std::uint32_t item) const;
  /// Writes as many items from `first` to `end` - 1 as fit `out`; returns their bytes and in `next`
  /// the item after them.
  std::size_t write(std::span<std::uint8_t> out, std::uint32_t first, std::uint32_t end,
                    std::uint32_t& next) const;
  /// Takes items from `first` on. False where `bytes` is not a whole number of them, has more than
  /// the share or a lane of -128 in a block; then nothing is taken.
  bool read(std::span<const std::uint8_t> bytes, std::uint32_t first, std::uint32_t& next) const;

 private:
  std::uint32_t owned_blocks() const;
  std::uint32_t own_block(std::uint32_t index) const;
  std::uint32_t block_lanes(std::uint32_t block) const;
  bool owns_row(std::uint32_t position) const;
  std::span<std::uint32_t> text_item(std::uint32_t item) const;
  std::span<std::uint8_t> embedding_item(std::uint32_t item) const;
  bool is_embedding() const { return !step_.is_text && step_.phase.exchange == Exchange::embed; }
  bool is_candidates() const {
    return !step_.is_text && step_.phase.exchange == Exchange::candidates;
  }
  bool is_valid_item(const std::uint8_t* bytes, std::uint32_t item) const;
  void write_item(std::uint8_t* out, std::uint32_t item) const;
  void read_item(const std::uint8_t* bytes, std::uint32_t item) const;

  const Transformer& transformer_;
  const SharedMemory& memory_;
  const Step& step_;
  Slice slice_;
  std::uint32_t rank_;
  bool gives_text_;
};

}  // namespace mote
