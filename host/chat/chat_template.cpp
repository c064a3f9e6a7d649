// SPDX-License-Identifier: Apache-2.0
#include "chat/chat_template.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "run/engine.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

using Tokens = std::vector<std::uint32_t>;

constexpr std::pair<ChatTemplate, std::string_view> kNames[] = {
    {ChatTemplate::chatml, "chatml"}, {ChatTemplate::llama2, "llama2"},
    {ChatTemplate::llama3, "llama3"}, {ChatTemplate::mistral, "mistral"},
    {ChatTemplate::zephyr, "zephyr"},
};

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

bool is_plain(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return c >= ' ' && c <= '~' && c != '{' && c != '}' && c != '\'' && c != '"' && c != '\\';
  });
}

/// Without white space at both ends, as the templates' `trim` has it.
std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t begin = std::min(text.find_first_not_of(kSpace), text.size());
  const std::size_t end = text.find_last_not_of(kSpace) + 1;
  return text.substr(begin, end > begin ? end - begin : 0);
}

std::uint32_t find_mark(const Tokenizer& tokenizer, std::string_view text) {
  for (std::uint32_t token = 0; token < tokenizer.vocab_size(); ++token) {
    const TokenKind kind = tokenizer.kind(token);
    const bool may_mark = kind == TokenKind::control || kind == TokenKind::user_defined;
    if (may_mark && tokenizer.piece(token) == text) return token;
  }
  return tokenizer.find(text);
}

/// Puts text and marks together: text that no token interrupts is encoded as one.
class Writer {
 public:
  Writer(const Tokenizer& tokenizer, const std::string& where, std::uint32_t turn_end)
      : tokenizer_(tokenizer), where_(where), turn_end_(turn_end) {}

  Writer& text(std::string_view text) {
    text_ += text;
    return *this;
  }
  Writer& mark(const std::string& spelling) {
    const auto [place, is_new] = marks_.try_emplace(spelling, kNoToken);
    if (is_new) place->second = find_mark(tokenizer_, spelling);
    return place->second == kNoToken ? text(spelling) : token(place->second);
  }
  Writer& token(std::uint32_t token) {
    flush();
    tokens_.push_back(token);
    return *this;
  }
  Writer& turn_end() { return token(turn_end_); }
  Writer& beginning() { return tokenizer_.bos() == kNoToken ? *this : token(tokenizer_.bos()); }
  Tokens finish() {
    flush();
    return std::move(tokens_);
  }

 private:
  void flush() {
    if (text_.empty()) return;
    const Tokens more = host::encode(tokenizer_, where_, text_, {.bos = false});
    tokens_.insert(tokens_.end(), more.begin(), more.end());
    text_.clear();
  }

  const Tokenizer& tokenizer_;
  const std::string& where_;
  std::uint32_t turn_end_;
  std::map<std::string, std::uint32_t> marks_;
  std::string text_;
  Tokens tokens_;
};

/// What stands before an answer. System prompts stand before the first turn, or in it.
struct Question {
  std::string_view system;  // empty but in the first turn
  std::string_view message;
  bool is_first = false;
};

void add_chatml(Writer& writer, std::string_view role, std::string_view text) {
  writer.mark("<|im_start|>").text(role).text("\n").text(text).turn_end().text("\n");
}

void ask_chatml(Writer& writer, const Question& question) {
  if (!question.is_first) writer.text("\n");
  if (!question.system.empty()) add_chatml(writer, "system", question.system);
  add_chatml(writer, "user", question.message);
  writer.mark("<|im_start|>").text("assistant\n");
}

void add_llama3(Writer& writer, std::string_view role) {
  writer.mark("<|start_header_id|>").text(role).mark("<|end_header_id|>").text("\n\n");
}

void ask_llama3(Writer& writer, const Question& question) {
  if (!question.system.empty()) {
    add_llama3(writer, "system");
    writer.text(trim(question.system)).turn_end();
  }
  add_llama3(writer, "user");
  writer.text(trim(question.message)).turn_end();
  add_llama3(writer, "assistant");
}

void ask_zephyr(Writer& writer, const Question& question) {
  if (!question.is_first) writer.text("\n");
  if (!question.system.empty()) {
    writer.mark("<|system|>").text("\n").text(question.system).turn_end().text("\n");
  }
  writer.mark("<|user|>").text("\n").text(question.message).turn_end().text("\n");
  writer.mark("<|assistant|>").text("\n");
}

void ask_llama2(Writer& writer, const Question& question) {
  if (!question.is_first) writer.beginning();
  writer.mark("[INST]").text(" ");
  if (!question.system.empty()) {
    writer.text("<<SYS>>\n").text(question.system).text("\n<</SYS>>\n\n");
  }
  writer.text(trim(question.message)).text(" ").mark("[/INST]");
}

void ask_mistral(Writer& writer, const Question& question) {
  writer.mark("[INST]").text(" ");
  if (!question.system.empty()) writer.text(question.system).text("\n\n");
  writer.text(question.message).text(" ").mark("[/INST]");
}

void ask(Writer& writer, ChatTemplate format, const Question& question) {
  switch (format) {
    case ChatTemplate::chatml:
      return ask_chatml(writer, question);
    case ChatTemplate::llama2:
      return ask_llama2(writer, question);
    case ChatTemplate::llama3:
      return ask_llama3(writer, question);
    case ChatTemplate::mistral:
      return ask_mistral(writer, question);
    case ChatTemplate::zephyr:
      return ask_zephyr(writer, question);
  }
}

/// The token that ends an answer, as the template spells it; empty: that which ends a text.
std::string_view turn_end_text(ChatTemplate format) {
  if (format == ChatTemplate::chatml) return "<|im_end|>";
  return format == ChatTemplate::llama3 ? "<|eot_id|>" : "";
}

}  // namespace

std::string chat_template_names() {
  std::string names;
  for (const auto& [format, name] : kNames)
    names += fmt::format("{}{}", names.empty() ? "" : ", ", name);
  return names;
}

std::optional<ChatTemplate> find_chat_template(std::string_view name) {
  for (const auto& [format, known] : kNames) {
    if (known == name) return format;
  }
  return {};
}

std::string_view chat_template_name(ChatTemplate format) {
  for (const auto& [known, name] : kNames) {
    if (known == format) return name;
  }
  return "";
}

std::optional<ChatTemplate> recognise_chat_template(std::string_view jinja) {
  if (has(jinja, "<|im_start|>")) return ChatTemplate::chatml;
  if (has(jinja, "<|start_header_id|>") && has(jinja, "<|eot_id|>")) return ChatTemplate::llama3;
  if (has(jinja, "[INST]"))
    return has(jinja, "<<SYS>>") ? ChatTemplate::llama2 : ChatTemplate::mistral;
  const bool ends_with_eos = has(jinja, "eos_token") || has(jinja, "</s>");
  if (has(jinja, "<|user|>") && ends_with_eos && !has(jinja, "<|end|>"))
    return ChatTemplate::zephyr;
  return {};
}

std::string default_system_prompt(std::string_view jinja) {
  for (const std::string_view begin : {"<|im_start|>system\n", "<|im_start|>system\\n"}) {
    for (std::size_t at = jinja.find(begin); at != std::string_view::npos;
         at = jinja.find(begin, at + 1)) {
      const std::string_view rest = jinja.substr(at + begin.size());
      const std::size_t end = rest.find("<|im_end|>");
      if (end != std::string_view::npos && end > 0 && is_plain(rest.substr(0, end))) {
        return std::string(rest.substr(0, end));
      }
    }
  }
  return "";
}

std::string_view find_metadata(std::string_view metadata, std::string_view key) {
  while (!metadata.empty()) {
    const std::string_view line = metadata.substr(0, metadata.find('\n'));
    if (line.size() > key.size() && line.starts_with(key) && line[key.size()] == '=') {
      return line.substr(key.size() + 1);
    }
    metadata.remove_prefix(std::min(line.size() + 1, metadata.size()));
  }
  return {};
}

ChatEncoder::ChatEncoder(const Tokenizer& tokenizer, ChatTemplate format, std::string system,
                         std::string where)
    : tokenizer_(tokenizer), format_(format), system_(std::move(system)), where_(std::move(where)) {
  const std::string_view text = turn_end_text(format);
  turn_end_ = text.empty() ? tokenizer.eos() : find_mark(tokenizer, text);
  if (turn_end_ != kNoToken) return;
  throw Error(fmt::format("{}: the template {} needs the token {}, which the model has not", where_,
                          chat_template_name(format), text.empty() ? "that ends a text" : text));
}

std::vector<std::uint32_t> ChatEncoder::encode(const std::vector<ChatTurn>& turns) const {
  Writer writer(tokenizer_, where_, turn_end_);
  writer.beginning();
  for (std::size_t i = 0; i < turns.size(); ++i) {
    const bool is_first = i == 0;
    ask(writer, format_, {is_first ? system_ : std::string_view(), turns[i].message, is_first});
    if (i + 1 == turns.size()) break;
    for (const std::uint32_t token : turns[i].answer) writer.token(token);
    writer.turn_end();
  }
  return writer.finish();
}

}  // namespace mote::host
