// SPDX-License-Identifier: Apache-2.0
// LinearAttention against its definition in double over the same int8 inputs.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <span>
#include <vector>

#include "attention/rows.hpp"
#include "mote/linear_attention.hpp"

namespace mote {
namespace {

using test::collect;
using test::Output;
using test::Random;
using test::random_row;
using test::relative_error;
using test::Row;

constexpr double kBound = 0.01;
constexpr std::uint32_t kNoDecay = 65536;

double phi(const Row& row, std::size_t i) {
  return std::min(std::max(row.real_lane(i), 0.0) + 1, 65536.0);
}

/// State of one K/V head in double.
class Oracle {
 public:
  Oracle(std::size_t head_size, std::uint32_t decay)
      : size_(head_size), decay_(decay / 65536.0), s_(size_ * size_), z_(size_) {}

  void update(const Row& key, const Row& value) {
    for (std::size_t j = 0; j < size_; ++j) {
      const double feature = phi(key, j);
      z_[j] = z_[j] * decay_ + feature;
      for (std::size_t i = 0; i < size_; ++i) {
        s_[j * size_ + i] = s_[j * size_ + i] * decay_ + feature * value.real_lane(i);
      }
    }
  }
  /// As if every token so far had come `times` times.
  void multiply(double times) {
    for (double& sum : s_) sum *= times;
    for (double& sum : z_) sum *= times;
  }
  std::vector<double> attend(const Row& query) const {
    std::vector<double> out(size_);
    double denominator = 0;
    for (std::size_t j = 0; j < size_; ++j) {
      denominator += phi(query, j) * z_[j];
      for (std::size_t i = 0; i < size_; ++i) out[i] += phi(query, j) * s_[j * size_ + i];
    }
    for (double& lane : out) lane /= denominator;
    return out;
  }

 private:
  std::size_t size_;
  double decay_;
  std::vector<double> s_;  // (key lane, value lane)
  std::vector<double> z_;
};

/// An attention that owns its state.
struct Owned {
  std::vector<std::byte> state;
  std::vector<std::uint32_t> decays;
  LinearAttention attention;

  explicit Owned(const LinearShape& shape, std::vector<std::uint32_t> of = {})
      : state(LinearAttention::state_bytes(shape), std::byte{0xa5}),
        decays(std::move(of)),
        attention(shape, state, decays) {
    attention.reset();
  }
};

Output attend(const LinearAttention& attention, std::uint32_t head, const Row& query) {
  return collect(attention.shape().head_size,
                 [&](WideVector& out) { attention.attend(out, head, query.view()); });
}

Row constant_row(std::size_t size, std::int8_t lane, Scale16 scale) {
  return {std::vector<std::int8_t>(size, lane), scale};
}

/// Queries whose features are random, all one, and as far apart as they can be.
std::vector<Row> test_queries(Random& random, std::size_t size) {
  std::vector<Row> queries = {random_row(random, size), constant_row(size, -127, {0xa000}),
                              constant_row(size, 127, {kScale16Max})};
  queries.push_back(constant_row(size, -127, {kScale16Max}));
  queries.back().values[size - 1] = 127;
  return queries;
}

void offer_errors(test::Worst& worst, const LinearAttention& attention, const Oracle& oracle,
                  const std::vector<Row>& queries, double where) {
  for (const Row& query : queries) {
    worst.offer(relative_error(attend(attention, 0, query), oracle.attend(query)), where);
  }
}

TEST(LinearAttention, random_inputs_of_every_head_size) {
  Random random(1);
  test::Worst worst;
  for (std::uint32_t size = 1; size <= 256; size += size < 20 ? 1 : 59) {
    for (const std::uint32_t decay : {kNoDecay, 65000U, 30000U}) {
      Owned linear({1, 1, size}, {decay});
      Oracle oracle(size, decay);
      for (int t = 1; t <= 100; ++t) {
        const Row key = random_row(random, size);
        const Row value = random_row(random, size);
        linear.attention.update(0, key.view(), value.view());
        oracle.update(key, value);
        if ((t & (t - 1)) != 0 && t != 100) continue;
        offer_errors(worst, linear.attention, oracle, test_queries(random, size), size);
      }
    }
  }
  test::record("relative_error", worst.value);
  EXPECT_LE(worst.value, kBound) << "head size " << worst.where;
}

/// Key and value of the token `t`.
using Stream = std::function<void(Row& key, Row& value, std::uint32_t t)>;

/// The worst relative error at every power of two up to a million tokens (2^20).
double long_stream(const Stream& stream, std::uint32_t decay) {
  constexpr std::uint32_t size = 4;
  constexpr std::uint32_t count = test::kThinned ? 1U << 16 : 1U << 20;
  Random random(2);
  Owned linear({1, 1, size}, {decay});
  Oracle oracle(size, decay);
  const std::vector<Row> queries = test_queries(random, size);
  Row key = constant_row(size, 0, {});
  Row value = constant_row(size, 0, {});
  test::Worst worst;
  for (std::uint32_t t = 1; t <= count; ++t) {
    stream(key, value, t);
    linear.attention.update(0, key.view(), value.view());
    oracle.update(key, value);
    if ((t & (t - 1)) == 0) offer_errors(worst, linear.attention, oracle, queries, t);
  }
  EXPECT_LE(worst.value, kBound) << "token " << worst.where << ", decay " << decay;
  return worst.value;
}

/// Without decay, and with the slowest.
void expect_no_drift(const Stream& stream) {
  double worst = 0;
  for (const std::uint32_t decay : {kNoDecay, 65535U}) {
    worst = std::max(worst, long_stream(stream, decay));
  }
  test::record("relative_error", worst);
}

/// Scales that are ordinary, and the largest that exist.
const std::vector<std::uint16_t> kScales = {0xa400, kScale16Max};

TEST(LinearMillion, constant_extremes) {
  for (const std::int8_t lane : {std::int8_t{127}, std::int8_t{-128}}) {
    expect_no_drift([&](Row& key, Row& value, std::uint32_t) {
      key = constant_row(4, 127, {kScale16Max});
      value = constant_row(4, lane, {kScale16Max});
    });
  }
}

TEST(LinearMillion, alternating_extremes) {
  for (const std::uint16_t bits : kScales) {
    expect_no_drift([&](Row& key, Row& value, std::uint32_t t) {
      key.scale = value.scale = {bits};
      for (std::size_t i = 0; i < 4; ++i) {
        key.values[i] = (t + i) % 2 == 0 ? 127 : -128;
        value.values[i] = t % 2 == 0 ? 127 : -128;
      }
    });
  }
}

TEST(LinearMillion, ramp) {
  for (const std::uint16_t bits : kScales) {
    expect_no_drift([&](Row& key, Row& value, std::uint32_t t) {
      // Lanes rise by turns, and so do both scales, from a 2^20th up.
      const auto rising =
          static_cast<std::uint16_t>(bits - std::min(20U << 11, 20480U) + (t >> 6) % 20480U);
      key.scale = value.scale = {rising};
      for (std::size_t i = 0; i < 4; ++i) {
        key.values[i] =
            static_cast<std::int8_t>(static_cast<std::int32_t>((t + 7 * i) % 256) - 128);
        value.values[i] =
            static_cast<std::int8_t>(static_cast<std::int32_t>((t / 3 + i) % 256) - 128);
      }
    });
  }
}

TEST(LinearMillion, random) {
  for (const std::uint16_t bits : kScales) {
    Random random(3);
    expect_no_drift([&](Row& key, Row& value, std::uint32_t) {
      const std::uint64_t lanes = random.next();
      for (std::size_t i = 0; i < 4; ++i) {
        key.values[i] = static_cast<std::int8_t>(lanes >> (8 * i));
        value.values[i] = static_cast<std::int8_t>(lanes >> (8 * i + 32));
      }
      key.scale = value.scale = {bits};
    });
  }
}

// Any bits for the scales of every token.
TEST(LinearAttention, scales_of_all_patterns) {
  Random random(4);
  test::Worst worst;
  for (int i = 0; i < 200; ++i) {
    const auto size = static_cast<std::uint32_t>(1 + random.below(12));
    Owned linear({1, 1, size});
    Oracle oracle(size, kNoDecay);
    for (int t = 0; t < 200; ++t) {
      Row key = random_row(random, size);
      Row value = random_row(random, size);
      key.scale.bits = static_cast<std::uint16_t>(random.next());
      value.scale.bits = static_cast<std::uint16_t>(random.next());
      linear.attention.update(0, key.view(), value.view());
      oracle.update(key, value);
    }
    offer_errors(worst, linear.attention, oracle, test_queries(random, size), i);
  }
  test::record("relative_error", worst.value);
  EXPECT_LE(worst.value, kBound) << "case " << worst.where;
}

/// Multiplies a state by 2^shift, as if each token had come that often: S by its unit, z itself.
/// The layout is that of state_bytes: the sums, z last of them, then the two units.
void multiply_state(Owned& linear, int shift) {
  const std::size_t size = linear.attention.shape().head_size;
  std::vector<std::int64_t> z(size);
  std::vector<SumUnit> units(2);
  std::byte* const z_place = linear.state.data() + size * size * 8;
  std::byte* const units_place = linear.state.data() + linear.state.size() - 2 * sizeof(SumUnit);
  std::memcpy(z.data(), z_place, size * 8);
  std::memcpy(units.data(), units_place, 2 * sizeof(SumUnit));
  for (std::int64_t& sum : z) sum *= std::int64_t{1} << shift;
  units[1].bound <<= shift;
  units[0].exponent += shift;
  std::memcpy(z_place, z.data(), size * 8);
  std::memcpy(units_place, units.data(), 2 * sizeof(SumUnit));
}

/// That of S (0) or of z (1).
SumUnit unit_of(const Owned& linear, std::size_t kind) {
  SumUnit unit;
  const std::size_t place = linear.state.size() - (2 - kind) * sizeof unit;
  std::memcpy(&unit, linear.state.data() + place, sizeof unit);
  return unit;
}

// No stream of a test is long enough to fill z, so that the state is made to look as if one had.
TEST(LinearAttention, sums_beyond_62_bits_are_halved_with_their_unit) {
  Random random(5);
  test::Worst worst;
  for (const std::uint32_t decay : {kNoDecay, 65535U}) {
    Owned linear({1, 1, 4}, {decay});
    Oracle oracle(4, decay);
    const auto feed = [&](int count) {
      for (int t = 0; t < count; ++t) {
        Row key = constant_row(4, 127, {kScale16Max});
        key.values[0] = static_cast<std::int8_t>(t % 3 - 1);
        const Row value = random_row(random, 4);
        linear.attention.update(0, key.view(), value.view());
        oracle.update(key, value);
      }
    };
    feed(1000);
    for (int round = 0; round < 12; ++round) {
      // The last bit is left to the tokens.
      const int shift = std::clamp(61 - significant_bits(unit_of(linear, 1).bound), 0, 17);
      multiply_state(linear, shift);
      oracle.multiply(std::ldexp(1.0, shift));
      feed(1000);
      offer_errors(worst, linear.attention, oracle, test_queries(random, 4), round);
    }
  }
  test::record("relative_error", worst.value);
  EXPECT_LE(worst.value, kBound);
}

// S passes 2^62 after 2^11 tokens of the largest lanes, and again at each doubling of the stream.
TEST(LinearAttention, units_of_values_grow_at_the_limit) {
  Owned linear({1, 1, 1});
  const Row key = constant_row(1, 127, {kScale16Max});
  const Row value = constant_row(1, -128, {kScale16Max});
  const std::int32_t first = value.scale.exponent();
  for (std::uint32_t token = 1; token <= 1U << 16; ++token) {
    linear.attention.update(0, key.view(), value.view());
    const SumUnit unit = unit_of(linear, 0);
    ASSERT_LE(unit.bound, std::uint64_t{1} << 62);
    const int doublings = significant_bits(token) - 11;
    ASSERT_NEAR(unit.exponent - first, std::max(doublings, 0), 1) << token;
    ASSERT_NEAR(attend(linear.attention, 0, key).real_lane(0) / value.real_lane(0), 1, 1e-5);
  }
}

// z passes 2^62 after 2^30 tokens of the largest feature, of which all but some are pretended.
TEST(LinearAttention, units_of_keys_grow_at_the_limit) {
  Owned linear({1, 1, 1});
  const Row key = constant_row(1, 127, {kScale16Max});
  const Row value = constant_row(1, 100, {0xa000});
  for (int t = 0; t < 1023; ++t) linear.attention.update(0, key.view(), value.view());
  multiply_state(linear, 20);
  for (std::uint32_t token = 1; token <= 1U << 22; ++token) {
    linear.attention.update(0, key.view(), value.view());
    ASSERT_EQ(unit_of(linear, 1).exponent, token <= 1U << 20 ? 0 : 1) << token;
  }
  EXPECT_NEAR(attend(linear.attention, 0, key).real_lane(0) / value.real_lane(0), 1, 1e-5);
}

TEST(LinearAttention, grouped_queries_and_decays_of_their_own) {
  Random random(6);
  for (const std::uint32_t kv_heads : {1U, 2U, 4U}) {
    std::vector<std::uint32_t> decays = {kNoDecay, 65000, 40000, 1};
    decays.resize(kv_heads);
    Owned linear({8, kv_heads, 6}, decays);
    std::vector<Oracle> oracles;
    oracles.reserve(kv_heads);
    for (const std::uint32_t decay : decays) oracles.emplace_back(6, decay);
    for (int t = 0; t < 50; ++t) {
      for (std::uint32_t h = 0; h < kv_heads; ++h) {
        const Row key = random_row(random, 6);
        const Row value = random_row(random, 6);
        linear.attention.update(h, key.view(), value.view());
        oracles[h].update(key, value);
      }
      for (std::uint32_t head = 0; head < 8; ++head) {
        const Row query = random_row(random, 6);
        const auto exact = oracles[head * kv_heads / 8].attend(query);
        ASSERT_LE(relative_error(attend(linear.attention, head, query), exact), kBound);
      }
    }
  }
}

TEST(LinearAttention, no_decay_and_a_decay_of_one_are_the_same_bits) {
  Random random(7);
  Owned plain({1, 1, 5});
  Owned one({1, 1, 5}, {kNoDecay});
  for (int t = 0; t < 100; ++t) {
    const Row key = random_row(random, 5);
    const Row value = random_row(random, 5);
    plain.attention.update(0, key.view(), value.view());
    one.attention.update(0, key.view(), value.view());
  }
  EXPECT_EQ(plain.state, one.state);
}

TEST(LinearAttention, a_decay_of_zero_keeps_the_last_token_alone) {
  Random random(8);
  Owned linear({1, 1, 7}, {0});
  for (int t = 0; t < 50; ++t) {
    const Row key = random_row(random, 7);
    const Row value = random_row(random, 7);
    linear.attention.update(0, key.view(), value.view());
    std::vector<double> exact(7);
    for (std::size_t i = 0; i < 7; ++i) exact[i] = value.real_lane(i);
    ASSERT_LE(relative_error(attend(linear.attention, 0, random_row(random, 7)), exact), 1e-5);
  }
}

TEST(LinearAttention, no_tokens_and_values_of_scale_zero_give_zero) {
  Random random(9);
  Owned linear({1, 1, 9});
  const std::vector<std::int64_t> zeros(9);
  EXPECT_EQ(attend(linear.attention, 0, random_row(random, 9)).values, zeros);
  Row value = random_row(random, 9);
  value.scale = {};
  linear.attention.update(0, random_row(random, 9).view(), value.view());
  EXPECT_EQ(attend(linear.attention, 0, random_row(random, 9)).values, zeros);
  linear.attention.update(0, value.view(), random_row(random, 9).view());
  EXPECT_NE(attend(linear.attention, 0, random_row(random, 9)).values, zeros);
  linear.attention.reset();
  EXPECT_EQ(attend(linear.attention, 0, random_row(random, 9)).values, zeros);
}

TEST(LinearAttention, a_second_view_continues) {
  Random random(10);
  const LinearShape shape = {2, 1, 6};
  Owned linear(shape);
  Owned other(shape);
  for (int t = 0; t < 20; ++t) {
    const Row key = random_row(random, 6);
    const Row value = random_row(random, 6);
    linear.attention.update(0, key.view(), value.view());
    LinearAttention(shape, other.state).update(0, key.view(), value.view());
  }
  EXPECT_EQ(linear.state, other.state);
}

TEST(LinearAttention, state_bytes_are_exact_and_used_to_the_end) {
  static_assert(LinearAttention::state_bytes({8, 2, 64}) == 2 * (65 * 64 * 8 + 32));
  static_assert(LinearAttention::state_bytes({1, 1, 1}) == 16 + 32);
  Random random(11);
  for (const std::uint32_t size : {1U, 3U, 8U}) {
    const LinearShape shape = {3, 3, size};
    const std::size_t own = LinearAttention::state_bytes(shape);
    std::vector<std::byte> memory(own + 128, std::byte{0xa5});
    LinearAttention attention(shape, std::span(memory).subspan(64, own));
    attention.reset();
    for (int t = 0; t < 20; ++t) {
      for (std::uint32_t h = 0; h < 3; ++h) {
        attention.update(h, random_row(random, size).view(), random_row(random, size).view());
      }
    }
    EXPECT_NE(memory[64 + own - 1], std::byte{0xa5});
    EXPECT_EQ(std::ranges::count(std::span(memory).first(64), std::byte{0xa5}), 64);
    EXPECT_EQ(std::ranges::count(std::span(memory).subspan(64 + own), std::byte{0xa5}), 64);
  }
}

/// Words of eight bytes that one token changes.
std::size_t words_changed(Owned& linear, const Row& key, const Row& value) {
  const std::vector<std::byte> before = linear.state;
  linear.attention.update(0, key.view(), value.view());
  std::size_t changed = 0;
  for (std::size_t at = 0; at < before.size(); at += 8) {
    changed += std::memcmp(&before[at], &linear.state[at], 8) != 0;
  }
  return changed;
}

// Counted, not timed: each token changes each sum of its K/V head and its two bounds, once.
TEST(LinearAttention, work_of_a_token_is_flat) {
  Random random(12);
  for (const std::uint32_t size : {1U, 4U, 16U}) {
    const LinearShape shape = {1, 1, size};
    Owned linear(shape);
    const Row key = constant_row(size, 90, {0xa000});
    const Row value = constant_row(size, -77, {0xa000});
    // The first token also sets the exponent of a unit.
    linear.attention.update(0, key.view(), value.view());
    for (std::uint32_t t = 2; t <= 16384; ++t) {
      if ((t & (t - 1)) == 0) {
        ASSERT_EQ(words_changed(linear, key, value), (size + 1) * size + 2) << t;
      } else {
        linear.attention.update(0, key.view(), value.view());
      }
    }
    EXPECT_EQ(LinearAttention::multiplies_per_token(shape), 3 * (size + 1) * size);
  }
  EXPECT_EQ(LinearAttention::multiplies_per_token({8, 2, 64}), 65U * 64 * (2 + 2 * 8));
}

}  // namespace
}  // namespace mote
