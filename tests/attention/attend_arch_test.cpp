// SPDX-License-Identifier: Apache-2.0
// Attention of each instruction set gives the bits of the reference: outputs and their unit.
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <vector>

#include "attention/attend.hpp"
#include "support/each_kernel_set.hpp"
#include "support/random.hpp"

namespace mote {
namespace {

using test::for_each_kernel_set;
using test::Random;

/// How numbers are drawn.
enum class Draw { usual, any_scale, extreme, tiny_scales };

/// Keys and values of one head, in as many segments as there are queries.
struct Heads {
  std::size_t head_size = 0;
  std::vector<std::vector<std::int8_t>> lanes;  // keys, values and query of each segment
  std::vector<std::vector<Scale16>> scales;     // of keys and values of each segment
  std::vector<KvSegment> segments;
  std::vector<QuantizedVector> queries;
  std::size_t positions = 0;
};

Scale16 draw_scale(Random& random, Draw draw) {
  switch (draw) {
    case Draw::usual:
      return {random.between<std::uint16_t>(0x9000, 0xb000)};
    case Draw::any_scale:
      return {static_cast<std::uint16_t>(random.next())};
    case Draw::extreme:
      return {kScale16Max};
    case Draw::tiny_scales:
      break;
  }
  return {random.between<std::uint16_t>(0, 0x2000)};
}

std::vector<std::int8_t> draw_lanes(Random& random, Draw draw, std::size_t count) {
  std::vector<std::int8_t> lanes(count);
  for (std::int8_t& lane : lanes) {
    lane = draw == Draw::extreme ? static_cast<std::int8_t>(random.below(2) == 0 ? 127 : -127)
                                 : random.between<std::int8_t>(-127, 127);
  }
  return lanes;
}

std::vector<Scale16> draw_scales(Random& random, Draw draw, std::size_t count) {
  std::vector<Scale16> scales(count);
  for (Scale16& scale : scales) scale = draw_scale(random, draw);
  return scales;
}

Heads draw_heads(Random& random, Draw draw, std::size_t head_size,
                 const std::vector<std::uint32_t>& counts) {
  Heads h;
  h.head_size = head_size;
  for (const std::uint32_t count : counts) {
    h.lanes.push_back(draw_lanes(random, draw, count * head_size));
    h.lanes.push_back(draw_lanes(random, draw, count * head_size));
    h.lanes.push_back(draw_lanes(random, draw, head_size));
    h.scales.push_back(draw_scales(random, draw, count));
    h.scales.push_back(draw_scales(random, draw, count));
  }
  for (std::size_t s = 0; s < counts.size(); ++s) {
    h.segments.push_back({h.lanes[3 * s].data(), h.lanes[3 * s + 1].data(), h.scales[2 * s].data(),
                          h.scales[2 * s + 1].data(), counts[s]});
    h.queries.push_back({h.lanes[3 * s + 2].data(),
                         draw_scale(random, draw == Draw::any_scale ? draw : Draw::usual)});
    h.positions += counts[s];
  }
  return h;
}

struct Result {
  std::vector<std::int64_t> values;
  std::uint32_t mantissa = 0;
  int exponent = 0;

  bool operator==(const Result&) const = default;
};

template <typename Attend>
Result run(const Heads& h, Attend attend) {
  Result result;
  result.values.assign(h.head_size, -1);
  std::vector<std::uint32_t> scratch(h.positions, 0xdeadbeefU);
  WideVector wide = {result.values, {}};
  attend(wide, scratch, h.segments, h.queries,
         attention_scale(static_cast<std::uint32_t>(h.head_size)));
  result.mantissa = wide.unit.mantissa;
  result.exponent = wide.unit.exponent;
  return result;
}

void expect_same(const host::KernelSet& set, const Heads& h) {
  const auto attend_ref = [](auto& out, auto& scratch, auto& segments, auto& queries, auto scale) {
    ref::attend_segments(out, scratch, segments, queries, scale);
  };
  ASSERT_EQ(run(h, set.attend), run(h, attend_ref)) << h.head_size << ' ' << h.positions;
}

constexpr Draw kDraws[] = {Draw::usual, Draw::any_scale, Draw::extreme, Draw::tiny_scales};

TEST(AttendArch, any_head_size_and_count) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(1);
    for (const std::size_t head_size :
         {2U, 6U, 8U, 16U, 24U, 32U, 40U, 48U, 64U, 80U, 96U, 128U, 130U, 200U, 256U}) {
      for (const Draw draw : kDraws) {
        for (std::uint32_t count = 1; count <= 35; ++count) {
          expect_same(set, draw_heads(random, draw, head_size, {count}));
        }
      }
    }
  });
}

TEST(AttendArch, several_segments) {
  for_each_kernel_set([](const host::KernelSet& set) {
    constexpr std::size_t kSizes[] = {8, 16, 24, 32, 40, 48, 64, 80};
    Random random(2);
    for (int i = 0; i < 200; ++i) {
      const std::size_t head_size = kSizes[random.below(std::size(kSizes))];
      std::vector<std::uint32_t> counts(3);
      for (std::uint32_t& count : counts) count = static_cast<std::uint32_t>(random.below(40));
      counts[random.below(3)] += 1;
      // The first one may be empty too.
      if (i % 10 == 0) counts[0] = 0;
      if (i % 10 == 0) counts[2] += 1;
      Heads h = draw_heads(random, kDraws[i % 4], head_size, counts);
      expect_same(set, h);
      h.queries.resize(1);
      expect_same(set, h);
    }
  });
}

TEST(AttendArch, two_heads_together) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(4);
    for (const std::size_t head_size : {6U, 8U, 16U, 48U, 64U}) {
      for (int i = 0; i < 120; ++i) {
        const auto count = 1 + static_cast<std::uint32_t>(random.below(i % 40 == 0 ? 4000 : 150));
        const Heads heads[2] = {draw_heads(random, kDraws[i % 4], head_size, {count}),
                                draw_heads(random, kDraws[i % 3], head_size, {count})};
        std::vector<std::int64_t> values[2] = {std::vector<std::int64_t>(head_size, -1),
                                               std::vector<std::int64_t>(head_size, -1)};
        std::vector<std::uint32_t> scratch(count, 0xdeadbeefU);
        HeadAttention both[2];
        for (int h = 0; h < 2; ++h) {
          both[h] = {{values[h], {}}, heads[h].segments[0], heads[h].queries[0]};
        }
        set.attend_two(both, scratch, attention_scale(static_cast<std::uint32_t>(head_size)));
        for (int h = 0; h < 2; ++h) {
          const Result actual = {values[h], both[h].out.unit.mantissa, both[h].out.unit.exponent};
          const Result expected =
              run(heads[h], [](auto& out, auto& memory, auto& segments, auto& queries, auto scale) {
                ref::attend_segments(out, memory, segments, queries, scale);
              });
          ASSERT_EQ(actual, expected) << head_size << ' ' << count;
        }
      }
    }
  });
}

TEST(AttendArch, long_context) {
  for_each_kernel_set([](const host::KernelSet& set) {
    Random random(3);
    for (const std::size_t head_size : {8U, 48U, 64U}) {
      expect_same(set, draw_heads(random, Draw::usual, head_size, {5000}));
      expect_same(set, draw_heads(random, Draw::extreme, head_size, {65536}));
    }
    for (const std::size_t head_size : {8U, 16U, 24U, 64U}) {
      expect_same(set, draw_heads(random, Draw::usual, head_size, {3001, 13, 1997}));
    }
  });
}

}  // namespace
}  // namespace mote
