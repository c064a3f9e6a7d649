// SPDX-License-Identifier: Apache-2.0
// The models of models/: what their cards and docs/MODELS.md say of them.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <numbers>
#include <string>

#include "run/perplexity.hpp"
#include "run/stream.hpp"
#include "support/image_factory.hpp"
#include "support/mapped_file.hpp"
#include "support/oracle.hpp"
#include "support/slow_build.hpp"

namespace mote::host {
namespace {

struct ShippedModel {
  const char* file;
  std::uintmax_t most_image_bytes;
  std::size_t arena_bytes;  // at one token a pass, on a computer of 64 bits
  double most_bits;         // a character of the held-out stories
  double most_perplexity;   // of a token: its fp32 form's and 0.35 % (int8) or 3 % (int4)
};

constexpr ShippedModel kModels[] = {
    {"stories-260k.mote", 400 << 10, 107936, 0.90, 6.5045 * 1.0035},
    {"stories-1m.mote", 640 << 10, 106112, 0.78, 4.4413 * 1.03},
};

std::string path_of(const ShippedModel& model) {
  return std::string(MOTE_SOURCE_DIR) + "/models/" + model.file;
}

EngineOptions one_at_a_time() {
  EngineOptions options;
  options.batch = 1;
  return options;
}

std::string missing_text() {
  const std::string text = test::shared_path("data/tinystories_eval.txt");
  return std::filesystem::exists(text) ? "" : text;
}

TEST(ShippedModels, have_the_sizes_of_their_cards) {
  for (const ShippedModel& model : kModels) {
    EXPECT_LE(std::filesystem::file_size(path_of(model)), model.most_image_bytes) << model.file;
    const Engine engine(path_of(model), one_at_a_time());
    EXPECT_EQ(Transformer::arena_bytes(engine.image(), {2048, 1, 1}), model.arena_bytes)
        << model.file;
  }
}

TEST(ShippedModels, predict_held_out_stories) {
  MOTE_SKIP_WITHOUT(missing_text());
  if (test::kIsSlowBuild) GTEST_SKIP() << "takes minutes with sanitizers or no optimisation";
  const MappedFile text(test::shared_path("data/tinystories_eval.txt"));
  const auto stories =
      split_stories({reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size()});
  for (const ShippedModel& model : kModels) {
    Engine engine(path_of(model), one_at_a_time());
    const PerplexityResult result = measure_perplexity(engine, stories);
    EXPECT_EQ(result.characters, 76395U);
    const double bits = result.negative_log_likelihood / std::numbers::ln2 / 76395;
    test::record(model.file, bits);
    EXPECT_LE(bits, model.most_bits) << model.file;
    EXPECT_LE(result.perplexity(), model.most_perplexity) << model.file;
    EXPECT_GE(bits, 0.6) << model.file;
  }
}

/// 64 windows of text in a row, in the memory of one.
TEST(ShippedModels, read_on_for_ever_as_well_as_from_a_fresh_context) {
  MOTE_SKIP_WITHOUT(missing_text());
  if (test::kIsSlowBuild) GTEST_SKIP() << "takes minutes with sanitizers or no optimisation";
  const MappedFile text(test::shared_path("data/tinystories_eval.txt"));
  const auto stories =
      split_stories({reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size()});
  Engine fresh(path_of(kModels[1]), one_at_a_time());
  const double apart = measure_perplexity(fresh, stories).perplexity();
  Engine engine(path_of(kModels[1]), one_at_a_time());
  const auto tokens = make_stream(engine, stories, 16385);
  const double stream = perplexity_of(measure_stream(engine, tokens));
  test::record("apart", apart);
  test::record("stream", stream);
  EXPECT_LE(stream, 1.02 * apart);
}

}  // namespace
}  // namespace mote::host
