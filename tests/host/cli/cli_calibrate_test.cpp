// SPDX-License-Identifier: Apache-2.0
// `mote convert --calibrate` and `--weights mixed`.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/command_line.hpp"
#include "support/named_model.hpp"

namespace mote {
namespace {

using nlohmann::json;
using test::mote;
using test::ProgramResult;
using Arguments = std::vector<std::string>;

class CliCalibrate : public test::CommandLine {
 protected:
  void SetUp() override {
    test::CommandLine::SetUp();
    std::string text;
    for (int i = 0; i < 300; ++i) text += i % 40 == 39 ? "\n<|endoftext|>\n" : "hello abc ";
    test::write_file(path("long.txt"), {text.begin(), text.end()});
  }
  ProgramResult convert(const Arguments& options) const {
    Arguments arguments = {"convert", path("model.bin"), "--tokenizer", path("tokenizer.bin"),
                           "-o",      path("c.mote")};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return mote(arguments);
  }
  /// The one line that the program says; it must fail and write no image.
  std::string complaint(const Arguments& options) const {
    const ProgramResult result = convert(options);
    EXPECT_EQ(result.exit_code, 1);
    EXPECT_EQ(result.output, "");
    EXPECT_EQ(std::ranges::count(result.errors, '\n'), 1) << result.errors;
    EXPECT_FALSE(std::filesystem::exists(path("c.mote")));
    return result.errors;
  }
};

TEST_F(CliCalibrate, int4_with_a_text) {
  const ProgramResult result =
      convert({"--weights", "int4", "--calibrate", path("long.txt"), "--steps", "1"});
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  for (const char* part : {"plain rounding", "calibrated", "bits a weight", "layers.1.w_down"}) {
    EXPECT_NE(result.output.find(part), std::string::npos) << result.output;
  }
  EXPECT_EQ(mote({"run", "-m", path("c.mote"), "-p", "hello", "-n", "3"}).exit_code, 0);
}

TEST_F(CliCalibrate, json_says_what_calibration_did) {
  const ProgramResult result =
      convert({"--weights", "mixed", "--bits", "40", "--calibrate", path("long.txt"), "--steps",
               "20", "--written", "0.5", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  const json report = json::parse(result.output);
  EXPECT_LE(report["calibration"]["bits_per_weight"], 40.0);
  EXPECT_GT(report["calibration"]["int8_perplexity"], 1.0);
  EXPECT_GT(report["calibration"]["plain_perplexity"], 1.0);
  EXPECT_GT(report["calibration"]["perplexity"], 1.0);
  std::size_t calibrated = 0;
  for (const json& tensor : report["tensors"]) calibrated += tensor.contains("product_error");
  EXPECT_EQ(calibrated, 15U);  // the embedding and two layers of seven
}

TEST_F(CliCalibrate, budget_in_bytes_holds) {
  const std::string budget = "20KiB";
  const ProgramResult result = convert({"--weights", "mixed", "--budget", budget, "--calibrate",
                                        path("long.txt"), "--steps", "5", "--json"});
  ASSERT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_LE(json::parse(result.output)["image_bytes"], 20 * 1024);
  EXPECT_LE(std::filesystem::file_size(path("c.mote")), 20U * 1024);
}

TEST_F(CliCalibrate, options_that_say_nothing_alone_are_refused) {
  const std::string text = path("long.txt");
  EXPECT_NE(complaint({"--calibrate", text}).find("int8 is exact enough"), std::string::npos);
  EXPECT_NE(complaint({"--weights", "mixed", "--bits", "5"}).find("needs --calibrate"),
            std::string::npos);
  EXPECT_NE(complaint({"--weights", "mixed", "--calibrate", text}).find("needs --budget or --bits"),
            std::string::npos);
  EXPECT_NE(complaint({"--weights", "int4", "--calibrate", text, "--bits", "5"})
                .find("need --weights mixed"),
            std::string::npos);
}

TEST_F(CliCalibrate, texts_that_cannot_serve_are_refused_by_name) {
  const Arguments int4 = {"--weights", "int4", "--calibrate"};
  const auto with = [&](const std::string& text) {
    Arguments options = int4;
    options.push_back(text);
    return complaint(options);
  };
  EXPECT_NE(with(path("text.txt")).find("text.txt: holds "), std::string::npos);
  EXPECT_NE(with(path("absent.txt")).find("absent.txt"), std::string::npos);
  test::write_file(path("empty.txt"), {});
  EXPECT_NE(with(path("empty.txt")).find("empty.txt"), std::string::npos);
}

TEST_F(CliCalibrate, budget_that_is_too_small_names_the_smallest) {
  const std::string message =
      complaint({"--weights", "mixed", "--budget", "1000", "--calibrate", path("long.txt")});
  EXPECT_NE(message.find("1000 bytes; the smallest image of this model"), std::string::npos)
      << message;
}

/// Sources that bring shapes, biases and a tokenizer of their own.
class CliCalibrateSources : public CliCalibrate {
 protected:
  void SetUp() override {
    CliCalibrate::SetUp();
    model_.shape = {.dim = 32,
                    .hidden_dim = 48,
                    .n_layers = 2,
                    .n_heads = 4,
                    .n_kv_heads = 2,
                    .head_size = 8,
                    .vocab_size = 300,
                    .context_length = 48};
  }
  void expect_calibrates(const Arguments& source) const {
    Arguments arguments = {"convert", "-o",  path("c.mote"), "--weights",      "mixed",
                           "--bits",  "6.5", "--calibrate",  path("long.txt"), "--steps",
                           "5"};
    arguments.insert(arguments.end(), source.begin(), source.end());
    const ProgramResult result = mote(arguments);
    ASSERT_EQ(result.exit_code, 0) << result.errors;
    EXPECT_NE(result.output.find("int8 gains"), std::string::npos) << result.output;
    EXPECT_EQ(mote({"run", "-m", path("c.mote"), "-p", "hello", "-n", "3"}).exit_code, 0);
  }

  test::NamedModel model_;
};

TEST_F(CliCalibrateSources, gguf) {
  test::write_file(path("llama.gguf"), write_gguf(model_));
  expect_calibrates({path("llama.gguf")});
  model_.architecture = "qwen2";
  model_.shape.has_attention_bias = true;
  model_.byte_level = true;
  test::write_file(path("qwen2.gguf"), write_gguf(model_));
  expect_calibrates({path("qwen2.gguf")});
}

TEST_F(CliCalibrateSources, hugging_face) {
  model_.shape.vocab_size = static_cast<std::uint32_t>(test::synthetic_vocabulary().pieces.size());
  for (const char* architecture : {"llama", "qwen2"}) {
    model_.architecture = architecture;
    model_.shape.has_attention_bias = model_.architecture == "qwen2";
    const std::string config = write_huggingface_config(model_);
    std::filesystem::create_directories(path(architecture));
    test::write_file(path(architecture) + "/config.json", {config.begin(), config.end()});
    test::write_file(path(architecture) + "/model.safetensors", write_safetensors(model_));
    expect_calibrates({path(architecture), "--tokenizer", path("tokenizer.bin")});
  }
}

}  // namespace
}  // namespace mote
