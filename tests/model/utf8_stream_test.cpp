// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "mote/tokenizer.hpp"

namespace mote {
namespace {

// Gives the stream pieces and keeps what it returns, with an output of exactly the stated size.
class Collector {
 public:
  std::string push(std::string_view bytes) {
    std::vector<char> out(Utf8Stream::kMaxHeldBytes + bytes.size());
    return std::string(stream_.push(bytes, out));
  }
  std::string flush() {
    std::vector<char> out(Utf8Stream::kMaxHeldBytes);
    return std::string(stream_.flush(out));
  }

 private:
  Utf8Stream stream_;
};

TEST(Utf8Stream, PassesAsciiAndWholeCharactersAtOnce) {
  Collector stream;
  EXPECT_EQ(stream.push("abc"), "abc");
  EXPECT_EQ(stream.push("é€😀"), "é€😀");
  EXPECT_EQ(stream.push(""), "");
  EXPECT_EQ(stream.push(std::string_view("\0x", 2)), std::string_view("\0x", 2));
  EXPECT_EQ(stream.flush(), "");
}

TEST(Utf8Stream, HoldsAnIncompleteCharacterBack) {
  Collector stream;
  EXPECT_EQ(stream.push("a\xf0"), "a");
  EXPECT_EQ(stream.push("\x9f"), "");
  EXPECT_EQ(stream.push("\x98"), "");
  EXPECT_EQ(stream.push("\x80z"), "😀z");
  EXPECT_EQ(stream.push("\xe2\x82"), "");
  EXPECT_EQ(stream.push("\xac\xc3"), "€");
  EXPECT_EQ(stream.flush(), "\xc3");
  EXPECT_EQ(stream.flush(), "");
  EXPECT_EQ(stream.push("\xa9"), "\xa9");
}

TEST(Utf8Stream, PassesAtOnceWhatCanNeverBecomeACharacter) {
  const char* impossible[] = {"\x80",     "\xbf\xbf\xbf\xbf", "\xc0",     "\xc1",     "\xf5",
                              "\xff",     "\xe0\x80",         "\xed\xa0", "\xf0\x8f", "\xf4\x90",
                              "\xc3\xc3x"};
  for (const char* bytes : impossible) {
    Collector stream;
    EXPECT_EQ(stream.push(bytes), bytes);
    EXPECT_EQ(stream.flush(), "");
  }
}

TEST(Utf8Stream, HoldsEveryPossibleBeginning) {
  const char* beginnings[] = {"\xc2",     "\xdf",     "\xe0",         "\xe0\xa0",
                              "\xed\x9f", "\xef\xbf", "\xf0\x90",     "\xf4\x8f",
                              "\xf4",     "\xf1\x80", "\xf0\x90\x80", "\xf4\x8f\xbf"};
  for (const char* bytes : beginnings) {
    Collector stream;
    EXPECT_EQ(stream.push(bytes), "");
    EXPECT_EQ(stream.flush(), bytes);
  }
}

TEST(Utf8Stream, ReleasesABrokenCharacterWithTheByteThatBreaksIt) {
  Collector stream;
  EXPECT_EQ(stream.push("\xe2\x82"), "");
  EXPECT_EQ(stream.push("a"),
            "\xe2\x82"
            "a");
  EXPECT_EQ(stream.push("\xf0\x9f"), "");
  EXPECT_EQ(stream.push("\xc3"), "\xf0\x9f");
  EXPECT_EQ(stream.push("\xa9"), "é");
}

TEST(Utf8Stream, NeverCutsACharacterWhereverTheTextIsSplit) {
  const std::string text = "aé€😀z😀€é";
  for (std::size_t first = 0; first <= text.size(); ++first) {
    for (std::size_t second = first; second <= text.size(); ++second) {
      Collector stream;
      std::string joined;
      for (const auto& part :
           {text.substr(0, first), text.substr(first, second - first), text.substr(second)}) {
        const std::string out = stream.push(part);
        EXPECT_TRUE(out.empty() || (out.front() & 0xc0) != 0x80);
        joined += out;
      }
      EXPECT_EQ(joined, text);
      EXPECT_EQ(stream.flush(), "");
    }
  }
}

TEST(Utf8Stream, NeverLosesOrReordersAByte) {
  // NOLINTNEXTLINE(cert-msc51-cpp): a fixed seed replays.
  std::mt19937 random(1);
  const unsigned char likely[] = {0x41, 0x80, 0x9f, 0xbf, 0xc3, 0xe0, 0xed, 0xf0, 0xf4, 0xff};
  for (int round = 0; round < 2000; ++round) {
    Collector stream;
    std::string given;
    std::string taken;
    for (int step = 0; step < 20; ++step) {
      std::string part;
      for (std::size_t n = random() % 6; n > 0; --n) {
        const auto byte = round % 2 == 0 ? likely[random() % std::size(likely)] : random() & 0xff;
        part += static_cast<char>(byte);
      }
      given += part;
      taken += stream.push(part);
      ASSERT_LE(given.size() - taken.size(), Utf8Stream::kMaxHeldBytes);
      ASSERT_TRUE(given.starts_with(taken));
    }
    EXPECT_EQ(taken + stream.flush(), given);
  }
}

}  // namespace
}  // namespace mote
