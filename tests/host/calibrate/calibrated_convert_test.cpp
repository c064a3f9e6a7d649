// SPDX-License-Identifier: Apache-2.0
#include "calibrate/calibrated_convert.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "convert/convert_report.hpp"
#include "mote/transformer.hpp"
#include "run/engine.hpp"
#include "support/each_kernel_set.hpp"
#include "support/error.hpp"
#include "support/image_factory.hpp"
#include "support/mixed_models.hpp"
#include "support/random.hpp"
#include "support/temporary_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace mote::host {
namespace {

/// Words of the letters that the synthetic vocabulary has.
std::string make_text(int words) {
  test::Random random(22);
  std::string text;
  for (int i = 0; i < words; ++i) {
    for (int letter = 0; letter < 6; ++letter) {
      text += static_cast<char>('a' + random.below(26));
    }
    text += i % 12 == 11 ? "\n<|endoftext|>\n" : " ";
  }
  return text;
}

struct Converted {
  test::Bytes image;
  ConvertReport report;
};

Converted convert(const test::ModelSpec& spec, CalibrationOptions calibration,
                  const std::string& text) {
  const TemporaryFile file("mote-test");
  ConvertOptions options;
  options.weights = WeightFormat::int4;
  options.block = spec.block;
  options.attention = spec.attention;
  options.name = "synthetic";
  calibration.text = text;
  calibration.text_name = "text.txt";
  Converted converted;
  converted.report =
      convert_calibrated(file.path(), SyntheticCheckpoint(spec.shape, spec.seed),
                         make_synthetic_vocabulary(spec.shape.vocab_size), options, calibration);
  converted.image = test::read_file(file.path());
  return converted;
}

CalibrationOptions with_steps(std::uint32_t steps) {
  CalibrationOptions calibration;
  calibration.steps = steps;
  return calibration;
}

/// A classifier of its own, every kind of attention, rows that fill no block.
test::ModelSpec small_model() {
  test::ModelSpec spec =
      test::mixed_model({test::causal(), test::window_of(6, 2), test::linear(test::kDecays)});
  spec.shape.dim = 40;
  spec.shape.has_classifier = true;
  return spec;
}

/// Opens with every checksum, and runs.
void expect_runs(const test::Bytes& bytes, std::uint32_t vocab_size) {
  const test::OpenImage image(bytes);
  EXPECT_EQ(image->verify(), Status::ok);
  EXPECT_EQ(image->config().vocab_size, vocab_size);
}

TEST(CalibratedConvert, image_is_valid_and_comes_closer_to_the_exact_model) {
  const test::ModelSpec spec = small_model();
  const Converted result = convert(spec, with_steps(2), make_text(120));
  expect_runs(result.image, spec.shape.vocab_size);
  ASSERT_TRUE(result.report.calibration.has_value());
  const CalibrationSummary& summary = *result.report.calibration;
  EXPECT_GE(summary.tokens, 256U);
  EXPECT_GT(summary.divergence_before, 0);
  EXPECT_LE(summary.divergence_after, summary.divergence_before);
  EXPECT_GT(summary.bits_per_weight, 4);
  EXPECT_LT(summary.bits_per_weight, 8);
  std::size_t matrices = 0;
  for (const TensorReport& tensor : result.report.tensors) {
    if (!tensor.calibration) continue;
    ++matrices;
    EXPECT_LE(tensor.calibration->product_error,
              tensor.calibration->plain_product_error * (1 + 1e-9))
        << tensor.name;
  }
  EXPECT_EQ(matrices, 2U + 7 * spec.shape.n_layers);
  EXPECT_NE(format_convert_table(result.report).find("plain rounding"), std::string::npos);
}

TEST(CalibratedConvert, the_same_arguments_give_the_same_bytes) {
  const std::string text = make_text(70);
  EXPECT_EQ(convert(small_model(), with_steps(1), text).image,
            convert(small_model(), with_steps(1), text).image);
}

TEST(CalibratedConvert, every_set_of_kernels_gives_the_same_bytes) {
  const std::string text = make_text(70);
  const test::Bytes wanted = convert(small_model(), with_steps(3), text).image;
  test::use_each_kernel_set([&](const KernelSet&) {
    EXPECT_EQ(convert(small_model(), with_steps(3), text).image, wanted);
  });
}

TEST(CalibratedConvert, smallest_model_and_short_rows) {
  test::ModelSpec spec = test::tiny_model();
  spec.shape.vocab_size = 67;
  for (const bool has_classifier : {false, true}) {
    spec.shape.has_classifier = has_classifier;
    const Converted result = convert(spec, with_steps(1), make_text(70));
    expect_runs(result.image, spec.shape.vocab_size);
  }
}

CalibrationOptions with_bytes(std::uint64_t bytes) {
  CalibrationOptions calibration = with_steps(0);
  calibration.budget = MixedBudget{bytes, {}};
  return calibration;
}

std::size_t count_int8(const Converted& converted) {
  std::size_t count = 0;
  for (const TensorReport& tensor : converted.report.tensors) {
    if (tensor.format == WeightFormat::int8) ++count;
  }
  return count;
}

TEST(CalibratedConvert, mixed_image_never_exceeds_its_budget) {
  const test::ModelSpec spec = small_model();
  const std::string text = make_text(70);
  const std::uint64_t least = convert(spec, with_steps(0), text).image.size();
  std::size_t most_int8 = 0;
  for (const std::uint64_t more : {0U, 3001U, 1000000U}) {
    const Converted result = convert(spec, with_bytes(least + more), text);
    EXPECT_LE(result.image.size(), least + more);
    EXPECT_GE(count_int8(result), most_int8);
    most_int8 = std::max(most_int8, count_int8(result));
    expect_runs(result.image, spec.shape.vocab_size);
  }
  EXPECT_EQ(most_int8, 2U + 7 * spec.shape.n_layers);
}

TEST(CalibratedConvert, bits_count_every_byte_of_the_matrices) {
  CalibrationOptions calibration = with_steps(0);
  calibration.budget = MixedBudget{{}, 7.5};
  const Converted result = convert(small_model(), calibration, make_text(70));
  std::uint64_t bytes = 0;
  std::uint64_t weights = 0;
  for (const TensorReport& tensor : result.report.tensors) {
    if (tensor.format == WeightFormat::raw) continue;
    bytes += tensor.bytes;
    weights += std::uint64_t{tensor.rows} * tensor.columns;
  }
  const double bits = 8 * static_cast<double>(bytes) / static_cast<double>(weights);
  EXPECT_LE(bits, 7.5);
  EXPECT_GT(count_int8(result), 0U);
  EXPECT_NEAR(result.report.calibration->bits_per_weight, bits, 1e-9);
}

std::string complaint(const CalibrationOptions& calibration, const std::string& text) {
  try {
    convert(small_model(), calibration, text);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(CalibratedConvert, budget_that_is_too_small_is_refused_with_the_smallest) {
  const std::string text = make_text(70);
  const std::uint64_t least = convert(small_model(), with_steps(0), text).image.size();
  const std::string message = complaint(with_bytes(least - 1), text);
  EXPECT_NE(message.find(std::to_string(least)), std::string::npos) << message;
  CalibrationOptions bits = with_steps(0);
  bits.budget = MixedBudget{{}, 4.0};
  EXPECT_NE(complaint(bits, text).find("bits a weight; all int4"), std::string::npos);
}

TEST(CalibratedConvert, text_that_is_too_short_is_refused) {
  for (const std::string text : {"", "abc", "<|endoftext|>\n"}) {
    EXPECT_TRUE(complaint(with_steps(1), text).starts_with("text.txt: holds "));
  }
}

}  // namespace
}  // namespace mote::host
