// SPDX-License-Identifier: Apache-2.0
#include "simulate/fault_plan.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace mote::host {

const char* fault_name(FaultKind kind) {
  constexpr const char* kNames[kFaultKinds] = {
      "drop", "corrupt", "duplicate", "reorder", "delay", "partition", "reset", "slow", "flash"};
  return kNames[static_cast<std::size_t>(kind)];
}

bool has_fault(const FaultPlan& plan, FaultKind kind) {
  switch (kind) {
    case FaultKind::drop:
      return plan.rates.drop > 0;
    case FaultKind::corrupt:
      return plan.rates.corrupt > 0;
    case FaultKind::duplicate:
      return plan.rates.duplicate > 0;
    case FaultKind::reorder:
      return plan.rates.reorder > 0;
    case FaultKind::delay:
      return plan.rates.delay > 0;
    default:
      return std::ranges::find(plan.timed, kind, &TimedFault::kind) != plan.timed.end();
  }
}

std::string describe(const FaultPlan& plan) {
  const FaultRates& rates = plan.rates;
  std::string text = fmt::format(
      "drop={:.4f} corrupt={:.4f} duplicate={:.4f} reorder={:.4f} delay={:.4f}:{:.0f}us",
      rates.drop, rates.corrupt, rates.duplicate, rates.reorder, rates.delay, rates.delay_us);
  for (const TimedFault& fault : plan.timed) {
    text += fmt::format("; {} of chip {}", fault_name(fault.kind), fault.seat);
    if (fault.kind == FaultKind::partition && fault.other != TimedFault::kAllLinks) {
      text += fmt::format(" from chip {}", fault.other);
    }
    if (fault.kind == FaultKind::slow) text += fmt::format(" by {}", fault.factor);
    text += fmt::format(" at {:.1f} ms", static_cast<double>(fault.at_ns) * 1e-6);
    text += fault.is_for_ever()
                ? std::string(" for ever")
                : fmt::format(" for {:.1f} ms", static_cast<double>(fault.duration_ns) * 1e-6);
  }
  return text;
}

}  // namespace mote::host
