// SPDX-License-Identifier: Apache-2.0
#include "huggingface/pre_tokenizer_json.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "convert/printable.hpp"
#include "huggingface/json_reader.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::json;
using Steps = std::vector<std::string>;

constexpr const char* kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3})"
    R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N})"
                               R"(| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kAsian =
    "[\xe4\xb8\x80-\xe9\xbe\xa5\xe0\xa0\x80-\xe4\xb8\x80"
    "\xea\xb0\x80-\xed\x9f\xbf]+";
constexpr std::string_view kSpaceMark = "\xe2\x96\x81";  // U+2581

struct Known {
  PreTokenizer kind;
  std::string_view name;
  Steps steps;
};

const std::vector<Known>& known_rules() {
  static const std::vector<Known> kRules = {
      {PreTokenizer::gpt2, "GPT-2", {kGpt2}},
      {PreTokenizer::llama3, "Llama 3", {kLlama3}},
      {PreTokenizer::qwen2, "Qwen2", {kQwen2}},
      {PreTokenizer::smollm, "SmolLM", {R"(\p{N})", kGpt2}},
      {PreTokenizer::deepseek_coder,
       "DeepSeek Coder",
       {"[\r\n]", R"(\s?\p{L}+)", R"(\s?\p{P}+)", kAsian, R"(\p{N})"}},
  };
  return kRules;
}

/// The steps of a tokenizer.json's pre-tokeniser as expressions; ByteLevel's own work is none.
class StepReader {
 public:
  explicit StepReader(const std::string& where) : where_(where) {}

  void add(const Json& step) {
    if (!step.is_object()) fail("must be an object with a type");
    const JsonReader reader(step, where_ + ": pre_tokenizer");
    const std::string type = reader.text_or("type", "");
    if (type == "Sequence") {
      add_all(reader);
    } else if (type == "ByteLevel") {
      if (reader.flag_or("add_prefix_space", true))
        fail("ByteLevel: add_prefix_space must be false");
      if (reader.flag_or("use_regex", true)) steps_.push_back(kGpt2);
      is_byte_level_ = true;
    } else if (type == "Digits") {
      steps_.push_back(reader.flag_or("individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)");
    } else if (type == "Split") {
      add_split(reader);
    } else {
      steps_.push_back(printable(type));
    }
  }

  const Steps& steps() const { return steps_; }
  bool is_byte_level() const { return is_byte_level_; }

 private:
  [[noreturn]] void fail(std::string_view fault) const {
    throw Error(fmt::format("{}: pre_tokenizer: {}", where_, fault));
  }

  void add_all(const JsonReader& sequence) {
    const Json* list = sequence.find("pretokenizers");
    if (list == nullptr || !list->is_array()) fail("pretokenizers must be a list");
    for (const Json& step : *list) add(step);
  }

  /// An expression whose matches cover all text may be given the other way round.
  void add_split(const JsonReader& split) {
    const auto pattern = split.find_object("pattern");
    const std::string regex = pattern ? pattern->text_or("Regex", "") : "";
    const bool isolates =
        split.text_or("behavior", "") == "Isolated" && !split.flag_or("invert", false);
    const bool keeps_matches =
        split.text_or("behavior", "") == "Removed" && split.flag_or("invert", false);
    const bool covers_all = regex == kLlama3 || regex == kQwen2 || regex == kGpt2;
    const bool is_known = isolates || (keeps_matches && covers_all);
    steps_.push_back(is_known ? regex : "Split that does not isolate the matches of an expression");
  }

  const std::string& where_;
  Steps steps_;
  bool is_byte_level_ = false;
};

[[noreturn]] void refuse_normalizer(const std::string& where, const std::string& type) {
  throw Error(
      fmt::format("{}: the normalizer {} is not supported; supported: NFC, and that of "
                  "SentencePiece",
                  where, printable(type)));
}

/// {"type": "Replace", "pattern": {"String": " "}, "content": "U+2581"}
bool replaces_spaces(const JsonReader& step) {
  const auto pattern = step.find_object("pattern");
  return step.text_or("type", "") == "Replace" && pattern &&
         pattern->text_or("String", "") == " " && step.text_or("content", "") == kSpaceMark;
}

struct SpaceRules {
  bool marks_spaces = false;
  bool adds_prefix = false;
};

void add_normalizer(SpaceRules& rules, const Json& json, const std::string& where) {
  if (!json.is_object()) refuse_normalizer(where, "that is no object");
  const JsonReader step(json, where + ": normalizer");
  const std::string type = step.text_or("type", "");
  if (type == "Sequence") {
    const Json* list = step.find("normalizers");
    if (list == nullptr || !list->is_array()) refuse_normalizer(where, type);
    for (const Json& part : *list) add_normalizer(rules, part, where);
  } else if (type == "Prepend" && step.text_or("prepend", "") == kSpaceMark) {
    rules.adds_prefix = true;
  } else if (replaces_spaces(step)) {
    rules.marks_spaces = true;
  } else {
    refuse_normalizer(where, type);
  }
}

void add_metaspace(SpaceRules& rules, const Json& json, const std::string& where) {
  if (!json.is_object()) throw Error(where + ": pre_tokenizer must be an object");
  const JsonReader step(json, where + ": pre_tokenizer");
  const bool is_metaspace = step.text_or("type", "") == "Metaspace" &&
                            step.text_or("replacement", "") == kSpaceMark &&
                            !step.flag_or("split", false);
  if (!is_metaspace) {
    throw Error(
        fmt::format("{}: pre_tokenizer: beside byte_fallback only a Metaspace that does "
                    "not split is supported",
                    where));
  }
  const std::string scheme = step.text_or("prepend_scheme", "always");
  rules.marks_spaces = true;
  rules.adds_prefix = scheme != "never" && step.flag_or("add_prefix_space", true);
}

const Json* find_member(const Json& json, const char* key) {
  const auto found = json.find(key);
  return found == json.end() || found->is_null() ? nullptr : &*found;
}

}  // namespace

PreTokenizer read_pre_tokenizer(const Json& tokenizer, const std::string& where) {
  const Json* json = find_member(tokenizer, "pre_tokenizer");
  if (json == nullptr) return PreTokenizer::none;
  StepReader reader(where);
  reader.add(*json);
  if (!reader.is_byte_level()) return PreTokenizer::none;
  std::vector<std::string_view> names;
  for (const Known& known : known_rules()) {
    if (known.steps == reader.steps()) return known.kind;
    names.push_back(known.name);
  }
  std::vector<std::string> steps;
  for (const std::string& step : reader.steps()) steps.push_back(printable(step));
  throw Error(fmt::format("{}: the pre-tokeniser \"{}\" is not supported; supported: those of {}",
                          where, fmt::join(steps, "\", \""), fmt::join(names, ", ")));
}

void check_byte_level_normalizer(const Json& tokenizer, const std::string& where) {
  const Json* json = find_member(tokenizer, "normalizer");
  if (json == nullptr) return;
  if (!json->is_object()) refuse_normalizer(where, "that is no object");
  const JsonReader reader(*json, where + ": normalizer");
  const std::string type = reader.text_or("type", "");
  const Json* list = reader.find("normalizers");
  const bool is_empty = type == "Sequence" && list != nullptr && list->is_array() && list->empty();
  if (type != "NFC" && !is_empty) refuse_normalizer(where, type);
}

bool adds_space_prefix(const Json& tokenizer, const std::string& where) {
  SpaceRules rules;
  if (const Json* json = find_member(tokenizer, "normalizer")) add_normalizer(rules, *json, where);
  if (const Json* json = find_member(tokenizer, "pre_tokenizer"))
    add_metaspace(rules, *json, where);
  if (!rules.marks_spaces) {
    throw Error(where + ": neither normalizer nor pre_tokenizer writes spaces as U+2581");
  }
  return rules.adds_prefix;
}

}  // namespace mote::host
