// SPDX-License-Identifier: Apache-2.0
// What stands before the merges in a tokenizer.json: normaliser and pre-tokeniser.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "mote/tokenizer.hpp"

namespace mote::host {

/// The pre-tokeniser of a byte-level tokenizer.json, recognised by its published expressions;
/// `none` where it has no ByteLevel step. Throws `Error` that begins with `where` and names the
/// steps for any other.
PreTokenizer read_pre_tokenizer(const nlohmann::json& tokenizer, const std::string& where);

/// Refuses all normalisers that would change what a byte-level model sees, by name. NFC is taken:
/// it changes no text that is already composed, as keyboards and files have it.
void check_byte_level_normalizer(const nlohmann::json& tokenizer, const std::string& where);

/// Of a tokenizer.json that is a translation of SentencePiece's: whether a space is put before a
/// text. Throws `Error` where spaces do not become U+2581, or more than that happens.
bool adds_space_prefix(const nlohmann::json& tokenizer, const std::string& where);

}  // namespace mote::host
