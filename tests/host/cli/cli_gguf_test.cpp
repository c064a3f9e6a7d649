// SPDX-License-Identifier: Apache-2.0
// `mote convert` with sources that bring their own tokenizer.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "support/named_model.hpp"
#include "support/program.hpp"
#include "support/spec_image.hpp"

namespace mote::test {
namespace {

class CliGguf : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "mote_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    model_.shape.vocab_size = 265;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  ProgramResult convert(const std::string& source) const {
    return run_program(MOTE_PROGRAM, {"convert", source, "-o", path("m.mote")});
  }

  NamedModel model_;
  std::string folder_;
};

TEST_F(CliGguf, NeedsNothingButTheFile) {
  write_file(path("m.gguf"), write_gguf(model_));
  const ProgramResult result = convert(path("m.gguf"));
  EXPECT_EQ(result.exit_code, 0) << result.errors;
  EXPECT_NE(result.output.find("GGUF, version 3, llama, F32"), std::string::npos) << result.output;
  EXPECT_EQ(
      run_program(MOTE_PROGRAM, {"run", "-m", path("m.mote"), "-p", "a", "-n", "2"}).exit_code, 0);
}

TEST_F(CliGguf, WindowsOfTheModelAreKept) {
  constexpr std::uint64_t kAttention = 25;
  GgufWriter writer = begin_gguf(model_);
  writer.add_u32("llama.attention.sliding_window", 5);
  writer.add_u32("llama.attention.sliding_window_pattern", 2);
  write_file(path("m.gguf"), writer.file());
  EXPECT_EQ(convert(path("m.gguf")).exit_code, 0);
  const SpecImage image = parse_image(read_file(path("m.mote")));
  EXPECT_EQ(number_at(image.find(kAttention, 1).bytes, 4, 4), 5u);
  EXPECT_THROW(image.find(kAttention, 2), std::runtime_error);
}

TEST_F(CliGguf, ASourceWithoutTokenizerNeedsOne) {
  write_file(path("m.bin"), write_llama2c({}));
  const ProgramResult result = convert(path("m.bin"));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.errors.find("name one with --tokenizer"), std::string::npos) << result.errors;
}

}  // namespace
}  // namespace mote::test
