// SPDX-License-Identifier: Apache-2.0
#include "firmware/console.hpp"

#include <algorithm>

#include "firmware/board.hpp"
#include "firmware/text.hpp"

namespace mote::firmware {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";

constexpr bool is_erase(char byte) {
  return byte == '\b' || byte == 0x7f;
}

/// Bytes of the whole UTF-8 character that `text` begins with; 0 where it begins with none.
std::size_t character_bytes(std::string_view text) {
  const auto byte = [text](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t lead = byte(0);
  std::size_t bytes = 0;
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) bytes = 2;
  if (lead >= 0xe0 && lead <= 0xef) bytes = 3;
  if (lead >= 0xf0 && lead <= 0xf4) bytes = 4;
  if (bytes == 0 || text.size() < bytes) return 0;
  // Overlong forms, surrogates and what lies past U+10FFFF are told by the second byte.
  if (lead == 0xe0 && byte(1) < 0xa0) return 0;
  if (lead == 0xed && byte(1) > 0x9f) return 0;
  if (lead == 0xf0 && byte(1) < 0x90) return 0;
  if (lead == 0xf4 && byte(1) > 0x8f) return 0;
  for (std::size_t i = 1; i < bytes; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  return bytes;
}

}  // namespace

bool Console::poll() {
  while (!is_whole_) {
    const int byte = board::read_console();
    if (byte < 0) break;
    take(static_cast<char>(byte));
  }
  return is_whole_;
}

void Console::take(char byte) {
  const bool is_rest = byte == '\n' && is_after_return_;
  is_after_return_ = byte == '\r';
  if (is_rest) return;
  if (byte == kStopByte) {
    is_stopped_ = true;
    return;
  }
  if (byte == '\n' || byte == '\r') {
    is_whole_ = true;
    if (!is_tool_ && !is_quiet_) write("\n");
    return;
  }
  if (!is_begun_ && byte == '!') {
    is_begun_ = true;
    is_tool_ = true;
    line_[0] = byte;
    return;
  }
  if (!is_begun_ && !is_quiet_) prompt();
  is_begun_ = true;
  if (is_erase(byte) && !is_tool_) {
    // A character of several bytes goes as one.
    while (size_ != 0 && (line_[--size_] & 0xc0) == 0x80) continue;
    if (!is_quiet_) write("\b \b");
    return;
  }
  if (size_ + (is_tool_ ? 1 : 0) == kLineBytes) {
    is_too_long_ = true;
    return;
  }
  line_[size_ + (is_tool_ ? 1 : 0)] = byte;
  ++size_;
  if (!is_tool_ && !is_quiet_) write({&byte, 1});
}

void Console::drop_line() {
  size_ = 0;
  is_tool_ = false;
  is_begun_ = false;
  is_whole_ = false;
  is_too_long_ = false;
  has_prompt_ = false;
}

bool Console::take_stop() {
  const bool was_stopped = is_stopped_;
  is_stopped_ = false;
  return was_stopped;
}

void Console::prompt() {
  is_quiet_ = false;
  if (has_prompt_ || is_tool_) return;
  begin_line();
  write("> ");
  write({line_.data(), size_});
  if (is_whole_) write("\n");
  has_prompt_ = true;
}

void Console::begin_line() {
  if (is_within_line_) write("\n");
}

void Console::write(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = text.find('\n');
    write_raw(front(text, length));
    if (length == std::string_view::npos) return;
    write_raw("\r\n");
    text.remove_prefix(length + 1);
  }
}

void Console::write_raw(std::string_view text) {
  if (text.empty()) return;
  board::write_console(text);
  is_within_line_ = text.back() != '\n';
}

void Console::write_number(std::uint64_t number) {
  std::array<char, 20> digits;
  std::size_t first = digits.size();
  do {
    // The remainder so, because a second division by the compiler's library takes 1 KB.
    const std::uint64_t quotient = number / 10;
    digits[--first] = static_cast<char>('0' + number - quotient * 10);
    number = quotient;
  } while (number != 0);
  write_raw({&digits[first], digits.size() - first});
}

/// Names and values for people stand in two columns.
void Report::begin(const char* label) {
  const std::string_view name = label;
  if (!is_tool_) {
    std::string_view spaces = "                  ";
    console_.begin_line();
    console_.write_raw("  ");
    console_.write_raw(name);
    spaces.remove_prefix(std::min(name.size(), spaces.size() - 1));
    return console_.write_raw(spaces);
  }
  if (!has_fields_ && !is_in_item_) {
    console_.begin_line();
    console_.write_raw("{");
  }
  console_.write_raw(has_fields_ ? ",\"" : "\"");
  console_.write_raw(name);
  console_.write_raw("\":");
  has_fields_ = true;
}

Report& Report::number(const char* name, std::uint64_t value) {
  begin(name);
  console_.write_number(value);
  return *this;
}

Report& Report::text(const char* name, std::string_view value) {
  begin_text(name);
  add_text(value);
  end_text();
  return *this;
}

void Report::begin_text(const char* name) {
  begin(name);
  if (is_tool_) console_.write_raw("\"");
}

void Report::end_text() {
  if (is_tool_) console_.write_raw("\"");
}

void Report::add_text(std::string_view piece) {
  if (!is_tool_) return console_.write(piece);
  while (!piece.empty()) {
    std::size_t bytes = character_bytes(piece);
    const char c = piece[0];
    if (bytes == 0) {
      console_.write_raw("\\ufffd");
      bytes = 1;
    } else if (c == '"' || c == '\\') {
      console_.write_raw("\\");
      console_.write_raw({&c, 1});
    } else if (static_cast<std::uint8_t>(c) < 0x20 || c == 0x7f) {
      const auto code = static_cast<std::uint8_t>(c);
      const std::array<char, 6> escape = {
          '\\', 'u', '0', '0', kHexDigits[code >> 4], kHexDigits[code & 15]};
      console_.write_raw({escape.data(), escape.size()});
    } else {
      console_.write_raw(front(piece, bytes));
    }
    piece.remove_prefix(bytes);
  }
}

void Report::begin_list(const char* name) {
  if (!is_tool_) return;
  begin(name);
  console_.write_raw("[");
}

void Report::begin_item() {
  if (!is_tool_) return;
  console_.write_raw(is_in_item_ ? "},{" : "{");
  is_in_item_ = true;
  has_fields_ = false;
}

void Report::end_list() {
  if (!is_tool_) return;
  console_.write_raw(is_in_item_ ? "}]" : "]");
  has_fields_ = true;
}

Report& Report::hex(const char* name, std::span<const std::uint8_t> bytes) {
  begin_text(name);
  for (const std::uint8_t byte : bytes) {
    const std::array<char, 2> digits = {kHexDigits[byte >> 4], kHexDigits[byte & 15]};
    console_.write_raw({digits.data(), digits.size()});
  }
  end_text();
  return *this;
}

Report& Report::hex(const char* name, std::uint64_t value) {
  std::array<std::uint8_t, 8> bytes;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<std::uint8_t>(value >> (56 - 8 * i));
  }
  return hex(name, bytes);
}

Report& Report::done() {
  if (!is_tool_) return *this;
  begin("done");
  console_.write_raw("true");
  return *this;
}

void Report::end() {
  if (!is_tool_) return console_.begin_line();
  console_.write_raw("}\n");
}

}  // namespace mote::firmware
