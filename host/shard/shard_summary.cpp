// SPDX-License-Identifier: Apache-2.0
#include "shard/shard_summary.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cstdint>

#include "model/image_shard.hpp"
#include "run/image_summary.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::ordered_json;

std::vector<std::uint32_t> query_heads(const Image& shard) {
  std::vector<std::uint32_t> heads;
  for (std::uint32_t i = 0; i < shard.held().heads.count; ++i) {
    heads.push_back(shard.held().heads.head(i));
  }
  return heads;
}

std::vector<std::uint32_t> kv_heads(const Image& shard) {
  const HeadSet& held = shard.held().heads;
  const std::uint32_t group = shard.config().heads_per_kv_head();
  std::vector<std::uint32_t> heads;
  for (std::uint32_t i = 0; i < held.kv_count(group); ++i) {
    heads.push_back(held.kv_head(i, group));
  }
  return heads;
}

Range residual_lanes(const Image& shard) {
  const ModelConfig& config = shard.config();
  return rows_of_blocks(shard.held().residual_blocks, config.block, config.dim);
}

/// Rows of w_gate and w_up in each layer.
std::vector<Range> hidden_rows(const Image& shard) {
  const ModelConfig& config = shard.config();
  std::vector<Range> rows;
  for (std::uint32_t layer = 0; layer < config.n_layers; ++layer) {
    rows.push_back(rows_of_blocks(shard.held().hidden(layer), config.block, config.hidden_dim));
  }
  return rows;
}

/// "none of 8", "2 of 8: 4, 5".
std::string heads_text(const std::vector<std::uint32_t>& heads, std::uint32_t total) {
  if (heads.empty()) return fmt::format("none of {}", total);
  return fmt::format("{} of {}: {}", heads.size(), total, fmt::join(heads, ", "));
}

/// "none of 64", "16 of 64: 32 to 47".
std::string range_text(const Range& range, std::uint32_t total) {
  if (range.count == 0) return fmt::format("none of {}", total);
  return fmt::format("{} of {}: {} to {}", range.count, total, range.first, range.end() - 1);
}

Json range_json(const Range& range) {
  return {{"first", range.first}, {"count", range.count}};
}

}  // namespace

const char* policy_name(HeadPolicy policy) {
  return policy == HeadPolicy::round_robin ? "round-robin" : "contiguous";
}

std::string rank_text(const ShardInfo& shard) {
  return fmt::format("rank {} of {} chips", shard.rank, shard.chips);
}

std::vector<std::pair<std::string, std::string>> shard_fields(const Image& shard) {
  const ModelConfig& config = shard.config();
  const ShardInfo& info = shard.shard();
  std::vector<std::pair<std::string, std::string>> fields = {
      {"shard", rank_text(info)},
      {"heads are dealt", policy_name(info.policy)},
      {"weights of the chips", fmt::format("{}", fmt::join(info.weights, ", "))},
      {"model hash", hex_text(info.model)},
      {"query heads", heads_text(query_heads(shard), config.n_heads)},
      {"K/V heads", heads_text(kv_heads(shard), config.n_kv_heads)},
      {"residual lanes", range_text(residual_lanes(shard), config.dim)},
      {"vocabulary rows", range_text(shard.held().vocabulary, config.vocab_size)}};
  const std::vector<Range> hidden = hidden_rows(shard);
  const bool all_equal = std::ranges::count(hidden, hidden.front()) == std::ssize(hidden);
  for (std::size_t layer = 0; layer < (all_equal ? 1 : hidden.size()); ++layer) {
    fields.emplace_back(all_equal ? "hidden rows" : fmt::format("hidden rows of layer {}", layer),
                        range_text(hidden[layer], config.hidden_dim));
  }
  return fields;
}

Json shard_json(const Image& shard) {
  const ShardInfo& info = shard.shard();
  Json json = {{"rank", info.rank},
               {"chips", info.chips},
               {"policy", policy_name(info.policy)},
               {"weights", std::vector<std::uint32_t>(info.weights.begin(), info.weights.end())},
               {"model_hash", hex_text(info.model)},
               {"query_heads", query_heads(shard)},
               {"kv_heads", kv_heads(shard)},
               {"residual_lanes", range_json(residual_lanes(shard))},
               {"vocabulary_rows", range_json(shard.held().vocabulary)},
               {"hidden_rows", Json::array()}};
  for (const Range& rows : hidden_rows(shard)) json["hidden_rows"].push_back(range_json(rows));
  return json;
}

}  // namespace mote::host
