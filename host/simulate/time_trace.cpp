// SPDX-License-Identifier: Apache-2.0
#include "simulate/time_trace.hpp"

#include "mote/frame.hpp"
#include "mote/message.hpp"

namespace mote::host {
namespace {

bool carries_share(MessageType type) {
  return type == MessageType::activation || type == MessageType::candidates ||
         type == MessageType::token || type == MessageType::barrier;
}

}  // namespace

TimeTrace::Record& TimeTrace::record(std::uint32_t sequence, std::uint32_t seat) {
  const std::size_t index = std::size_t{sequence} * seats_ + seat;
  if (index >= records_.size()) records_.resize((std::size_t{sequence} + 1) * seats_);
  return records_[index];
}

void TimeTrace::take_work(std::uint32_t seat, std::uint32_t sequence, const WorkSpan& span,
                          bool is_whole) {
  Record& taken = record(sequence, seat);
  taken.work = span;
  path(sequence, seat, seat) = {sequence, 0, 0};
  if (is_whole) taken.whole_ns = span.end_ns;
}

void TimeTrace::take_frame(const Frame& frame, std::uint64_t now_ns, std::uint32_t sequence,
                           bool completes) {
  FrameReader reader;
  std::span<const std::uint8_t> bytes = frame.bytes;
  const auto message = reader.read(bytes);
  MessageHeader header;
  if (message.empty() || decode_header(header, message) != Status::ok) return;
  if (!carries_share(header.type)) return;
  // A share of the next exchange may come before this one is whole.
  const auto ahead = static_cast<std::int16_t>(
      static_cast<std::uint16_t>(header.sequence - static_cast<std::uint16_t>(sequence)));
  const std::uint32_t of = sequence + static_cast<std::uint32_t>(static_cast<int>(ahead));
  Path next = path(of, frame.from.seat, header.source);
  next.sequence = of;
  next.message_ns += frame.message_ns;
  next.wire_ns += frame.wire_ns;
  path(of, frame.to.seat, header.source) = next;
  if (!completes) return;
  Record& taken = record(sequence, frame.to.seat);
  taken.whole_ns = now_ns;
  taken.last = header.source;
  taken.message_ns = next.message_ns;
  taken.wire_ns = next.wire_ns;
}

TimeTrace::Parts TimeTrace::account(std::uint32_t first, std::uint32_t last) const {
  const auto ns = [](std::uint64_t from, std::uint64_t to) {
    return static_cast<double>(to) - static_cast<double>(from);
  };
  Parts parts;
  std::uint32_t seat = 0;
  for (std::uint32_t sequence = last; sequence > first; --sequence) {
    const Record& here = record(sequence, seat);
    const std::uint32_t source = here.last == kOwn ? seat : here.last;
    const WorkSpan& work = record(sequence, source).work;
    const double message = static_cast<double>(here.message_ns);
    const double wire = static_cast<double>(here.wire_ns);
    TimeParts& sum = parts[static_cast<std::size_t>(work.exchange)];
    sum.compute += work.even_ns;
    sum.imbalance += ns(work.begin_ns, work.end_ns) - work.even_ns;
    sum.message += message;
    sum.wire += wire;
    sum.waiting += ns(work.end_ns, here.whole_ns) - message - wire +
                   ns(record(sequence - 1, source).whole_ns, work.begin_ns);
    seat = source;
  }
  return parts;
}

}  // namespace mote::host
