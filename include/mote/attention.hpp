// SPDX-License-Identifier: Apache-2.0
// Causal attention over int8 keys and values, one head at a time; usable without any model. What
// the other kinds (sliding_window.hpp, linear_attention.hpp) share with it is declared here too.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/arena.hpp"
#include "mote/scale.hpp"

namespace mote {

/// A vector of int8 with one scale: real lane = values[i] * scale.value() * 2^-28.
struct QuantizedVector {
  const std::int8_t* values = nullptr;
  Scale16 scale;
};

/// A result before rounding to int8: real lane = values[i] * unit.mantissa * 2^unit.exponent.
struct WideVector {
  std::span<std::int64_t> values;  // (head_size)
  Multiplier unit;
};

/// Rounds a result to int8 with one scale: real lane = out[i] * returned scale * 2^-28, within
/// 1/2 + 2^-10 steps; the largest magnitude becomes 127. All zero where `wide` is.
///   out (wide.values.size())
Scale16 quantize(std::int8_t* out, const WideVector& wide);

/// Rows of keys and values with a scale each, in a caller's memory: what both softmax kinds keep.
class KvRows {
 public:
  /// 2 * (head_size + 2) a row, each of the four parts rounded up to 16 bytes.
  static constexpr std::size_t bytes(std::size_t rows, std::uint32_t head_size) {
    return 2 * (align_up(rows * head_size, kArenaAlignment) +
                align_up(rows * sizeof(Scale16), kArenaAlignment));
  }

  KvRows() = default;
  /// `memory` is bytes(rows, head_size) long or longer, and 2-byte aligned.
  KvRows(std::span<std::byte> memory, std::size_t rows, std::uint32_t head_size);

  void store(std::size_t row, const QuantizedVector& key, const QuantizedVector& value);

  std::uint32_t head_size() const { return head_size_; }
  const std::int8_t* keys(std::size_t row) const { return keys_ + row * head_size_; }
  const std::int8_t* values(std::size_t row) const { return values_ + row * head_size_; }
  const Scale16* key_scales(std::size_t row) const { return key_scales_ + row; }
  const Scale16* value_scales(std::size_t row) const { return value_scales_ + row; }

 private:
  std::uint32_t head_size_ = 0;
  std::int8_t* keys_ = nullptr;      // (rows, head_size)
  std::int8_t* values_ = nullptr;    // (rows, head_size)
  Scale16* key_scales_ = nullptr;    // (rows), 2^-28
  Scale16* value_scales_ = nullptr;  // (rows), 2^-28
};

struct AttentionShape {
  std::uint32_t n_heads = 0;  // query heads, a multiple of n_kv_heads
  std::uint32_t n_kv_heads = 0;
  std::uint32_t head_size = 0;       // 1 to kMaxHeadSize
  std::uint32_t context_length = 0;  // positions kept
};

/// Softmax attention of each position over itself and all before it. Multi-head where n_kv_heads
/// equals n_heads, else grouped-query: head h reads K/V head h / (n_heads / n_kv_heads).
///
/// The order of calls for a position: `store` for each K/V head, then `attend` for each head.
class CausalAttention {
 public:
  /// Bytes of keys, values and their scales: 2 * (head_size + 2) a position and K/V head, each of
  /// the four parts rounded up to 16 bytes.
  static constexpr std::size_t state_bytes(const AttentionShape& shape) {
    const std::size_t rows = saturating_multiply(shape.n_kv_heads, shape.context_length);
    const std::size_t bytes =
        saturating_add(align_up(saturating_multiply(rows, shape.head_size), kArenaAlignment),
                       align_up(saturating_multiply(rows, sizeof(Scale16)), kArenaAlignment));
    return saturating_multiply(bytes, 2);
  }
  /// Scores of one head that `attend` needs.
  static constexpr std::size_t scratch_count(const AttentionShape& shape) {
    return shape.context_length;
  }
  /// Positions whose key and value one head reads at `position`: the work of a token, which is
  /// 2 * head_size products each.
  static constexpr std::uint32_t positions_attended(std::uint32_t position) { return position + 1; }

  CausalAttention() = default;
  /// Works on `state`, state_bytes(shape) long and 2-byte aligned, whose contents need no initial
  /// value. The object is only a view: a second one over the same state continues where it was.
  CausalAttention(const AttentionShape& shape, std::span<std::byte> state);

  /// Keeps key and value of one K/V head at `position` < context_length.
  void store(std::uint32_t position, std::uint32_t kv_head, const QuantizedVector& key,
             const QuantizedVector& value);

  /// out = softmax(q k^T / sqrt(head_size)) v over positions 0 to `position`, all of them stored.
  ///   scratch (scratch_count(shape)) any contents
  void attend(WideVector& out, std::span<std::uint32_t> scratch, std::uint32_t position,
              std::uint32_t head, const QuantizedVector& query) const;
  /// The same for heads `head` and `head` + 1.
  ///   scratch (scratch_count(shape)); twice as many serve heads of one K/V head
  void attend_two(WideVector (&out)[2], std::span<std::uint32_t> scratch, std::uint32_t position,
                  std::uint32_t head, const QuantizedVector (&queries)[2]) const;

  const AttentionShape& shape() const { return shape_; }

 private:
  AttentionShape shape_;
  Multiplier score_scale_;
  KvRows rows_;  // (n_kv_heads, context_length)
};

}  // namespace mote
