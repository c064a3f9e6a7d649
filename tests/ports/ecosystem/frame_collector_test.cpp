// SPDX-License-Identifier: Apache-2.0
#include "ecosystem/frame_collector.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mote::ports {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// The frames of a stream that comes in pieces of so many bytes.
std::vector<Bytes> collect(const Bytes& stream, std::size_t piece) {
  FrameCollector<6> collector;
  std::vector<Bytes> frames;
  for (std::size_t at = 0; at < stream.size();) {
    const std::size_t count = std::min(piece, stream.size() - at);
    at += collector.take(std::span(stream).subspan(at, count));
    if (collector.frame().empty()) continue;
    frames.emplace_back(collector.frame().begin(), collector.frame().end());
    collector.clear();
  }
  return frames;
}

TEST(FrameCollector, CutsAStreamHoweverItComes) {
  const Bytes stream{1, 2, 0, 0, 3, 0, 4, 4, 4, 4, 4, 0, 5};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EXPECT_EQ(collect(stream, piece), (std::vector<Bytes>{{1, 2, 0}, {3, 0}, {4, 4, 4, 4, 4, 0}}))
        << piece;
  }
}

TEST(FrameCollector, PassesOverAFrameThatIsTooLong) {
  const Bytes stream{1, 1, 1, 1, 1, 1, 1, 1, 0, 2, 0};
  for (std::size_t piece = 1; piece <= stream.size(); ++piece) {
    EXPECT_EQ(collect(stream, piece), (std::vector<Bytes>{{2, 0}})) << piece;
  }
}

TEST(FrameCollector, TakesNothingWhileAFrameStands) {
  FrameCollector<6> collector;
  const Bytes stream{1, 0, 2, 0};
  EXPECT_EQ(collector.take(stream), 2U);
  EXPECT_EQ(collector.take(std::span(stream).subspan(2)), 0U);
  collector.clear();
  EXPECT_EQ(collector.take(std::span(stream).subspan(2)), 2U);
  EXPECT_EQ(collector.frame()[0], 2);
}

}  // namespace
}  // namespace mote::ports
