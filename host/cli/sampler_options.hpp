// SPDX-License-Identifier: Apache-2.0
// The sampling options of the command line, under llama.cpp's names.
#pragma once

#include <cstdint>

#include <CLI/CLI.hpp>

#include "mote/sampler.hpp"

namespace mote::host {

struct SamplerOptions {
  double temperature = 0.8;
  std::uint32_t top_k = 40;  // 0: the whole vocabulary
  double top_p = 0.95;
  double min_p = 0.05;
  double repeat_penalty = 1.0;
  std::int64_t seed = -1;  // -1: a new one each time

  void add_to(CLI::App& command);
  /// In the sampler's fixed point, for a vocabulary of `vocab_size`; a seed of -1 is drawn here.
  SamplerConfig resolve(std::uint32_t vocab_size) const;
};

}  // namespace mote::host
