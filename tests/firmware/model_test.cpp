// SPDX-License-Identifier: Apache-2.0
#include "firmware/model.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "support/fake_board.hpp"
#include "support/firmware_model.hpp"

namespace mote::firmware {
namespace {

Model opened(const test::Bytes& region) {
  static std::vector<std::unique_ptr<test::AlignedBytes>> kept;  // what a Model points into
  kept.push_back(std::make_unique<test::AlignedBytes>(region));
  Model model;
  model.open(kept.back()->span());
  return model;
}

TEST(Model, is_found_at_the_front_of_a_longer_region) {
  test::Bytes region = test::make_image(test::firmware_model());
  const std::size_t bytes = region.size();
  region.resize(bytes + 4096, 0xff);
  const Model model = opened(region);
  EXPECT_EQ(model.status, Status::ok);
  EXPECT_EQ(model.tokenizer_status, Status::ok);
  EXPECT_EQ(model.image.bytes().size(), bytes);
}

TEST(Model, says_what_is_wrong_with_a_region) {
  const test::Bytes image = test::make_image(test::firmware_model());
  EXPECT_EQ(opened(test::Bytes(4096, 0xff)).status, Status::image_bad_magic);
  EXPECT_NE(opened({image.begin(), image.begin() + 40}).status, Status::ok);
  EXPECT_NE(opened({image.begin(), image.end() - 1}).status, Status::ok);
  test::Bytes damaged = image;
  damaged[damaged.size() - 40] ^= 1;
  EXPECT_NE(opened(damaged).status, Status::ok);
}

TEST(LargestContext, is_the_most_that_fits) {
  for (const std::uint32_t most : {1U, 2U, 7U, 512U}) {
    for (std::size_t room = 0; room < 60; ++room) {
      const auto bytes_of = [](std::uint32_t context) { return 8 + 3 * std::size_t{context}; };
      const std::uint32_t fits = largest_context(most, room, bytes_of);
      const std::size_t expected = room < 11 ? 0 : std::min<std::size_t>(most, (room - 8) / 3);
      EXPECT_EQ(fits, expected) << most << " in " << room;
    }
  }
}

TEST(UsedStack, is_what_has_lost_its_paint) {
  test::FakeBoard board(test::make_image(test::firmware_model()));
  test::use_board(board);
  EXPECT_EQ(used_stack_bytes(), 0U);
  board.stack.assign(100, board::kStackPaint);
  EXPECT_EQ(used_stack_bytes(), 0U);
  board.stack[70] = std::byte{0};
  EXPECT_EQ(used_stack_bytes(), 30U);
}

}  // namespace
}  // namespace mote::firmware
