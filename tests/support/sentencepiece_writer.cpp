// SPDX-License-Identifier: Apache-2.0
#include "support/sentencepiece_writer.hpp"

#include <bit>

#include "support/named_model.hpp"

namespace mote::test {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append_varint(Bytes& out, std::uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<std::uint8_t>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<std::uint8_t>(value));
}

void append_number(Bytes& out, std::uint64_t field, std::uint64_t value) {
  append_varint(out, field << 3);
  append_varint(out, value);
}

template <typename Text>
void append_text(Bytes& out, std::uint64_t field, const Text& text) {
  append_varint(out, field << 3 | 2);
  append_varint(out, text.size());
  out.insert(out.end(), text.begin(), text.end());
}

void append_float(Bytes& out, std::uint64_t field, float value) {
  append_varint(out, field << 3 | 5);
  append_bytes(out, std::bit_cast<std::uint32_t>(value), 4);
}

}  // namespace

SentencepieceModel named_sentencepiece(std::uint32_t vocab_size) {
  SentencepieceModel model;
  for (const std::string& text : named_vocabulary(vocab_size)) {
    const std::size_t token = model.pieces.size();
    const bool is_byte = text.starts_with("<0x");
    const std::uint64_t type = token == 0 ? 2 : token < 3 ? 3 : is_byte ? 6 : 1;
    model.pieces.push_back(
        {text == " " ? "\xe2\x96\x81" : text, type == 1 ? -static_cast<float>(token) : 0, type});
  }
  return model;
}

std::vector<std::uint8_t> write_sentencepiece(const SentencepieceModel& model) {
  Bytes out;
  for (const SentencepieceModel::Piece& piece : model.pieces) {
    Bytes bytes;
    append_text(bytes, 1, piece.text);
    append_float(bytes, 2, piece.score);
    if (piece.type != 1) append_number(bytes, 3, piece.type);
    append_text(out, 1, bytes);
  }
  Bytes trainer;
  append_number(trainer, 3, model.model_type);
  if (model.has_space_suffix) append_number(trainer, 24, 1);
  append_number(trainer, 40, static_cast<std::uint64_t>(model.unk_id));
  append_number(trainer, 41, static_cast<std::uint64_t>(model.bos_id));
  append_number(trainer, 42, static_cast<std::uint64_t>(model.eos_id));
  append_text(out, 2, trainer);
  Bytes normalizer;
  append_text(normalizer, 1, model.normalizer);
  if (!model.table.empty()) append_text(normalizer, 2, model.table);
  append_number(normalizer, 3, model.adds_space_prefix ? 1 : 0);
  append_number(normalizer, 4, model.removes_extra_spaces ? 1 : 0);
  append_text(out, 3, normalizer);
  return out;
}

}  // namespace mote::test
