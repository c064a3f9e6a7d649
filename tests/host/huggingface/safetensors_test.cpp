// SPDX-License-Identifier: Apache-2.0
#include "huggingface/safetensors.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/error.hpp"
#include "support/gguf_writer.hpp"

namespace mote::host {
namespace {

using Bytes = std::vector<std::uint8_t>;

Bytes make_file(const std::string& header, std::size_t data_bytes) {
  Bytes bytes;
  test::append_string(bytes, header);
  for (std::size_t i = 0; i < data_bytes; ++i) bytes.push_back(static_cast<std::uint8_t>(i));
  return bytes;
}

std::string refusal(const Bytes& bytes) {
  try {
    // Exactly as long as the file, so that a sanitizer sees a read past the end.
    const Bytes exact(bytes.begin(), bytes.end());
    const SafetensorsFile file(exact, "m.safetensors");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void expect_refusal(const std::string& header, const std::string& expected) {
  const std::string message = refusal(make_file(header, 24));
  EXPECT_NE(message.find(expected), std::string::npos) << message;
  EXPECT_EQ(message.rfind("m.safetensors: ", 0), 0u) << message;
}

/// A header of one tensor "a".
std::string one_tensor(const std::string& dtype, const std::string& shape,
                       const std::string& offsets) {
  return R"({"a":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets +
         "}}";
}

TEST(Safetensors, DeliversItsTensors) {
  const Bytes bytes = make_file(
      R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[4],"data_offsets":[0,16]},)"
      R"("a":{"dtype":"BF16","shape":[2,2],"data_offsets":[16,24]}}   )",
      24);
  const SafetensorsFile file(bytes, "m.safetensors");
  ASSERT_EQ(file.tensors().size(), 2u);
  EXPECT_EQ(file.tensors()[0].name, "b");
  EXPECT_EQ(file.tensors()[0].stored.rows, 1u);
  EXPECT_EQ(file.tensors()[0].stored.columns, 4u);
  EXPECT_EQ(file.tensors()[0].stored.bytes.size(), 16u);
  EXPECT_EQ(file.tensors()[1].stored.type, GgufType::bf16);
  EXPECT_EQ(file.tensors()[1].stored.rows, 2u);
  EXPECT_EQ(file.tensors()[1].stored.bytes[0], 16u);
}

TEST(Safetensors, EntriesAreChecked) {
  EXPECT_EQ(refusal(make_file(one_tensor("F32", "[2,3]", "[0,24]"), 24)), "");
  expect_refusal(one_tensor("F32", "[2,3]", "[0,20]"),
                 "data_offsets hold 20 bytes, its shape needs 24");
  expect_refusal(one_tensor("F32", "[2,3]", "[4,28]"), "inside of the 24 bytes of data");
  expect_refusal(one_tensor("F32", "[2,3]", "[24,0]"), "inside of the 24 bytes of data");
  expect_refusal(one_tensor("F32", "[2,3]", "[0]"), "data_offsets must be a begin and an end");
  expect_refusal(one_tensor("F32", "[2,3]", "[-1,23]"),
                 "data_offsets must be an array of integers");
  expect_refusal(one_tensor("F32", "[2,3.5]", "[0,24]"), "shape must be an array of integers");
  expect_refusal(one_tensor("F32", "[1,2,3]", "[0,24]"), "a has 3 dimensions, must be 1 or 2");
  expect_refusal(one_tensor("F32", "[]", "[0,4]"), "a has 0 dimensions");
  expect_refusal(one_tensor("F32", "[0,3]", "[0,0]"), "a has an extent of 0");
  expect_refusal(one_tensor("F32", "[4294967296,4294967296]", "[0,24]"), "more bytes than 64 bits");
  expect_refusal(one_tensor("F8_E4M3", "[24]", "[0,24]"),
                 "a is of type F8_E4M3, which is not supported; supported: F32, F16, BF16");
  expect_refusal(R"({"a":1})", "a must be an object");
  expect_refusal(R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,12]},)"
                 R"("b":{"dtype":"F32","shape":[3],"data_offsets":[8,20]}})",
                 "b begins inside of a");
}

TEST(Safetensors, HeadersAreChecked) {
  expect_refusal("[]", "must be a JSON object");
  expect_refusal("{", "not valid JSON");
  expect_refusal(R"({"a":)" + std::string(100, '[') + std::string(100, ']') + "}",
                 "the JSON nests deeper than 16");
  EXPECT_NE(refusal({1, 2, 3}).find("needs at least 8"), std::string::npos);
  Bytes bytes = make_file("{}", 0);
  bytes[0] = 3;
  EXPECT_NE(refusal(bytes).find("the safetensors header has 3 bytes, must be at most 2"),
            std::string::npos);
  bytes[7] = 0xff;
  EXPECT_NE(refusal(bytes).find("must be at most 2"), std::string::npos);
}

TEST(Safetensors, EndlessHeadersAreNotParsed) {
  const std::string header = "{" + std::string(std::size_t{1} << 24, ' ') + "}";
  expect_refusal(header, "16777218 bytes of JSON, must be at most 16777216");
}

TEST(Safetensors, AreRecognised) {
  const Bytes bytes = make_file("{}", 0);
  EXPECT_TRUE(looks_like_safetensors(bytes, bytes.size()));
  EXPECT_FALSE(looks_like_safetensors(bytes, bytes.size() - 1));
  EXPECT_FALSE(looks_like_safetensors(std::span(bytes).first(8), bytes.size()));
  EXPECT_FALSE(looks_like_safetensors(make_file("[]", 0), 10));
}

}  // namespace
}  // namespace mote::host
