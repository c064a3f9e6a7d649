// SPDX-License-Identifier: Apache-2.0
// The vectors of FIPS 180-4's examples, and updates cut anywhere.
#include "base/sha256.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/random.hpp"

namespace mote {
namespace {

using Digest = std::array<std::uint8_t, 32>;

std::string hex(const Digest& digest) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string text;
  for (const std::uint8_t byte : digest) {
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

Digest hash(std::span<const std::uint8_t> bytes) {
  Sha256 sha;
  sha.update(bytes);
  return sha.finish();
}

std::string hash_text(std::string_view text) {
  return hex(hash(std::vector<std::uint8_t>(text.begin(), text.end())));
}

TEST(Sha256, empty) {
  const std::string expected = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
  EXPECT_EQ(hash_text(""), expected);
  EXPECT_EQ(hex(Sha256().finish()), expected);
}

TEST(Sha256, one_block) {
  EXPECT_EQ(hash_text("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, two_blocks) {
  EXPECT_EQ(hash_text("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hash_text("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmn"
                      "hijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu"),
            "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
}

TEST(Sha256, a_million_letters) {
  EXPECT_EQ(hash_text(std::string(1000000, 'a')),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

// The padding has its own cases at 55, 56, 63 and 64 bytes of the last block.
TEST(Sha256, padding_at_every_length) {
  EXPECT_EQ(hash_text(std::string(55, 'a')),
            "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
  EXPECT_EQ(hash_text(std::string(56, 'a')),
            "b35439a4ac6f0948b6d6f9e3c6af0f5f590ce20f1bde7090ef7970686ec6738a");
  EXPECT_EQ(hash_text(std::string(64, 'a')),
            "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

TEST(Sha256, updates_may_be_cut_anywhere) {
  test::Random random(1);
  std::vector<std::uint8_t> bytes(200);
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random.next());
  const std::span<const std::uint8_t> all(bytes);
  for (std::size_t count : {55U, 56U, 63U, 64U, 65U, 119U, 120U, 127U, 128U, 129U, 200U}) {
    const Digest whole = hash(all.first(count));
    for (std::size_t cut = 0; cut <= count; ++cut) {
      Sha256 sha;
      sha.update(all.first(cut));
      sha.update({});
      sha.update(all.subspan(cut, count - cut));
      ASSERT_EQ(sha.finish(), whole) << count << " cut at " << cut;
    }
  }
}

TEST(Sha256, updates_may_be_single_bytes) {
  const std::vector<std::uint8_t> bytes(300, 0x5a);
  Sha256 sha;
  for (const std::uint8_t& byte : bytes) sha.update({&byte, 1});
  EXPECT_EQ(sha.finish(), hash(bytes));
}

}  // namespace
}  // namespace mote
