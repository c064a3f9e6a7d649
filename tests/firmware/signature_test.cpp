// SPDX-License-Identifier: Apache-2.0
#include "firmware/signature.hpp"

#include <gtest/gtest.h>

#include "cluster/chip.hpp"
#include "support/firmware_model.hpp"

namespace mote::firmware {
namespace {

std::uint64_t signature_of(const test::Bytes& bytes) {
  const test::OpenImage image(bytes);
  Tokenizer tokenizer;
  EXPECT_EQ(tokenizer.open(image->section_bytes(SectionKind::tokenizer)), Status::ok);
  host::ArenaMemory memory(signature_arena_bytes(image.image()));
  std::ranges::fill(memory.span(), std::byte{0xee});
  std::uint64_t signature = 0;
  EXPECT_EQ(compute_signature(signature, image.image(), tokenizer, memory.span()), Status::ok);
  return signature;
}

TEST(Signature, is_that_of_the_model) {
  const std::uint64_t first = signature_of(test::make_image(test::firmware_model(1)));
  EXPECT_EQ(first, signature_of(test::make_image(test::firmware_model(1))));
  EXPECT_NE(first, signature_of(test::make_image(test::firmware_model(2))));
}

TEST(Signature, works_with_the_smallest_model) {
  // 5 tokens, 6 positions.
  signature_of(test::make_image(test::tiny_model()));
}

TEST(Signature, needs_all_of_its_memory) {
  const test::OpenImage image(test::make_image(test::firmware_model()));
  Tokenizer tokenizer;
  ASSERT_EQ(tokenizer.open(image->section_bytes(SectionKind::tokenizer)), Status::ok);
  const std::size_t bytes = signature_arena_bytes(image.image());
  host::ArenaMemory memory(bytes);
  std::uint64_t signature = 0;
  for (const std::size_t less : {bytes - 16, bytes / 2, std::size_t{0}}) {
    EXPECT_EQ(compute_signature(signature, image.image(), tokenizer, memory.span().first(less)),
              Status::arena_too_small);
  }
}

}  // namespace
}  // namespace mote::firmware
