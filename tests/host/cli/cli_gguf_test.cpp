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

TEST_F(CliGguf, TheContextMayBeGiven) {
  const auto convert_with = [&](const std::string& context) {
    return run_program(MOTE_PROGRAM,
                       {"convert", path("m.gguf"), "-o", path("m.mote"), "--context", context});
  };
  const auto image = [&] { return parse_image(read_file(path("m.mote"))); };
  GgufWriter writer = begin_gguf(model_);
  writer.add_u32("llama.attention.sliding_window", 20);
  write_file(path("m.gguf"), writer.file());
  constexpr std::uint64_t kConfig = 1;
  constexpr std::uint64_t kAttention = 25;
  EXPECT_EQ(convert_with("21").exit_code, 0);
  EXPECT_EQ(number_at(image().find(kConfig).bytes, 28, 4), 21u);
  EXPECT_EQ(number_at(image().find(kAttention, 1).bytes, 4, 4), 20u);
  // A window of the whole context hides nothing.
  EXPECT_EQ(convert_with("20").exit_code, 0);
  EXPECT_THROW(image().find(kAttention, 1), std::runtime_error);
  EXPECT_EQ(convert(path("m.gguf")).exit_code, 0);
  EXPECT_EQ(number_at(image().find(kConfig).bytes, 28, 4), 16u);
  EXPECT_THROW(image().find(kAttention, 1), std::runtime_error);
  EXPECT_EQ(convert_with("65536").exit_code, 0);
  for (const char* refused : {"0", "65537", "-1", "many"}) {
    const ProgramResult result = convert_with(refused);
    EXPECT_NE(result.exit_code, 0) << refused;
    EXPECT_NE(result.errors.find("--context"), std::string::npos) << result.errors;
  }
  // Windows are held to the context that was given.
  const ProgramResult result = run_program(
      MOTE_PROGRAM,
      {"convert", path("m.gguf"), "-o", path("m.mote"), "--context", "8", "--window", "9"});
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.errors.find("window is 9, must be 1 to 8"), std::string::npos) << result.errors;
}

TEST_F(CliGguf, ASourceWithoutTokenizerNeedsOne) {
  write_file(path("m.bin"), write_llama2c({}));
  const ProgramResult result = convert(path("m.bin"));
  EXPECT_EQ(result.exit_code, 1);
  EXPECT_NE(result.errors.find("name one with --tokenizer"), std::string::npos) << result.errors;
}

}  // namespace
}  // namespace mote::test
