// SPDX-License-Identifier: Apache-2.0
// The table of classes against the Unicode Character Database (Debian package unicode-data).
#include "model/unicode_class.hpp"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "model/cased_letter_table.hpp"

namespace mote {
namespace {

constexpr std::uint32_t kCodes = 0x110000;
constexpr const char* kDatabase = "/usr/share/unicode/";

/// The general category of each character, "Cn" where the file has none.
std::vector<std::string> read_categories() {
  std::vector<std::string> categories(kCodes, "Cn");
  std::ifstream file(std::string(kDatabase) + "UnicodeData.txt");
  EXPECT_TRUE(file.good()) << "install unicode-data (scripts/packages.txt)";
  std::uint32_t first = 0;
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    std::string code;
    std::string name;
    std::string category;
    std::getline(fields, code, ';');
    std::getline(fields, name, ';');
    std::getline(fields, category, ';');
    const auto last = static_cast<std::uint32_t>(std::stoul(code, nullptr, 16));
    if (!name.ends_with(", Last>")) first = last;
    for (std::uint32_t c = first; c <= last; ++c) categories[c] = category;
  }
  return categories;
}

CharacterClass expected_class(const std::string& category) {
  switch (category[0]) {
    case 'L':
      return CharacterClass::letter;
    case 'N':
      return CharacterClass::number;
    case 'P':
      return CharacterClass::punctuation;
    default:
      return CharacterClass::other;
  }
}

TEST(UnicodeClass, EveryCharacterIsOfTheClassOfTheDatabase) {
  const std::vector<std::string> categories = read_categories();
  std::size_t letters = 0;
  for (std::uint32_t code = 0; code < kCodes; ++code) {
    ASSERT_EQ(unicode_class(code), expected_class(categories[code])) << std::hex << code;
    letters += categories[code][0] == 'L' ? 1 : 0;
  }
  EXPECT_GT(letters, 130000U);
  EXPECT_EQ(unicode_class(kCodes), CharacterClass::other);
  EXPECT_EQ(unicode_class(kNoCharacter), CharacterClass::other);
}

TEST(UnicodeClass, WhiteSpaceIsThatOfTheDatabase) {
  std::vector<bool> expected(kCodes);
  std::ifstream file(std::string(kDatabase) + "PropList.txt");
  std::size_t count = 0;
  for (std::string line; std::getline(file, line);) {
    if (line.find("; White_Space") == std::string::npos) continue;
    const auto first = std::stoul(line, nullptr, 16);
    const std::size_t dots = line.find("..");
    const auto last =
        dots == std::string::npos ? first : std::stoul(line.substr(dots + 2), nullptr, 16);
    for (std::size_t code = first; code <= last; ++code) expected[code] = true;
    count += last - first + 1;
  }
  EXPECT_EQ(count, 25U);
  for (std::uint32_t code = 0; code < kCodes; ++code) {
    ASSERT_EQ(is_white_space(code), expected[code]) << std::hex << code;
  }
  EXPECT_FALSE(is_white_space(kNoCharacter));
}

TEST(UnicodeClass, CasedLettersAreLettersWithCase) {
  const std::vector<std::string> categories = read_categories();
  std::uint32_t before = 0;
  for (const CharacterRange& range : kCasedLetters) {
    EXPECT_GT(range.first, before);
    for (std::uint32_t code = range.first; code <= range.last; ++code) {
      const std::string& category = categories[code];
      EXPECT_TRUE(category == "Lu" || category == "Ll" || category == "Lt") << std::hex << code;
    }
    before = range.last;
  }
}

std::string encode_utf8(std::uint32_t code) {
  const auto tail = [&](std::uint32_t shift) {
    return static_cast<char>(0x80U | (code >> shift & 0x3fU));
  };
  if (code < 0x80) return {static_cast<char>(code)};
  if (code < 0x800) return {static_cast<char>(0xc0U | code >> 6U), tail(0)};
  if (code < 0x10000) return {static_cast<char>(0xe0U | code >> 12U), tail(6), tail(0)};
  return {static_cast<char>(0xf0U | code >> 18U), tail(12), tail(6), tail(0)};
}

TEST(UnicodeClass, ReadsEveryCharacterOfUtf8) {
  for (std::uint32_t code = 0; code < kCodes; ++code) {
    const std::string text = encode_utf8(code);
    const Character found = first_character(text + "a");
    const bool is_surrogate = code >= 0xd800 && code <= 0xdfff;
    ASSERT_EQ(found.code, is_surrogate ? kNoCharacter : code);
    ASSERT_EQ(found.bytes, is_surrogate ? 1 : text.size());
    // Cut short it is no character.
    const Character cut = first_character(std::string_view(text).substr(0, text.size() - 1));
    ASSERT_EQ(cut.code, kNoCharacter);
    ASSERT_EQ(cut.bytes, text.size() == 1 ? 0U : 1U);
  }
}

TEST(UnicodeClass, ABadByteIsNoCharacter) {
  for (const char* text :
       {"\x80", "\xbf", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "\xff", "\xc3(", "\xe2\x82("}) {
    EXPECT_EQ(first_character(text).code, kNoCharacter) << testing::PrintToString(text);
    EXPECT_EQ(first_character(text).bytes, 1U);
  }
}

}  // namespace
}  // namespace mote
