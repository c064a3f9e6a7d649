// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>

#include "convert/printable.hpp"
#include "gguf/gguf_cursor.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kDefaultAlignment = 32;
constexpr std::uint32_t kMaxAlignment = 1U << 20;
constexpr std::uint32_t kMaxDimensions = 4;
constexpr std::uint32_t kBigEndianVersion3 = 0x03000000;
constexpr std::uint64_t kLeastValueBytes = 8 + 4 + 1;           // key, type, value
constexpr std::uint64_t kLeastTensorBytes = 8 + 4 + 8 + 4 + 8;  // name to offset

/// A tensor of the list, whose offset still counts from the beginning of the data.
struct ListedTensor {
  GgufTensor tensor;
  std::uint64_t offset = 0;
  std::uint64_t size_bytes = 0;
};

std::uint32_t read_version(GgufCursor& cursor) {
  const auto magic = cursor.take(4, "the magic");
  if (!std::equal(magic.begin(), magic.end(), "GGUF")) cursor.fail("not a GGUF file");
  const auto version = cursor.number<std::uint32_t>("the version");
  if (version == kBigEndianVersion3) {
    cursor.fail("big-endian GGUF is not supported; supported: little-endian");
  }
  if (version != 2 && version != 3) {
    cursor.fail(fmt::format("GGUF version {} is not supported; supported: 2 and 3", version));
  }
  return version;
}

/// Sorts by name and refuses names that occur twice.
template <typename Item, typename Name>
void sort_names(std::vector<Item>& items, const GgufCursor& cursor, Name name) {
  const auto less = [&](const Item& a, const Item& b) { return name(a) < name(b); };
  std::sort(items.begin(), items.end(), less);
  const auto twice = std::adjacent_find(
      items.begin(), items.end(), [&](const Item& a, const Item& b) { return name(a) == name(b); });
  if (twice != items.end()) cursor.fail(printable(name(*twice)) + " occurs twice");
}

template <typename Item, typename Name>
const Item* find_name(const std::vector<Item>& items, std::string_view wanted, Name name) {
  const auto found =
      std::lower_bound(items.begin(), items.end(), wanted,
                       [&](const Item& item, std::string_view text) { return name(item) < text; });
  return found != items.end() && name(*found) == wanted ? &*found : nullptr;
}

std::string_view key_of(const GgufValue& value) {
  return value.key;
}
std::string_view name_of(const GgufTensor& tensor) {
  return tensor.name;
}

std::uint64_t read_alignment(const GgufValue* value, const GgufCursor& cursor) {
  if (value == nullptr) return kDefaultAlignment;
  if (value->type != GgufValueType::u32 || value->is_array) {
    cursor.fail("general.alignment must be a u32");
  }
  std::uint32_t alignment = 0;
  std::memcpy(&alignment, value->bytes.data(), sizeof alignment);
  if (!std::has_single_bit(alignment) || alignment > kMaxAlignment) {
    cursor.fail(fmt::format("general.alignment is {}, must be a power of two up to {}", alignment,
                            kMaxAlignment));
  }
  return alignment;
}

GgufType read_type(GgufCursor& cursor, const std::string& name) {
  const auto number = cursor.number<std::uint32_t>(name);
  const GgufTypeInfo* info = find_gguf_type(number);
  if (info == nullptr) {
    cursor.fail(fmt::format("{} is of type {}, which is not supported; supported: {}", name,
                            gguf_type_name(number), supported_gguf_types()));
  }
  return info->type;
}

/// Bytes of the data; every product is checked, so that no extent can wrap round.
std::uint64_t data_bytes(const GgufTensor& tensor, const GgufCursor& cursor) {
  const std::string name = printable(tensor.name);
  const GgufTypeInfo& info = gguf_type_info(tensor.type);
  if (tensor.extents[0] % info.block_values != 0) {
    cursor.fail(fmt::format("{} has rows of {} values, {} stores multiples of {}", name,
                            tensor.extents[0], info.name, info.block_values));
  }
  std::uint64_t size = info.block_bytes;
  for (std::size_t i = 0; i < kMaxDimensions; ++i) {
    const std::uint64_t factor = i == 0 ? tensor.extents[0] / info.block_values : tensor.extents[i];
    if (factor == 0) cursor.fail(name + " has an extent of 0");
    if (__builtin_mul_overflow(size, factor, &size)) {
      cursor.fail(name + " has more bytes than 64 bits count");
    }
  }
  return size;
}

ListedTensor read_tensor(GgufCursor& cursor) {
  ListedTensor listed;
  listed.tensor.name = cursor.string("the name of a tensor");
  const std::string name = printable(listed.tensor.name);
  listed.tensor.dimensions = cursor.number<std::uint32_t>(name);
  if (listed.tensor.dimensions < 1 || listed.tensor.dimensions > kMaxDimensions) {
    cursor.fail(fmt::format("{} has {} dimensions, must be 1 to {}", name, listed.tensor.dimensions,
                            kMaxDimensions));
  }
  for (std::uint32_t i = 0; i < listed.tensor.dimensions; ++i) {
    listed.tensor.extents.at(i) = cursor.number<std::uint64_t>(name);
  }
  listed.tensor.type = read_type(cursor, name);
  listed.offset = cursor.number<std::uint64_t>(name);
  listed.size_bytes = data_bytes(listed.tensor, cursor);
  return listed;
}

/// Where the data begins.
std::uint64_t data_begin(const GgufCursor& cursor, std::uint64_t alignment) {
  return (cursor.offset() + alignment - 1) / alignment * alignment;
}

/// Gives each tensor its bytes. `end` is that of the tensor before it.
void place_tensor(ListedTensor& listed, std::span<const std::uint8_t> data, std::uint64_t end,
                  std::uint64_t alignment, const GgufCursor& cursor) {
  const std::string name = printable(listed.tensor.name);
  if (listed.offset % alignment != 0) {
    cursor.fail(fmt::format("{} begins at byte {} of the data, must be a multiple of {}", name,
                            listed.offset, alignment));
  }
  if (listed.offset > data.size() || listed.size_bytes > data.size() - listed.offset) {
    cursor.fail(fmt::format("{} needs {} bytes from byte {} of the data, which has {} bytes", name,
                            listed.size_bytes, listed.offset, data.size()));
  }
  if (listed.offset < end) {
    cursor.fail(fmt::format("{} begins at byte {} of the data, inside of another tensor", name,
                            listed.offset));
  }
  listed.tensor.bytes = data.subspan(static_cast<std::size_t>(listed.offset),
                                     static_cast<std::size_t>(listed.size_bytes));
}

std::vector<GgufTensor> place_tensors(std::vector<ListedTensor> listed,
                                      std::span<const std::uint8_t> data, std::uint64_t alignment,
                                      const GgufCursor& cursor) {
  std::sort(listed.begin(), listed.end(),
            [](const ListedTensor& a, const ListedTensor& b) { return a.offset < b.offset; });
  std::vector<GgufTensor> tensors;
  std::uint64_t end = 0;
  for (ListedTensor& one : listed) {
    place_tensor(one, data, end, alignment, cursor);
    end = one.offset + one.size_bytes;
    tensors.push_back(one.tensor);
  }
  return tensors;
}

}  // namespace

GgufFile::GgufFile(std::span<const std::uint8_t> bytes, const std::string& path) : path_(path) {
  GgufCursor cursor(bytes, path_);
  version_ = read_version(cursor);
  const std::uint64_t tensor_count = cursor.count(kLeastTensorBytes, "the number of tensors");
  const std::uint64_t value_count = cursor.count(kLeastValueBytes, "the number of values");
  for (std::uint64_t i = 0; i < value_count; ++i) {
    values_.push_back(cursor.value(cursor.string("a key")));
  }
  sort_names(values_, cursor, key_of);
  const std::uint64_t alignment = read_alignment(find_value("general.alignment"), cursor);
  std::vector<ListedTensor> listed;
  for (std::uint64_t i = 0; i < tensor_count; ++i) listed.push_back(read_tensor(cursor));
  const std::uint64_t begin = std::min<std::uint64_t>(data_begin(cursor, alignment), bytes.size());
  tensors_ = place_tensors(std::move(listed), bytes.subspan(static_cast<std::size_t>(begin)),
                           alignment, cursor);
  sort_names(tensors_, cursor, name_of);
}

const GgufValue* GgufFile::find_value(std::string_view key) const {
  return find_name(values_, key, key_of);
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  return find_name(tensors_, name, name_of);
}

}  // namespace mote::host
