// SPDX-License-Identifier: Apache-2.0
// Linear attention: a fixed state that each token is added to, whatever the length of the stream.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/attention.hpp"

namespace mote {

struct LinearShape {
  std::uint32_t n_heads = 0;  // query heads, a multiple of n_kv_heads
  std::uint32_t n_kv_heads = 0;
  std::uint32_t head_size = 0;  // 1 to kMaxHeadSize
};

/// What sums of one kind are worth, and what bounds them; kept in the state.
struct SumUnit {
  std::uint64_t bound = 0;    // no sum's magnitude is larger
  std::int32_t exponent = 0;  // a sum counts in 2^exponent times the unit of its kind
  std::int32_t reserved = 0;
};

/// Causal linear attention (Katharopoulos et al., "Transformers are RNNs", 2020):
///
///   out_i = sum_j phi(q_j) S_ij / sum_j phi(q_j) z_j,  phi(x) = max(x, 0) + 1,
///
/// where S_ij is the sum over tokens of v_i phi(k_j), and z_j that of phi(k_j). phi is limited to
/// below 2^16. With a decay d, S and z are multiplied by d before each addition, so that a token of
/// age t weighs d^t. Heads are grouped as in CausalAttention.
///
/// Sums are integers of 64 bits and no rounding piles up, so that there is no drift. Where the next
/// token could bring a sum to 2^62, all sums of its kind are halved together with their unit: no
/// token's weight changes, and from then on additions are rounded to one bit less. Keys and values
/// of the largest lanes and scales bring S there after 2^11 tokens, z after 2^30; ordinary ones
/// (phi near 1) both after 2^27 or more. Each doubling of that number costs one bit of the 34 to 51
/// that the largest lane of an addition to S has, of the 16 to 32 of one to z.
///
/// The order of calls for a token: `update` for each K/V head, then `attend` for each head.
class LinearAttention {
 public:
  /// (head_size + 1) * head_size sums of 8 bytes and two units of 16 bytes a K/V head.
  static constexpr std::size_t state_bytes(const LinearShape& shape) {
    return align_up(sums_count(shape) * sizeof(std::int64_t), kArenaAlignment) +
           align_up(2 * sizeof(SumUnit) * shape.n_kv_heads, kArenaAlignment);
  }
  /// Products of the state with a number, in all heads: the work of a token. Those of a decay, two
  /// for each sum, come on top.
  static constexpr std::uint64_t multiplies_per_token(const LinearShape& shape) {
    const std::uint64_t sums = std::uint64_t{shape.head_size + 1} * shape.head_size;
    return sums * shape.n_kv_heads + 2 * sums * shape.n_heads;
  }

  LinearAttention() = default;
  /// Works on `state`, state_bytes(shape) long and 8-byte aligned, which `reset` must have
  /// initialised once. The object is only a view: a second one over the same state continues.
  ///   decays (n_kv_heads) or empty for none; Q16, 0 to 65536 (no decay); kept by the caller
  LinearAttention(const LinearShape& shape, std::span<std::byte> state,
                  std::span<const std::uint32_t> decays = {});

  /// Forgets all tokens.
  void reset();

  /// Adds one token to a K/V head.
  ///   key, value (head_size)
  void update(std::uint32_t kv_head, const QuantizedVector& key, const QuantizedVector& value);

  /// Attention of `query` (head_size) over all tokens so far; zero where there are none.
  void attend(WideVector& out, std::uint32_t head, const QuantizedVector& query) const;
  /// The same for heads `head` and `head` + 1; in less time where they read one K/V head.
  void attend_two(WideVector (&out)[2], std::uint32_t head,
                  const QuantizedVector (&queries)[2]) const;

  const LinearShape& shape() const { return shape_; }

 private:
  static constexpr std::size_t sums_count(const LinearShape& shape) {
    return std::size_t{shape.n_kv_heads} * (shape.head_size + 1) * shape.head_size;
  }
  /// S and, as its last row, z. // (head_size + 1, head_size)
  std::int64_t* sums(std::uint32_t kv_head) const;

  LinearShape shape_;
  std::span<const std::uint32_t> decays_;
  std::int64_t* sums_ = nullptr;  // (n_kv_heads, head_size + 1, head_size)
  SumUnit* units_ = nullptr;      // (n_kv_heads, 2): of S, of z
};

}  // namespace mote
