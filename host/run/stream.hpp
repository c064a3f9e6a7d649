// SPDX-License-Identifier: Apache-2.0
// How well a model predicts a text that is longer than its context.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "run/engine.hpp"

namespace mote::host {

/// Stories one after another, each with the beginning token, cut at `count` tokens (fewer where the
/// text is shorter).
std::vector<std::uint32_t> make_stream(const Engine& engine,
                                       std::span<const std::string_view> stories,
                                       std::size_t count);

/// Negative log-likelihood of tokens[i + 1] at [i], the stream being read from one end to the other
/// without a reset. Throws `Error` where a layer's context ends before the stream does.
std::vector<double> measure_stream(Engine& engine, std::span<const std::uint32_t> tokens,
                                   const std::function<void(std::size_t)>& progress = {});

/// The same with nothing kept: for each `stride`-th token the last `window` ones are read anew from
/// an empty context, so that every key stands at a position of its own within the window.
/// tokens[stride * i + 1] at [i].
std::vector<double> measure_recomputed(Engine& engine, std::span<const std::uint32_t> tokens,
                                       std::uint32_t window, std::uint32_t stride,
                                       const std::function<void(std::size_t)>& progress = {});

/// exp of the mean of a part of either.
double perplexity_of(std::span<const double> negative_log_likelihoods);

}  // namespace mote::host
