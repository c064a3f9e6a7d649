// SPDX-License-Identifier: Apache-2.0
// What goes wrong in a simulated run, and when.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "simulate/network.hpp"

namespace mote::host {

enum class FaultKind : std::uint8_t {
  drop,
  corrupt,
  duplicate,
  reorder,
  delay,
  partition,  // a chip, or one of its links, is cut off
  reset,      // a chip loses all state and starts anew
  slow,       // a chip computes more slowly
  flash,      // a bit of a chip's image flips for good
};
inline constexpr std::uint32_t kFaultKinds = 9;

const char* fault_name(FaultKind kind);

/// A fault at a time. Those of the first five kinds are rates and have none.
struct TimedFault {
  static constexpr std::uint64_t kForEver = ~std::uint64_t{0};

  FaultKind kind = FaultKind::reset;
  std::uint32_t seat = 0;
  std::uint64_t at_ns = 0;
  /// partition, slow: how long. reset: until the chip starts anew. flash: until it has a new image
  /// and starts anew.
  std::uint64_t duration_ns = 0;
  std::uint32_t other = kAllLinks;  // partition: the chip at the other end; all: the whole chip
  std::uint32_t factor = 1;         // slow
  std::uint64_t bit = 0;            // flash: modulo the bits of the image

  static constexpr std::uint32_t kAllLinks = 0xffffffffU;
  bool is_for_ever() const { return duration_ns == kForEver; }
};

struct FaultPlan {
  FaultRates rates;
  std::vector<TimedFault> timed;
};

/// Whether chance or time brings faults of a kind.
bool has_fault(const FaultPlan& plan, FaultKind kind);

/// One line, for people who replay a run.
std::string describe(const FaultPlan& plan);

}  // namespace mote::host
