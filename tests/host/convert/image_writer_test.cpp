// SPDX-License-Identifier: Apache-2.0
#include "convert/image_writer.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "base/sha256.hpp"
#include "convert/matrix_section.hpp"
#include "support/error.hpp"
#include "support/spec_image.hpp"

namespace mote::host {
namespace {

using test::Bytes;

/// A folder of its own for each test, so that leftovers are seen.
class image_writer : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::path(testing::TempDir()) /
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path() const { return (folder_ / "out.mote").string(); }
  std::size_t file_count() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(folder_), {}));
  }

 private:
  std::filesystem::path folder_;
};

Section make_section(SectionKind kind, std::uint16_t layer, std::uint32_t bytes) {
  Section section;
  section.kind = kind;
  section.layer = layer;
  section.bytes = bytes;
  return section;
}

std::vector<Section> three_sections() {
  return {make_section(SectionKind::config, 0, 64), make_section(SectionKind::metadata, 0, 7),
          make_section(SectionKind::wq, 1, 33)};
}

void write_three(const std::string& path) {
  ImageWriter writer(path, three_sections());
  writer.write(Bytes(64, 1));
  writer.write(Bytes(7, 2));
  writer.write(Bytes(33, 3), -45);
  writer.finish();
}

TEST_F(image_writer, follows_the_specification) {
  write_three(path());
  const Bytes image = test::read_file(path());
  const test::SpecImage parsed = test::parse_image(image);
  ASSERT_EQ(parsed.sections.size(), 3u);
  EXPECT_EQ(parsed.sections[0].offset, 160u);  // 64 + 3 * 32
  EXPECT_EQ(parsed.sections[1].bytes, Bytes(7, 2));
  EXPECT_EQ(parsed.sections[2].exponent, -45);
  EXPECT_EQ(parsed.sections[2].layer, 1u);
  EXPECT_EQ(image.size(), 256u + 33u);
}

TEST_F(image_writer, the_content_hash_covers_all_but_itself_and_the_checksum) {
  write_three(path());
  Bytes image = test::read_file(path());
  const Bytes written(image.begin() + 32, image.begin() + 64);
  std::fill(image.begin() + 20, image.begin() + 24, std::uint8_t{0});
  std::fill(image.begin() + 32, image.begin() + 64, std::uint8_t{0});
  Sha256 hash;
  hash.update(image);
  const auto digest = hash.finish();
  EXPECT_TRUE(std::equal(digest.begin(), digest.end(), written.begin(), written.end()));
}

TEST_F(image_writer, an_unfinished_image_leaves_nothing_behind) {
  test::write_file(path(), {1, 2, 3});
  {
    ImageWriter writer(path(), three_sections());
    writer.write(Bytes(64, 1));
    EXPECT_EQ(file_count(), 2u);
  }
  EXPECT_EQ(file_count(), 1u);
  EXPECT_EQ(test::read_file(path()), (Bytes{1, 2, 3}));
}

TEST_F(image_writer, replaces_an_older_file) {
  test::write_file(path(), {1, 2, 3});
  write_three(path());
  EXPECT_EQ(test::read_file(path()).size(), 289u);
  EXPECT_EQ(file_count(), 1u);
}

TEST_F(image_writer, refuses_a_section_of_another_size) {
  ImageWriter writer(path(), three_sections());
  EXPECT_THROW(writer.write(Bytes(63, 1)), std::logic_error);
  EXPECT_THROW(writer.finish(), std::logic_error);
}

TEST_F(image_writer, refuses_more_than_its_size_field_holds) {
  std::vector<Section> sections = {make_section(SectionKind::wq, 1, 0x80000000U),
                                   make_section(SectionKind::wk, 1, 0x80000000U)};
  EXPECT_THROW(layout_sections(sections, "x"), Error);
  sections.pop_back();
  EXPECT_EQ(layout_sections(sections, "x"), 96u + 0x80000000U);
}

TEST_F(image_writer, a_folder_that_is_not_there_is_an_error_that_names_the_path) {
  try {
    ImageWriter writer(path() + "/none/out.mote", three_sections());
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("none/out.mote"), std::string::npos);
  }
}

TensorSource source_of(const std::vector<std::vector<float>>& rows) {
  TensorSource source;
  source.label = "layers.3.wk";
  source.rows = static_cast<std::uint32_t>(rows.size());
  source.columns = static_cast<std::uint32_t>(rows.front().size());
  source.read_row = [&rows](std::span<float> out, std::uint32_t row) {
    std::copy(rows[row].begin(), rows[row].end(), out.begin());
  };
  return source;
}

TEST(matrix_section, names_the_place_of_a_weight_that_is_not_finite) {
  const std::vector<std::vector<float>> rows = {{1, 2}, {3, 4}, {5, -INFINITY}};
  try {
    encode_matrix(source_of(rows), WeightFormat::int8, 16);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "layers.3.wk: row 2, column 1 is -inf, must be a finite number");
  }
  const std::vector<std::vector<float>> gains = {{1, NAN}};
  EXPECT_THROW(encode_gains(source_of(gains)), Error);
}

TEST(matrix_section, the_largest_gain_uses_fifteen_bits) {
  for (const float largest : {1.0F, 1.99999F, 32767.5F, 0.75F, 1e-30F, 1e30F, 3.4e38F}) {
    const std::vector<std::vector<float>> rows = {{largest / 3, -largest, 0}};
    const EncodedTensor encoded = encode_gains(source_of(rows));
    const auto value = static_cast<std::int16_t>(test::number_at(encoded.bytes, 2, 2));
    EXPECT_LE(value, -(1 << 14)) << largest;
    EXPECT_GE(value, -32767) << largest;
    EXPECT_NEAR(std::ldexp(value, encoded.exponent), -largest, largest * 0x1p-14);
  }
  const std::vector<std::vector<float>> zeros = {{0, 0}};
  EXPECT_EQ(encode_gains(source_of(zeros)).bytes, Bytes(4, 0));
}

}  // namespace
}  // namespace mote::host
