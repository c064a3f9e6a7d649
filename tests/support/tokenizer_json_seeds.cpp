// SPDX-License-Identifier: Apache-2.0
#include <nlohmann/json.hpp>
#include <string>

#include "convert/byte_level.hpp"
#include "support/named_model.hpp"

namespace mote::test {
namespace {

using Json = nlohmann::json;

Seed make_seed(const std::string& name, std::uint8_t more, const Json& json) {
  const std::string text = json.dump();
  std::vector<std::uint8_t> bytes = {more};
  bytes.insert(bytes.end(), text.begin(), text.end());
  return {name, bytes};
}

Json byte_level() {
  Json vocabulary;
  for (int byte = 0; byte < 256; ++byte) {
    vocabulary[host::map_bytes(std::string(1, static_cast<char>(byte)))] = byte;
  }
  vocabulary["ab"] = 256;
  Json json;
  json["model"] = {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", {"a b"}}};
  json["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}};
  json["added_tokens"] = {{{"id", 257}, {"content", "<e>"}, {"special", true}},
                          {{"id", 258}, {"content", "<t>"}}};
  return json;
}

Json sentencepiece() {
  Json json;
  json["model"] = {{"type", "BPE"},
                   {"vocab",
                    {{"<unk>", 0},
                     {"\xe2\x96\x81", 1},
                     {"a", 2},
                     {"\xe2\x96\x81"
                      "a",
                      3}}},
                   {"merges", {{"\xe2\x96\x81", "a"}}},
                   {"byte_fallback", true},
                   {"unk_token", "<unk>"}};
  json["pre_tokenizer"] = {{"type", "Metaspace"},
                           {"replacement", "\xe2\x96\x81"},
                           {"prepend_scheme", "first"},
                           {"split", false}};
  return json;
}

}  // namespace

std::vector<Seed> tokenizer_json_seeds() {
  Json qwen = byte_level();
  qwen["normalizer"] = {{"type", "NFC"}};
  qwen["pre_tokenizer"] = Json::parse(R"({"type": "Sequence", "pretokenizers": [
    {"type": "Digits", "individual_digits": true},
    {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true}]})");
  qwen["post_processor"] = Json::parse(R"({"type": "TemplateProcessing", "single": [
    {"SpecialToken": {"id": "<e>", "type_id": 0}}]})");
  return {make_seed("byte_level", 3, byte_level()), make_seed("digits", 3, qwen),
          make_seed("sentencepiece", 0, sentencepiece())};
}

}  // namespace mote::test
