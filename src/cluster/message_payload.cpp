// SPDX-License-Identifier: Apache-2.0
// The payloads that have a layout of their own. One list of fields both writes and reads each, so
// that whatever is read can be written again to the same bytes.
#include <algorithm>

#include "base/assert.hpp"
#include "base/bytes.hpp"
#include "mote/frame.hpp"
#include "mote/message.hpp"

namespace mote {
namespace {

constexpr std::size_t kMinMessageBytes = max_message_bytes(kMinFrameBytes);
static_assert(kMessageHeaderBytes + kHelloBytes <= kMinMessageBytes);
static_assert(kMessageHeaderBytes + kReadyBytes + 2 * kMaxChips <= kMinMessageBytes);
static_assert(kMessageHeaderBytes + kAckEntryBytes * kMaxChips <= kMinMessageBytes);
static_assert(kMessageHeaderBytes + kErrorBytes <= kMinMessageBytes);

/// Appends little-endian numbers.
class Writer {
 public:
  explicit Writer(std::span<std::uint8_t> out) : out_(out) {}

  template <typename T>
  void number(const T& value) {
    MOTE_ASSERT(out_.size() - size_ >= sizeof(T));
    std::memcpy(&out_[size_], &value, sizeof(T));
    size_ += sizeof(T);
  }
  /// A number that takes one byte on the wire.
  void small(std::uint32_t value) {
    MOTE_ASSERT(value <= 0xff);
    number(static_cast<std::uint8_t>(value));
  }
  void bytes(std::span<const std::uint8_t> values) {
    for (const std::uint8_t value : values) number(value);
  }
  std::size_t size() const { return size_; }

 private:
  std::span<std::uint8_t> out_;
  std::size_t size_ = 0;
};

/// Takes what Writer has appended; the caller has checked the length.
class Reader {
 public:
  explicit Reader(std::span<const std::uint8_t> in) : in_(in) {}

  template <typename T>
  void number(T& value) {
    value = load<T>(in_, offset_);
    offset_ += sizeof(T);
  }
  void small(std::uint32_t& value) { value = in_[offset_++]; }
  void bytes(std::span<std::uint8_t> values) {
    for (std::uint8_t& value : values) number(value);
  }

 private:
  std::span<const std::uint8_t> in_;
  std::size_t offset_ = 0;
};

// The layouts of SPEC.md. `Message` is const where it is written.

template <typename Codec, typename Message>
void visit_hello(Codec& codec, Message& hello) {
  codec.number(hello.identity);
  codec.number(hello.boot);
  codec.number(hello.arena_bytes);
  codec.number(hello.seat);
  codec.number(hello.rank);
  codec.number(hello.chips);
  codec.number(hello.weight);
  codec.bytes(hello.model);
  codec.bytes(hello.shard);
}

/// All but seats and weights.
template <typename Codec, typename Message>
void visit_ready(Codec& codec, Message& ready) {
  codec.bytes(ready.model);
  codec.number(ready.sampler.seed);
  codec.number(ready.sampler.temperature_q16);
  codec.number(ready.sampler.top_k);
  codec.number(ready.sampler.top_p_q16);
  codec.number(ready.sampler.min_p_q16);
  codec.number(ready.sampler.repeat_penalty_q16);
  codec.number(ready.run.context_length);
  codec.number(ready.run.candidates);
  codec.number(ready.tokens);
  codec.number(ready.drawn);
  codec.number(ready.boot);
  codec.small(ready.run.batch);
  codec.small(ready.sampler.repeat_window);
  codec.number(ready.policy);
  codec.number(ready.members);
}

template <typename Codec, typename Message>
void visit_error(Codec& codec, Message& error) {
  codec.number(error.status);
  codec.number(error.seat);
  codec.number(error.other);
  codec.number(error.expected);
  codec.number(error.found);
}

template <typename Codec, typename Message>
void visit_seat(Codec& codec, Message& seat) {
  codec.number(seat.seats);
  codec.number(seat.seat);
  codec.number(seat.hub);
  codec.number(seat.coordinator);
  codec.number(seat.topology);
  codec.number(seat.frame_bytes);
}

template <typename Codec, typename Entry>
void visit_entry(Codec& codec, Entry& entry) {
  codec.number(entry.source);
  codec.number(entry.next_item);
}

/// Takes each seat once.
class SeatSet {
 public:
  bool insert(std::uint8_t seat) {
    if (seat >= kMaxChips || (seats_ >> seat & 1) != 0) return false;
    seats_ |= std::uint64_t{1} << seat;
    return true;
  }

 private:
  static_assert(kMaxChips == 64);
  std::uint64_t seats_ = 0;
};

bool is_valid(const Hello& hello) {
  const bool is_whole = hello.chips == 0 && hello.rank == 0;
  return hello.seat < kMaxChips && hello.chips <= kMaxChips &&
         (is_whole || hello.rank < hello.chips);
}

bool is_valid(const RunConfig& run) {
  return 1 <= run.context_length && run.context_length <= kMaxContext && 1 <= run.batch &&
         run.batch <= kMaxBatch && 1 <= run.candidates && run.candidates <= kMaxVocabulary;
}

/// The sampler's own door is Sampler::configure.
bool is_valid(const Ready& ready) {
  if (ready.members < 1 || ready.members > kMaxChips) return false;
  SeatSet seats;
  std::uint8_t any_weight = 0;
  for (std::uint32_t rank = 0; rank < ready.members; ++rank) {
    if (!seats.insert(ready.seats[rank])) return false;
    any_weight |= ready.weights[rank];
  }
  return any_weight != 0 && ready.policy <= HeadPolicy::round_robin &&
         ready.drawn <= ready.tokens && is_valid(ready.run);
}

bool is_valid(const ErrorMessage& error) {
  return error.status != Status::ok && error.seat < kMaxChips && error.other < kMaxChips;
}

bool is_valid(const SeatAssignment& seat) {
  return 1 <= seat.seats && seat.seats <= kMaxChips && seat.seat < seat.seats &&
         seat.hub < seat.seats && seat.coordinator < seat.seats &&
         seat.topology <= Topology::broadcast && seat.frame_bytes >= kMinFrameBytes;
}

bool is_valid(std::span<const AckEntry> entries) {
  SeatSet sources;
  return std::ranges::all_of(entries, [&](const AckEntry& entry) {
    return sources.insert(entry.source) && entry.next_item <= kMaxItem + 1;
  });
}

}  // namespace

std::size_t encode_payload(std::span<std::uint8_t> out, const Hello& hello) {
  MOTE_ASSERT(is_valid(hello));
  Writer writer(out);
  visit_hello(writer, hello);
  return writer.size();
}

Status decode_payload(Hello& hello, std::span<const std::uint8_t> payload) {
  if (payload.size() != kHelloBytes) return Status::message_malformed;
  Hello result;
  Reader reader(payload);
  visit_hello(reader, result);
  if (!is_valid(result)) return Status::message_malformed;
  hello = result;
  return Status::ok;
}

std::size_t encode_payload(std::span<std::uint8_t> out, const Ready& ready) {
  MOTE_ASSERT(is_valid(ready));
  Writer writer(out);
  visit_ready(writer, ready);
  writer.bytes(std::span(ready.seats).first(ready.members));
  writer.bytes(std::span(ready.weights).first(ready.members));
  return writer.size();
}

Status decode_payload(Ready& ready, std::span<const std::uint8_t> payload) {
  if (payload.size() < kReadyBytes) return Status::message_malformed;
  Ready result;
  Reader reader(payload);
  visit_ready(reader, result);
  const std::size_t members = std::min<std::size_t>(result.members, kMaxChips);
  if (payload.size() != kReadyBytes + 2 * members) return Status::message_malformed;
  reader.bytes(std::span(result.seats).first(members));
  reader.bytes(std::span(result.weights).first(members));
  if (!is_valid(result)) return Status::message_malformed;
  ready = result;
  return Status::ok;
}

std::size_t encode_payload(std::span<std::uint8_t> out, const ErrorMessage& error) {
  MOTE_ASSERT(is_valid(error));
  Writer writer(out);
  visit_error(writer, error);
  return writer.size();
}

Status decode_payload(ErrorMessage& error, std::span<const std::uint8_t> payload) {
  if (payload.size() != kErrorBytes) return Status::message_malformed;
  ErrorMessage result;
  Reader reader(payload);
  visit_error(reader, result);
  if (!is_valid(result)) return Status::message_malformed;
  error = result;
  return Status::ok;
}

std::size_t encode_payload(std::span<std::uint8_t> out, const SeatAssignment& seat) {
  MOTE_ASSERT(is_valid(seat));
  Writer writer(out);
  visit_seat(writer, seat);
  return writer.size();
}

Status decode_payload(SeatAssignment& seat, std::span<const std::uint8_t> payload) {
  if (payload.size() != kSeatAssignmentBytes) return Status::message_malformed;
  SeatAssignment result;
  Reader reader(payload);
  visit_seat(reader, result);
  if (!is_valid(result)) return Status::message_malformed;
  seat = result;
  return Status::ok;
}

std::size_t encode_payload(std::span<std::uint8_t> out, std::span<const AckEntry> entries) {
  MOTE_ASSERT(is_valid(entries));
  Writer writer(out);
  for (const AckEntry& entry : entries) visit_entry(writer, entry);
  return writer.size();
}

Status decode_payload(std::span<AckEntry>& entries, std::span<const std::uint8_t> payload) {
  const std::size_t count = payload.size() / kAckEntryBytes;
  if (payload.size() % kAckEntryBytes != 0 || count > entries.size()) {
    return Status::message_malformed;
  }
  Reader reader(payload);
  for (AckEntry& entry : entries.first(count)) visit_entry(reader, entry);
  if (!is_valid(entries.first(count))) return Status::message_malformed;
  entries = entries.first(count);
  return Status::ok;
}

}  // namespace mote
