// SPDX-License-Identifier: Apache-2.0
// The house style as functions from text to findings. Paths are relative to the repository.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <optional>
#include <regex>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tidy/source_text.hpp"

namespace mote::tidy {

struct Finding {
  std::size_t line = 0;  // 0 where it concerns the whole file
  std::string message;
};
using Findings = std::vector<Finding>;

inline constexpr std::size_t kMaxColumns = 100;
inline constexpr std::size_t kMaxLines = 500;
inline constexpr std::size_t kMaxLinesOfKernelsAndTables = 800;

/// An include may only point left.
inline constexpr std::array<std::string_view, 6> kLayers = {"base",  "kernels", "attention",
                                                            "model", "cluster", "firmware"};

/// The layer that each public header belongs to.
inline constexpr std::array<std::pair<std::string_view, std::string_view>, 21> kPublicHeaders = {{
    {"arena.hpp", "base"},
    {"config.hpp", "base"},
    {"matrix.hpp", "base"},
    {"scale.hpp", "base"},
    {"slice.hpp", "base"},
    {"status.hpp", "base"},
    {"softmax.hpp", "kernels"},
    {"attention.hpp", "attention"},
    {"linear_attention.hpp", "attention"},
    {"sliding_window.hpp", "attention"},
    {"image.hpp", "model"},
    {"sampler.hpp", "model"},
    {"tokenizer.hpp", "model"},
    {"transformer.hpp", "model"},
    {"all_gather.hpp", "cluster"},
    {"coordinator.hpp", "cluster"},
    {"frame.hpp", "cluster"},
    {"message.hpp", "cluster"},
    {"node.hpp", "cluster"},
    {"partition.hpp", "cluster"},
    {"share.hpp", "cluster"},
}};

/// Endings of files that are written for one instruction set.
inline constexpr std::array<std::string_view, 12> kInstructionSets = {
    "_sse4.cpp", "_avx2.cpp",    "_avx512.cpp", "_vnni.cpp", "_neon.cpp",   "_dotprod.cpp",
    "_mve.cpp",  "_armv7em.cpp", "_armv6m.cpp", "_rv32.cpp", "_xtensa.cpp", "_pie.cpp"};

/// Words that device code may not use anywhere: heap, exceptions, RTTI and floating point.
inline constexpr std::array<std::string_view, 7> kBannedWords = {
    "float", "double", "throw", "try", "catch", "typeid", "dynamic_cast"};

/// Calls that device code may not make: heap, clocks and I/O.
inline constexpr std::array<std::string_view, 12> kBannedCalls = {
    "malloc", "calloc", "realloc", "free",    "alloca",   "time",
    "clock",  "printf", "fprintf", "sprintf", "snprintf", "puts"};

/// Members of namespace std that use the heap.
inline constexpr std::array<std::string_view, 6> kBannedStd = {
    "vector", "string", "function", "unique_ptr", "shared_ptr", "map"};

inline constexpr std::array<std::string_view, 16> kBannedIncludes = {
    "<chrono>",    "<cmath>",  "<cstdio>", "<cstdlib>", "<fstream>", "<functional>",
    "<iostream>",  "<map>",    "<memory>", "<mutex>",   "<ostream>", "<random>",
    "<stdexcept>", "<string>", "<thread>", "<vector>"};

inline constexpr std::array<std::string_view, 4> kMachineFolders = {"home", "root", "tmp", "work"};

template <typename Range>
bool contains(const Range& range, std::string_view wanted) {
  return std::ranges::find(range, wanted) != std::ranges::end(range);
}

inline bool is_header(std::string_view path) {
  return path.ends_with(".hpp");
}
inline bool is_cpp(std::string_view path) {
  return is_header(path) || path.ends_with(".cpp");
}
inline bool is_device_code(std::string_view path) {
  return is_cpp(path) && (path.starts_with("src/") || path.starts_with("include/"));
}
inline bool is_of_one_instruction_set(std::string_view path) {
  return std::ranges::any_of(kInstructionSets, [&](auto end) { return path.ends_with(end); });
}

/// Length, line width, blanks, and what a C++ file begins with.
inline Findings check_shape(std::string_view path, std::string_view text) {
  Findings findings;
  const std::vector<std::string> rows = lines(text);
  const std::string_view name = path.substr(path.rfind('/') + 1);
  const bool may_be_long = is_of_one_instruction_set(path) || name.find("table") != name.npos;
  if (rows.size() > (may_be_long ? kMaxLinesOfKernelsAndTables : kMaxLines)) {
    findings.push_back({0, "has " + std::to_string(rows.size()) + " lines; split it"});
  }
  if (!text.empty() && !text.ends_with('\n')) {
    findings.push_back({rows.size(), "the last line has no end"});
  }
  if (is_cpp(path) && !text.starts_with("// SPDX-License-Identifier: Apache-2.0\n")) {
    findings.push_back({1, "the first line is not the SPDX licence identifier"});
  }
  if (is_header(path) && std::ranges::find(rows, "#pragma once") == rows.end()) {
    findings.push_back({1, "the header has no #pragma once"});
  }
  for (std::size_t i = 0; i < rows.size(); ++i) {
    // Bytes 10xxxxxx continue a character of UTF-8.
    const auto columns = std::ranges::count_if(
        rows[i], [](char c) { return (static_cast<unsigned>(c) & 0xc0U) != 0x80U; });
    if (static_cast<std::size_t>(columns) > kMaxColumns) {
      findings.push_back({i + 1, "is longer than 100 columns"});
    }
    if (rows[i].find('\t') != std::string::npos) {
      findings.push_back({i + 1, "has a tab"});
    }
    if (rows[i].ends_with(' ') || rows[i].ends_with('\r')) {
      findings.push_back({i + 1, "ends with a blank"});
    }
  }
  return findings;
}

/// Marks of unfinished work, and paths that exist on one machine only.
inline Findings check_marks(std::string_view text) {
  // The brackets keep the rule from finding itself.
  static const std::regex kMark(R"(\b(TOD[O]|FIXM[E]|XX[X]|HAC[K])\b)");
  Findings findings;
  std::size_t line = 0;
  for (const std::string& row : lines(text)) {
    ++line;
    std::smatch mark;
    if (std::regex_search(row, mark, kMark)) {
      findings.push_back({line, "has a mark of unfinished work: " + mark.str()});
    }
    for (const std::string_view name : kMachineFolders) {
      const std::string folder = "/" + std::string(name) + "/";
      const std::size_t at = row.find(folder);
      // After a word or a dot it is the middle of a relative path or of an address.
      if (at != row.npos && (at == 0 || !(is_word(row[at - 1]) || row[at - 1] == '.'))) {
        findings.push_back({line, "names a folder of one machine: " + folder});
      }
    }
  }
  return findings;
}

inline bool is_floating_literal(std::string_view token) {
  const bool number = !token.empty() && (token[0] == '.' || (token[0] >= '0' && token[0] <= '9'));
  const bool hexadecimal = token.starts_with("0x") || token.starts_with("0X");
  return number && token.size() > 1 &&
         token.find_first_of(hexadecimal ? ".pP" : ".eE") != std::string_view::npos;
}

/// What device code may not use: heap, exceptions, RTTI, floating point, clocks and I/O.
inline Findings check_banned(std::string_view text) {
  Findings findings;
  std::set<std::size_t> include_lines;
  for (const Token& include : includes(text)) {
    include_lines.insert(include.line);
    if (contains(kBannedIncludes, include.text)) {
      findings.push_back({include.line, "includes " + include.text});
    }
  }
  const std::vector<Token> all = tokens(text);
  const auto text_at = [&](std::size_t i) {
    return i < all.size() ? std::string_view(all[i].text) : std::string_view();
  };
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::string_view token = text_at(i);
    // `= delete` declares that a function does not exist; it frees nothing.
    const bool frees = token == "delete" && (i == 0 || text_at(i - 1) != "=");
    // `new (place) A` makes an object in memory that is there.
    const bool allocates = token == "new" && text_at(i + 1) != "(";
    const bool calls = contains(kBannedCalls, token) && text_at(i + 1) == "(";
    const bool of_std = i >= 2 && text_at(i - 1) == "::" && text_at(i - 2) == "std";
    const bool banned = frees || allocates || calls || contains(kBannedWords, token) ||
                        (of_std && contains(kBannedStd, token)) || is_floating_literal(token);
    if (banned && !include_lines.contains(all[i].line)) {
      findings.push_back({all[i].line, "uses " + std::string(token)});
    }
  }
  return findings;
}

inline std::optional<std::size_t> layer_index(std::string_view name) {
  const auto at = std::ranges::find(kLayers, name);
  return at == kLayers.end() ? std::nullopt : std::optional(std::size_t(at - kLayers.begin()));
}

/// The layer of an included path, such as "mote/arena.hpp" or "kernels/matvec.hpp".
inline std::optional<std::size_t> layer_of_include(std::string_view path) {
  const std::size_t slash = std::min(path.find('/'), path.size());
  if (path.substr(0, slash) != "mote") {
    return slash == path.size() ? std::nullopt : layer_index(path.substr(0, slash));
  }
  for (const auto& [header, layer] : kPublicHeaders) {
    if (path.substr(slash + 1) == header) {
      return layer_index(layer);
    }
  }
  return std::nullopt;
}

/// The direction of includes in src/ and include/.
inline Findings check_layers(std::string_view path, std::string_view text) {
  const bool is_public = path.starts_with("include/");
  const std::string_view own_path = path.substr(is_public ? 8 : 4);
  const std::optional<std::size_t> own = layer_of_include(own_path);
  if (!own) {
    return {{0, is_public
                    ? "is not in kPublicHeaders of tests/tidy/rules.hpp; add it with its layer"
                    : "is in no layer of src/"}};
  }
  Findings findings;
  for (const Token& include : includes(text)) {
    const std::string name = include.text.substr(1, include.text.size() - 2);
    const bool names_public = name.starts_with("mote/");
    if (include.text.front() == '<') {
      if (names_public) {
        findings.push_back({include.line, "includes our own " + name + " with angle brackets"});
      }
      continue;
    }
    const std::optional<std::size_t> other = layer_of_include(name);
    if (!other) {
      findings.push_back({include.line, "includes " + name + ", which is in no layer"});
    } else if (*other > *own) {
      findings.push_back({include.line, std::string(kLayers[*own]) + " includes " + name + " of " +
                                            std::string(kLayers[*other])});
    } else if (is_public && !names_public) {
      findings.push_back({include.line, "a public header includes the private " + name});
    }
  }
  return findings;
}

/// The list of sources against the folder; all paths are relative to src/.
inline Findings check_source_list(std::string_view cmake, const std::set<std::string>& present) {
  static const std::regex kComment("#.*");
  static const std::regex kSource(R"([\w/]+\.cpp)");
  const std::string text = std::regex_replace(std::string(cmake), kComment, "");
  std::set<std::string> listed;
  Findings findings;
  for (std::sregex_iterator it(text.begin(), text.end(), kSource), end; it != end; ++it) {
    if (!listed.insert(it->str()).second) {
      findings.push_back({0, it->str() + " is listed twice"});
    }
  }
  for (const std::string& file : listed) {
    if (!present.contains(file)) {
      findings.push_back({0, file + " is listed and does not exist"});
    }
  }
  for (const std::string& file : present) {
    if (!listed.contains(file)) {
      findings.push_back({0, file + " is not listed"});
    }
  }
  return findings;
}

/// A source whose test has another name than its own.
struct Partner {
  std::string_view source;  // relative to src/
  std::string_view test;    // relative to tests/
  std::string_view reason;
};

/// Every source has a test of the same path, or the one that `exceptions` names.
inline Findings check_partners(const std::set<std::string>& sources,
                               const std::set<std::string>& tests,
                               const std::vector<Partner>& exceptions) {
  Findings findings;
  for (const Partner& exception : exceptions) {
    if (!sources.contains(std::string(exception.source))) {
      findings.push_back({0, std::string(exception.source) + " is excepted and does not exist"});
    }
  }
  for (const std::string& source : sources) {
    const auto exception = std::ranges::find(exceptions, source, &Partner::source);
    const std::string test = exception != exceptions.end()
                                 ? std::string(exception->test)
                                 : source.substr(0, source.size() - 4) + "_test.cpp";
    if (!tests.contains(test)) {
      findings.push_back({0, "src/" + source + " has no partner tests/" + test});
    }
  }
  return findings;
}

}  // namespace mote::tidy
