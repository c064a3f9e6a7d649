// SPDX-License-Identifier: Apache-2.0
// What a small real model needs, and what it writes.
#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "mote/tokenizer.hpp"
#include "mote/transformer.hpp"
#include "run/generate.hpp"
#include "support/image_factory.hpp"
#include "support/temporary_file.hpp"

namespace mote {
namespace {

constexpr const char* kGolden =
    R"(, there was a little girl named Lily. She loved to play outside in the park. One day, )"
    R"(she saw a big, red ball. She wanted to play with it, but it was too high.
Lily's mom said, "Let's go to the park." Lily was sad and didn't know what to do. She asked her )"
    R"(mom, "What are you doing?" Her mom said, "It's okay, Lily. It's an amazing ball."
Lily was happy to help her mom. She said, "I love you, Mommy. I will be careful with you." Her )"
    R"(mom smiled and said, "Yes)";

/// The image as a file, and the engine that runs it.
struct Stories {
  Stories() { convert_shared(file.path(), test::kStories260K, WeightFormat::int8); }
  host::TemporaryFile file{"mote-test"};
};

TEST(Stories260K, writes_the_golden_story) {
  MOTE_SKIP_WITHOUT(missing_file(test::kStories260K));
  const Stories stories;
  host::Engine engine(stories.file.path(), {});
  Sampler sampler;
  std::string text;
  const host::GenerateResult result = generate(engine, sampler, engine.encode("Once upon a time"),
                                               200, [&](std::string_view part) { text += part; });
  EXPECT_EQ(text, kGolden);
  EXPECT_EQ(result.generated_tokens, 200U);
  // The model was trained on stories that begin with the beginning token; it begins no other.
  EXPECT_FALSE(result.ended);
}

TEST(Stories260K, fits_290_kib_of_flash_and_230_kib_of_ram) {
  MOTE_SKIP_WITHOUT(missing_file(test::kStories260K));
  const test::OpenImage image(convert_shared(test::kStories260K, WeightFormat::int8));
  std::uint64_t bytes = 0;
  for (std::uint32_t i = 0; i < image->section_count(); ++i) {
    const Section section = image->section(i);
    if (section.kind != SectionKind::tokenizer) bytes += section.bytes;
  }
  RecordProperty("image_bytes_but_the_tokenizer", std::to_string(bytes));
  EXPECT_LE(bytes, 290U * 1024);
  const std::size_t arena_bytes = Transformer::arena_bytes(image.image(), {512, 1, 1});
  RecordProperty("arena_bytes", std::to_string(arena_bytes));
  EXPECT_LE(arena_bytes, 230U * 1024);
  EXPECT_EQ(arena_bytes, 210784U);  // as README.md states it
}

}  // namespace
}  // namespace mote
