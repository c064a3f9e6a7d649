// SPDX-License-Identifier: Apache-2.0
// Where the time of an answer goes: the chain of work and frames that each token waited for.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "mote/transformer.hpp"
#include "simulate/network.hpp"

namespace mote::host {

/// A part of the time, in nanoseconds.
struct TimeParts {
  double compute = 0;    // as if the work of one chip were divided evenly
  double imbalance = 0;  // what the chip that all waited for computed beyond that, or less
  double wire = 0;       // bytes, and latency
  double message = 0;    // the cost of a message
  double waiting = 0;    // behind other messages, or for a processor

  TimeParts& operator*=(double factor) {
    for (double* part : {&compute, &imbalance, &wire, &message, &waiting}) *part *= factor;
    return *this;
  }
  double sum() const { return compute + imbalance + wire + message + waiting; }
};

inline constexpr std::size_t kExchanges = 7;

/// One chip's work towards one exchange.
struct WorkSpan {
  Exchange exchange = Exchange::embed;
  std::uint64_t begin_ns = 0;
  std::uint64_t end_ns = 0;
  double even_ns = 0;  // what it would take if all chips had the same to do
};

/// Listens to a simulation without faults. Each exchange ends on a chip with the work of the chip
/// whose share came last, and the frames that brought it; before that work, the exchange before
/// ended on that chip, and so on: so the whole time is accounted for.
class TimeTrace {
 public:
  explicit TimeTrace(std::uint32_t seats) : seats_(seats), paths_(2 * std::size_t{seats} * seats) {}

  /// A chip has computed its share of exchange `sequence`. `is_whole`: it lacks nothing any more.
  void take_work(std::uint32_t seat, std::uint32_t sequence, const WorkSpan& span, bool is_whole);
  /// A frame has arrived at a chip; `completes` where it was the last of the exchange `sequence`.
  void take_frame(const Frame& frame, std::uint64_t now_ns, std::uint32_t sequence, bool completes);

  /// The exchanges of seat 0 after `first` up to `last`, summed by Exchange.
  using Parts = std::array<TimeParts, kExchanges>;
  Parts account(std::uint32_t first, std::uint32_t last) const;

 private:
  static constexpr std::uint32_t kOwn = 0xffffffffU;
  /// Frames from the source to here.
  struct Path {
    std::uint32_t sequence = 0;
    std::uint64_t message_ns = 0;
    std::uint64_t wire_ns = 0;
  };
  /// What one chip went through in one exchange.
  struct Record {
    WorkSpan work;
    std::uint64_t whole_ns = 0;    // when nothing was missing any more
    std::uint32_t last = kOwn;     // the seat whose share came last
    std::uint64_t message_ns = 0;  // on the way of that share
    std::uint64_t wire_ns = 0;
  };
  Record& record(std::uint32_t sequence, std::uint32_t seat);
  const Record& record(std::uint32_t sequence, std::uint32_t seat) const {
    return records_[std::size_t{sequence} * seats_ + seat];
  }
  Path& path(std::uint32_t sequence, std::uint32_t seat, std::uint32_t source) {
    return paths_[((sequence & 1) * seats_ + seat) * seats_ + source];
  }

  std::uint32_t seats_;
  std::vector<Record> records_;  // (exchanges, seats)
  std::vector<Path> paths_;      // (2, seats, sources)
};

}  // namespace mote::host
