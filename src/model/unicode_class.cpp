// SPDX-License-Identifier: Apache-2.0
#include "model/unicode_class.hpp"

#include <algorithm>

#include "model/unicode_class_table.hpp"

namespace mote {
namespace {

constexpr std::uint32_t kRunBits = 14;
constexpr std::uint32_t kRunMask = (1U << kRunBits) - 1;
constexpr std::uint32_t kMaxCode = 0x10ffff;

bool is_within(std::uint32_t code, std::uint32_t first, std::uint32_t last) {
  return code - first <= last - first;
}

/// Of a character of 2 to 4 bytes, the least that needs as many.
constexpr std::uint32_t kLeastCode[] = {0, 0, 0x80, 0x800, 0x10000};

std::uint32_t announced_bytes(std::uint8_t lead) {
  if (lead < 0x80) return 1;
  if (is_within(lead, 0xc0, 0xdf)) return 2;
  if (is_within(lead, 0xe0, 0xef)) return 3;
  return is_within(lead, 0xf0, 0xf7) ? 4 : 0;
}

}  // namespace

CharacterClass unicode_class(std::uint32_t code) {
  if (code >= kUnicodeEnd) return CharacterClass::other;
  // The first start is character 0, so that one stands before the place that is found.
  const auto* const after = std::upper_bound(kUnicodeStarts.begin(), kUnicodeStarts.end(), code);
  const auto group = static_cast<std::size_t>(after - kUnicodeStarts.begin()) - 1;
  std::uint32_t left = code - kUnicodeStarts[group];
  std::size_t run = group * kUnicodeStride;
  while (left >= (kUnicodeRuns[run] & kRunMask)) {
    left -= kUnicodeRuns[run] & kRunMask;
    ++run;
  }
  return static_cast<CharacterClass>(kUnicodeRuns[run] >> kRunBits);
}

bool is_white_space(std::uint32_t code) {
  if (code < 0x80) return code == ' ' || is_within(code, '\t', '\r');
  return code == 0x85 || code == 0xa0 || code == 0x1680 || is_within(code, 0x2000, 0x200a) ||
         code == 0x2028 || code == 0x2029 || code == 0x202f || code == 0x205f || code == 0x3000;
}

Character first_character(std::string_view text) {
  if (text.empty()) return {};
  const auto lead = static_cast<std::uint8_t>(text[0]);
  const std::uint32_t bytes = announced_bytes(lead);
  if (bytes == 1) return {lead, 1};
  if (bytes == 0 || bytes > text.size()) return {kNoCharacter, 1};
  std::uint32_t code = lead & (0xffU >> (bytes + 1));
  for (std::uint32_t i = 1; i < bytes; ++i) {
    const auto byte = static_cast<std::uint8_t>(text[i]);
    if ((byte & 0xc0U) != 0x80U) return {kNoCharacter, 1};
    code = (code << 6U) | (byte & 0x3fU);
  }
  const bool is_valid =
      code >= kLeastCode[bytes] && code <= kMaxCode && !is_within(code, 0xd800, 0xdfff);
  return is_valid ? Character{code, bytes} : Character{kNoCharacter, 1};
}

}  // namespace mote
