// SPDX-License-Identifier: Apache-2.0
// What chips say to each other. SPEC.md, "Messages", states every bit.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/all_gather.hpp"
#include "mote/partition.hpp"
#include "mote/sampler.hpp"
#include "mote/status.hpp"
#include "mote/transformer.hpp"

namespace mote {

/// Version of frames and messages; 1 to 7.
inline constexpr std::uint8_t kProtocolVersion = 1;
inline constexpr std::size_t kMessageHeaderBytes = 9;
/// The smallest frame that a link must carry: every message but activations fits it.
inline constexpr std::size_t kMinFrameBytes = 250;

enum class MessageType : std::uint8_t {
  hello = 1,       // who I am and what I hold
  ready = 2,       // the coordinator opens a session: who takes which rank of which cut
  activation = 3,  // int8 blocks of an exchange
  token = 4,       // tokens of the prompt
  candidates = 5,  // the best logits of a chip
  heartbeat = 6,   // I am alive
  barrier = 7,     // I have nothing for this exchange, and have reached it
  ack = 8,         // what I have of an exchange, and so what I miss
  error = 9,       // why a chip refuses or stops
  seat = 10,       // where a chip is wired that was not told otherwise
};

/// The header of every message. A field that a type does not use is zero.
struct MessageHeader {
  MessageType type = MessageType::heartbeat;
  std::uint8_t source = 0;  // seat, 0 to 63
  std::uint8_t session = 0;
  Exchange exchange = Exchange::embed;  // of activations; embed to final_input
  std::uint8_t layer = 0;               // of activations; 0 of embed and final_input
  // Activation, token, candidates, barrier and ack speak of one exchange: the number of it in its
  // session, and the position of the first token of its batch, low 11 bits.
  std::uint16_t sequence = 0;
  std::uint16_t position = 0;
  /// activation, token, candidates: the first item, 13 bits. hello, ready, heartbeat, error: links
  /// that the message may still pass; seat: 1.
  std::uint16_t first = 0;
};
inline constexpr std::uint16_t kPositionMask = 0x7ff;
inline constexpr std::uint16_t kMaxItem = 0x1fff;

/// Writes kMessageHeaderBytes to the front of `out`. A field out of range is a programmer's error.
void encode_header(std::span<std::uint8_t> out, const MessageHeader& header);
/// `message_bad_version` where another version speaks (`header` then has type and source as far as
/// they can be known), `message_malformed` where a field is out of range, or where a heartbeat or a
/// barrier has a payload.
Status decode_header(MessageHeader& header, std::span<const std::uint8_t> message);

using Hash = std::array<std::uint8_t, 32>;

/// Identity of a chip. // 84 bytes
struct Hello {
  std::uint64_t identity = 0;     // of the chip, free
  std::uint32_t boot = 0;         // another number after each start
  std::uint32_t arena_bytes = 0;  // memory that the node may use
  std::uint8_t seat = 0;
  std::uint8_t rank = 0;    // of its shard; 0 with a whole image
  std::uint8_t chips = 0;   // of its shard; 0 with a whole image
  std::uint8_t weight = 0;  // relative speed; of a shard, that of its rank in the cut
  Hash model{};             // content hash of the whole image
  Hash shard{};             // content hash of what it holds
};
inline constexpr std::size_t kHelloBytes = 84;

/// One session: an answer, or the part of it between two failures. // kReadyBytes + 2 * members
struct Ready {
  std::array<std::uint8_t, 8> model{};  // the first bytes of the model's hash
  RunConfig run;                        // candidates: 1 to kMaxVocabulary
  HeadPolicy policy = HeadPolicy::contiguous;
  SamplerConfig sampler;     // checked by Sampler::configure
  std::uint32_t tokens = 0;  // of the text so far, which the first exchange carries
  std::uint32_t drawn = 0;   // the last of them, drawn by the sampler
  std::uint32_t boot = 0;    // of the coordinator
  std::uint8_t members = 0;  // 1 to kMaxChips
  std::array<std::uint8_t, kMaxChips> seats{};    // of each rank; all differ
  std::array<std::uint8_t, kMaxChips> weights{};  // of each rank; not all 0
};
inline constexpr std::size_t kReadyBytes = 60;

/// What a chip must know of its wiring before it can be a node; where a driver tells it. // 7 bytes
struct SeatAssignment {
  std::uint8_t seats = 1;        // 1 to kMaxChips
  std::uint8_t seat = 0;         // of the chip that is told; this and the next two below seats
  std::uint8_t hub = 0;          // star: the seat in the middle
  std::uint8_t coordinator = 0;  // the seat that opens sessions
  Topology topology = Topology::star;
  std::uint16_t frame_bytes = kMinFrameBytes;  // the largest frame of any link
};
inline constexpr std::size_t kSeatAssignmentBytes = 7;

/// How much of one member's part has arrived; each member at most once in a message.
struct AckEntry {
  std::uint8_t source = 0;      // seat
  std::uint16_t next_item = 0;  // the first item that is missing, 0 to kMaxItem + 1
};
inline constexpr std::size_t kAckEntryBytes = 3;

/// Why a chip refuses or stops: `found` is its own side, `expected` that of the other.
struct ErrorMessage {
  Status status = Status::ok;  // not ok on the wire
  std::uint8_t seat = 0;       // whose fault it is
  std::uint8_t other = 0;      // who says so
  std::uint64_t expected = 0;
  std::uint64_t found = 0;
};
inline constexpr std::size_t kErrorBytes = 19;

// Payloads. Encoders take valid fields only, write to the front of `out`, which is long enough, and
// return the length. Decoders return `message_malformed` unless length and every field are valid,
// and change nothing then.

std::size_t encode_payload(std::span<std::uint8_t> out, const Hello& hello);
std::size_t encode_payload(std::span<std::uint8_t> out, const Ready& ready);
std::size_t encode_payload(std::span<std::uint8_t> out, const ErrorMessage& error);
std::size_t encode_payload(std::span<std::uint8_t> out, const SeatAssignment& seat);
std::size_t encode_payload(std::span<std::uint8_t> out, std::span<const AckEntry> entries);
Status decode_payload(Hello& hello, std::span<const std::uint8_t> payload);
Status decode_payload(Ready& ready, std::span<const std::uint8_t> payload);
Status decode_payload(ErrorMessage& error, std::span<const std::uint8_t> payload);
Status decode_payload(SeatAssignment& seat, std::span<const std::uint8_t> payload);
/// Takes at most `entries.size()` entries, of kMaxChips at most, and shortens `entries` to what
/// arrived; what it refers to has changed in any case.
Status decode_payload(std::span<AckEntry>& entries, std::span<const std::uint8_t> payload);

}  // namespace mote
