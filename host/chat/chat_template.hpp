// SPDX-License-Identifier: Apache-2.0
// How a conversation becomes the text that a chat model was trained on.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mote/tokenizer.hpp"

namespace mote::host {

/// The formats as their authors publish them; docs/CONVERSION.md shows each.
enum class ChatTemplate : std::uint8_t {
  chatml,  // Qwen2, SmolLM2 and many others
  llama2,
  llama3,
  mistral,  // [INST] without a system prompt of its own
  zephyr,   // TinyLlama too
};

/// "chatml, llama2, ..."
std::string chat_template_names();
/// Empty where no template has that name.
std::optional<ChatTemplate> find_chat_template(std::string_view name);
std::string_view chat_template_name(ChatTemplate format);

/// The template that a file's Jinja text is, by what stands in it: files hold programs, and this
/// one runs none. Empty where it is none of ours.
std::optional<ChatTemplate> recognise_chat_template(std::string_view jinja);
/// The system prompt that a ChatML text uses where the conversation has none; empty where it names
/// none, or one that is more than plain printable text.
std::string default_system_prompt(std::string_view jinja);

/// The value of a line "key=value" of an image's metadata; empty where there is none.
std::string_view find_metadata(std::string_view metadata, std::string_view key);

struct ChatTurn {
  std::string message;                // of the user
  std::vector<std::uint32_t> answer;  // tokens drawn, without the one that ends the turn
};

/// Puts conversations into tokens.
class ChatEncoder {
 public:
  /// `tokenizer` outlives this; `where` begins messages. `system` may be empty.
  ChatEncoder(const Tokenizer& tokenizer, ChatTemplate format, std::string system,
              std::string where);

  /// All turns up to where the answer of the last begins; the answer of the last turn is left out.
  /// Words that the template uses as marks become the control token that is spelled so, where the
  /// vocabulary has one; messages never do. Throws `Error` where the model lacks the token that
  /// ends a turn.
  std::vector<std::uint32_t> encode(const std::vector<ChatTurn>& turns) const;

 private:
  const Tokenizer& tokenizer_;
  ChatTemplate format_;
  std::string system_;
  std::string where_;
  std::uint32_t turn_end_ = kNoToken;
};

}  // namespace mote::host
