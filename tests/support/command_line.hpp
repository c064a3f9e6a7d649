// SPDX-License-Identifier: Apache-2.0
// The real program `mote` on a model that it converted itself.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

#include "support/llama2c_encode.hpp"
#include "support/llama2c_writer.hpp"
#include "support/program.hpp"
#include "support/spec_image.hpp"

namespace mote::test {

inline ProgramResult mote(const std::vector<std::string>& arguments,
                          const std::string& output_path = "") {
  return run_program(MOTE_PROGRAM, arguments, output_path);
}

/// A folder with a llama2.c model, its tokenizer and a text, removed at the end.
class CommandLine : public testing::Test {
 protected:
  static constexpr std::uint32_t kContext = 24;

  void SetUp() override {
    folder_ = testing::TempDir() + "mote-cli-" + std::to_string(::getpid());
    std::filesystem::create_directories(folder_);
    const Llama2cVocabulary vocabulary = synthetic_vocabulary();
    SyntheticModel model;
    model.vocab_size = static_cast<std::uint32_t>(vocabulary.pieces.size());
    model.context_length = kContext;
    write_file(path("model.bin"), write_llama2c(model));
    write_file(path("tokenizer.bin"), format_llama2c(vocabulary));
    const std::string text = "hello hello\n<|endoftext|>\nabc aa ab\n";
    write_file(path("text.txt"), {text.begin(), text.end()});
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  std::string folder() const { return folder_; }

  /// The converted model's path.
  std::string image() const {
    const std::string out = path("model.mote");
    const ProgramResult result = mote(
        {"convert", path("model.bin"), "--tokenizer", path("tokenizer.bin"), "-o", out, "--quiet"});
    EXPECT_EQ(result.exit_code, 0) << result.errors;
    return out;
  }

 private:
  std::string folder_;
};

}  // namespace mote::test
