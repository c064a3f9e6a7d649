// SPDX-License-Identifier: Apache-2.0
// Text from a prompt, token by token.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>

#include "mote/sampler.hpp"
#include "run/engine.hpp"

namespace mote::host {

struct GenerateResult {
  std::uint32_t prompt_tokens = 0;
  std::uint32_t generated_tokens = 0;
  double prompt_seconds = 0;
  double generation_seconds = 0;
  bool ended = false;         // an end token was drawn
  bool context_full = false;  // no position was left
};

/// Runs `prompt` (at least one token), then draws up to `max_tokens` tokens and hands the text of
/// each, whole UTF-8 characters only, to `write`. Stops at an end token and at the end of the
/// context.
GenerateResult generate(Engine& engine, Sampler& sampler, std::span<const std::uint32_t> prompt,
                        std::uint32_t max_tokens,
                        const std::function<void(std::string_view)>& write);

}  // namespace mote::host
