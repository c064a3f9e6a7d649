// SPDX-License-Identifier: Apache-2.0
#include "huggingface/protobuf_reader.hpp"

#include <fmt/format.h>

#include <bit>

#include "support/error.hpp"

namespace mote::host {

float ProtobufField::real() const {
  return std::bit_cast<float>(static_cast<std::uint32_t>(integer));
}

void ProtobufReader::fail(const std::string& fault) const {
  throw Error(fmt::format("{}: not a SentencePiece model: {}", where_, fault));
}

std::span<const std::uint8_t> ProtobufReader::take(std::uint64_t count) {
  if (count > rest_.size()) {
    fail(fmt::format("a field needs {} bytes, {} are left", count, rest_.size()));
  }
  const auto taken = rest_.first(static_cast<std::size_t>(count));
  rest_ = rest_.subspan(taken.size());
  return taken;
}

std::uint64_t ProtobufReader::varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64; shift += 7) {
    const std::uint8_t byte = take(1)[0];
    value |= static_cast<std::uint64_t>(byte & 0x7fU) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number is longer than 10 bytes");
}

std::uint64_t ProtobufReader::fixed(std::size_t count) {
  const auto bytes = take(count);
  std::uint64_t value = 0;
  for (std::size_t i = count; i-- > 0;) value = value << 8 | bytes[i];
  return value;
}

bool ProtobufReader::next(ProtobufField& field) {
  if (rest_.empty()) return false;
  const std::uint64_t tag = varint();
  field = {};
  field.number = tag >> 3;
  field.type = static_cast<WireType>(tag & 7U);
  switch (field.type) {
    case WireType::varint:
      field.integer = varint();
      return true;
    case WireType::fixed64:
      field.integer = fixed(8);
      return true;
    case WireType::bytes:
      field.bytes = take(varint());
      return true;
    case WireType::fixed32:
      field.integer = fixed(4);
      return true;
  }
  fail(fmt::format("field {} is of wire type {}", field.number, tag & 7U));
}

}  // namespace mote::host
