// SPDX-License-Identifier: Apache-2.0
#include "simulate/fault_options.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <sstream>

#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr double kMostTimes = 1000;
constexpr double kDelayUs = 10'000;
constexpr std::uint32_t kMostSlowness = 20;

Error bad_faults(const std::string& part) {
  std::string names;
  for (std::uint32_t i = 0; i < kFaultKinds; ++i) {
    names += (i == 0 ? "" : ", ") + std::string(fault_name(static_cast<FaultKind>(i)));
  }
  return Error(fmt::format(
      "--faults {}: must be KIND=VALUE with a kind of {}; a rate from 0 to 1 for those up to "
      "delay, for the others how often",
      part, names));
}

FaultKind parse_kind(const std::string& name, const std::string& part) {
  for (std::uint32_t i = 0; i < kFaultKinds; ++i) {
    if (name == fault_name(static_cast<FaultKind>(i))) return static_cast<FaultKind>(i);
  }
  throw bad_faults(part);
}

double parse_value(const std::string& text, double most, const std::string& part) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || !(value >= 0 && value <= most)) throw bad_faults(part);
  return value;
}

void take_part(FaultRequest& request, const std::string& part) {
  const std::size_t equals = std::min(part.find('='), part.size());
  const FaultKind kind = parse_kind(part.substr(0, equals), part);
  const std::string text = equals == part.size() ? "" : part.substr(equals + 1);
  double* const rates[] = {&request.rates.drop, &request.rates.corrupt, &request.rates.duplicate,
                           &request.rates.reorder, &request.rates.delay};
  const auto index = static_cast<std::size_t>(kind);
  if (index < std::size(rates)) {
    *rates[index] = parse_value(text, 1, part);
  } else {
    request.times[index] = static_cast<std::uint32_t>(parse_value(text, kMostTimes, part));
  }
}

}  // namespace

bool FaultRequest::any() const {
  return rates.any() || std::ranges::any_of(times, [](std::uint32_t n) { return n != 0; });
}

FaultRequest parse_faults(const std::string& text) {
  FaultRequest request;
  request.rates.delay_us = kDelayUs;
  std::istringstream parts(text);
  for (std::string part; std::getline(parts, part, ',');) take_part(request, part);
  return request;
}

FaultPlan draw_plan(const FaultRequest& request, std::uint32_t seats, std::uint64_t within_ns,
                    std::uint64_t longest_ns, std::uint64_t seed) {
  Pcg32 random(seed);
  FaultPlan plan;
  plan.rates = request.rates;
  for (std::uint32_t kind = 0; kind < kFaultKinds; ++kind) {
    for (std::uint32_t i = 0; i < request.times[kind]; ++i) {
      TimedFault fault;
      fault.kind = static_cast<FaultKind>(kind);
      // The chip that is asked would take the question with it.
      const bool spares_first = fault.kind == FaultKind::reset || fault.kind == FaultKind::flash;
      fault.seat =
          spares_first && seats > 1 ? 1 + random.next() % (seats - 1) : random.next() % seats;
      fault.at_ns = within_ns / 1000 * (random.next() % 1000);
      fault.duration_ns = longest_ns / 1000 * (random.next() % 1000 + 1);
      fault.factor = 2 + random.next() % (kMostSlowness - 1);
      fault.bit = random.next();
      plan.timed.push_back(fault);
    }
  }
  return plan;
}

}  // namespace mote::host
