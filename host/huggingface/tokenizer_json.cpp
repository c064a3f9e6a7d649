// SPDX-License-Identifier: Apache-2.0
#include "huggingface/tokenizer_json.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "convert/byte_level.hpp"
#include "convert/printable.hpp"
#include "convert/sentencepiece.hpp"
#include "huggingface/json_reader.hpp"
#include "huggingface/pre_tokenizer_json.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::json;

/// All of a tokenizer.json that becomes a vocabulary, with views into the JSON.
class TokenizerReader {
 public:
  TokenizerReader(const Json& json, std::uint32_t vocab_size, const TokenizerHints& hints,
                  const std::string& where)
      : json_(json), hints_(hints), where_(where), pieces_(vocab_size, kUnused) {}

  Vocabulary read() {
    const JsonReader root(json_, where_);
    const auto model = root.find_object("model");
    if (!model) throw Error(where_ + ": model is missing");
    check_model(*model);
    read_vocabulary(*model);
    read_added_tokens(root);
    read_merges(*model);
    special_.bos = find_beginning();
    special_.eos = find_token(hints_.eos_token);
    special_.unknown = find_token(model->text_or("unk_token", ""));
    special_.ends = hints_.end_ids;
    if (special_.eos == kNoToken && !special_.ends.empty()) special_.eos = special_.ends.front();
    return model->flag_or("byte_fallback", false) ? make_sentencepiece() : make_byte_level(*model);
  }

 private:
  static constexpr Piece kUnused = {"", 0, PieceKind::unused};

  void check_model(const JsonReader& model) const {
    const std::string type = model.text_or("type", "BPE");
    if (type != "BPE") {
      throw Error(fmt::format("{}: the model {} is not supported; supported: BPE", where_,
                              printable(type)));
    }
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!model.text_or(key, "").empty()) model.fail(key, "empty");
    }
    if (model.real_or("dropout", 0) != 0) model.fail("dropout", "0");
  }

  std::uint32_t check_id(const Json& value, std::string_view text) const {
    const auto id = to_u64(value);
    if (id && *id < pieces_.size()) return static_cast<std::uint32_t>(*id);
    throw Error(fmt::format("{}: the token \"{}\" must have a number below {}", where_,
                            printable(text), pieces_.size()));
  }

  void read_vocabulary(const JsonReader& model) {
    const Json* vocabulary = model.find("vocab");
    if (vocabulary == nullptr || !vocabulary->is_object()) model.fail("vocab", "an object");
    for (auto entry = vocabulary->begin(); entry != vocabulary->end(); ++entry) {
      const std::string& text = entry.key();
      const std::uint32_t id = check_id(entry.value(), text);
      if (pieces_[id].kind != PieceKind::unused) {
        throw Error(fmt::format("{}: two tokens have the number {}", where_, id));
      }
      pieces_[id] = {text, 0, PieceKind::normal};
      tokens_[text] = id;
    }
  }

  void read_added_tokens(const JsonReader& root) {
    const Json* list = root.find("added_tokens");
    if (list == nullptr) return;
    if (!list->is_array()) root.fail("added_tokens", "a list");
    for (const Json& json : *list) {
      if (!json.is_object()) root.fail("added_tokens", "a list of objects");
      add_token(JsonReader(json, where_ + ": added_tokens"));
    }
  }

  void add_token(const JsonReader& added) {
    const Json* content = added.find("content");
    if (content == nullptr || !content->is_string()) added.fail("content", "a string");
    const auto& text = content->get_ref<const std::string&>();
    const Json* id = added.find("id");
    const std::uint32_t token = check_id(id == nullptr ? Json() : *id, text);
    const bool is_special = added.flag_or("special", false);
    for (const char* key : {"single_word", "lstrip", "rstrip"}) {
      if (!is_special && added.flag_or(key, false)) {
        added.fail(key, fmt::format("false (of \"{}\")", printable(text)));
      }
    }
    pieces_[token] = {text, 0, is_special ? PieceKind::control : PieceKind::user_defined};
    tokens_[text] = token;
  }

  /// "left right" or ["left", "right"].
  void read_merges(const JsonReader& model) {
    const Json* list = model.find("merges");
    if (list == nullptr || !list->is_array()) model.fail("merges", "a list");
    for (const Json& json : *list) merges_.push_back(read_merge(model, json));
  }

  static MergeText read_merge(const JsonReader& model, const Json& json) {
    if (json.is_string()) {
      const std::string_view text = json.get_ref<const std::string&>();
      const std::size_t space = text.find(' ', 1);
      if (space != std::string_view::npos && space + 1 < text.size()) {
        return {text.substr(0, space), text.substr(space + 1)};
      }
    } else if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
      return {json[0].get_ref<const std::string&>(), json[1].get_ref<const std::string&>()};
    }
    model.fail("merges", "a list of pairs of tokens");
  }

  std::uint32_t find_token(const std::string& text) const {
    const auto found = tokens_.find(text);
    return text.empty() || found == tokens_.end() ? kNoToken : found->second;
  }

  /// The token that the template of a single text puts before it.
  std::uint32_t find_beginning() const {
    const auto found = json_.find("post_processor");
    return found == json_.end() ? kNoToken : find_beginning(*found);
  }

  std::uint32_t find_beginning(const Json& processor) const {
    if (!processor.is_object()) return kNoToken;
    const JsonReader reader(processor, where_ + ": post_processor");
    if (reader.text_or("type", "") == "TemplateProcessing") return find_in_template(reader);
    const Json* list = reader.find("processors");
    if (list == nullptr || !list->is_array()) return kNoToken;
    for (const Json& part : *list) {
      const std::uint32_t token = find_beginning(part);
      if (token != kNoToken) return token;
    }
    return kNoToken;
  }

  std::uint32_t find_in_template(const JsonReader& reader) const {
    const Json* single = reader.find("single");
    if (single == nullptr || !single->is_array() || single->empty()) return kNoToken;
    const Json& first = single->front();
    if (!first.is_object() || !first.contains("SpecialToken")) return kNoToken;
    const auto token = JsonReader(first, reader.where()).find_object("SpecialToken");
    const std::string text = token ? token->text_or("id", "") : "";
    const std::uint32_t found = find_token(text);
    if (found == kNoToken) reader.fail("single", "of tokens that there are");
    return found;
  }

  Vocabulary make_byte_level(const JsonReader& model) {
    ByteLevelModel parts;
    parts.pre_tokenizer = read_pre_tokenizer(json_, where_);
    if (parts.pre_tokenizer == PreTokenizer::none) {
      throw Error(where_ +
                  ": the BPE model has neither a ByteLevel pre_tokenizer nor byte_fallback");
    }
    check_byte_level_normalizer(json_, where_);
    parts.pieces = std::move(pieces_);
    parts.merges = std::move(merges_);
    parts.special = special_;
    parts.ignores_merges = model.flag_or("ignore_merges", false);
    return make_byte_level_vocabulary(parts, where_);
  }

  /// SentencePiece merges the pair that makes the best piece. A translation of such a model lists
  /// the pairs that make it together, in the order of the pieces, and leaves none out.
  Vocabulary make_sentencepiece() {
    std::set<std::pair<std::string_view, std::string_view>> pairs;
    std::string before;
    for (const MergeText& merge : merges_) {
      const std::string joined = fmt::format("{}{}", merge.left, merge.right);
      const std::uint32_t token = find_token(joined);
      if (token == kNoToken) {
        throw Error(fmt::format("{}: the merge \"{} {}\" makes no token", where_,
                                printable(merge.left), printable(merge.right)));
      }
      if (joined != before && pieces_[token].score != 0) refuse_order(joined);
      if (joined != before) pieces_[token].score = -static_cast<float>(++scores_);
      pairs.emplace(merge.left, merge.right);
      before = joined;
    }
    for (const Piece& piece : pieces_) {
      for (std::size_t i = 1; i < piece.text.size(); ++i) {
        const std::string_view left = piece.text.substr(0, i);
        const std::string_view right = piece.text.substr(i);
        const bool may_merge = is_normal(piece.text) && is_normal(left) && is_normal(right);
        if (may_merge && !pairs.contains({left, right})) refuse_order(piece.text);
      }
    }
    name_kinds();
    return make_sentencepiece_vocabulary(pieces_, special_, adds_space_prefix(json_, where_),
                                         where_);
  }

  bool is_normal(std::string_view text) const {
    const std::uint32_t token = find_token(std::string(text));
    return token != kNoToken && pieces_[token].kind == PieceKind::normal && !is_byte(text);
  }

  [[noreturn]] void refuse_order(std::string_view text) const {
    throw Error(
        fmt::format("{}: the merges of \"{}\" are not those of a SentencePiece model; put "
                    "its tokenizer.model beside it",
                    where_, printable(text)));
  }

  static bool is_byte(std::string_view text) {
    return text.size() == 6 && text.starts_with("<0x") && text.ends_with('>');
  }

  void name_kinds() {
    for (Piece& piece : pieces_) {
      if (piece.kind == PieceKind::normal && is_byte(piece.text)) piece.kind = PieceKind::byte;
    }
    if (special_.unknown != kNoToken) pieces_[special_.unknown].kind = PieceKind::unknown;
  }

  const Json& json_;
  const TokenizerHints& hints_;
  const std::string& where_;
  std::vector<Piece> pieces_;
  std::unordered_map<std::string, std::uint32_t> tokens_;
  std::vector<MergeText> merges_;
  SpecialTokens special_;
  std::int32_t scores_ = 0;
};

/// Adds one number or a list of them; other files may say nothing, or null.
void add_ids(std::vector<std::uint32_t>& ids, const Json& json, std::uint32_t vocab_size) {
  if (json.is_array()) {
    for (const Json& value : json) add_ids(ids, value, vocab_size);
    return;
  }
  const auto id = to_u64(json);
  if (id && *id < vocab_size) ids.push_back(static_cast<std::uint32_t>(*id));
}

Json read_beside(const std::string& path, const char* name) {
  const auto beside = std::filesystem::path(path).replace_filename(name);
  if (!std::filesystem::exists(beside)) return Json::object();
  const MappedFile file(beside.string());
  return parse_json_object(file.bytes(), file.path());
}

/// A text, or an object with one.
std::string read_token_text(const Json& json) {
  if (json.is_string()) return json.get<std::string>();
  const bool has_content =
      json.is_object() && json.contains("content") && json["content"].is_string();
  return has_content ? json["content"].get<std::string>() : "";
}

}  // namespace

Vocabulary parse_tokenizer_json(std::span<const std::uint8_t> bytes, std::uint32_t vocab_size,
                                const TokenizerHints& hints, const std::string& where) {
  const Json json = parse_json_object(bytes, where, kMaxTokenizerJsonBytes);
  return TokenizerReader(json, vocab_size, hints, where).read();
}

Vocabulary read_tokenizer_json(const std::string& path, std::uint32_t vocab_size) {
  TokenizerHints hints;
  const Json config = read_beside(path, "tokenizer_config.json");
  hints.eos_token = read_token_text(config.value("eos_token", Json()));
  for (const char* name : {"generation_config.json", "config.json"}) {
    add_ids(hints.end_ids, read_beside(path, name).value("eos_token_id", Json()), vocab_size);
  }
  const MappedFile file(path);
  return parse_tokenizer_json(file.bytes(), vocab_size, hints, path);
}

}  // namespace mote::host
