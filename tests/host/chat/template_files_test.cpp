// SPDX-License-Identifier: Apache-2.0
#include "chat/template_files.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "support/error.hpp"
#include "support/gguf_writer.hpp"
#include "support/spec_image.hpp"

namespace mote::host {
namespace {

class TemplateFiles : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "mote_template_" +
              testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& text) const {
    test::write_file(folder_ + "/" + name, {text.begin(), text.end()});
  }

  std::string folder_;
};

TEST_F(TemplateFiles, AFolderHasOneTextOrSeveral) {
  EXPECT_EQ(read_chat_template(folder_), "");
  write("tokenizer_config.json", R"({"chat_template": "one"})");
  EXPECT_EQ(read_chat_template(folder_), "one");
  write("tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": "r"},
                                     {"name": "default", "template": "d"}]})");
  EXPECT_EQ(read_chat_template(folder_), "d");
  for (const char* other : {"{}", R"({"chat_template": null})", R"({"chat_template": [1, {}]})"}) {
    write("tokenizer_config.json", other);
    EXPECT_EQ(read_chat_template(folder_), "");
  }
  write("chat_template.jinja", "file");
  EXPECT_EQ(read_chat_template(folder_), "file");
}

TEST_F(TemplateFiles, DamagedJsonIsRefused) {
  write("tokenizer_config.json", "{");
  EXPECT_THROW(read_chat_template(folder_), Error);
}

TEST_F(TemplateFiles, AGgufFileHasItInItsMetadata) {
  test::GgufWriter writer;
  writer.add_string("tokenizer.chat_template", "jinja");
  test::write_file(folder_ + "/m.gguf", writer.file());
  EXPECT_EQ(read_chat_template(folder_ + "/m.gguf"), "jinja");
  write("m.bin", "other");
  EXPECT_EQ(read_chat_template(folder_ + "/m.bin"), "");
}

}  // namespace
}  // namespace mote::host
