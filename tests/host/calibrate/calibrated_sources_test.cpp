// SPDX-License-Identifier: Apache-2.0
// Calibration of checkpoints in GGUF and in folders of Hugging Face, with biases and without.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "calibrate/calibrated_convert.hpp"
#include "calibrate/exact_model.hpp"
#include "convert/section_plan.hpp"
#include "gguf/gguf_checkpoint.hpp"
#include "huggingface/huggingface_checkpoint.hpp"
#include "support/double_model.hpp"
#include "support/image_factory.hpp"
#include "support/named_model.hpp"
#include "support/running_model.hpp"
#include "support/temporary_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace mote::host {
namespace {

using test::Bytes;
using test::NamedModel;

NamedModel small_model(const std::string& architecture) {
  NamedModel model;
  model.architecture = architecture;
  model.shape = {.dim = 32,
                 .hidden_dim = 48,
                 .n_layers = 2,
                 .n_heads = 4,
                 .n_kv_heads = 2,
                 .head_size = 8,
                 .vocab_size = 120,
                 .context_length = 64};
  model.shape.has_classifier = true;
  model.shape.has_attention_bias = architecture == "qwen2";
  return model;
}

/// The model as GGUF and as the files of a folder, and the checkpoints that read them.
class Sources {
 public:
  explicit Sources(const NamedModel& model)
      : gguf_bytes_(write_gguf(model)), tensors_(write_safetensors(model)) {
    const std::string config = write_huggingface_config(model);
    files_.emplace_back(tensors_, "m.safetensors");
    gguf_ = std::make_unique<GgufCheckpoint>(gguf_bytes_, "m.gguf");
    folder_ = std::make_unique<HuggingfaceCheckpoint>(Bytes(config.begin(), config.end()),
                                                      "config.json", files_);
  }
  const Checkpoint& gguf() const { return *gguf_; }
  const Checkpoint& folder() const { return *folder_; }

 private:
  Bytes gguf_bytes_;
  Bytes tensors_;
  std::vector<SafetensorsFile> files_;
  std::unique_ptr<Checkpoint> gguf_;
  std::unique_ptr<Checkpoint> folder_;
};

std::string make_text() {
  std::string text;
  for (int i = 0; i < 600; ++i) {
    text += static_cast<char>('a' + i * i % 7 + i % 3);
    if (i % 90 == 89) text += "\n<|endoftext|>\n";
  }
  return text;
}

struct Converted {
  Bytes image;
  ConvertReport report;
};

Converted convert(const Checkpoint& checkpoint, std::optional<double> bits) {
  const TemporaryFile file("mote-test");
  const std::string text = make_text();
  ConvertOptions options;
  options.weights = WeightFormat::int4;
  options.name = "calibrated";
  CalibrationOptions calibration;
  calibration.text = text;
  calibration.text_name = "text.txt";
  calibration.steps = 8;
  if (bits) calibration.budget = MixedBudget{{}, bits};
  const ConvertReport report = convert_calibrated(
      file.path(), checkpoint, make_synthetic_vocabulary(checkpoint.shape().vocab_size), options,
      calibration);
  return {test::read_file(file.path()), report};
}

TEST(CalibratedSources, one_model_in_two_forms_gives_one_image) {
  for (const char* architecture : {"llama", "qwen2"}) {
    const Sources sources(small_model(architecture));
    for (const std::optional<double> bits : {std::optional<double>(), std::optional(6.5)}) {
      const Converted converted = convert(sources.gguf(), bits);
      EXPECT_EQ(converted.image, convert(sources.folder(), bits).image) << architecture;
      const test::OpenImage image(converted.image);
      EXPECT_EQ(image->verify(), Status::ok);
      const CalibrationSummary& summary = *converted.report.calibration;
      EXPECT_GT(summary.divergence_before, 0);
      EXPECT_LE(summary.divergence_after, summary.divergence_before) << architecture;
      Section bias;
      EXPECT_EQ(image->find(bias, SectionKind::bq, 1), architecture == std::string("qwen2"));
    }
  }
}

/// What tuning takes for the truth is the file's model, its biases with it.
TEST(CalibratedSources, the_exact_model_is_that_of_the_files) {
  for (const char* architecture : {"llama", "qwen2"}) {
    const NamedModel named = small_model(architecture);
    const Sources sources(named);
    const test::OpenImage reference(convert(sources.gguf(), {}).image);
    const Vocabulary vocabulary = make_synthetic_vocabulary(named.shape.vocab_size);
    const std::vector<std::uint32_t> tokens = test::random_tokens(named.shape.vocab_size, 40);
    for (const Checkpoint* checkpoint : {&sources.gguf(), &sources.folder()}) {
      const auto plan =
          plan_sections(*checkpoint, reference->config(), vocabulary, ConvertOptions{});
      const FloatModel exact = load_exact_model(*checkpoint, reference.image(), plan);
      FloatTrace trace;
      exact.forward(trace, tokens);
      test::DoubleModel oracle(*checkpoint);
      for (std::size_t t = 0; t < tokens.size(); ++t) {
        const std::vector<double> wanted = oracle.forward(tokens[t]);
        for (std::size_t i = 0; i < wanted.size(); ++i) {
          ASSERT_NEAR(static_cast<double>(trace.logits[t * wanted.size() + i]), wanted[i], 0.02)
              << architecture << ", position " << t << ", token " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace mote::host
