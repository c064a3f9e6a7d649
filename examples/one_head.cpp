// SPDX-License-Identifier: Apache-2.0
// One attention head on its own, without any model: a sensor's readings are kept as keys and
// values, and a query asks which of the last eight it looks like. Static memory, integers only.
#include <cstddef>
#include <cstdint>
#include <cstdio>

#include "mote/sliding_window.hpp"

namespace {

constexpr mote::SlidingWindowShape kShape = {
    .n_heads = 1, .n_kv_heads = 1, .head_size = 4, .window = 8, .sinks = 1};
alignas(16) std::byte state[mote::SlidingWindowAttention::state_bytes(kShape)];
std::uint32_t scores[mote::SlidingWindowAttention::scratch_count(kShape)];

// Units of 2^-28: a lane of 127 is 1.0.
constexpr mote::Scale16 kScale = mote::encode_scale_up((1U << mote::kScaleFractionBits) / 127, 0);

/// One-hot by the kind of reading, 8.0 where it is hot: other kinds get next to no weight.
mote::QuantizedVector one_hot(std::int8_t (&lanes)[4], std::uint32_t kind) {
  for (std::uint32_t i = 0; i < 4; ++i) lanes[i] = i == kind ? 127 : 0;
  return {lanes, mote::encode_scale_up(kScale.value() * 8, 0)};
}

}  // namespace

int main() {
  mote::SlidingWindowAttention attention(kShape, state);
  for (std::uint32_t position = 0; position < 20; ++position) {
    std::int8_t key[4];
    std::int8_t query[4];
    const auto level = static_cast<std::int8_t>(6 * position);
    const std::int8_t value[4] = {level, static_cast<std::int8_t>(-level), 0, 127};
    attention.store(position, 0, one_hot(key, position % 4), {value, kScale});

    std::int64_t lanes[4];
    std::int8_t rounded[4];
    mote::WideVector wide = {lanes, {}};
    attention.attend(wide, scores, position, 0, one_hot(query, 0));
    const mote::Scale16 scale = mote::quantize(rounded, wide);
    std::printf("position %2u:", static_cast<unsigned>(position));
    for (const std::int8_t lane : rounded) std::printf(" %4d", lane);
    std::printf("  times %u / 2^28\n", static_cast<unsigned>(scale.value()));
  }
  return 0;
}
