// SPDX-License-Identifier: Apache-2.0
#include "simulate/speed_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cluster/in_process.hpp"
#include "plan/plan_report.hpp"
#include "plan/token_exchanges.hpp"
#include "shard/shard_summary.hpp"

namespace mote::host {
namespace {

const char* end_name(AnswerEnd end) {
  switch (end) {
    case AnswerEnd::whole:
      return "whole";
    case AnswerEnd::failed:
      return "failed";
    case AnswerEnd::coordinator_gone:
      return "coordinator gone";
    case AnswerEnd::hung:
      break;
  }
  return "hung";
}

std::string table_row(const char* name, const TimeParts& parts) {
  return fmt::format("{:<18}{:>11.1f}{:>11.1f}{:>11.1f}{:>11.1f}{:>11.1f}{:>11.1f}\n", name,
                     parts.sum(), parts.compute, parts.imbalance, parts.wire, parts.message,
                     parts.waiting);
}

void add(TimeParts& sum, const TimeParts& parts) {
  sum.compute += parts.compute;
  sum.imbalance += parts.imbalance;
  sum.wire += parts.wire;
  sum.message += parts.message;
  sum.waiting += parts.waiting;
}

/// Where the time of a token goes.
std::string format_parts(const TimeTrace::Parts& parts) {
  std::string text = fmt::format("{:<18}{:>11}{:>11}{:>11}{:>11}{:>11}{:>11}\n", "us of a token",
                                 "all", "compute", "imbalance", "wire", "message", "waiting");
  TimeParts sum;
  for (std::size_t i = 0; i < kExchanges; ++i) {
    text += table_row(exchange_name(static_cast<Exchange>(i)), parts[i]);
    add(sum, parts[i]);
  }
  return text + table_row("all", sum);
}

std::string format_traffic(const TokenTraffic& traffic) {
  return fmt::format(
      "a token: {:.1f} messages, {:.2f} bytes of each no payload; busiest link {:.0f} bytes of "
      "payload ({:.0f} with frames), mean link {:.0f}\n",
      traffic.messages, traffic.overhead_bytes, traffic.link_payload, traffic.link_bytes,
      traffic.mean_link_payload);
}

nlohmann::ordered_json to_json(const SpeedRun& run) {
  const TokenTraffic& traffic = run.traffic;
  nlohmann::ordered_json json = {{"end", end_name(run.answer.end)},
                                 {"tokens", run.answer.drawn.size()},
                                 {"sessions", run.answer.sessions},
                                 {"first_token_s", run.prompt_s},
                                 {"tokens_per_s", run.tokens_per_s},
                                 {"messages_per_token", traffic.messages},
                                 {"overhead_bytes_per_message", traffic.overhead_bytes},
                                 {"link_payload_bytes_per_token", traffic.link_payload},
                                 {"mean_link_payload_bytes_per_token", traffic.mean_link_payload},
                                 {"link_bytes_per_token", traffic.link_bytes},
                                 {"repeated_payload_bytes_per_token", traffic.repeated_payload},
                                 {"events", run.events},
                                 {"hash", fmt::format("{:016x}", run.hash)}};
  for (std::size_t i = 0; i < kExchanges; ++i) {
    const TimeParts& parts = run.parts[i];
    json["exchanges"].push_back({{"exchange", exchange_name(static_cast<Exchange>(i))},
                                 {"us", parts.sum()},
                                 {"compute_us", parts.compute},
                                 {"imbalance_us", parts.imbalance},
                                 {"wire_us", parts.wire},
                                 {"message_us", parts.message},
                                 {"waiting_us", parts.waiting}});
  }
  if (run.answer.end == AnswerEnd::failed) json["error"] = describe(run.answer.error);
  return json;
}

std::string format_outcome(const SpeedResult& result) {
  const SpeedRun& run = result.cluster;
  switch (run.answer.end) {
    case AnswerEnd::whole:
      return fmt::format("tokens: {}\n",
                         result.is_identical ? "identical to one chip" : "NOT those of one chip");
    case AnswerEnd::failed:
      return fmt::format("failed: {}\n", describe(run.answer.error));
    default:
      return fmt::format("no answer: {}\n", end_name(run.answer.end));
  }
}

}  // namespace

std::string format_speed_text(const SpeedResult& result, const SpeedOptions& options,
                              const std::string& name) {
  const SpeedRun& run = result.cluster;
  std::string text = fmt::format(
      "{}: {} chips, {}, {} heads, {} ({:g} bytes/s, {:g} us a message, {:g} us of latency), "
      "{:g} MHz, {:g} cycles a multiply-accumulate\n",
      name, options.weights.size(), topology_name(result.topology), policy_name(options.policy),
      options.link.title, options.link.bytes_per_s, options.link.message_us, options.latency_us,
      options.clock_mhz, options.cycles_per_mac);
  text += format_outcome(result);
  text += fmt::format("speed: {:.2f} tokens/s; one such chip {:.2f}: {:.3f} times\n",
                      run.tokens_per_s, result.one_chip.tokens_per_s, result.speedup());
  text += fmt::format("first token after {:.3f} s; one such chip {:.3f} s\n", run.prompt_s,
                      result.one_chip.prompt_s);
  if (run.traffic.messages > 0) {
    text += "\n" + format_parts(run.parts) + "\n" + format_traffic(run.traffic);
  }
  if (options.faults.rates.any() || !options.faults.timed.empty()) {
    text += "faults: " + describe(options.faults) + "\n";
  }
  text += fmt::format("sessions: {}; events: {}, hash {:016x}\n", run.answer.sessions, run.events,
                      run.hash);
  return text;
}

std::string format_speed_json(const SpeedResult& result, const SpeedOptions& options,
                              const std::string& name) {
  const nlohmann::ordered_json json = {{"model", name},
                                       {"chips", options.weights.size()},
                                       {"topology", topology_name(result.topology)},
                                       {"policy", policy_name(options.policy)},
                                       {"link", options.link.name},
                                       {"bytes_per_s", options.link.bytes_per_s},
                                       {"message_us", options.link.message_us},
                                       {"latency_us", options.latency_us},
                                       {"mhz", options.clock_mhz},
                                       {"cycles_per_mac", options.cycles_per_mac},
                                       {"seed", options.seed},
                                       {"identical", result.is_identical},
                                       {"speedup", result.speedup()},
                                       {"cluster", to_json(result.cluster)},
                                       {"one_chip", to_json(result.one_chip)}};
  return json.dump(2) + "\n";
}

}  // namespace mote::host
