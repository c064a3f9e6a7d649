// SPDX-License-Identifier: Apache-2.0
#include "firmware/node_link.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "support/fake_board.hpp"

namespace mote::firmware {
namespace {

class NodeLinkTest : public testing::Test {
 protected:
  NodeLinkTest() : board_({}) {
    board_.out.push_back(std::make_shared<test::FakeWire>());
    board_.in.push_back(board_.out[0]);
    test::use_board(board_);
    link_.begin_seat(frame_);
  }

  /// What is written comes back.
  std::vector<std::uint8_t> flush() {
    std::vector<std::uint8_t> bytes;
    std::array<std::uint8_t, 7> memory;
    while (link_.flush(0)) {
      for (auto part = link_.read(0, memory); !part.empty(); part = link_.read(0, memory)) {
        bytes.insert(bytes.end(), part.begin(), part.end());
      }
    }
    return bytes;
  }

  test::FakeBoard board_;
  std::array<std::uint8_t, kMaxFrameBytes> frame_{};
  NodeLink link_;
};

TEST_F(NodeLinkTest, finds_a_seat_in_pieces_and_after_noise) {
  SeatAssignment told;
  told.seats = 4;
  told.seat = 2;
  told.topology = Topology::ring;
  told.frame_bytes = 300;
  link_.commit_seat(told, 1);
  std::vector<std::uint8_t> bytes = flush();
  EXPECT_EQ(bytes.front(), 0);
  EXPECT_EQ(bytes.back(), 0);
  for (const std::size_t noise : {0U, 1U, 5U, 25U, 26U, 300U}) {
    SeatAssignment found;
    EXPECT_FALSE(link_.find_seat(found, std::vector<std::uint8_t>(noise, 0x55)));
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      EXPECT_EQ(link_.find_seat(found, std::span(bytes).subspan(i, 1)), i + 1 == bytes.size());
    }
    EXPECT_EQ(found.seat, 2);
    EXPECT_EQ(found.seats, 4);
    EXPECT_EQ(found.frame_bytes, 300);
  }
  bytes[bytes.size() / 2] ^= 8;
  SeatAssignment found;
  EXPECT_FALSE(link_.find_seat(found, bytes));
}

TEST_F(NodeLinkTest, a_frame_leaves_as_the_board_takes_it) {
  board_.out[0]->room = 3;
  EXPECT_TRUE(link_.is_free());
  link_.space()[0] = 1;
  link_.commit(8);
  EXPECT_TRUE(link_.flush(0));
  EXPECT_FALSE(link_.is_free());
  EXPECT_FALSE(link_.flush(0)) << "no room";
  EXPECT_EQ(board_.out[0]->bytes.size(), 3U);
  board_.out[0]->bytes.clear();
  flush();
  EXPECT_TRUE(link_.is_free());
  EXPECT_EQ(link_.counters().bytes_out, 8U);
  EXPECT_EQ(link_.counters().frames_out, 1U);
}

}  // namespace
}  // namespace mote::firmware
