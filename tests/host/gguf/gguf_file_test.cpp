// SPDX-License-Identifier: Apache-2.0
#include "gguf/gguf_file.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "gguf/gguf_metadata.hpp"
#include "support/error.hpp"
#include "support/gguf_writer.hpp"
#include "support/named_model.hpp"

namespace mote::host {
namespace {

using Bytes = std::vector<std::uint8_t>;
using test::GgufWriter;

/// The message with which the reader refuses `bytes`; empty where it takes them.
std::string refusal(const Bytes& bytes) {
  try {
    // Exactly as long as the file, so that a sanitizer sees a read past the end.
    const Bytes exact(bytes.begin(), bytes.end());
    const GgufFile file(exact, "m.gguf");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void expect_refusal(const Bytes& bytes, const std::string& expected) {
  const std::string message = refusal(bytes);
  EXPECT_NE(message.find(expected), std::string::npos) << message;
  EXPECT_EQ(message.rfind("m.gguf: ", 0), 0u) << message;
}

GgufWriter small_writer() {
  GgufWriter writer;
  writer.add_u32("answer", 42);
  writer.add_f32("epsilon", 1e-5F);
  writer.add_bool("flag", true);
  writer.add_string("text", "hello");
  writer.add_strings("texts", {"", "a", "bc"});
  writer.add_f32s("floats", {1, 2.5F});
  writer.add_i32s("integers", {-1, 7});
  const float values[] = {1, 2, 3, 4, 5, 6};
  writer.add_tensor("matrix", {2, 3}, GgufType::f32, values);
  writer.add_tensor("vector", {4}, GgufType::f16, std::span(values).first(4));
  return writer;
}

void set_bytes(Bytes& bytes, std::size_t at, std::uint64_t value, std::size_t count) {
  Bytes encoded;
  test::append_bytes(encoded, value, count);
  std::copy(encoded.begin(), encoded.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at));
}

/// Where `text` stands in the file.
std::size_t find(const Bytes& bytes, const std::string& text) {
  const auto found = std::search(bytes.begin(), bytes.end(), text.begin(), text.end());
  return static_cast<std::size_t>(found - bytes.begin());
}

TEST(GgufFile, DeliversWhatWasWritten) {
  const Bytes bytes = small_writer().file();
  const GgufFile file(bytes, "m.gguf");
  EXPECT_EQ(file.version(), 3u);
  EXPECT_EQ(require_u32(file, "answer"), 42u);
  EXPECT_EQ(find_real(file, "epsilon"), 1e-5);
  EXPECT_EQ(find_flag(file, "flag"), true);
  EXPECT_EQ(find_text(file, "text"), "hello");
  EXPECT_EQ(list_texts(file, "texts"), (std::vector<std::string_view>{"", "a", "bc"}));
  EXPECT_EQ(list_floats(file, "floats"), (std::vector<float>{1, 2.5F}));
  EXPECT_EQ(list_integers(file, "integers"), (std::vector<std::int64_t>{-1, 7}));
  EXPECT_EQ(file.values().size(), 7u);
  ASSERT_EQ(file.tensors().size(), 2u);
  const GgufTensor* matrix = file.find_tensor("matrix");
  ASSERT_NE(matrix, nullptr);
  EXPECT_EQ(matrix->extents[0], 2u);
  EXPECT_EQ(matrix->extents[1], 3u);
  EXPECT_EQ(matrix->bytes.size(), 24u);
  EXPECT_EQ(file.find_tensor("vector")->bytes.size(), 8u);
  EXPECT_EQ(file.find_tensor("other"), nullptr);
  EXPECT_EQ(file.find_value("other"), nullptr);
  EXPECT_EQ(find_u32(file, "other"), std::nullopt);
}

TEST(GgufFile, ValuesOfOtherTypesAreRefusedByKey) {
  const Bytes bytes = small_writer().file();
  const GgufFile file(bytes, "m.gguf");
  EXPECT_THROW(require_u32(file, "other"), Error);
  EXPECT_THROW(require_u32(file, "epsilon"), Error);
  EXPECT_THROW(require_u32(file, "flag"), Error);
  EXPECT_THROW(find_text(file, "answer"), Error);
  EXPECT_THROW(find_flag(file, "answer"), Error);
  EXPECT_THROW(find_real(file, "text"), Error);
  EXPECT_THROW(find_real(file, "floats"), Error);
  EXPECT_THROW(list_texts(file, "text"), Error);
  EXPECT_THROW(list_floats(file, "integers"), Error);
  EXPECT_THROW(list_integers(file, "floats"), Error);
  EXPECT_THROW(list_integers(file, "texts"), Error);
  EXPECT_THROW(find_common_u32(file, "integers"), Error);
  try {
    require_u32(file, "text");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(std::string(error.what()), "m.gguf: text must be an integer below 2^63");
  }
}

TEST(GgufFile, EveryTruncationIsRefused) {
  const GgufWriter writer = small_writer();
  const Bytes whole = writer.file();
  const std::size_t end = whole.size() - 24;  // the last 24 bytes are padding
  for (std::size_t size = 0; size < end; ++size) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    ASSERT_NE(refusal(part), "") << size;
  }
  EXPECT_EQ(refusal(Bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(end))), "");
}

TEST(GgufFile, EveryChangedByteIsRefusedOrHarmless) {
  const Bytes whole = small_writer().file();
  for (std::size_t i = 0; i < whole.size(); ++i) {
    for (const std::uint8_t change : {std::uint8_t{0x01}, std::uint8_t{0x80}, std::uint8_t{0xff}}) {
      Bytes bytes = whole;
      bytes[i] ^= change;
      try {
        const GgufFile file(bytes, "m.gguf");
        for (const GgufTensor& tensor : file.tensors()) {
          const auto count = tensor.bytes.size() / gguf_type_info(tensor.type).block_bytes *
                             gguf_type_info(tensor.type).block_values;
          std::vector<float> values(count);
          read_gguf_blocks(values, tensor.bytes, tensor.type);
        }
      } catch (const Error& error) {
        EXPECT_EQ(std::string(error.what()).rfind("m.gguf: ", 0), 0u);
      }
    }
  }
}

TEST(GgufFile, OtherVersionsAreRefusedByName) {
  Bytes bytes = small_writer().file();
  set_bytes(bytes, 4, 1, 4);
  expect_refusal(bytes, "GGUF version 1 is not supported; supported: 2 and 3");
  set_bytes(bytes, 4, 0x03000000, 4);
  expect_refusal(bytes, "big-endian");
  bytes[0] = 'g';
  expect_refusal(bytes, "not a GGUF file");
}

TEST(GgufFile, CountsBeyondTheFileNeedNoMemory) {
  const std::uint64_t huge[] = {1ULL << 63, ~0ULL, 1ULL << 40, 1000};
  for (const std::uint64_t count : huge) {
    Bytes bytes = small_writer().file();
    set_bytes(bytes, 8, count, 8);
    expect_refusal(bytes, "the number of tensors is " + std::to_string(count));
    bytes = small_writer().file();
    set_bytes(bytes, 16, count, 8);
    expect_refusal(bytes, "the number of values is " + std::to_string(count));
    bytes = small_writer().file();
    set_bytes(bytes, 24, count, 8);
    expect_refusal(bytes, "a key needs " + std::to_string(count) + " bytes");
    bytes = small_writer().file();
    set_bytes(bytes, find(bytes, "texts") + 5 + 4 + 4, count, 8);
    expect_refusal(bytes, "texts: its length is " + std::to_string(count));
  }
}

TEST(GgufFile, UnknownTypesAreRefusedByName) {
  Bytes bytes = small_writer().file();
  set_bytes(bytes, find(bytes, "answer") + 6, 13, 4);
  expect_refusal(bytes, "answer: the type of its value is 13, must be 0 to 12");
  bytes = small_writer().file();
  set_bytes(bytes, find(bytes, "texts") + 5 + 4, 9, 4);
  expect_refusal(bytes, "texts: arrays of arrays are not supported");
  bytes = small_writer().file();
  set_bytes(bytes, find(bytes, "matrix") + 6 + 4 + 16, 20, 4);
  expect_refusal(bytes, "matrix is of type IQ4_NL, which is not supported; supported: F32, F16");
}

TEST(GgufFile, ExtentsAndOffsetsAreChecked) {
  const std::size_t extents = find(small_writer().file(), "matrix") + 6 + 4;
  Bytes bytes = small_writer().file();
  set_bytes(bytes, extents, 1ULL << 62, 8);
  expect_refusal(bytes, "matrix has more bytes than 64 bits count");
  bytes = small_writer().file();
  set_bytes(bytes, extents, 0, 8);
  expect_refusal(bytes, "matrix has an extent of 0");
  bytes = small_writer().file();
  set_bytes(bytes, extents, 1000, 8);
  expect_refusal(bytes, "matrix needs 12000 bytes from byte 0 of the data");
  bytes = small_writer().file();
  set_bytes(bytes, extents - 4, 5, 4);
  expect_refusal(bytes, "matrix has 5 dimensions, must be 1 to 4");
  bytes = small_writer().file();
  set_bytes(bytes, extents + 16 + 4, 16, 8);
  expect_refusal(bytes, "matrix begins at byte 16 of the data, must be a multiple of 32");
  bytes = small_writer().file();
  set_bytes(bytes, extents + 16 + 4, ~31ULL, 8);
  expect_refusal(bytes, "matrix needs 24 bytes from byte 18446744073709551584");
  bytes = small_writer().file();
  set_bytes(bytes, extents + 16 + 4, 32, 8);
  expect_refusal(bytes, "begins at byte 32 of the data, inside of another tensor");
  bytes = small_writer().file();
  set_bytes(bytes, extents + 16, 8, 4);
  expect_refusal(bytes, "matrix has rows of 2 values, Q8_0 stores multiples of 32");
}

TEST(GgufFile, AlignmentIsAPowerOfTwo) {
  for (const std::uint32_t alignment : {0U, 3U, 33U, 1U << 30}) {
    GgufWriter writer = small_writer();
    writer.add_u32("general.alignment", alignment);
    expect_refusal(writer.file(), "general.alignment is " + std::to_string(alignment));
  }
  GgufWriter writer = small_writer();
  writer.add_u32("general.alignment", 16);
  EXPECT_EQ(refusal(writer.file()), "");
  writer = small_writer();
  writer.add_f32("general.alignment", 32);
  expect_refusal(writer.file(), "general.alignment must be a u32");
}

TEST(GgufFile, NamesThatOccurTwiceAreRefused) {
  GgufWriter writer = small_writer();
  writer.add_u32("answer", 43);
  expect_refusal(writer.file(), "answer occurs twice");
  writer = small_writer();
  const float values[] = {1};
  writer.add_tensor("matrix", {1}, GgufType::f32, values);
  expect_refusal(writer.file(), "matrix occurs twice");
}

TEST(GgufFile, NamesCannotSteerTheTerminal) {
  GgufWriter writer;
  writer.add_raw("\x1b[2J" + std::string(200, 'k'), 99, {});
  const std::string message = refusal(writer.file());
  EXPECT_EQ(message.find('\x1b'), std::string::npos);
  EXPECT_LT(message.size(), 200u);
}

}  // namespace
}  // namespace mote::host
