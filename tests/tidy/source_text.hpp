// SPDX-License-Identifier: Apache-2.0
// Just enough of a C++ scanner for rules about style: comments, literals, tokens and includes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <regex>
#include <string>
#include <string_view>
#include <vector>

namespace mote::tidy {

struct Token {
  std::size_t line = 0;
  std::string text;
};

enum class Literals { keep, blank };

inline bool is_word(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/// The lines of a text, without their ends.
inline std::vector<std::string> lines(std::string_view text) {
  std::vector<std::string> result;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    result.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return result;
}

/// Where the comment that begins at `at` ends; `at` itself where none begins there.
inline std::size_t comment_end(std::string_view text, std::size_t at) {
  const std::string_view rest = text.substr(at);
  if (rest.starts_with("//")) {
    return std::min(text.find('\n', at), text.size());
  }
  if (rest.starts_with("/*")) {
    const std::size_t close = text.find("*/", at + 2);
    return close == std::string_view::npos ? text.size() : close + 2;
  }
  return at;
}

/// Where the string or character literal that begins at `at` ends; `at` itself where none does.
inline std::size_t literal_end(std::string_view text, std::size_t at) {
  const char quote = text[at];
  const char before = at == 0 ? ' ' : text[at - 1];
  if (quote != '"' && quote != '\'') {
    return at;
  }
  if (quote == '\'' && is_word(before)) {
    return at;  // A digit separator.
  }
  if (quote == '"' && before == 'R') {
    const std::size_t open = std::min(text.find('(', at), text.size() - 1);
    const std::string close = ")" + std::string(text.substr(at + 1, open - at - 1)) + "\"";
    const std::size_t found = text.find(close, open);
    return found == std::string_view::npos ? text.size() : found + close.size();
  }
  for (std::size_t i = at + 1; i < text.size() && text[i] != '\n'; ++i) {
    if (text[i] == '\\') {
      ++i;
    } else if (text[i] == quote) {
      return i + 1;
    }
  }
  return at + 1;  // An apostrophe in an #error line, not a literal.
}

/// The text with comments (and literals, unless kept) turned to blanks; lines stay where they are.
inline std::string code_only(std::string_view text, Literals literals = Literals::blank) {
  std::string code(text);
  for (std::size_t i = 0; i < text.size();) {
    const std::size_t after_comment = comment_end(text, i);
    const std::size_t after_literal = after_comment == i ? literal_end(text, i) : i;
    const std::size_t end = std::max(after_comment, after_literal);
    if (after_comment > i || literals == Literals::blank) {
      for (std::size_t k = i; k < end; ++k) {
        code[k] = text[k] == '\n' ? '\n' : ' ';
      }
    }
    i = std::max(end, i + 1);
  }
  return code;
}

/// Identifiers, numbers, `::` and single marks, in order.
inline std::vector<Token> tokens(std::string_view text) {
  static const std::regex kToken(R"([A-Za-z_]\w*|\.?\d(?:[eEpP][+-]|[\w.'])*|::|\S)");
  std::vector<Token> result;
  std::size_t line = 0;
  for (const std::string& row : lines(code_only(text))) {
    ++line;
    for (std::sregex_iterator it(row.begin(), row.end(), kToken), end; it != end; ++it) {
      result.push_back({line, it->str()});
    }
  }
  return result;
}

/// What each #include names, with its brackets or quotes.
inline std::vector<Token> includes(std::string_view text) {
  static const std::regex kInclude(R"(^\s*#\s*include\s*([<"][^>"]*[>"]))");
  std::vector<Token> result;
  std::size_t line = 0;
  for (const std::string& row : lines(code_only(text, Literals::keep))) {
    ++line;
    std::smatch match;
    if (std::regex_search(row, match, kInclude)) {
      result.push_back({line, match[1].str()});
    }
  }
  return result;
}

}  // namespace mote::tidy
