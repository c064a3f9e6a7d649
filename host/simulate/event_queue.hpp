// SPDX-License-Identifier: Apache-2.0
// Virtual time: what happens when, in an order that depends on nothing else.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace mote::host {

enum class EventKind : std::uint8_t {
  tick,       // subject: seat
  work_done,  // subject: seat, detail: the number of the work
  sent,       // subject: transmitter
  arrival,    // subject: frame
  fault,      // subject: index in the plan, detail: 0 where it begins, 1 where it ends
};

struct Event {
  std::uint64_t time_ns = 0;
  std::uint64_t order = 0;  // of events at the same time: as they were pushed
  EventKind kind = EventKind::tick;
  std::uint32_t subject = 0;
  std::uint32_t detail = 0;
};

/// Events by time, then by the order in which they were pushed. It keeps a hash of all that has
/// happened: two runs with the same hash were the same.
class EventQueue {
 public:
  std::uint64_t now_ns() const { return now_ns_; }
  /// `time_ns` is not before now.
  void push(std::uint64_t time_ns, EventKind kind, std::uint32_t subject,
            std::uint32_t detail = 0) {
    heap_.push_back({std::max(time_ns, now_ns_), pushed_++, kind, subject, detail});
    std::push_heap(heap_.begin(), heap_.end(), is_later);
    most_ = std::max(most_, heap_.size());
  }
  bool is_empty() const { return heap_.empty(); }
  /// The next event; time goes on to it.
  Event pop() {
    std::pop_heap(heap_.begin(), heap_.end(), is_later);
    const Event event = heap_.back();
    heap_.pop_back();
    now_ns_ = event.time_ns;
    ++popped_;
    mix(event.time_ns);
    mix(std::uint64_t{event.subject} << 32 ^ event.detail ^
        static_cast<std::uint64_t>(event.kind) << 56);
    return event;
  }

  /// Adds something that happened to the hash.
  void mix(std::uint64_t value) {
    hash_ = (hash_ ^ value) * 0x9e3779b97f4a7c15ULL;
    hash_ ^= hash_ >> 29;
  }
  std::uint64_t hash() const { return hash_; }
  /// Events so far, and the most that ever waited.
  std::uint64_t count() const { return popped_; }
  std::size_t most_waiting() const { return most_; }

 private:
  static bool is_later(const Event& a, const Event& b) {
    return a.time_ns != b.time_ns ? a.time_ns > b.time_ns : a.order > b.order;
  }

  std::vector<Event> heap_;
  std::uint64_t now_ns_ = 0;
  std::uint64_t pushed_ = 0;
  std::uint64_t popped_ = 0;
  std::uint64_t hash_ = 0;
  std::size_t most_ = 0;
};

}  // namespace mote::host
