// SPDX-License-Identifier: Apache-2.0
#include "run/image_summary.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>

#include "support/damaged_image.hpp"
#include "support/image_factory.hpp"
#include "support/mixed_models.hpp"

namespace mote::host {
namespace {

using test::ModelSpec;
using test::OpenImage;

ModelSpec small_model(bool has_classifier) {
  ModelSpec model;
  model.shape = {16, 24, 2, 2, 1, 8, 270, 12};
  model.shape.has_classifier = has_classifier;
  return model;
}

TEST(SectionName, names_every_kind) {
  const OpenImage image(test::with_biases(small_model(true)));
  std::set<std::string> names;
  for (std::uint32_t i = 0; i < image->section_count(); ++i) {
    names.insert(section_name(image->section(i)));
  }
  EXPECT_EQ(names.size(), image->section_count());
  for (const char* name : {"config", "metadata", "tokenizer", "rope_frequencies", "token_embedding",
                           "classifier", "final_norm", "layers.0.wq", "layers.0.wk", "layers.0.wv",
                           "layers.0.wo", "layers.1.w_gate", "layers.1.w_up", "layers.1.w_down",
                           "layers.0.bq", "layers.0.bk", "layers.1.bv", "layers.1.bo"}) {
    EXPECT_TRUE(names.contains(name)) << name;
  }
  Section section;
  section.kind = static_cast<SectionKind>(999);
  EXPECT_EQ(section_name(section), "unknown");
}

TEST(FormatName, names_every_format) {
  EXPECT_EQ(format_name(WeightFormat::int8), "int8");
  EXPECT_EQ(format_name(WeightFormat::int4), "int4");
  EXPECT_EQ(format_name(WeightFormat::raw), "raw");
}

/// dim 16, hidden 24, 2 heads of 8, 1 K/V head, 2 layers, 270 tokens.
constexpr std::uint64_t kLayerWeights = 16 * 16 + 2 * 8 * 16 + 16 * 16 + 3 * 24 * 16;
constexpr std::uint64_t kGains = 16;  // those of the layers are part of their weights

TEST(Summarize, counts_parameters) {
  const OpenImage tied(small_model(false));
  EXPECT_EQ(summarize(tied.image()).parameters, 270U * 16 + 2 * kLayerWeights + kGains);
  const OpenImage own(small_model(true));
  EXPECT_EQ(summarize(own.image()).parameters, 2 * 270U * 16 + 2 * kLayerWeights + kGains);
  const OpenImage biased(test::with_biases(small_model(false)));
  const std::uint64_t biases = 2 * (16 + 2 * 8 + 16);
  EXPECT_EQ(summarize(biased.image()).parameters, 270U * 16 + 2 * kLayerWeights + kGains + biases);
}

TEST(Summarize, counts_bytes) {
  const OpenImage image(test::with_biases(small_model(true)));
  const ImageSummary summary = summarize(image.image());
  const auto bytes = [&](SectionKind kind) { return image->section_bytes(kind).size(); };
  EXPECT_EQ(summary.tokenizer_bytes, bytes(SectionKind::tokenizer));
  std::uint64_t sections = 0;
  for (std::uint32_t i = 0; i < image->section_count(); ++i) sections += image->section(i).bytes;
  EXPECT_EQ(summary.weight_bytes, sections - bytes(SectionKind::config) -
                                      bytes(SectionKind::metadata) - bytes(SectionKind::tokenizer) -
                                      bytes(SectionKind::rope_frequencies));
}

TEST(Summarize, a_token_reads_one_row_of_an_embedding_that_is_no_classifier) {
  const OpenImage tied(test::with_biases(small_model(false)));
  EXPECT_EQ(summarize(tied.image()).bytes_per_token, summarize(tied.image()).weight_bytes);
  const OpenImage own(small_model(true));
  const ImageSummary summary = summarize(own.image());
  const std::size_t embedding = own->section_bytes(SectionKind::token_embedding).size();
  EXPECT_EQ(summary.weight_bytes - summary.bytes_per_token, embedding - embedding / 270);
}

TEST(WeightFormats, names_those_of_the_matrices) {
  ModelSpec model = small_model(false);
  EXPECT_EQ(weight_formats(OpenImage(model).image()), "int8");
  model.weights = WeightFormat::int4;
  EXPECT_EQ(weight_formats(OpenImage(model).image()), "int4");
  model.weights = WeightFormat::int8_pairs;
  EXPECT_EQ(weight_formats(OpenImage(model).image()), "int8_pairs");
}

TEST(MetadataValue, finds_whole_keys) {
  // The metadata of synthetic images is "name=synthetic"; other text of the same length stands in.
  test::DamagedImage damaged(make_image(small_model(false)));
  const std::string text = "n=a=b\nname=c\n=\n";
  const std::size_t at = damaged.section(SectionKind::metadata);
  ASSERT_EQ(text.size(), std::string("name=synthetic\n").size());
  std::copy(text.begin(), text.end(), damaged.bytes().begin() + static_cast<std::ptrdiff_t>(at));
  damaged.seal();
  const OpenImage image(damaged.bytes());
  EXPECT_EQ(metadata_value(image.image(), "name"), "c");
  EXPECT_EQ(metadata_value(image.image(), "n"), "a=b");
  EXPECT_EQ(metadata_value(image.image(), "nam"), "");
  EXPECT_EQ(metadata_value(image.image(), "names"), "");
  EXPECT_EQ(metadata_value(image.image(), "c"), "");
}

}  // namespace
}  // namespace mote::host
