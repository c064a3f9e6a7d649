// SPDX-License-Identifier: Apache-2.0
#include "board/board_report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "run/image_summary.hpp"
#include "shard/shard_summary.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::ordered_json;

std::uint64_t number(const nlohmann::json& json, const char* key) {
  const auto found = json.is_object() ? json.find(key) : json.end();
  return found != json.end() && found->is_number() ? found->get<std::uint64_t>() : 0;
}

/// Over all links of a chip; with one_chip there are none.
std::uint64_t link_sum(const ChipAccount& chip, const char* key) {
  std::uint64_t sum = 0;
  if (!chip.links.is_object() || !chip.links.contains("links")) return sum;
  for (const auto& link : chip.links.at("links")) sum += number(link, key);
  return sum;
}

std::uint64_t damaged_frames(const ChipAccount& chip) {
  return number(chip.links, "damaged") + link_sum(chip, "damaged");
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return whole == 0 ? 0 : 100.0 * static_cast<double>(part) / static_cast<double>(whole);
}

double a_token(std::uint64_t sum, std::uint64_t tokens) {
  return tokens == 0 ? 0 : static_cast<double>(sum) / static_cast<double>(tokens);
}

std::string memory_text(const BoardReport& report) {
  std::string out =
      fmt::format("{:>4}  {:<18} {:>4} {:>11} {:>9} {:>9} {:>6} {:>7} {:>6}\n", "chip", "board",
                  "rank", "image bytes", "weights", "arena", "% of 1", "program", "stack");
  const std::uint64_t one = report.plan.one_chip.arena_bytes;
  for (std::size_t i = 0; i < report.answer.chips.size(); ++i) {
    const ChipAccount& chip = report.answer.chips[i];
    const std::uint64_t arena = number(chip.info, "arena_bytes");
    out +=
        fmt::format("{:>4}  {:<18} {:>4} {:>11} {:>9} {:>9} {:>6.1f} {:>7} {:>6}\n", i, chip.board,
                    i, chip.image.image_bytes, chip.image.weight_bytes, arena, percent(arena, one),
                    number(chip.info, "program_bytes"), number(chip.info, "stack_bytes"));
  }
  return out +
         fmt::format(
             "(bytes that the chips say they used at most; %: of the arena of one chip alone, "
             "{} bytes, computed)\n",
             one);
}

std::string traffic_text(const BoardAnswer& answer, bool counts_work) {
  std::string out =
      fmt::format("{:>4} {:>10} {:>10} {:>10} {:>9} {:>8} {:>13} {:>11} {:>7}\n", "chip", "sent",
                  "received", "payload", "repeated", "damaged", "work", "waiting ms", "starts");
  for (std::size_t i = 0; i < answer.chips.size(); ++i) {
    const ChipAccount& chip = answer.chips[i];
    out += fmt::format("{:>4} {:>10} {:>10} {:>10} {:>9} {:>8} {:>13} {:>11.1f} {:>7}\n", i,
                       link_sum(chip, "bytes_out"), link_sum(chip, "bytes_in"),
                       link_sum(chip, "payload"), link_sum(chip, "repeated"), damaged_frames(chip),
                       number(chip.links, "work"),
                       static_cast<double>(number(chip.links, "waiting_us")) / 1000, chip.starts);
  }
  const std::string unit = answer.chips[0].links.value("unit", std::string("unit not said"));
  return out + fmt::format(
                   "(since each chip's start; bytes of frames, of those payload, of that sent "
                   "again; frames that came damaged; work in {}{})\n",
                   unit, counts_work ? "" : " by the emulator's clock");
}

std::string address_text(const PortAddress& address) {
  return fmt::format("{}.{}", address.seat, address.port);
}

std::string wires_text(const VirtualCluster& cluster) {
  std::string out = fmt::format("{:>11} {:>10} {:>10} {:>12} {:>10}\n", "wire", "bytes ->",
                                "bytes <-", "flipped bits", "lost bytes");
  for (const WirePair& wire : cluster.wires()) {
    const WireCounters& there = wire.from_a.counters();
    const WireCounters& back = wire.from_b.counters();
    out += fmt::format("{:>11} {:>10} {:>10} {:>12} {:>10}\n",
                       address_text(wire.a) + " - " + address_text(wire.b), there.bytes, back.bytes,
                       there.flipped_bits + back.flipped_bits, there.lost_bytes + back.lost_bytes);
  }
  return out + "(chip.link - chip.link; all that the wires carried)\n";
}

/// What a token costs on chip 0. A node counts from the first token to the last, one chip all.
std::string cost_text(const BoardReport& report) {
  const auto& done = report.answer.done;
  const bool is_node = report.run.options().program != "one_chip";
  const std::uint64_t tokens = report.answer.tokens.size() - (is_node ? 1 : 0);
  if (report.answer.tokens.size() < 2) return {};
  std::string out =
      fmt::format("chip 0: {:.0f} {} a token drawn", a_token(number(done, "work"), tokens),
                  done.value("unit", std::string("units")));
  if (report.run.cluster().is_lockstep()) {
    out += fmt::format("; {:.2f} ms of its own time", a_token(number(done, "us"), tokens) / 1000);
  }
  return out + "\n";
}

std::string answer_text(const BoardReport& report) {
  const auto& done = report.answer.done;
  const std::uint64_t tokens = report.answer.tokens.size();
  std::string out = fmt::format(
      "{} prompt tokens, {} tokens drawn, {} positions of context; {:.2f} s to start, {:.2f} s to "
      "answer (this computer's time, not the boards')\n",
      number(done, "prompt_tokens"), tokens, number(done, "context"), report.answer.start_seconds,
      report.answer.seconds);
  if (number(done, "sessions") > 1) {
    out += fmt::format("{} sessions: whenever a chip failed, the others began anew from the text\n",
                       number(done, "sessions"));
  }
  return out + cost_text(report);
}

std::string check_text(const BoardReport& report) {
  if (!report.is_checked) return {};
  if (report.differences.empty()) {
    return "checked: tokens are those of this computer; images, weights and arenas are those of "
           "the plan, to the byte\n";
  }
  std::string out;
  for (const std::string& sentence : report.differences) out += "differs: " + sentence + "\n";
  return out;
}

Json chip_json(const ChipAccount& chip, const ChipMemory& plan) {
  return {{"board", chip.board},
          {"title", chip.title},
          {"starts", chip.starts},
          {"image_bytes", chip.image.image_bytes},
          {"weight_bytes", chip.image.weight_bytes},
          {"image_hash", hex_text(chip.image.hash)},
          {"plan", {{"weight_bytes", plan.weight_bytes}, {"arena_bytes", plan.arena_bytes}}},
          {"info", Json(chip.info)},
          {"links", Json(chip.links)}};
}

Json wire_json(const WirePair& wire) {
  const auto way = [](const Wire& one) {
    return Json{{"bytes", one.counters().bytes},
                {"flipped_bits", one.counters().flipped_bits},
                {"lost_bytes", one.counters().lost_bytes}};
  };
  const auto end = [](const PortAddress& at) { return Json{{"chip", at.seat}, {"link", at.port}}; };
  return {{"a", end(wire.a)},
          {"b", end(wire.b)},
          {"a_to_b", way(wire.from_a)},
          {"b_to_a", way(wire.from_b)}};
}

Json wire_settings_json(const WireConfig& wire, std::uint64_t seed) {
  return {{"baud", wire.baud},
          {"latency_us", wire.latency_us},
          {"bit_error_rate", wire.bit_error_rate},
          {"seed", seed}};
}

}  // namespace

std::string format_board_text(const BoardReport& report) {
  std::string out = memory_text(report);
  if (report.run.options().program != "one_chip")
    out += "\n" + traffic_text(report.answer, report.run.options().counts_work);
  if (!report.run.cluster().wires().empty()) out += "\n" + wires_text(report.run.cluster());
  return out + "\n" + answer_text(report) + check_text(report);
}

std::string format_board_json(const BoardReport& report) {
  const BoardRunOptions& options = report.run.options();
  Json json = {{"model", options.model},
               {"program", options.program},
               {"topology", topology_name(options.topology)},
               {"wire", wire_settings_json(options.wire, options.wire_seed)},
               {"prompt", report.question.prompt},
               {"tokens", report.answer.tokens},
               {"text", report.answer.text},
               {"done", Json(report.answer.done)},
               {"seconds", report.answer.seconds},
               {"start_seconds", report.answer.start_seconds},
               {"chips", Json::array()},
               {"one_chip_plan", {{"arena_bytes", report.plan.one_chip.arena_bytes}}},
               {"wires", Json::array()}};
  for (std::size_t i = 0; i < report.answer.chips.size(); ++i) {
    json["chips"].push_back(chip_json(report.answer.chips[i], report.plan.chips[i].memory));
  }
  for (const WirePair& wire : report.run.cluster().wires()) {
    json["wires"].push_back(wire_json(wire));
  }
  if (report.is_checked) json["differences"] = report.differences;
  // A path may hold any bytes; JSON may not.
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mote::host
