// SPDX-License-Identifier: Apache-2.0
// From the shared GGUF files to images.
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "convert/convert.hpp"
#include "convert/open_vocabulary.hpp"
#include "support/spec_image.hpp"
#include "support/temporary_file.hpp"

namespace mote::host {
namespace {

std::string shared(const std::string& name) {
  return std::string(MOTE_SHARED_DIR) + "/models/" + name;
}

test::Bytes convert_bytes(const Checkpoint& checkpoint, const Vocabulary& vocabulary,
                          WeightFormat weights, std::uint32_t context_length = 0) {
  const TemporaryFile file("mote-test");
  ConvertOptions options;
  options.weights = weights;
  options.context_length = context_length;
  options.name = "stories260K";
  convert_checkpoint(file.path(), checkpoint, vocabulary, options);
  return test::read_file(file.path());
}

test::SpecImage convert(const Checkpoint& checkpoint, const Vocabulary& vocabulary,
                        WeightFormat weights) {
  return test::parse_image(convert_bytes(checkpoint, vocabulary, weights));
}

bool is_missing() {
  return !std::filesystem::exists(shared("stories260K-F32.gguf"));
}

// llama.cpp's converter wrote a context of 128 positions into the file, where the model has 512.
TEST(GgufImage, Float32GivesTheImageOfLlama2cByteForByte) {
  if (is_missing()) GTEST_SKIP() << "the shared models are absent";
  const auto gguf = open_checkpoint(shared("stories260K-F32.gguf"));
  const auto llama2c = open_checkpoint(shared("stories260K.bin"));
  EXPECT_EQ(gguf->shape().context_length, 128u);
  EXPECT_EQ(llama2c->shape().context_length, 512u);
  const Vocabulary vocabulary = open_vocabulary(shared("stories260K-F32.gguf"), "", 512);
  const Vocabulary same_vocabulary =
      open_vocabulary(shared("stories260K.bin"), shared("tok512.bin"), 512);
  EXPECT_EQ(build_tokenizer_section(vocabulary), build_tokenizer_section(same_vocabulary));
  for (const WeightFormat weights : {WeightFormat::int8, WeightFormat::int4}) {
    const test::Bytes expected = convert_bytes(*llama2c, same_vocabulary, weights);
    EXPECT_EQ(convert_bytes(*gguf, vocabulary, weights, 512), expected);
    EXPECT_NE(convert_bytes(*gguf, vocabulary, weights), expected);
  }
}

/// Largest difference of a matrix from that of the F32 file, over its largest magnitude.
double largest_difference(const Checkpoint& checkpoint, const Checkpoint& exact, TensorName tensor,
                          std::uint32_t layer) {
  const TensorExtent extent = tensor_extent(exact.shape(), tensor);
  std::vector<float> row(extent.columns);
  std::vector<float> exact_row(extent.columns);
  // The F32 file's head equals its embedding, that of another file may be stored otherwise.
  const bool shares = tensor == TensorName::classifier && !exact.shape().has_classifier;
  double difference = 0;
  double largest = 0;
  for (std::uint32_t r = 0; r < extent.rows; ++r) {
    checkpoint.read_row(row, tensor, layer, r);
    exact.read_row(exact_row, shares ? TensorName::token_embedding : tensor, layer, r);
    for (std::size_t c = 0; c < row.size(); ++c) {
      difference = std::max(difference, std::fabs(double{row[c]} - double{exact_row[c]}));
      largest = std::max(largest, std::fabs(double{exact_row[c]}));
    }
  }
  return difference / largest;
}

TEST(GgufImage, OtherTypesAreNearFloat32) {
  if (is_missing()) GTEST_SKIP() << "the shared models are absent";
  const auto exact = open_checkpoint(shared("stories260K-F32.gguf"));
  const std::pair<const char*, double> files[] = {{"stories260K-F16.gguf", 0x1p-11},
                                                  {"stories260K-Q8_0.gguf", 0.6 / 127},
                                                  {"stories260K-Q4_0.gguf", 1.1 / 8}};
  for (const auto& [name, bound] : files) {
    const auto checkpoint = open_checkpoint(shared(name));
    for (std::size_t index = 0; index < kTensorNameCount; ++index) {
      const auto tensor = static_cast<TensorName>(index);
      if (!has_tensor(checkpoint->shape(), tensor)) continue;
      const std::uint32_t layers = belongs_to_layer(tensor) ? exact->shape().n_layers : 1;
      for (std::uint32_t layer = 0; layer < layers; ++layer) {
        EXPECT_LE(largest_difference(*checkpoint, *exact, tensor, layer), bound)
            << name << " " << tensor_label(tensor, layer);
      }
    }
  }
}

/// The image's weights are those of the file, rounded: at most half a step of a row's scale off.
TEST(GgufImage, ImagesHoldTheDequantisedWeights) {
  if (is_missing()) GTEST_SKIP() << "the shared models are absent";
  for (const char* name : {"stories260K-F16.gguf", "stories260K-Q8_0.gguf"}) {
    const auto checkpoint = open_checkpoint(shared(name));
    const Vocabulary vocabulary = open_vocabulary(shared(name), "", 512);
    const test::SpecImage image = convert(*checkpoint, vocabulary, WeightFormat::int8);
    const test::SpecSection& section = image.find(20, 1);  // wo of layer 0, which follows no norm
    std::vector<float> row(64);
    for (std::uint32_t r = 0; r < 64; ++r) {
      checkpoint->read_row(row, TensorName::wo, 0, r);
      for (std::uint32_t c = 0; c < 64; ++c) {
        ASSERT_NEAR(section.weight(r, c), row[c], 0.51 * section.row_scale(r)) << r << " " << c;
      }
    }
  }
}

}  // namespace
}  // namespace mote::host
