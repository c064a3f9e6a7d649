// SPDX-License-Identifier: Apache-2.0
#include "run/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "convert/image_writer.hpp"
#include "support/damaged_image.hpp"
#include "support/error.hpp"
#include "support/image_factory.hpp"
#include "support/running_model.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

using test::Bytes;
using test::DamagedImage;
using test::ModelSpec;

ModelSpec small_model() {
  ModelSpec model;
  model.shape = {16, 24, 2, 2, 1, 8, 270, 12};
  return model;
}

/// A file of some bytes.
struct ImageFile {
  explicit ImageFile(const Bytes& bytes) { test::write_file(file.path(), bytes); }
  const std::string& path() const { return file.path(); }
  TemporaryFile file{"mote-test"};
};

/// The message of the `Error` that `action` throws; empty where it throws none.
std::string error_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

std::string error_of_opening(const std::string& path, const EngineOptions& options = {}) {
  return error_of([&] { Engine(path, options); });
}

std::string error_of_opening(const Bytes& bytes, const EngineOptions& options = {}) {
  const ImageFile file(bytes);
  const std::string error = error_of_opening(file.path(), options);
  EXPECT_TRUE(error.starts_with(file.path() + ": ")) << error;
  EXPECT_EQ(error.find('\n'), std::string::npos);
  return error.substr(std::min(error.size(), file.path().size() + 2));
}

TEST(Engine, runs_as_the_transformer_does) {
  const Bytes bytes = make_image(small_model());
  const ImageFile file(bytes);
  const test::OpenImage image(bytes);
  Engine engine(file.path(), {});
  const test::Tokens tokens = test::random_tokens(270, 12);
  engine.decode(tokens);
  EXPECT_EQ(engine.logits(), test::RunningModel(image.image(), {12, 1, 1}).logits_after(tokens));
  EXPECT_EQ(engine.transformer().run_config().context_length, 12U);
  EXPECT_EQ(engine.transformer().run_config().batch, 16U);
  EXPECT_EQ(engine.arena_bytes(),
            Transformer::arena_bytes(image.image(), engine.transformer().run_config()));
}

TEST(Engine, encodes_text) {
  const ImageFile file(make_image(small_model()));
  const Engine engine(file.path(), {});
  const std::vector<std::uint32_t> empty = engine.encode("");
  EXPECT_EQ(empty, std::vector<std::uint32_t>{1});
  EXPECT_TRUE(engine.encode("", {false, false}).empty());
  const auto tokens = engine.encode("ab\x01", {true, true});
  ASSERT_GE(tokens.size(), 3U);
  EXPECT_EQ(tokens.front(), 1U);
  EXPECT_EQ(tokens.back(), 2U);
  EXPECT_EQ(tokens[tokens.size() - 2], 4U);  // the byte 1
}

TEST(Engine, names_a_file_that_is_no_image) {
  EXPECT_EQ(error_of_opening("no/such/file"),
            "no/such/file: cannot open: No such file or directory");
  EXPECT_EQ(error_of_opening(testing::TempDir()), testing::TempDir() + ": not a regular file");
  EXPECT_EQ(error_of_opening(Bytes{}), "the file is empty");
  EXPECT_EQ(error_of_opening(Bytes(1000, 'x')), "not a Mote image");
}

TEST(Engine, names_an_image_that_is_damaged) {
  const Bytes good = make_image(small_model());
  Bytes bytes = good;
  bytes.resize(good.size() - 1);
  EXPECT_EQ(error_of_opening(bytes), status_text(Status::image_truncated));
  bytes = good;
  bytes[good.size() - 1] ^= 1;
  EXPECT_EQ(error_of_opening(bytes), status_text(Status::image_bad_section_crc));
  EngineOptions options;
  options.verify = Verify::structure;
  EXPECT_EQ(error_of([&] { Engine(ImageFile(bytes).path(), options); }), "");
}

TEST(Engine, refuses_a_tokenizer_that_is_not_valid) {
  DamagedImage image(make_image(small_model()));
  image.put(image.section(SectionKind::tokenizer) + 28, 0xffffffff);
  image.seal();
  EXPECT_EQ(error_of_opening(image.bytes()), status_text(Status::image_bad_tokenizer));
}

TEST(Engine, refuses_a_tokenizer_of_another_vocabulary) {
  // Both halves are valid alone: the tokenizer of one model, the rest of another.
  ModelSpec model = small_model();
  model.shape.vocab_size = 268;
  const test::OpenImage other(model);
  const ImageFile file({});
  const test::OpenImage image(small_model());
  const auto foreign = other->section_bytes(SectionKind::tokenizer);
  std::vector<Section> sections;
  for (std::uint32_t i = 0; i < image->section_count(); ++i) {
    sections.push_back(image->section(i));
    if (sections[i].kind == SectionKind::tokenizer) {
      sections[i].bytes = static_cast<std::uint32_t>(foreign.size());
    }
  }
  ImageWriter writer(file.path(), sections);
  for (const Section& section : sections) {
    const bool is_tokenizer = section.kind == SectionKind::tokenizer;
    writer.write(is_tokenizer ? foreign : image->section_bytes(section.kind, section.layer),
                 section.exponent);
  }
  writer.finish();
  EXPECT_EQ(error_of_opening(file.path()),
            file.path() + ": the tokenizer has 268 tokens, the model 270");
}

TEST(Engine, refuses_options_that_do_not_fit_the_model) {
  const Bytes bytes = make_image(small_model());
  EngineOptions options;
  options.context_length = 13;
  EXPECT_EQ(error_of_opening(bytes, options),
            "a context of 13 positions was asked for; the model has 1 to 12");
  options = {};
  options.candidates = 271;
  EXPECT_EQ(error_of_opening(bytes, options),
            "271 candidates were asked for; the vocabulary has 270");
  options = {};
  options.batch = kMaxBatch + 1;
  EXPECT_EQ(error_of_opening(bytes, options), status_text(Status::bad_run_config));
}

TEST(Engine, a_context_that_is_full_is_an_error_that_says_so) {
  const ImageFile file(make_image(small_model()));
  EngineOptions options;
  options.context_length = 8;
  Engine engine(file.path(), options);
  engine.decode(test::random_tokens(270, 6));
  const std::string error = error_of([&] { engine.decode(test::random_tokens(270, 3)); });
  EXPECT_EQ(error, file.path() + ": 3 tokens do not fit the 2 positions that are left of 8");
  EXPECT_EQ(engine.transformer().position(), 6U);
  const std::vector<std::uint32_t> unknown = {270};
  EXPECT_EQ(error_of([&] { engine.decode(unknown); }),
            file.path() + ": " + status_text(Status::token_out_of_range));
}

TEST(Check, names_what_failed) {
  check(Status::ok, "thing");
  EXPECT_EQ(error_of([] { check(Status::context_full, "thing"); }),
            std::string("thing: ") + status_text(Status::context_full));
}

}  // namespace
}  // namespace mote::host
