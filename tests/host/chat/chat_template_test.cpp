// SPDX-License-Identifier: Apache-2.0
// The tokens of conversations against the formats as they are published.
#include "chat/chat_template.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "support/byte_level_model.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

using Tokens = std::vector<std::uint32_t>;

/// 256 bytes, and control tokens from 256 on.
struct ByteModel {
  explicit ByteModel(const std::vector<std::string>& controls, const std::string& bos = "",
                     const std::string& eos = "") {
    for (int byte = 0; byte < 256; ++byte) {
      texts.add(map_bytes(std::string(1, static_cast<char>(byte))), PieceKind::normal);
    }
    for (const std::string& control : controls) texts.add(control, PieceKind::control);
    ByteLevelModel model = texts.model();
    if (!bos.empty()) model.special.bos = texts.token(bos);
    if (!eos.empty()) model.special.eos = texts.token(eos);
    section = build_tokenizer_section(make_byte_level_vocabulary(model, "test"));
    EXPECT_EQ(tokenizer.open(section), Status::ok);
  }

  Tokens encode(ChatTemplate format, const std::string& system,
                const std::vector<ChatTurn>& turns) const {
    return ChatEncoder(tokenizer, format, system, "m.mote").encode(turns);
  }

  /// Each control token as it is spelled, other bytes as they are. Marks in messages are not found
  /// this way: the tests' messages have none.
  Tokens spell(std::string_view text) const {
    Tokens tokens(Tokenizer::max_tokens(text.size()));
    Tokens scratch(tokens.size());
    std::size_t count = 0;
    EXPECT_EQ(tokenizer.encode_marked(tokens, count, scratch, text, {.bos = false}), Status::ok);
    tokens.resize(count);
    return tokens;
  }

  test::ByteLevelTexts texts;
  std::vector<std::uint8_t> section;
  Tokenizer tokenizer;
};

const std::vector<ChatTurn> kTwoTurns = {{"Hi", {'Y', 'o'}}, {" Why? ", {}}};

TEST(ChatTemplate, Chatml) {
  const ByteModel model({"<|im_start|>", "<|im_end|>"});
  EXPECT_EQ(model.encode(ChatTemplate::chatml, "Be kind.", kTwoTurns),
            model.spell("<|im_start|>system\nBe kind.<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                        "<|im_start|>assistant\nYo<|im_end|>\n<|im_start|>user\n Why? <|im_end|>\n"
                        "<|im_start|>assistant\n"));
  EXPECT_EQ(model.encode(ChatTemplate::chatml, "", {{"Hi", {}}}),
            model.spell("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"));
}

TEST(ChatTemplate, Llama3) {
  const ByteModel model(
      {"<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"},
      "<|begin_of_text|>");
  EXPECT_EQ(model.encode(ChatTemplate::llama3, "Be kind.", kTwoTurns),
            model.spell(
                "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe kind.<|eot_id|>"
                "<|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\nYo<|eot_id|>"
                "<|start_header_id|>user<|end_header_id|>\n\nWhy?<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n"));
}

TEST(ChatTemplate, Llama2) {
  const ByteModel model({"<s>", "</s>"}, "<s>", "</s>");
  EXPECT_EQ(model.encode(ChatTemplate::llama2, "Be kind.", kTwoTurns),
            model.spell("<s>[INST] <<SYS>>\nBe kind.\n<</SYS>>\n\nHi [/INST]Yo</s>"
                        "<s>[INST] Why? [/INST]"));
}

TEST(ChatTemplate, Mistral) {
  const ByteModel plain({"<s>", "</s>"}, "<s>", "</s>");
  EXPECT_EQ(plain.encode(ChatTemplate::mistral, "", {{"Hi", {'Y', 'o'}}, {"Why?", {}}}),
            plain.spell("<s>[INST] Hi [/INST]Yo</s>[INST] Why? [/INST]"));
  const ByteModel marked({"<s>", "</s>", "[INST]", "[/INST]"}, "<s>", "</s>");
  EXPECT_EQ(marked.encode(ChatTemplate::mistral, "Be kind.", {{"Hi", {}}}),
            marked.spell("<s>[INST] Be kind.\n\nHi [/INST]"));
}

// TinyLlama has only the end as a token of its own, StableLM's kin all of them.
TEST(ChatTemplate, Zephyr) {
  const std::string expected =
      "<|system|>\nBe kind.</s>\n<|user|>\nHi</s>\n<|assistant|>\nYo</s>\n<|user|>\n Why? </s>\n"
      "<|assistant|>\n";
  const ByteModel plain({"</s>"}, "", "</s>");
  EXPECT_EQ(plain.encode(ChatTemplate::zephyr, "Be kind.", kTwoTurns), plain.spell(expected));
  const ByteModel marked({"</s>", "<|system|>", "<|user|>", "<|assistant|>"}, "", "</s>");
  const Tokens tokens = marked.encode(ChatTemplate::zephyr, "Be kind.", kTwoTurns);
  EXPECT_EQ(tokens, marked.spell(expected));
  EXPECT_LT(tokens.size(), plain.spell(expected).size());
}

/// Pieces of SentencePiece: a text after a control token begins with a space of its own, as the
/// model's own code encodes each part of a dialogue.
TEST(ChatTemplate, Llama2WithSentencePiece) {
  std::vector<VocabularyEntry> entries = {{"<unk>", 0, TokenKind::unknown, false},
                                          {"<s>", 0, TokenKind::control, false},
                                          {"</s>", 0, TokenKind::control, true}};
  for (int byte = 0; byte < 256; ++byte) {
    entries.push_back({std::string(1, static_cast<char>(byte)), 0, TokenKind::byte, false});
  }
  for (const char* text : {" ", "[", "]", "/", "I", "N", "S", "T", "H", "i"}) {
    entries.push_back({text, 0, TokenKind::normal, false});
  }
  Vocabulary vocabulary;
  vocabulary.entries = entries;
  vocabulary.bos = 1;
  vocabulary.eos = 2;
  vocabulary.first_byte_token = 3;
  const auto section = build_tokenizer_section(vocabulary);
  Tokenizer tokenizer;
  ASSERT_EQ(tokenizer.open(section), Status::ok);
  const Tokens tokens = ChatEncoder(tokenizer, ChatTemplate::llama2, "", "m.mote")
                            .encode({{"Hi", {267, 268}}, {"i", {}}});
  std::string text;
  for (const std::uint32_t token : tokens) text += tokenizer.piece(token);
  EXPECT_EQ(text, "<s> [INST] Hi [/INST]Hi</s><s> [INST] i [/INST]");
}

TEST(ChatTemplate, AMessageNeverHoldsAMark) {
  const ByteModel model({"<|im_start|>", "<|im_end|>"});
  const Tokens tokens = model.encode(ChatTemplate::chatml, "", {{"<|im_end|>", {}}});
  EXPECT_EQ(std::ranges::count(tokens, model.texts.token("<|im_end|>")), 1);
}

TEST(ChatTemplate, AModelWithoutTheTokenThatEndsATurnIsRefused) {
  const ByteModel model({"<|im_start|>"});
  for (const auto& [format, token] : {std::pair(ChatTemplate::chatml, "<|im_end|>"),
                                      std::pair(ChatTemplate::llama3, "<|eot_id|>"),
                                      std::pair(ChatTemplate::zephyr, "that ends a text")}) {
    try {
      model.encode(format, "", {{"Hi", {}}});
      ADD_FAILURE() << token;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(token), std::string::npos) << error.what();
    }
  }
}

TEST(ChatTemplate, IsRecognisedByWhatStandsInIt) {
  const std::vector<std::pair<const char*, std::optional<ChatTemplate>>> cases = {
      {"{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>'}}",
       ChatTemplate::chatml},
      {"{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n' "
       "+ message['content'] | trim + '<|eot_id|>' %}",
       ChatTemplate::llama3},
      {"{{ bos_token + '[INST] ' + '<<SYS>>\\n' + system + '\\n<</SYS>>' + ' [/INST]' }}",
       ChatTemplate::llama2},
      {"{{ bos_token }}{{ '[INST] ' + message['content'] + ' [/INST]' }}", ChatTemplate::mistral},
      {"{{ '<|user|>\n' + message['content'] + eos_token }}", ChatTemplate::zephyr},
      {"{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{{eos_token}}", std::nullopt},
      {"{{ '<start_of_turn>' + role }}", std::nullopt},
      {"", std::nullopt},
  };
  for (const auto& [jinja, format] : cases)
    EXPECT_EQ(recognise_chat_template(jinja), format) << jinja;
}

TEST(ChatTemplate, NamesGoBothWays) {
  EXPECT_EQ(chat_template_names(), "chatml, llama2, llama3, mistral, zephyr");
  for (const char* name : {"chatml", "llama2", "llama3", "mistral", "zephyr"}) {
    EXPECT_EQ(chat_template_name(find_chat_template(name).value()), name);
  }
  EXPECT_FALSE(find_chat_template("gemma"));
}

TEST(ChatTemplate, TheSystemPromptOfTheTemplate) {
  EXPECT_EQ(
      default_system_prompt("{{ '<|im_start|>system\nYou are a helpful assistant<|im_end|>\n' }}"),
      "You are a helpful assistant");
  EXPECT_EQ(default_system_prompt("'<|im_start|>system\\n' + m + '<|im_end|>' "
                                  "'<|im_start|>system\\nBe kind.<|im_end|>'"),
            "Be kind.");
  EXPECT_EQ(default_system_prompt("{{ '<|im_start|>' + role }}"), "");
  EXPECT_EQ(default_system_prompt("<|im_start|>system\nno end"), "");
}

TEST(ChatTemplate, MetadataIsReadByLines) {
  const std::string_view metadata = "name=a=b\nchat_template=chatml\nchat_system=\n";
  EXPECT_EQ(find_metadata(metadata, "name"), "a=b");
  EXPECT_EQ(find_metadata(metadata, "chat_template"), "chatml");
  EXPECT_EQ(find_metadata(metadata, "chat_system"), "");
  EXPECT_EQ(find_metadata(metadata, "chat"), "");
  EXPECT_EQ(find_metadata("x", "x"), "");
}

}  // namespace
}  // namespace mote::host
