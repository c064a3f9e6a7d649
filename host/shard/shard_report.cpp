// SPDX-License-Identifier: Apache-2.0
#include "shard/shard_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "run/image_summary.hpp"
#include "shard/shard_summary.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kHashPrefix = 16;

double share(const ShardSet& set, std::uint64_t bytes) {
  return static_cast<double>(bytes) / static_cast<double>(set.model_bytes);
}

std::uint64_t total_bytes(const ShardSet& set) {
  std::uint64_t sum = 0;
  for (const ShardFile& file : set.files) sum += file.report.image_bytes;
  return sum;
}

}  // namespace

std::string format_shard_table(const ShardSet& set) {
  std::size_t width = 4;
  for (const ShardFile& file : set.files) width = std::max(width, file.path.size());
  const auto line = [&](const auto& rank, const auto& path, const auto& bytes,
                        const auto& part_of_whole, const std::string& hash) {
    return fmt::format("{:>4}  {:<{}}  {:>10}  {:>8}  {}", rank, path, width, bytes, part_of_whole,
                       hash);
  };
  const auto percent = [&](std::uint64_t bytes) {
    return fmt::format("{:.1f} %", 100 * share(set, bytes));
  };
  std::string out = line("rank", "file", "bytes", "of whole", "hash") + "\n";
  for (std::size_t rank = 0; rank < set.files.size(); ++rank) {
    const ShardReport& report = set.files[rank].report;
    out += line(rank, set.files[rank].path, report.image_bytes, percent(report.image_bytes),
                hex_text(report.hash).substr(0, kHashPrefix)) +
           "\n";
  }
  return out +
         line("all", "", total_bytes(set), percent(total_bytes(set)),
              "of model " + hex_text(set.hash).substr(0, kHashPrefix)) +
         "\n";
}

std::string format_shard_json(const ShardSet& set) {
  Json shards = Json::array();
  for (std::size_t rank = 0; rank < set.files.size(); ++rank) {
    const ShardReport& report = set.files[rank].report;
    shards.push_back({{"rank", rank},
                      {"file", set.files[rank].path},
                      {"bytes", report.image_bytes},
                      {"weight_bytes", report.weight_bytes},
                      {"tokenizer_bytes", report.tokenizer_bytes},
                      {"share", share(set, report.image_bytes)},
                      {"hash", hex_text(report.hash)}});
  }
  const Json out = {{"model", set.model},
                    {"model_bytes", set.model_bytes},
                    {"model_hash", hex_text(set.hash)},
                    {"chips", set.files.size()},
                    {"policy", policy_name(set.policy)},
                    {"weights", std::vector<std::uint32_t>(set.weights.begin(), set.weights.end())},
                    {"shards", shards},
                    {"bytes", total_bytes(set)}};
  // A path may hold any bytes; JSON may not.
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace mote::host
