// SPDX-License-Identifier: Apache-2.0
// Operating errors of the library. Programmer errors are assertions (see base/assert.hpp).
#pragma once

#include <cstdint>

namespace mote {

/// Outcome of an operation that can fail while the program is right: a damaged image, too little
/// memory, a full context. The upper four bits name the group.
enum class [[nodiscard]] Status : std::uint8_t{
    ok = 0x00,

    // Memory of the caller.
    arena_too_small = 0x10,
    arena_misaligned = 0x11,
    output_too_small = 0x12,

    // The image file. `Image::open` returns the first that applies.
    image_truncated = 0x20,
    image_bad_magic = 0x21,
    image_bad_version = 0x22,
    image_bad_size = 0x23,
    image_misaligned = 0x24,
    image_bad_header_crc = 0x25,
    image_bad_section_table = 0x26,
    image_section_out_of_range = 0x27,
    image_section_overlap = 0x28,
    image_section_missing = 0x29,
    image_bad_config = 0x2a,
    image_bad_shape = 0x2b,
    image_bad_section_crc = 0x2c,
    image_bad_hash = 0x2d,
    image_bad_tokenizer = 0x2e,
    image_bad_attention = 0x2f,

    // A request that does not fit the model.
    token_out_of_range = 0x30,
    context_full = 0x31,
    bad_run_config = 0x32,
    bad_sampler_config = 0x33,
    cannot_rewind = 0x34,

    // A cluster: how a model is cut, what chips say, who takes part.
    bad_partition = 0x40,
    bad_cluster_config = 0x41,
    message_bad_version = 0x42,
    message_malformed = 0x43,
    wrong_model = 0x44,
    wrong_shard = 0x45,
    duplicate_seat = 0x46,
    chip_silent = 0x47,
    chip_restarted = 0x48,
    image_damaged = 0x49,
    not_enough_chips = 0x4a,
    cluster_stalled = 0x4b,
    history_full = 0x4c,

    // An image that holds one chip's part.
    image_bad_shard = 0x50,
    // What the program was built without.
    tokenizer_not_built = 0x51,
};

/// One line of English for `status`, without a full stop; never null, in read-only memory.
const char* status_text(Status status);

}  // namespace mote
