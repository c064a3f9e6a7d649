// SPDX-License-Identifier: Apache-2.0
#include "shard/shard_summary.hpp"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "run/image_summary.hpp"
#include "shard/shard_report.hpp"
#include "support/image_factory.hpp"
#include "support/mixed_models.hpp"
#include "support/shard_factory.hpp"

namespace mote::host {
namespace {

using nlohmann::json;
using test::Cut;
using test::OpenImage;

/// dim 50 and hidden_dim 70 in blocks of 16, 6 query heads, 3 K/V heads, 2 layers, 270 tokens.
test::ModelSpec small_model() {
  test::ModelSpec model;
  model.shape = {50, 70, 2, 6, 3, 8, 270, 12};
  model.shape.has_classifier = true;
  model.block = 16;
  return model;
}

const Image& whole() {
  static const OpenImage kWhole(test::with_biases(small_model()));
  return kWhole.image();
}

OpenImage make_shard(const Slice& slice, HeadPolicy policy = HeadPolicy::contiguous) {
  static const std::vector<std::uint8_t> kWeights = {2, 1, 0};
  return OpenImage(
      test::shard_bytes(whole(), {1, 3, policy, kWeights, whole().content_hash(), slice}));
}

std::map<std::string, std::string> fields_of(const OpenImage& shard) {
  const auto fields = shard_fields(shard.image());
  return {fields.begin(), fields.end()};
}

TEST(ShardFields, name_the_rows_that_exist) {
  const std::vector<Range> hidden = {{4, 1}, {0, 2}};
  const OpenImage shard = make_shard({{2, 3, 1}, hidden[0], {2, 2}, {1, 2}, hidden});
  auto fields = fields_of(shard);
  EXPECT_EQ(fields["shard"], "rank 1 of 3 chips");
  EXPECT_EQ(fields["heads are dealt"], "contiguous");
  EXPECT_EQ(fields["weights of the chips"], "2, 1, 0");
  EXPECT_EQ(fields["model hash"], hex_text(whole().content_hash()));
  EXPECT_EQ(fields["query heads"], "3 of 6: 2, 3, 4");
  EXPECT_EQ(fields["K/V heads"], "2 of 3: 1, 2");
  EXPECT_EQ(fields["residual lanes"], "18 of 50: 32 to 49");
  EXPECT_EQ(fields["vocabulary rows"], "2 of 270: 1 to 2");
  EXPECT_EQ(fields["hidden rows of layer 0"], "6 of 70: 64 to 69");
  EXPECT_EQ(fields["hidden rows of layer 1"], "32 of 70: 0 to 31");
}

TEST(ShardFields, name_what_a_chip_has_not) {
  const std::vector<Range> hidden = {{1, 0}};
  auto fields = fields_of(
      make_shard({{6, 0, 2}, hidden[0], {4, 0}, {0, 0}, hidden}, HeadPolicy::round_robin));
  EXPECT_EQ(fields["heads are dealt"], "round-robin");
  EXPECT_EQ(fields["query heads"], "none of 6");
  EXPECT_EQ(fields["K/V heads"], "none of 3");
  EXPECT_EQ(fields["residual lanes"], "none of 50");
  EXPECT_EQ(fields["vocabulary rows"], "none of 270");
  EXPECT_EQ(fields["hidden rows"], "none of 70");
  EXPECT_FALSE(fields.contains("hidden rows of layer 0"));
}

TEST(ShardJson, has_the_same_numbers) {
  const std::vector<Range> hidden = {{4, 1}, {0, 2}};
  const OpenImage shard = make_shard({{1, 2, 3}, hidden[0], {2, 2}, {1, 2}, hidden});
  const json report = json::parse(shard_json(shard.image()).dump());
  EXPECT_EQ(report["rank"], 1);
  EXPECT_EQ(report["chips"], 3);
  EXPECT_EQ(report["policy"], "contiguous");
  EXPECT_EQ(report["weights"], json({2, 1, 0}));
  EXPECT_EQ(report["model_hash"], hex_text(whole().content_hash()));
  EXPECT_EQ(report["query_heads"], json({1, 4}));
  EXPECT_EQ(report["kv_heads"], json({0, 2}));
  EXPECT_EQ(report["residual_lanes"], json({{"first", 32}, {"count", 18}}));
  EXPECT_EQ(report["vocabulary_rows"], json({{"first", 1}, {"count", 2}}));
  EXPECT_EQ(report["hidden_rows"],
            json({{{"first", 64}, {"count", 6}}, {{"first", 0}, {"count", 32}}}));
}

TEST(Summarize, counts_what_a_shard_holds) {
  const std::vector<Range> hidden = {{0, 1}};
  const OpenImage some = make_shard({{0, 2, 1}, hidden[0], {0, 1}, {0, 10}, hidden});
  const std::uint64_t layer =
      2 * 8 * 50 + 2 * 8 * 50 + 16 * 48 + 2 * 16 * 50 + 16 * 70 + 2 * 8 + 2 * 8 + 16;
  EXPECT_EQ(summarize(some.image()).parameters, 2 * 10 * 50 + 2 * layer + 50);
  const std::vector<Range> none = {{0, 0}};
  const OpenImage empty = make_shard({{0, 0, 1}, none[0], {0, 0}, {0, 0}, none});
  const ImageSummary summary = summarize(empty.image());
  EXPECT_EQ(summary.parameters, 50U);
  EXPECT_EQ(summary.weight_bytes, 100U);
  EXPECT_EQ(summary.bytes_per_token, 100U);
  EXPECT_EQ(summary.tokenizer_bytes, 0U);
}

TEST(SectionName, names_the_section_of_a_shard) {
  Section section;
  section.kind = SectionKind::shard;
  EXPECT_EQ(section_name(section), "shard");
}

ShardSet two_files() {
  ShardSet set;
  set.model = "m.mote";
  set.model_bytes = 1000;
  set.hash.assign(32, 0xab);
  set.policy = HeadPolicy::round_robin;
  set.weights = {2, 1};
  set.files = {{"s/m.0of2.mote", {700, 500, 100, std::vector<std::uint8_t>(32, 0x01)}},
               {"s/m.1of2.mote", {400, 300, 0, std::vector<std::uint8_t>(32, 0x02)}}};
  return set;
}

TEST(ShardTable, has_a_line_a_shard_and_their_sum) {
  EXPECT_EQ(format_shard_table(two_files()),
            "rank  file                bytes  of whole  hash\n"
            "   0  s/m.0of2.mote         700    70.0 %  0101010101010101\n"
            "   1  s/m.1of2.mote         400    40.0 %  0202020202020202\n"
            " all                       1100   110.0 %  of model abababababababab\n");
}

TEST(ShardReportJson, has_every_number) {
  const json report = json::parse(format_shard_json(two_files()));
  EXPECT_EQ(report["model"], "m.mote");
  EXPECT_EQ(report["model_bytes"], 1000);
  EXPECT_EQ(report["model_hash"].get<std::string>().size(), 64U);
  EXPECT_EQ(report["chips"], 2);
  EXPECT_EQ(report["policy"], "round-robin");
  EXPECT_EQ(report["weights"], json({2, 1}));
  EXPECT_EQ(report["bytes"], 1100);
  ASSERT_EQ(report["shards"].size(), 2U);
  EXPECT_EQ(report["shards"][1]["rank"], 1);
  EXPECT_EQ(report["shards"][1]["file"], "s/m.1of2.mote");
  EXPECT_EQ(report["shards"][1]["bytes"], 400);
  EXPECT_EQ(report["shards"][0]["weight_bytes"], 500);
  EXPECT_EQ(report["shards"][0]["tokenizer_bytes"], 100);
  EXPECT_EQ(report["shards"][0]["share"], 0.7);
  EXPECT_EQ(report["shards"][0]["hash"].get<std::string>().substr(0, 4), "0101");
}

/// Counts what write_shard says of a file against the file itself.
TEST(WriteShard, reports_what_it_wrote) {
  const Cut cut(whole(), HeadPolicy::contiguous, {1, 1});
  for (const std::uint32_t rank : {0U, 1U}) {
    const TemporaryFile file("mote-test");
    std::uint64_t last = 0;
    const ShardReport report = write_shard(file.path(), whole(), cut.info(whole(), rank),
                                           [&](std::uint64_t done, std::uint64_t total) {
                                             EXPECT_GE(done, last);
                                             EXPECT_LE(done, total);
                                             last = done;
                                           });
    const OpenImage shard(test::read_file(file.path()));
    EXPECT_EQ(last, report.image_bytes);
    EXPECT_EQ(report.image_bytes, shard->bytes().size());
    EXPECT_EQ(report.weight_bytes, summarize(shard.image()).weight_bytes);
    EXPECT_EQ(report.tokenizer_bytes, summarize(shard.image()).tokenizer_bytes);
    EXPECT_EQ(report.tokenizer_bytes != 0, rank == 0);
    EXPECT_TRUE(std::ranges::equal(report.hash, shard->content_hash()));
  }
}

TEST(WriteShard, refuses_to_cut_a_shard) {
  const Cut cut(whole(), HeadPolicy::contiguous, {1, 1});
  const OpenImage shard(test::shard_bytes(whole(), cut.info(whole(), 0)));
  const TemporaryFile file("mote-test");
  EXPECT_THROW(write_shard(file.path(), shard.image(), cut.info(whole(), 0)), std::logic_error);
}

TEST(WriteShard, is_the_same_twice) {
  const Cut cut(whole(), HeadPolicy::round_robin, {1, 2, 3});
  EXPECT_EQ(test::shard_bytes(whole(), cut.info(whole(), 2)),
            test::shard_bytes(whole(), cut.info(whole(), 2)));
}

}  // namespace
}  // namespace mote::host
