// SPDX-License-Identifier: Apache-2.0
#include "mote/message.hpp"

#include "base/assert.hpp"
#include "base/bytes.hpp"

namespace mote {
namespace {

static_assert(kProtocolVersion >= 1 && kProtocolVersion <= 7);
static_assert(kMaxChips == 64, "a seat has 6 bits");
constexpr int kItemBits = 13;

void store(std::span<std::uint8_t> bytes, std::size_t offset, std::uint16_t value) {
  std::memcpy(&bytes[offset], &value, sizeof(value));
}

bool is_known(MessageType type) {
  return MessageType::hello <= type && type <= MessageType::seat;
}

/// Whether exchange and layer are those of a phase; only activations name one.
bool is_valid_phase(const MessageHeader& header) {
  if (header.type != MessageType::activation) {
    return header.exchange == Exchange::embed && header.layer == 0;
  }
  switch (header.exchange) {
    case Exchange::embed:
    case Exchange::final_input:
      return header.layer == 0;
    case Exchange::attention_input:
    case Exchange::heads:
    case Exchange::ffn_input:
    case Exchange::hidden:
      return true;
    case Exchange::candidates:
      return false;
  }
  return false;
}

/// The table of SPEC.md, "Message header": what a type does not use is zero.
bool is_valid(const MessageHeader& header) {
  const MessageType type = header.type;
  const bool has_items = type == MessageType::activation || type == MessageType::token ||
                         type == MessageType::candidates;
  const bool answers = type == MessageType::barrier || type == MessageType::ack;
  const bool has_exchange = has_items || answers;
  return is_known(type) && header.source < kMaxChips && is_valid_phase(header) &&
         (has_exchange || header.sequence == 0) &&
         header.position <= (has_exchange ? kPositionMask : 0) &&
         header.first <= (answers ? 0 : kMaxItem);
}

bool has_payload(MessageType type) {
  return type != MessageType::heartbeat && type != MessageType::barrier;
}

/// Another version may give all other bits another meaning, and may have a shorter header.
Status refuse_version(MessageHeader& header, std::uint32_t bits) {
  header = {};
  header.type = static_cast<MessageType>(bits >> 3 & 15);
  header.source = static_cast<std::uint8_t>(bits >> 7 & 63);
  return Status::message_bad_version;
}

}  // namespace

void encode_header(std::span<std::uint8_t> out, const MessageHeader& header) {
  MOTE_ASSERT(out.size() >= kMessageHeaderBytes && is_valid(header));
  const std::uint32_t type = static_cast<std::uint32_t>(header.type) << 3;
  const std::uint32_t source = std::uint32_t{header.source} << 7;
  const std::uint32_t exchange = static_cast<std::uint32_t>(header.exchange) << 13;
  const std::uint32_t items = header.first | std::uint32_t{header.position} << kItemBits;
  store(out, 0, static_cast<std::uint16_t>(kProtocolVersion | type | source | exchange));
  out[2] = header.session;
  out[3] = header.layer;
  store(out, 4, header.sequence);
  store(out, 6, static_cast<std::uint16_t>(items));
  out[8] = static_cast<std::uint8_t>(items >> 16);
}

Status decode_header(MessageHeader& header, std::span<const std::uint8_t> message) {
  if (message.empty()) return Status::message_malformed;
  const std::uint32_t high = message.size() > 1 ? message[1] : 0;
  const std::uint32_t bits = message[0] | high << 8;
  if ((bits & 7) != kProtocolVersion) return refuse_version(header, bits);
  if (message.size() < kMessageHeaderBytes) return Status::message_malformed;
  const std::uint32_t items = load<std::uint16_t>(message, 6) | std::uint32_t{message[8]} << 16;
  MessageHeader result;
  result.type = static_cast<MessageType>(bits >> 3 & 15);
  result.source = static_cast<std::uint8_t>(bits >> 7 & 63);
  result.exchange = static_cast<Exchange>(bits >> 13);
  result.session = message[2];
  result.layer = message[3];
  result.sequence = load<std::uint16_t>(message, 4);
  result.first = static_cast<std::uint16_t>(items & kMaxItem);
  result.position = static_cast<std::uint16_t>(items >> kItemBits);
  const bool is_longer = message.size() > kMessageHeaderBytes;
  if (!is_valid(result) || (is_longer && !has_payload(result.type))) {
    return Status::message_malformed;
  }
  header = result;
  return Status::ok;
}

}  // namespace mote
