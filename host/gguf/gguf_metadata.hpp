// SPDX-License-Identifier: Apache-2.0
// Values of GGUF metadata as the numbers and texts that a reader expects. Each function throws
// `Error` that names the file and the key where the value is of another type or out of range.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf_file.hpp"

namespace mote::host {

/// An integer of any width and sign; empty where the file has no such key.
std::optional<std::int64_t> find_integer(const GgufFile& file, std::string_view key);
/// As above, of 0 to 2^32 - 1.
std::optional<std::uint32_t> find_u32(const GgufFile& file, std::string_view key);
std::uint32_t require_u32(const GgufFile& file, std::string_view key);

/// One number for the whole model: of an array (one number for each layer) all must be equal.
std::optional<std::uint32_t> find_common_u32(const GgufFile& file, std::string_view key);

/// A number of any type. An f32 stands for the shortest decimal that rounds to it, which is what
/// its writer meant: 1e-5, not 9.99999974737875e-06.
std::optional<double> find_real(const GgufFile& file, std::string_view key);

std::optional<bool> find_flag(const GgufFile& file, std::string_view key);
std::optional<std::string_view> find_text(const GgufFile& file, std::string_view key);

/// Arrays; empty where the file has no such key.
std::vector<std::string_view> list_texts(const GgufFile& file, std::string_view key);
std::vector<float> list_floats(const GgufFile& file, std::string_view key);
/// Integers and booleans of any width.
std::vector<std::int64_t> list_integers(const GgufFile& file, std::string_view key);

}  // namespace mote::host
