// SPDX-License-Identifier: Apache-2.0
// What a shard holds, for people.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "mote/image.hpp"

namespace mote::host {

/// "contiguous" or "round-robin".
const char* policy_name(HeadPolicy policy);

/// "rank 1 of 4 chips".
std::string rank_text(const ShardInfo& shard);

/// Names and values: whose part of which model, and the rows of each kind.
std::vector<std::pair<std::string, std::string>> shard_fields(const Image& shard);

/// The same as JSON: {"rank": r, "chips": n, ..., "query_heads": [], "hidden_rows": [{}], ...}.
nlohmann::ordered_json shard_json(const Image& shard);

}  // namespace mote::host
