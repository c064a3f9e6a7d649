// SPDX-License-Identifier: Apache-2.0
#include "huggingface/safetensors.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "convert/printable.hpp"
#include "huggingface/json_reader.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

static_assert(std::endian::native == std::endian::little, "the files are copied, not decoded");

constexpr std::uint64_t kLengthBytes = 8;

struct Dtype {
  std::string_view name;
  GgufType type{};
};
constexpr Dtype kDtypes[] = {
    {"F32", GgufType::f32}, {"F16", GgufType::f16}, {"BF16", GgufType::bf16}};

std::uint64_t header_length(std::span<const std::uint8_t> head) {
  std::uint64_t length = 0;
  std::memcpy(&length, head.data(), sizeof length);
  return length;
}

std::span<const std::uint8_t> read_header(std::span<const std::uint8_t> bytes,
                                          const std::string& path) {
  if (bytes.size() < kLengthBytes) {
    throw Error(fmt::format("{}: the file has {} bytes, a safetensors file needs at least {}", path,
                            bytes.size(), kLengthBytes));
  }
  const std::uint64_t length = header_length(bytes);
  const std::uint64_t limit = bytes.size() - kLengthBytes;
  if (length > limit) {
    throw Error(fmt::format("{}: the safetensors header has {} bytes, must be at most {}", path,
                            length, limit));
  }
  return bytes.subspan(kLengthBytes, static_cast<std::size_t>(length));
}

/// Reads one entry of the header.
class EntryReader {
 public:
  EntryReader(const nlohmann::json& entry, const std::string& path, const std::string& name)
      : entry_(entry), where_(fmt::format("{}: {}", path, printable(name))) {
    if (!entry.is_object()) throw Error(where_ + " must be an object");
  }

  StoredTensor read(std::span<const std::uint8_t> data) const {
    StoredTensor stored;
    stored.type = read_type();
    const std::vector<std::uint64_t> shape = read_integers("shape");
    if (shape.empty() || shape.size() > 2) {
      throw Error(fmt::format("{} has {} dimensions, must be 1 or 2", where_, shape.size()));
    }
    stored.columns = shape.back();
    stored.rows = shape.size() == 2 ? shape.front() : 1;
    stored.bytes = read_bytes(data, read_size(stored));
    return stored;
  }

 private:
  GgufType read_type() const {
    const std::string dtype = JsonReader(entry_, where_).text_or("dtype", "");
    for (const Dtype& known : kDtypes) {
      if (known.name == dtype) return known.type;
    }
    throw Error(fmt::format("{} is of type {}, which is not supported; supported: F32, F16, BF16",
                            where_, printable(dtype)));
  }

  std::vector<std::uint64_t> read_integers(const char* key) const {
    const auto found = entry_.find(key);
    std::vector<std::uint64_t> integers;
    if (found == entry_.end() || !found->is_array()) {
      throw Error(fmt::format("{}: {} must be an array of integers", where_, key));
    }
    for (const nlohmann::json& element : *found) {
      const auto integer = to_u64(element);
      if (!integer) throw Error(fmt::format("{}: {} must be an array of integers", where_, key));
      integers.push_back(*integer);
    }
    return integers;
  }

  std::uint64_t read_size(const StoredTensor& stored) const {
    std::uint64_t size = gguf_type_info(stored.type).block_bytes;
    if (stored.rows == 0 || stored.columns == 0) throw Error(where_ + " has an extent of 0");
    if (__builtin_mul_overflow(size, stored.rows, &size) ||
        __builtin_mul_overflow(size, stored.columns, &size)) {
      throw Error(where_ + " has more bytes than 64 bits count");
    }
    return size;
  }

  std::span<const std::uint8_t> read_bytes(std::span<const std::uint8_t> data,
                                           std::uint64_t size) const {
    const std::vector<std::uint64_t> offsets = read_integers("data_offsets");
    const bool is_inside =
        offsets.size() == 2 && offsets[0] <= offsets[1] && offsets[1] <= data.size();
    if (!is_inside) {
      throw Error(
          fmt::format("{}: data_offsets must be a begin and an end inside of the {} bytes "
                      "of data",
                      where_, data.size()));
    }
    if (offsets[1] - offsets[0] != size) {
      throw Error(fmt::format("{}: data_offsets hold {} bytes, its shape needs {}", where_,
                              offsets[1] - offsets[0], size));
    }
    return data.subspan(static_cast<std::size_t>(offsets[0]), static_cast<std::size_t>(size));
  }

  const nlohmann::json& entry_;
  std::string where_;
};

void refuse_overlap(std::vector<SafeTensor>& tensors, const std::string& path) {
  std::sort(tensors.begin(), tensors.end(), [](const SafeTensor& a, const SafeTensor& b) {
    return a.stored.bytes.data() < b.stored.bytes.data();
  });
  for (std::size_t i = 1; i < tensors.size(); ++i) {
    const auto before = tensors[i - 1].stored.bytes;
    if (before.data() + before.size() <= tensors[i].stored.bytes.data()) continue;
    throw Error(fmt::format("{}: {} begins inside of {}", path, printable(tensors[i].name),
                            printable(tensors[i - 1].name)));
  }
}

}  // namespace

SafetensorsFile::SafetensorsFile(std::span<const std::uint8_t> bytes, std::string path)
    : path_(std::move(path)) {
  const auto header = read_header(bytes, path_);
  const auto data = bytes.subspan(kLengthBytes + header.size());
  const nlohmann::json json = parse_json_object(header, path_);
  for (const auto& [name, entry] : json.items()) {
    if (name == "__metadata__") continue;
    tensors_.push_back({name, EntryReader(entry, path_, name).read(data)});
  }
  refuse_overlap(tensors_, path_);
}

bool looks_like_safetensors(std::span<const std::uint8_t> head, std::uint64_t file_bytes) {
  return head.size() > kLengthBytes && head[kLengthBytes] == '{' &&
         header_length(head) <= file_bytes - kLengthBytes;
}

}  // namespace mote::host
