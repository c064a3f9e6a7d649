// SPDX-License-Identifier: Apache-2.0
// Folders on disk: which files they need, and where their tokenizer stands.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "convert/convert.hpp"
#include "convert/open_vocabulary.hpp"
#include "huggingface/huggingface_checkpoint.hpp"
#include "huggingface/tokenizer_files.hpp"
#include "support/error.hpp"
#include "support/expect_weights.hpp"
#include "support/named_model.hpp"
#include "support/sentencepiece_writer.hpp"
#include "support/spec_image.hpp"

namespace mote::host {
namespace {

using test::Bytes;
using test::NamedModel;

class HuggingfaceFolderTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "mote_folder_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    write("config.json", write_huggingface_config(model_));
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string path(const std::string& name) const { return folder_ + "/" + name; }
  void write(const std::string& name, const Bytes& bytes) const {
    test::write_file(path(name), bytes);
  }
  void write(const std::string& name, const std::string& text) const {
    write(name, Bytes(text.begin(), text.end()));
  }
  void write_model() const { write("model.safetensors", write_safetensors(model_)); }

  std::string refusal() const {
    try {
      open_checkpoint(folder_);
      return "";
    } catch (const Error& error) {
      return error.what();
    }
  }

  NamedModel model_;
  std::string folder_;
};

TEST_F(HuggingfaceFolderTest, OneFile) {
  write_model();
  const auto checkpoint = open_checkpoint(folder_);
  EXPECT_EQ(checkpoint->format(), "Hugging Face, llama, F32 in 1 file");
  test::expect_weights(model_, *checkpoint, 0);
}

TEST_F(HuggingfaceFolderTest, Shards) {
  write("a.safetensors", write_safetensors(model_, 0, 2));
  write("b.safetensors", write_safetensors(model_, 1, 2));
  write("model.safetensors.index.json",
        R"({"weight_map":{"x":"a.safetensors","y":"b.safetensors"}})");
  const auto checkpoint = open_checkpoint(folder_);
  EXPECT_EQ(checkpoint->format(), "Hugging Face, llama, F32 in 2 files");
  test::expect_weights(model_, *checkpoint, 0);
  std::filesystem::remove(path("b.safetensors"));
  EXPECT_NE(refusal().find("b.safetensors: cannot open"), std::string::npos) << refusal();
}

TEST_F(HuggingfaceFolderTest, WhatIsMissingIsNamed) {
  EXPECT_EQ(refusal(), folder_ +
                           ": the folder has neither model.safetensors nor "
                           "model.safetensors.index.json");
  write_model();
  std::filesystem::remove(path("config.json"));
  EXPECT_NE(refusal().find("config.json: cannot open"), std::string::npos) << refusal();
}

TEST_F(HuggingfaceFolderTest, TokenizersAreFound) {
  EXPECT_EQ(find_tokenizer(folder_).format, TokenizerFormat::none);
  EXPECT_THROW(open_vocabulary(folder_, "", 10), Error);
  write("tokenizer.json", "{}");
  EXPECT_EQ(find_tokenizer(folder_).format, TokenizerFormat::tokenizer_json);
  write("tokenizer.model", "IQ== 0\n");  // tiktoken's
  EXPECT_EQ(find_tokenizer(folder_).format, TokenizerFormat::tokenizer_json);
  write("tokenizer.model", write_sentencepiece(test::named_sentencepiece(8)));
  const TokenizerFile file = find_tokenizer(folder_);
  EXPECT_EQ(file.format, TokenizerFormat::sentencepiece);
  EXPECT_EQ(file.path, path("tokenizer.model"));
}

TEST_F(HuggingfaceFolderTest, TheVocabularyIsFilledUp) {
  write("tokenizer.model", write_sentencepiece(test::named_sentencepiece(8)));
  write("added_tokens.json", R"({"<|im_end|>":8,"<s>":1})");
  for (const bool by_folder : {false, true}) {
    const Vocabulary vocabulary =
        open_vocabulary(folder_, by_folder ? "" : path("tokenizer.model"), 10);
    ASSERT_EQ(vocabulary.entries.size(), 10u);
    EXPECT_EQ(vocabulary.entries[1].bytes, "<s>");
    EXPECT_EQ(vocabulary.entries[8].bytes, "<|im_end|>");
    EXPECT_EQ(vocabulary.entries[8].kind, TokenKind::control);
    EXPECT_TRUE(vocabulary.entries[8].ends_text);
    EXPECT_EQ(vocabulary.entries[9].kind, TokenKind::control);
    EXPECT_FALSE(vocabulary.entries[9].ends_text);
  }
  EXPECT_THROW(open_vocabulary(folder_, "", 7), Error);
  EXPECT_THROW(open_vocabulary(folder_, "", 8), Error);  // no place for <|im_end|>
}

TEST_F(HuggingfaceFolderTest, GgufAndFolderGiveTheSameImage) {
  write_model();
  write("tokenizer.model", write_sentencepiece(test::named_sentencepiece(10)));
  write("m.gguf", write_gguf(model_));
  ConvertOptions options;
  options.name = "same";
  std::vector<Bytes> images;
  for (const std::string& source : {folder_, path("m.gguf")}) {
    convert_checkpoint(path("m.mote"), *open_checkpoint(source), open_vocabulary(source, "", 10),
                       options);
    images.push_back(test::read_file(path("m.mote")));
  }
  EXPECT_EQ(images[0], images[1]);
}

}  // namespace
}  // namespace mote::host
