// SPDX-License-Identifier: Apache-2.0
// Where the files of a model keep the template of their conversations.
#pragma once

#include <string>

namespace mote::host {

/// The Jinja text in the GGUF file `source` (tokenizer.chat_template) or in the Hugging Face folder
/// `source` (chat_template.jinja, or tokenizer_config.json, there "default" of several); empty
/// where there is none. Throws `Error` that names the file where it is damaged.
std::string read_chat_template(const std::string& source);

}  // namespace mote::host
