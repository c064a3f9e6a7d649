// SPDX-License-Identifier: Apache-2.0
// The tokenizer section of an image (SPEC.md, "Tokenizer").
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <utility>

#include "convert/vocabulary.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

static_assert(std::endian::native == std::endian::little);

using Entries = std::vector<VocabularyEntry>;

void require(bool condition, const std::string& fault) {
  if (!condition) throw Error("the vocabulary cannot become a tokenizer: " + fault);
}

template <typename Number>
void append(std::vector<std::uint8_t>& section, const std::vector<Number>& numbers) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(numbers.data());
  section.insert(section.end(), bytes, bytes + numbers.size() * sizeof(Number));
}

std::vector<std::uint32_t> list_offsets(const Entries& entries) {
  std::vector<std::uint32_t> offsets{0};
  std::uint64_t end = 0;
  for (const VocabularyEntry& entry : entries) {
    end += entry.bytes.size();
    require(end <= std::numeric_limits<std::uint32_t>::max(), "its text is too long");
    offsets.push_back(static_cast<std::uint32_t>(end));
  }
  return offsets;
}

// Only the order of the scores counts, so that the least becomes 0, the next higher one 1, and
// equal ones stay equal.
std::vector<std::int32_t> rank_scores(const Entries& entries) {
  std::vector<float> scores;
  for (const VocabularyEntry& entry : entries) {
    require(!std::isnan(entry.score), "a score is no number");
    scores.push_back(entry.score);
  }
  std::sort(scores.begin(), scores.end());
  scores.erase(std::unique(scores.begin(), scores.end()), scores.end());
  std::vector<std::int32_t> ranks;
  for (const VocabularyEntry& entry : entries) {
    const auto place = std::lower_bound(scores.begin(), scores.end(), entry.score);
    ranks.push_back(static_cast<std::int32_t>(place - scores.begin()));
  }
  return ranks;
}

// All tokens of some kinds that have a text, by bytes and then by id.
std::vector<std::uint32_t> sort_pieces(const Entries& entries,
                                       std::initializer_list<TokenKind> kinds) {
  std::vector<std::uint32_t> sorted;
  for (std::uint32_t token = 0; token < entries.size(); ++token) {
    const bool belongs = std::ranges::find(kinds, entries[token].kind) != kinds.end();
    if (belongs && !entries[token].bytes.empty()) sorted.push_back(token);
  }
  std::stable_sort(sorted.begin(), sorted.end(), [&](std::uint32_t a, std::uint32_t b) {
    return entries[a].bytes < entries[b].bytes;
  });
  return sorted;
}

std::uint32_t longest_piece_bytes(const Entries& entries) {
  std::size_t longest = 0;
  for (const VocabularyEntry& entry : entries) longest = std::max(longest, entry.bytes.size());
  return static_cast<std::uint32_t>(longest);
}

std::vector<std::uint8_t> list_attributes(const Entries& entries) {
  std::vector<std::uint8_t> attributes;
  for (const VocabularyEntry& entry : entries) {
    const std::uint8_t end = entry.ends_text ? kTokenEnd : std::uint8_t{0};
    attributes.push_back(static_cast<std::uint8_t>(static_cast<std::uint8_t>(entry.kind) | end));
  }
  return attributes;
}

// The merges by their tokens; of a pair that stands there twice the first counts.
std::vector<TokenMerge> sort_merges(const std::vector<VocabularyMerge>& merges) {
  require(merges.size() < kNoToken, "it has too many merges");
  std::vector<TokenMerge> sorted;
  for (const VocabularyMerge& merge : merges) {
    sorted.push_back({merge.left, merge.right, static_cast<std::uint32_t>(sorted.size())});
  }
  const auto pair_of = [](const TokenMerge& merge) { return std::pair(merge.left, merge.right); };
  std::ranges::stable_sort(sorted, {}, pair_of);
  const auto is_same = [&](const TokenMerge& a, const TokenMerge& b) {
    return pair_of(a) == pair_of(b);
  };
  sorted.erase(std::unique(sorted.begin(), sorted.end(), is_same), sorted.end());
  // Ranks without gaps, so that each is below the number of merges.
  std::vector<std::uint32_t> ranks;
  for (const TokenMerge& merge : sorted) ranks.push_back(merge.rank);
  std::ranges::sort(ranks);
  for (TokenMerge& merge : sorted) {
    const auto place = std::ranges::lower_bound(ranks, merge.rank);
    merge.rank = static_cast<std::uint32_t>(place - ranks.begin());
  }
  return sorted;
}

// The lists of the section but for the text.
struct Lists {
  std::vector<std::uint32_t> offsets;
  std::vector<std::int32_t> ranks;
  std::vector<std::uint32_t> sorted;
  std::vector<TokenMerge> merges;
  std::vector<std::uint32_t> specials;
};

Lists make_lists(const Vocabulary& vocabulary) {
  const Entries& entries = vocabulary.entries;
  Lists lists;
  lists.offsets = list_offsets(entries);
  if (vocabulary.pre_tokenizer == PreTokenizer::none) {
    lists.sorted = sort_pieces(entries, {TokenKind::normal, TokenKind::user_defined});
    lists.ranks = rank_scores(entries);
  } else {
    lists.sorted = sort_pieces(entries, {TokenKind::normal});
    lists.merges = sort_merges(vocabulary.merges);
    lists.specials = sort_pieces(entries, {TokenKind::control, TokenKind::user_defined});
  }
  return lists;
}

bool has_user_defined(const Entries& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const VocabularyEntry& entry) {
    return entry.kind == TokenKind::user_defined;
  });
}

std::uint32_t make_flags(const Vocabulary& vocabulary) {
  if (vocabulary.pre_tokenizer != PreTokenizer::none) {
    return kTokenizerByteLevel | (vocabulary.ignores_merges ? kTokenizerIgnoresMerges : 0);
  }
  return (vocabulary.adds_space_prefix ? kTokenizerAddsSpacePrefix : 0) |
         (vocabulary.first_byte_token != kNoToken ? kTokenizerByteFallback : 0) |
         (has_user_defined(vocabulary.entries) ? kTokenizerHasUserDefined : 0) |
         (vocabulary.removes_extra_spaces ? kTokenizerRemovesExtraSpaces : 0);
}

std::vector<std::uint32_t> make_header(const Vocabulary& vocabulary, const Lists& lists) {
  return {static_cast<std::uint32_t>(vocabulary.entries.size()),
          lists.offsets.back(),
          longest_piece_bytes(vocabulary.entries),
          vocabulary.bos,
          vocabulary.eos,
          vocabulary.unknown,
          make_flags(vocabulary),
          static_cast<std::uint32_t>(lists.sorted.size()),
          vocabulary.first_byte_token,
          static_cast<std::uint32_t>(vocabulary.pre_tokenizer),
          static_cast<std::uint32_t>(lists.merges.size()),
          static_cast<std::uint32_t>(lists.specials.size())};
}

}  // namespace

std::vector<std::uint8_t> build_tokenizer_section(const Vocabulary& vocabulary) {
  const Entries& entries = vocabulary.entries;
  require(!entries.empty() && entries.size() <= (1U << 20), "it needs 1 to 2^20 tokens");
  const Lists lists = make_lists(vocabulary);
  std::vector<std::uint8_t> section;
  append(section, make_header(vocabulary, lists));
  append(section, lists.offsets);
  append(section, lists.ranks);
  append(section, lists.sorted);
  append(section, lists.merges);
  append(section, lists.specials);
  append(section, list_attributes(entries));
  for (const VocabularyEntry& entry : entries) {
    section.insert(section.end(), entry.bytes.begin(), entry.bytes.end());
  }
  // What remains to go wrong is the caller's: ids out of range, byte tokens out of place. The
  // device would refuse it.
  Tokenizer tokenizer;
  require(
      tokenizer.open(section) == Status::ok,
      "a special token is out of range, a byte token is out of place, or a merge makes no token");
  return section;
}

}  // namespace mote::host
