// SPDX-License-Identifier: Apache-2.0
// One number that changes when any bit of what a model computes does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "mote/image.hpp"
#include "mote/status.hpp"
#include "mote/tokenizer.hpp"

namespace mote::firmware {

/// Bytes of arena that `compute_signature` takes, at most.
std::size_t signature_arena_bytes(const Image& image);

/// Encodes a fixed text, runs the first of its tokens through the model and goes on, drawing in
/// turn the best token and a sampled one: 8 passes. The signature is the first 8 bytes, as a
/// big-endian number, of the SHA-256 over the tokens of the text and, for each token drawn, the
/// best logits with their tokens, the token and its text. `arena_too_small` where `arena` is
/// shorter than signature_arena_bytes.
///   image  whole, with `tokenizer`
Status compute_signature(std::uint64_t& signature, const Image& image, const Tokenizer& tokenizer,
                         std::span<std::byte> arena);

}  // namespace mote::firmware
