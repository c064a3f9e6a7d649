// SPDX-License-Identifier: Apache-2.0
// The golden run: one hash that changes when any bit of any result does.
#pragma once

#include <string>

namespace mote::host {

/// Runs synthetic models (int8 and int4; multi-head and grouped-query; tied and own classifier;
/// block sizes 16, 32 and 64; sizes that fill no whole block; layers of every attention kind) over
/// fixed prompts, greedy and sampled, and returns the first 8 bytes of the SHA-256 over all logits
/// and tokens, in hexadecimal. It uses a temporary file.
std::string compute_signature();

}  // namespace mote::host
