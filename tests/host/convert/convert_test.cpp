// SPDX-License-Identifier: Apache-2.0
#include "convert/convert.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <numbers>
#include <string>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "convert/convert_report.hpp"
#include "convert/llama2c.hpp"
#include "support/error.hpp"
#include "support/llama2c_writer.hpp"
#include "support/mapped_file.hpp"
#include "support/spec_image.hpp"

namespace mote::host {
namespace {

using test::Bytes;
using test::SpecImage;
using test::SpecSection;
using test::SyntheticModel;

/// Wide enough that rows are padded: 12 and 40 lanes in blocks of 16 and 32, heads of 6.
SyntheticModel padded_model() {
  SyntheticModel model;
  model.dim = 12;
  model.hidden_dim = 40;
  model.n_heads = 2;
  model.n_kv_heads = 1;
  model.vocab_size = 33;
  return model;
}

Vocabulary make_vocabulary(std::uint32_t vocab_size) {
  return read_llama2c_tokenizer(test::write_tokenizer_bin(vocab_size), vocab_size, "tok.bin");
}

struct Converted {
  Bytes image;
  ConvertReport report;
};

Converted convert(const Checkpoint& checkpoint, const Vocabulary& vocabulary,
                  const ConvertOptions& options) {
  const std::string path =
      testing::TempDir() + testing::UnitTest::GetInstance()->current_test_info()->name() + ".mote";
  Converted converted;
  converted.report = convert_checkpoint(path, checkpoint, vocabulary, options);
  converted.image = test::read_file(path);
  std::filesystem::remove(path);
  return converted;
}

Converted convert(const SyntheticModel& model, const ConvertOptions& options) {
  const Bytes bytes = write_llama2c(model);
  const Llama2cCheckpoint checkpoint(bytes, "m.bin");
  return convert(checkpoint, make_vocabulary(model.vocab_size), options);
}

/// A checkpoint with a shape that no file of llama2.c can have, all weights one number, all
/// gains 1.
class FlatCheckpoint : public Checkpoint {
 public:
  explicit FlatCheckpoint(float weight = 0.5F) : weight_(weight) {
    shape_ = {8, 12, 2, 2, 1, 4, 10, 6};
  }
  const CheckpointShape& shape() const override { return shape_; }
  std::string format() const override { return "flat"; }
  void read_row(std::span<float> out, TensorName tensor, std::uint32_t,
                std::uint32_t) const override {
    std::fill(out.begin(), out.end(), is_norm(tensor) ? 1 : weight_);
  }

  CheckpointShape shape_;
  float weight_;
};

std::string refusal(const Checkpoint& checkpoint, const ConvertOptions& options = {}) {
  try {
    convert(checkpoint, make_vocabulary(10), options);
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

#define EXPECT_CONTAINS(text, part) EXPECT_NE((text).find(part), std::string::npos) << (text)

struct Kind {
  std::uint64_t kind;
  TensorName tensor;
};
constexpr Kind kLayerMatrices[] = {
    {17, TensorName::wq},     {18, TensorName::wk},   {19, TensorName::wv},    {20, TensorName::wo},
    {22, TensorName::w_gate}, {23, TensorName::w_up}, {24, TensorName::w_down}};

/// The gain that a column of the tensor takes in from the norm before it; 1 where none is.
double gain_before(const SyntheticModel& model, TensorName tensor, std::uint32_t layer,
                   std::uint64_t column) {
  switch (tensor) {
    case TensorName::wq:
    case TensorName::wk:
    case TensorName::wv:
      return test::synthetic_weight(model, TensorName::attention_norm, layer, column);
    case TensorName::w_gate:
    case TensorName::w_up:
      return test::synthetic_weight(model, TensorName::ffn_norm, layer, column);
    default:
      return 1;
  }
}

/// Every weight of the section is near the model's, and the padding is zero.
void expect_matrix(const SpecSection& section, const SyntheticModel& model, TensorName tensor,
                   std::uint32_t layer) {
  const double int4_clipping = 2.5;  // steps that the search may cut off
  for (std::uint64_t row = 0; row < section.rows; ++row) {
    for (std::uint64_t column = 0; column < section.blocks() * section.block; ++column) {
      if (column >= section.columns) {
        ASSERT_EQ(section.value(row, column), 0);
        continue;
      }
      const double weight =
          test::synthetic_weight(model, tensor, layer, row * section.columns + column) *
          gain_before(model, tensor, layer, column);
      const double step = section.factor(row, column) * section.row_scale(row);
      const double steps = section.format == 1 ? 0.500001 : int4_clipping;
      ASSERT_NEAR(section.weight(row, column), weight, steps * step)
          << tensor_label(tensor, layer) << " " << row << " " << column;
    }
  }
}

void expect_gains(const SpecSection& section, const SyntheticModel& model, TensorName tensor,
                  std::uint32_t layer) {
  ASSERT_EQ(section.rows, 0u);
  ASSERT_EQ(section.columns, model.dim);
  ASSERT_EQ(section.size, 2 * model.dim);
  for (std::uint32_t i = 0; i < model.dim; ++i) {
    EXPECT_NEAR(section.gain(i), test::synthetic_weight(model, tensor, layer, i), 0x1p-14);
  }
}

void expect_image(const SpecImage& image, const SyntheticModel& model, std::uint64_t format,
                  std::uint64_t block) {
  const std::size_t model_sections = model.has_classifier ? 7 : 6;
  ASSERT_EQ(image.sections.size(), model_sections + 7 * model.n_layers);
  expect_matrix(image.find(5), model, TensorName::token_embedding, 0);
  if (model.has_classifier) expect_matrix(image.find(6), model, TensorName::classifier, 0);
  expect_gains(image.find(7), model, TensorName::final_norm, 0);
  for (std::uint32_t layer = 0; layer < model.n_layers; ++layer) {
    for (const Kind& kind : kLayerMatrices) {
      const SpecSection& section = image.find(kind.kind, layer + 1);
      ASSERT_EQ(section.format, format);
      ASSERT_EQ(section.block, kind.kind == 20 ? 2 : block);  // heads of 6 lanes: blocks of 2
      ASSERT_EQ(section.size, section.weights_offset() + section.rows * section.row_bytes());
      expect_matrix(section, model, kind.tensor, layer);
    }
  }
}

TEST(convert, images_of_all_versions_and_formats_follow_the_specification) {
  for (int version = 0; version <= 2; ++version) {
    for (const std::uint32_t block : {16U, 32U, 64U}) {
      for (const WeightFormat format : {WeightFormat::int8, WeightFormat::int4}) {
        SyntheticModel model = padded_model();
        model.version = version;
        model.has_classifier = block == 32;
        ConvertOptions options;
        options.block = block;
        options.weights = format;
        const Converted converted = convert(model, options);
        expect_image(test::parse_image(converted.image), model, static_cast<std::uint64_t>(format),
                     block);
      }
    }
  }
}

TEST(convert, images_open_on_the_device) {
  for (const WeightFormat format : {WeightFormat::int8, WeightFormat::int4}) {
    ConvertOptions options;
    options.weights = format;
    const Converted converted = convert(padded_model(), options);
    const std::string path = testing::TempDir() + "images_open.mote";
    test::write_file(path, converted.image);
    const MappedFile file(path);  // page aligned
    Image image;
    EXPECT_EQ(image.open(file.bytes()), Status::ok);
    EXPECT_EQ(image.config().hidden_dim, 40u);
    std::filesystem::remove(path);
  }
}

TEST(convert, row_scales_use_the_top_octave) {
  const Converted converted = convert(padded_model(), {});
  const SpecImage image = test::parse_image(converted.image);
  for (const SpecSection& section : image.sections) {
    if (section.rows == 0) continue;
    double largest = 0;
    for (std::uint64_t row = 0; row < section.rows; ++row) {
      largest = std::max(largest, section.row_scale(row));
    }
    EXPECT_EQ(std::ilogb(largest) - section.exponent, 41) << section.kind;
  }
}

TEST(convert, the_config_holds_the_shape) {
  ConvertOptions options;
  options.block = 16;
  const Converted converted = convert(padded_model(), options);
  const SpecSection config = test::parse_image(converted.image).find(1);
  ASSERT_EQ(config.size, 64u);
  const std::uint32_t expected[] = {12, 40, 2, 2, 1, 6, 33, 6, 16, 16};
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_EQ(test::number_at(config.bytes, 4 * i, 4), expected[i]) << i;
  }
  EXPECT_EQ(test::number_at(config.bytes, 40, 8), 2111062325u);  // 12 * 1e-5 * 2^44
  EXPECT_EQ(test::number_at(config.bytes, 48, 8), 0u);
}

TEST(convert, attention_of_another_number_of_layers_is_refused) {
  ConvertOptions options;
  options.attention.resize(3);
  EXPECT_CONTAINS(refusal(FlatCheckpoint(), options), "3 layers was given, the model has 2");
}

TEST(convert, epsilon_may_be_zero) {
  FlatCheckpoint checkpoint;
  checkpoint.shape_.norm_epsilon = 0;
  const Converted converted = convert(checkpoint, make_vocabulary(10), {});
  EXPECT_EQ(test::number_at(test::parse_image(converted.image).find(1).bytes, 40, 8), 0u);
}

TEST(convert, rope_frequencies_are_fractions_of_a_turn) {
  const SpecSection section = test::parse_image(convert(padded_model(), {}).image).find(4);
  EXPECT_EQ(section.columns, 3u);
  EXPECT_EQ(section.size, 12u);
  EXPECT_EQ(test::number_at(section.bytes, 0, 4), 683565276u);  // 2^32 / (2 pi)
  for (std::size_t i = 0; i < 3; ++i) {
    const double turns = static_cast<double>(test::number_at(section.bytes, 4 * i, 4)) / 0x1p32;
    const double radians = std::exp(-std::log(10000.0) * 2 * static_cast<double>(i) / 6);
    EXPECT_NEAR(turns, radians / (2 * std::numbers::pi), 0x1p-32);
  }
}

TEST(convert, metadata_are_lines) {
  ConvertOptions options;
  options.name = "m\xc3\xbc";
  options.source = "a=b";
  const SpecSection section = test::parse_image(convert(padded_model(), options).image).find(2);
  EXPECT_EQ(std::string(section.bytes.begin(), section.bytes.end()),
            "name=m\xc3\xbc\nsource=a=b\n");
  options.license = "MIT\nname=evil";
  EXPECT_CONTAINS(refusal(FlatCheckpoint(), options), "license");
}

TEST(convert, the_same_input_gives_the_same_bytes) {
  const Converted first = convert(padded_model(), {});
  EXPECT_EQ(first.image, convert(padded_model(), {}).image);
  SyntheticModel other = padded_model();
  other.seed = 2;
  EXPECT_NE(first.image, convert(other, {}).image);
}

TEST(convert, the_report_agrees_with_the_image) {
  const Converted converted = convert(padded_model(), {});
  EXPECT_EQ(converted.report.image_bytes, converted.image.size());
  ASSERT_EQ(converted.report.tensors.size(), 2u + 7 * 2);
  const TensorReport& report = converted.report.tensors[2];
  EXPECT_EQ(report.name, "layers.0.wq");
  const SpecSection section = test::parse_image(converted.image).find(17, 1);
  double error = 0;
  double square = 0;
  for (std::uint64_t i = 0; i < 144; ++i) {
    const double weight = test::synthetic_weight(padded_model(), TensorName::wq, 0, i) *
                          gain_before(padded_model(), TensorName::wq, 0, i % 12);
    error += std::pow(section.weight(i / 12, i % 12) - weight, 2);
    square += weight * weight;
  }
  EXPECT_NEAR(report.relative_rms_error, std::sqrt(error / square), 1e-9);
  EXPECT_EQ(report.bytes, section.size);
  EXPECT_CONTAINS(format_convert_table(converted.report), "layers.1.w_down");
  EXPECT_CONTAINS(format_convert_json(converted.report, "x.mote"), "\"image\": \"x.mote\"");
}

TEST(convert, progress_counts_every_row_once) {
  const FlatCheckpoint checkpoint;
  std::uint64_t calls = 0;
  std::uint64_t total_rows = 0;
  const std::string path = testing::TempDir() + "progress_counts.mote";
  convert_checkpoint(path, checkpoint, make_vocabulary(10), {},
                     [&](std::uint64_t done, std::uint64_t total) {
                       EXPECT_EQ(done, ++calls);
                       total_rows = total;
                     });
  std::filesystem::remove(path);
  EXPECT_EQ(calls, total_rows);
  EXPECT_EQ(calls, 10u + 2 * (8 + 4 + 4 + 8 + 12 + 12 + 8));
}

TEST(convert, shapes_without_an_image_are_refused_by_name) {
  FlatCheckpoint checkpoint;
  checkpoint.shape_.head_size = 5;
  EXPECT_CONTAINS(refusal(checkpoint), "head_size is 5, must be even");
  checkpoint = FlatCheckpoint();
  checkpoint.shape_.dim = 4098;
  EXPECT_CONTAINS(refusal(checkpoint), "dim is 4098, must be 1 to 4096");
  checkpoint = FlatCheckpoint();
  checkpoint.shape_.dim = 7;
  EXPECT_CONTAINS(refusal(checkpoint), "dim is 7, must be a multiple of 2");
  checkpoint = FlatCheckpoint();
  checkpoint.shape_.n_heads = 3;
  checkpoint.shape_.n_kv_heads = 2;
  EXPECT_CONTAINS(refusal(checkpoint), "n_kv_heads is 2, must divide n_heads, 3");
  checkpoint = FlatCheckpoint();
  checkpoint.shape_.norm_epsilon = NAN;
  EXPECT_CONTAINS(refusal(checkpoint), "norm_epsilon");
  checkpoint = FlatCheckpoint();
  checkpoint.shape_.rope_base = 0;
  EXPECT_CONTAINS(refusal(checkpoint), "rope_base");
  checkpoint = FlatCheckpoint();
  checkpoint.shape_.vocab_size = 11;
  EXPECT_CONTAINS(refusal(checkpoint), "the tokenizer has 10 tokens, the model's vocab_size is 11");
}

TEST(convert, images_beyond_four_gibibytes_are_refused_before_any_weight_is_read) {
  FlatCheckpoint checkpoint;
  checkpoint.shape_ = {4096, 65536, 256, 16, 16, 256, 10, 6};
  EXPECT_CONTAINS(refusal(checkpoint), "4 GiB");
}

TEST(convert, options_out_of_range_are_refused) {
  ConvertOptions options;
  options.block = 24;
  EXPECT_CONTAINS(refusal(FlatCheckpoint(), options), "block is 24, must be 16, 32 or 64");
  options = {};
  options.residual_fraction_bits = 21;
  EXPECT_CONTAINS(refusal(FlatCheckpoint(), options), "residual_fraction_bits is 21");
}

TEST(convert, layers_that_are_not_causal_have_an_attention_section) {
  ConvertOptions options;
  options.attention = {{}, {AttentionKind::sliding_window, 3, 1, {}}};
  const Converted converted = convert(padded_model(), options);
  const SpecImage image = test::parse_image(converted.image);
  EXPECT_EQ(image.sections.size(),
            test::parse_image(convert(padded_model(), {}).image).sections.size() + 1);
  const SpecSection& section = image.find(25, 2);
  EXPECT_EQ(section.bytes, (Bytes{1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0}));
  EXPECT_EQ(section.rows + section.columns + section.format + section.block, 0U);
  options.attention = {{}, {AttentionKind::linear, 0, 0, {65536}}};
  EXPECT_EQ(test::parse_image(convert(padded_model(), options).image).find(25, 2).bytes,
            (Bytes{2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}));
}

TEST(convert, attention_out_of_range_is_refused_by_layer_and_field) {
  ConvertOptions options;
  options.attention = {{}, {AttentionKind::sliding_window, 6, 1, {}}};
  EXPECT_CONTAINS(refusal(FlatCheckpoint(), options),
                  "the attention of layer 1: window is 6, must be 1 to 5");
  options.attention = {{AttentionKind::linear, 0, 0, {0}}, {}};
  EXPECT_CONTAINS(refusal(FlatCheckpoint(), options),
                  "the attention of layer 0: decay is 0, must be 1 to 65536");
}

TEST(convert, weights_that_are_not_finite_leave_no_file) {
  EXPECT_CONTAINS(refusal(FlatCheckpoint(NAN)), "token_embedding: row 0");
  EXPECT_FALSE(std::filesystem::exists(testing::TempDir() +
                                       "weights_that_are_not_finite_leave_no_file.mote"));
}

TEST(convert, zeros_and_extremes_become_images) {
  for (const float weight : {0.0F, 1e-45F, 3.4e38F, -1e30F}) {
    const Converted converted = convert(FlatCheckpoint(weight), make_vocabulary(10), {});
    const SpecSection section = test::parse_image(converted.image).find(17, 1);
    const double allowed = std::max(std::fabs(static_cast<double>(weight)) / 127, 0x1p-127);
    EXPECT_NEAR(section.weight(0, 0), weight, allowed);
  }
}

struct Bound {
  WeightFormat weights;
  double rms;
  std::uint64_t bytes;
};

TEST(convert, stories260k_is_small_and_exact) {
  const std::string models = std::string(MOTE_SHARED_DIR) + "/models/";
  if (!std::filesystem::exists(models + "stories260K.bin")) GTEST_SKIP() << models << " is absent";
  const auto checkpoint = open_checkpoint(models + "stories260K.bin");
  const MappedFile tokenizer(models + "tok512.bin");
  const Vocabulary vocabulary = read_llama2c_tokenizer(tokenizer.bytes(), 512, "tok512.bin");
  for (const Bound& bound : {Bound{WeightFormat::int8, 0.0065, 290 * 1024},
                             Bound{WeightFormat::int4, 0.094, 160 * 1024}}) {
    ConvertOptions options;
    options.weights = bound.weights;
    const Converted converted = convert(*checkpoint, vocabulary, options);
    const std::uint64_t tokenizer_bytes = test::parse_image(converted.image).find(3).size;
    EXPECT_LE(converted.image.size() - tokenizer_bytes, bound.bytes);
    EXPECT_LT(converted.report.relative_rms_error, bound.rms);
  }
}

}  // namespace
}  // namespace mote::host
