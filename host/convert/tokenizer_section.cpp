// SPDX-License-Identifier: Apache-2.0
// The tokenizer section of an image (SPEC.md, "Tokenizer").
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

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

// All tokens that text may match, by bytes and then by id.
std::vector<std::uint32_t> sort_pieces(const Entries& entries) {
  std::vector<std::uint32_t> sorted;
  for (std::uint32_t token = 0; token < entries.size(); ++token) {
    const VocabularyEntry& entry = entries[token];
    if (entry.kind == TokenKind::normal && !entry.bytes.empty()) sorted.push_back(token);
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

std::vector<std::uint32_t> make_header(const Vocabulary& vocabulary, std::uint32_t text_bytes,
                                       std::size_t sorted_count) {
  const std::uint32_t first_byte = vocabulary.first_byte_token;
  const std::uint32_t flags = (vocabulary.adds_space_prefix ? kTokenizerAddsSpacePrefix : 0) |
                              (first_byte != kNoToken ? kTokenizerByteFallback : 0);
  return {static_cast<std::uint32_t>(vocabulary.entries.size()),
          text_bytes,
          longest_piece_bytes(vocabulary.entries),
          vocabulary.bos,
          vocabulary.eos,
          vocabulary.unknown,
          flags,
          static_cast<std::uint32_t>(sorted_count),
          first_byte,
          0,
          0,
          0};
}

}  // namespace

std::vector<std::uint8_t> build_tokenizer_section(const Vocabulary& vocabulary) {
  const Entries& entries = vocabulary.entries;
  require(!entries.empty() && entries.size() <= (1U << 20), "it needs 1 to 2^20 tokens");
  const std::vector<std::uint32_t> offsets = list_offsets(entries);
  const std::vector<std::uint32_t> sorted = sort_pieces(entries);
  std::vector<std::uint8_t> section;
  append(section, make_header(vocabulary, offsets.back(), sorted.size()));
  append(section, offsets);
  append(section, rank_scores(entries));
  append(section, sorted);
  append(section, list_attributes(entries));
  for (const VocabularyEntry& entry : entries) {
    section.insert(section.end(), entry.bytes.begin(), entry.bytes.end());
  }
  // What remains to go wrong is the caller's: ids out of range, byte tokens out of place. The
  // device would refuse it.
  Tokenizer tokenizer;
  require(tokenizer.open(section) == Status::ok,
          "a special token is out of range, or a byte token is out of place");
  return section;
}

}  // namespace mote::host
