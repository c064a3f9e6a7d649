// SPDX-License-Identifier: Apache-2.0
// The "K" types of ggml: blocks of 256 values with scales of their own for 16 or 32 of them.
#pragma once

#include <cstdint>

namespace mote::host {

/// Each fills out[0] to out[255] from one block of 144, 176 and 210 bytes.
void read_q4_k(float* out, const std::uint8_t* block);
void read_q5_k(float* out, const std::uint8_t* block);
void read_q6_k(float* out, const std::uint8_t* block);

}  // namespace mote::host
