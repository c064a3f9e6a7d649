// SPDX-License-Identifier: Apache-2.0
// The console: lines in, for people with a prompt and an echo; text and reports out.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace mote::firmware {

/// Ends an answer.
inline constexpr char kStopByte = 0x03;

/// Takes lines from the board's console. A line that begins with `!` comes from a tool: it is not
/// echoed, and its answer is JSON.
class Console {
 public:
  static constexpr std::size_t kLineBytes = 1024;  // with the `!`

  /// Takes what has come, up to the end of a line; true once one is there. It stays until
  /// `drop_line`, and nothing more is taken until then.
  bool poll();
  /// The line without `!` and its end; longer than fits: see is_too_long.
  std::span<char> line() { return std::span(line_).subspan(is_tool_ ? 1 : 0, size_); }
  /// Whether the line was cut because it was longer than kLineBytes.
  bool is_too_long() const { return is_too_long_; }
  void drop_line();
  /// Whether what people type is echoed at once, or only when `prompt` comes: while an answer is
  /// written.
  void set_quiet(bool is_quiet) { is_quiet_ = is_quiet; }
  /// Whether the line comes from a tool.
  bool is_tool() const { return is_tool_; }

  /// Whether kStopByte has come since the last call.
  bool take_stop();
  /// Shows that the next command may come, and what has been typed of it.
  void prompt();

  /// Writes text for people: ends of lines become CR LF.
  void write(std::string_view text);
  /// Writes bytes as they are.
  void write_raw(std::string_view text);
  void write_number(std::uint64_t number);
  /// Ends a line that is not empty, so that what follows begins one.
  void begin_line();

 private:
  void take(char byte);
  void echo(char byte);

  std::array<char, kLineBytes> line_{};
  std::size_t size_ = 0;  // without the `!`
  bool is_tool_ = false;
  bool is_begun_ = false;  // a byte of the line has come
  bool is_whole_ = false;
  bool is_too_long_ = false;
  bool is_stopped_ = false;
  bool is_quiet_ = false;
  bool has_prompt_ = false;
  bool is_after_return_ = false;  // a line feed now belongs to the line before
  bool is_within_line_ = false;   // of what is written
};

/// One answer to a command: an object of JSON in one line for tools, a line each for people.
class Report {
 public:
  Report(Console& console, bool is_tool) : console_(console), is_tool_(is_tool) {}

  Report& number(const char* name, std::uint64_t value);
  /// `value` in pieces of any bytes; what is no UTF-8 becomes U+FFFD in JSON.
  Report& text(const char* name, std::string_view value);
  Report& hex(const char* name, std::span<const std::uint8_t> bytes);
  /// `hex` of a number, its highest digit first.
  Report& hex(const char* name, std::uint64_t value);
  /// Only for tools: this answer ends the command.
  Report& done();
  void end();

  /// A list of items, each with fields of its own.
  void begin_list(const char* name);
  void begin_item();
  void end_list();

  /// `text` by pieces, each of whole characters.
  void begin_text(const char* name);
  void add_text(std::string_view piece);
  void end_text();

 private:
  void begin(const char* name);

  Console& console_;
  bool is_tool_;
  bool has_fields_ = false;
  bool is_in_item_ = false;
};

}  // namespace mote::firmware
