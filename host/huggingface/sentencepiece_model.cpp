// SPDX-License-Identifier: Apache-2.0
// The fields that count, by their numbers in sentencepiece_model.proto:
//   ModelProto      1 pieces, 2 trainer_spec, 3 normalizer_spec
//   SentencePiece   1 piece, 2 score, 3 type
//   TrainerSpec     3 model_type (1 unigram, 2 BPE), 24 treat_whitespace_as_suffix, 40 unk_id,
//                   41 bos_id, 42 eos_id
//   NormalizerSpec  1 name, 2 precompiled_charsmap, 3 add_dummy_prefix,
//                   4 remove_extra_whitespaces, 5 escape_whitespaces
#include "huggingface/sentencepiece_model.hpp"

#include <fmt/format.h>

#include <vector>

#include "convert/printable.hpp"
#include "convert/sentencepiece.hpp"
#include "huggingface/protobuf_reader.hpp"
#include "mote/config.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kUnigram = 1;
constexpr std::uint64_t kBpe = 2;

struct Model {
  std::vector<Piece> pieces;
  SpecialTokens special = {1, 2, 0, {}};  // what the format defaults to
  std::uint64_t model_type = kUnigram;    // as above
  bool adds_space_prefix = true;
  bool removes_extra_spaces = true;
  bool escapes_spaces = true;
  bool has_space_suffix = false;
  bool has_table = false;
  std::string_view normalizer;
};

/// Negative numbers, in 64 bits, mean that there is no such token.
std::uint32_t token_id(std::uint64_t value) {
  return value < kNoToken ? static_cast<std::uint32_t>(value) : kNoToken;
}

Piece read_piece(std::span<const std::uint8_t> bytes, std::uint32_t token,
                 const std::string& path) {
  Piece piece;
  ProtobufReader reader(bytes, path);
  for (ProtobufField field; reader.next(field);) {
    if (field.is(1, WireType::bytes)) piece.text = field.text();
    if (field.is(2, WireType::fixed32)) piece.score = field.real();
    if (field.is(3, WireType::varint)) {
      piece.kind = to_piece_kind(static_cast<std::int64_t>(field.integer), token, path);
    }
  }
  return piece;
}

void read_trainer(Model& model, std::span<const std::uint8_t> bytes, const std::string& path) {
  ProtobufReader reader(bytes, path);
  for (ProtobufField field; reader.next(field);) {
    if (field.is(3, WireType::varint)) model.model_type = field.integer;
    if (field.is(24, WireType::varint)) model.has_space_suffix = field.integer != 0;
    if (field.is(40, WireType::varint)) model.special.unknown = token_id(field.integer);
    if (field.is(41, WireType::varint)) model.special.bos = token_id(field.integer);
    if (field.is(42, WireType::varint)) model.special.eos = token_id(field.integer);
  }
}

void read_normalizer(Model& model, std::span<const std::uint8_t> bytes, const std::string& path) {
  ProtobufReader reader(bytes, path);
  for (ProtobufField field; reader.next(field);) {
    if (field.is(1, WireType::bytes)) model.normalizer = field.text();
    if (field.is(2, WireType::bytes)) model.has_table = !field.bytes.empty();
    if (field.is(3, WireType::varint)) model.adds_space_prefix = field.integer != 0;
    if (field.is(4, WireType::varint)) model.removes_extra_spaces = field.integer != 0;
    if (field.is(5, WireType::varint)) model.escapes_spaces = field.integer != 0;
  }
}

Model read_model(std::span<const std::uint8_t> bytes, const std::string& path) {
  Model model;
  ProtobufReader reader(bytes, path);
  for (ProtobufField field; reader.next(field);) {
    if (field.is(1, WireType::bytes)) {
      const auto token = static_cast<std::uint32_t>(model.pieces.size());
      if (token >= kMaxVocabulary) {
        throw Error(fmt::format("{}: more than {} tokens", path, kMaxVocabulary));
      }
      model.pieces.push_back(read_piece(field.bytes, token, path));
    }
    if (field.is(2, WireType::bytes)) read_trainer(model, field.bytes, path);
    if (field.is(3, WireType::bytes)) read_normalizer(model, field.bytes, path);
  }
  return model;
}

void refuse_features(const Model& model, const std::string& path) {
  if (model.model_type != kBpe) {
    throw Error(
        fmt::format("{}: the SentencePiece model_type {} is not supported; supported: BPE", path,
                    model.model_type == kUnigram ? "unigram" : std::to_string(model.model_type)));
  }
  if (model.has_table || !model.escapes_spaces) {
    throw Error(fmt::format("{}: the normalisation {} is not supported; supported: identity", path,
                            printable(model.normalizer)));
  }
  if (model.has_space_suffix) {
    throw Error(fmt::format(
        "{}: treat_whitespace_as_suffix is not supported; supported: spaces before words", path));
  }
}

}  // namespace

Vocabulary read_sentencepiece_model(std::span<const std::uint8_t> bytes, const std::string& path) {
  const Model model = read_model(bytes, path);
  refuse_features(model, path);
  Vocabulary vocabulary =
      make_sentencepiece_vocabulary(model.pieces, model.special, model.adds_space_prefix, path);
  vocabulary.removes_extra_spaces = model.removes_extra_spaces;
  return vocabulary;
}

}  // namespace mote::host
