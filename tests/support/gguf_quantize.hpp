// SPDX-License-Identifier: Apache-2.0
// Plain rounding to the block types of GGUF, for files that tests write.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "gguf/gguf_blocks.hpp"

namespace mote::test {

/// The nearest binary16, ties to even.
std::uint16_t to_f16(float value);

/// The blocks of `values`, a multiple of the type's block. Each block takes its scale and minimum
/// from its extremes; no better ones are searched for.
std::vector<std::uint8_t> quantize_gguf(std::span<const float> values, host::GgufType type);

}  // namespace mote::test
