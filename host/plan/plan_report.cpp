// SPDX-License-Identifier: Apache-2.0
#include "plan/plan_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "plan/token_exchanges.hpp"
#include "shard/shard_summary.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::ordered_json;

/// "0-3", "2" or "-".
std::string range_text(const Range& range) {
  if (range.count == 0) return "-";
  if (range.count == 1) return fmt::format("{}", range.first);
  return fmt::format("{}-{}", range.first, range.end() - 1);
}

/// "0-3", or "1,5,9" where heads are dealt; of many the first two and the last.
std::string heads_text(const HeadSet& heads) {
  if (heads.stride == 1 || heads.count <= 1) return range_text({heads.first, heads.count});
  constexpr std::uint32_t kAll = 4;
  std::string text;
  for (std::uint32_t i = 0; i < heads.count; ++i) {
    if (heads.count > kAll && i >= 2 && i + 1 < heads.count) continue;
    if (heads.count > kAll && i >= 2) text += ",...";
    text += fmt::format("{}{}", i == 0 ? "" : ",", heads.head(i));
  }
  return text;
}

/// Blocks a layer: "3", or "2-3" where they differ.
std::string hidden_text(const ChipPlan& chip) {
  const auto [least, most] =
      std::minmax_element(chip.hidden_blocks.begin(), chip.hidden_blocks.end(),
                          [](const Range& a, const Range& b) { return a.count < b.count; });
  if (least->count == most->count) return fmt::format("{}", least->count);
  return fmt::format("{}-{}", least->count, most->count);
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * double(part) / double(whole);
}

double times_less(std::uint64_t part, std::uint64_t whole) {
  return part == 0 ? 0 : double(whole) / double(part);
}

std::string owners_text(const Plan& plan) {
  std::string out = fmt::format("{:>4} {:>6} {:>14} {:>9} {:>14} {:>15} {:>16}\n", "chip", "weight",
                                "query heads", "K/V heads", "hidden blocks", "residual blocks",
                                "vocabulary rows");
  for (std::size_t rank = 0; rank < plan.chips.size(); ++rank) {
    const ChipPlan& chip = plan.chips[rank];
    out += fmt::format("{:>4} {:>6} {:>14} {:>9} {:>14} {:>15} {:>16}\n", rank, chip.weight,
                       heads_text(chip.heads), chip.kv_heads, hidden_text(chip),
                       range_text(chip.residual_blocks), range_text(chip.vocabulary));
  }
  return out + "(hidden blocks: how many in a layer)\n";
}

std::string memory_row(const std::string& name, const ChipMemory& memory, const ChipMemory& whole) {
  return fmt::format("{:>8} {:>12} {:>7.1f} {:>12} {:>7.1f} {:>12} {:>12} {:>7.1f}\n", name,
                     memory.weight_bytes, percent(memory.weight_bytes, whole.weight_bytes),
                     memory.state_bytes, percent(memory.state_bytes, whole.state_bytes),
                     memory.arena_bytes, memory.total_bytes(),
                     percent(memory.total_bytes(), whole.total_bytes()));
}

std::string memory_text(const Plan& plan) {
  std::string out = fmt::format("{:>8} {:>12} {:>7} {:>12} {:>7} {:>12} {:>12} {:>7}\n", "bytes",
                                "weights", "%", "KV cache", "%", "arena", "total", "%");
  for (std::size_t rank = 0; rank < plan.chips.size(); ++rank) {
    out += memory_row(fmt::format("chip {}", rank), plan.chips[rank].memory, plan.one_chip);
  }
  out += memory_row("one chip", plan.one_chip, plan.one_chip);
  return out + fmt::format(
                   "the largest chip holds {:.2f} times less than one chip alone; the KV "
                   "cache is part of the arena\n",
                   times_less(plan.largest().total_bytes(), plan.one_chip.total_bytes()));
}

std::string exchanges_text(const Plan& plan) {
  std::string out = fmt::format("{:<16} {:>7} {:>13} {:>11} {:>11}\n", "exchange", "a token",
                                "payload bytes", "compute ms", "wire ms");
  for (const ExchangePlan& exchange : plan.exchanges) {
    if (exchange.count == 0) continue;
    out += fmt::format("{:<16} {:>7} {:>13} {:>11.3f} {:>11.3f}\n",
                       exchange_name(exchange.exchange), exchange.count, exchange.payload_bytes,
                       exchange.compute_us / 1000, exchange.wire_us / 1000);
  }
  return out;
}

std::string traffic_text(const Plan& plan) {
  Traffic busiest;
  for (const ChipPlan& chip : plan.chips) {
    busiest.messages = std::max(busiest.messages, chip.sent.messages);
    busiest.wire_bytes = std::max(busiest.wire_bytes, chip.sent.wire_bytes);
  }
  return fmt::format(
      "a token: {} steps; the busiest chip sends {} messages, {} bytes with frames; the busiest "
      "link carries {} payload bytes, a link on average {:.0f} (two int32 all-reduces a layer: "
      "{})\n",
      plan.token.steps, busiest.messages, busiest.wire_bytes, plan.token.link_payload_bytes,
      plan.token.mean_link_payload_bytes, plan.token.all_reduce_bytes);
}

std::string time_text(const Plan& plan) {
  const TokenPlan& token = plan.token;
  return fmt::format(
      "computed for position {}, {} MHz, {} cycles a multiply-accumulate: {:.3f} ms a token "
      "(compute {:.3f}, wire {:.3f}); one chip {:.3f} ms; {:.2f} times one chip\n",
      token.position, plan.clock_mhz, plan.cycles_per_mac, token.time_us() / 1000,
      token.compute_us / 1000, token.wire_us / 1000, token.one_chip_us / 1000, token.speedup());
}

Json range_json(const Range& range) {
  return {{"first", range.first}, {"count", range.count}};
}

Json memory_json(const ChipMemory& memory, const ChipMemory& whole) {
  return {{"weight_bytes", memory.weight_bytes},
          {"kv_cache_bytes", memory.state_bytes},
          {"arena_bytes", memory.arena_bytes},
          {"total_bytes", memory.total_bytes()},
          {"reduction", times_less(memory.total_bytes(), whole.total_bytes())}};
}

Json chip_json(const Plan& plan, std::size_t rank) {
  const ChipPlan& chip = plan.chips[rank];
  Json json = {
      {"rank", rank},
      {"weight", chip.weight},
      {"heads",
       {{"first", chip.heads.first}, {"count", chip.heads.count}, {"stride", chip.heads.stride}}},
      {"kv_heads", chip.kv_heads},
      {"hidden_blocks", Json::array()},
      {"residual_blocks", range_json(chip.residual_blocks)},
      {"vocabulary", range_json(chip.vocabulary)}};
  for (const Range& range : chip.hidden_blocks) json["hidden_blocks"].push_back(range_json(range));
  json["memory"] = memory_json(chip.memory, plan.one_chip);
  json["macs_per_token"] = chip.macs;
  json["messages_per_token"] = chip.sent.messages;
  json["wire_bytes_per_token"] = chip.sent.wire_bytes;
  return json;
}

Json token_json(const Plan& plan) {
  const TokenPlan& token = plan.token;
  Json json = {{"basis", "computed"},
               {"position", token.position},
               {"steps", token.steps},
               {"ms", token.time_us() / 1000},
               {"compute_ms", token.compute_us / 1000},
               {"wire_ms", token.wire_us / 1000},
               {"one_chip_ms", token.one_chip_us / 1000},
               {"speedup", token.speedup()},
               {"link_payload_bytes", token.link_payload_bytes},
               {"mean_link_payload_bytes", token.mean_link_payload_bytes},
               {"int32_all_reduce_bytes", token.all_reduce_bytes},
               {"exchanges", Json::array()}};
  for (const ExchangePlan& exchange : plan.exchanges) {
    if (exchange.count == 0) continue;
    json["exchanges"].push_back({{"name", exchange_name(exchange.exchange)},
                                 {"count", exchange.count},
                                 {"payload_bytes", exchange.payload_bytes},
                                 {"compute_ms", exchange.compute_us / 1000},
                                 {"wire_ms", exchange.wire_us / 1000}});
  }
  return json;
}

}  // namespace

std::string format_plan_text(const Plan& plan, const std::string& path) {
  const std::size_t chips = plan.chips.size();
  std::string out = fmt::format(
      "{}: {} {}, {} heads, {} over {} ({:.0f} bytes/s, {:g} us a message), {} positions, batch "
      "{}\n",
      path, chips, chips == 1 ? "chip" : "chips", policy_name(plan.policy),
      topology_name(plan.topology), plan.link.title, plan.link.bytes_per_s, plan.link.message_us,
      plan.run.context_length, plan.run.batch);
  out += "\n" + owners_text(plan) + "\n" + memory_text(plan) + "\n" + exchanges_text(plan);
  out += traffic_text(plan) + time_text(plan);
  for (const std::string& sentence : plan.advice) out += sentence + "\n";
  return out;
}

std::string format_plan_json(const Plan& plan, const std::string& path) {
  Json json = {{"model", path},
               {"policy", policy_name(plan.policy)},
               {"topology", topology_name(plan.topology)},
               {"link",
                {{"name", plan.link.name},
                 {"bytes_per_s", plan.link.bytes_per_s},
                 {"us_per_message", plan.link.message_us},
                 {"max_frame_bytes", plan.link.max_frame_bytes}}},
               {"context_length", plan.run.context_length},
               {"batch", plan.run.batch},
               {"mhz", plan.clock_mhz},
               {"cycles_per_mac", plan.cycles_per_mac},
               {"weights_in_ram", plan.weights_in_ram},
               {"chips", Json::array()}};
  for (std::size_t i = 0; i < plan.chips.size(); ++i) json["chips"].push_back(chip_json(plan, i));
  json["one_chip"] = memory_json(plan.one_chip, plan.one_chip);
  json["reduction"] = times_less(plan.largest().total_bytes(), plan.one_chip.total_bytes());
  json["token"] = token_json(plan);
  json["advice"] = plan.advice;
  // A path may hold any bytes; JSON may not.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mote::host
