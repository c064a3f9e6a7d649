// SPDX-License-Identifier: Apache-2.0
#include "convert/special_tokens.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::array<std::string_view, 7> kTurnEnds = {
    "<|im_end|>",      "<|eot_id|>",    "<|end|>",   "<|endoftext|>",
    "<|end_of_text|>", "<end_of_turn>", "<|eom_id|>"};

std::uint32_t check_token(const Vocabulary& vocabulary, std::uint32_t token, std::string_view what,
                          std::string_view where) {
  if (token == kNoToken || token < vocabulary.entries.size()) return token;
  throw Error(fmt::format("{}: {} is {}, the vocabulary has {} tokens", where, what, token,
                          vocabulary.entries.size()));
}

std::uint32_t find_unknown(const Vocabulary& vocabulary) {
  const auto found = std::ranges::find(vocabulary.entries, TokenKind::unknown,
                                       [](const VocabularyEntry& entry) { return entry.kind; });
  if (found == vocabulary.entries.end()) return 0;
  return static_cast<std::uint32_t>(found - vocabulary.entries.begin());
}

void mark_end(Vocabulary& vocabulary, std::uint32_t token) {
  if (token != kNoToken) vocabulary.entries.at(token).ends_text = true;
}

}  // namespace

bool ends_a_turn(std::string_view text) {
  return std::ranges::find(kTurnEnds, text) != kTurnEnds.end();
}

void set_special_tokens(Vocabulary& vocabulary, const SpecialTokens& special,
                        std::string_view where) {
  vocabulary.bos = check_token(vocabulary, special.bos, "the beginning token", where);
  vocabulary.eos = check_token(vocabulary, special.eos, "the end token", where);
  vocabulary.unknown = special.unknown == kNoToken ? find_unknown(vocabulary) : special.unknown;
  check_token(vocabulary, vocabulary.unknown, "the unknown token", where);
  mark_end(vocabulary, vocabulary.bos);
  mark_end(vocabulary, vocabulary.eos);
  for (const std::uint32_t token : special.ends) {
    mark_end(vocabulary, check_token(vocabulary, token, "an end token", where));
  }
}

}  // namespace mote::host
