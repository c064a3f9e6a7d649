// SPDX-License-Identifier: Apache-2.0
#include "convert/llama2c.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <string>
#include <vector>

#include "convert/checkpoint_shape.hpp"
#include "support/error.hpp"
#include "support/llama2c_writer.hpp"
#include "support/spec_image.hpp"

namespace mote::host {
namespace {

using test::Bytes;
using test::SyntheticModel;

/// The message with which the reader refuses `bytes`; empty where it takes them.
std::string refusal(const Bytes& bytes) {
  try {
    // Exactly as long as the file, so that a sanitizer sees a read past the end.
    const std::vector<std::uint8_t> exact(bytes.begin(), bytes.end());
    const Llama2cCheckpoint checkpoint(exact, "m.bin");
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

void expect_all_weights(const SyntheticModel& model, const Checkpoint& checkpoint) {
  for (int index = 0; index < 12; ++index) {
    const auto tensor = static_cast<TensorName>(index);
    if (tensor == TensorName::classifier && !model.has_classifier) continue;
    const TensorExtent extent = tensor_extent(checkpoint.shape(), tensor);
    std::vector<float> row(extent.columns);
    const std::uint32_t layers = belongs_to_layer(tensor) ? model.n_layers : 1;
    for (std::uint32_t layer = 0; layer < layers; ++layer) {
      for (std::uint32_t r = 0; r < extent.rows; ++r) {
        checkpoint.read_row(row, tensor, layer, r);
        for (std::uint64_t c = 0; c < extent.columns; ++c) {
          ASSERT_EQ(row[c], test::synthetic_weight(model, tensor, layer, r * extent.columns + c))
              << tensor_label(tensor, layer) << " " << r << " " << c;
        }
      }
    }
  }
}

std::vector<SyntheticModel> all_kinds() {
  std::vector<SyntheticModel> models;
  for (int version = 0; version <= 2; ++version) {
    for (const bool has_classifier : {false, true}) {
      SyntheticModel model;
      model.version = version;
      model.has_classifier = has_classifier;
      models.push_back(model);
    }
  }
  return models;
}

void set_i32(Bytes& bytes, std::size_t offset, std::int32_t value) {
  std::memcpy(bytes.data() + offset, &value, sizeof value);
}

std::size_t shape_offset(const SyntheticModel& model) {
  return model.version == 0 ? 0 : 8;
}

TEST(llama2c, every_weight_of_every_version_is_delivered) {
  for (const SyntheticModel& model : all_kinds()) {
    const Bytes bytes = write_llama2c(model);
    const Llama2cCheckpoint checkpoint(bytes, "m.bin");
    EXPECT_EQ(checkpoint.shape().has_classifier, model.has_classifier);
    EXPECT_EQ(checkpoint.shape().head_size, 4u);
    EXPECT_EQ(checkpoint.shape().context_length, 6u);
    expect_all_weights(model, checkpoint);
  }
}

TEST(llama2c, bytes_may_begin_anywhere) {
  for (const SyntheticModel& model : all_kinds()) {
    Bytes bytes = write_llama2c(model);
    bytes.insert(bytes.begin(), 0);
    const std::span<const std::uint8_t> odd(bytes.data() + 1, bytes.size() - 1);
    const Llama2cCheckpoint checkpoint(odd, "m.bin");
    expect_all_weights(model, checkpoint);
  }
}

TEST(llama2c, groups_may_span_rows) {
  SyntheticModel model;
  model.version = 2;
  model.dim = 8;
  model.hidden_dim = 10;
  model.group_size = 16;  // w_down has rows of 10
  const Bytes bytes = write_llama2c(model);
  expect_all_weights(model, Llama2cCheckpoint(bytes, "m.bin"));
}

TEST(llama2c, names_its_format) {
  SyntheticModel model;
  model.version = 2;
  const Bytes bytes = write_llama2c(model);
  EXPECT_EQ(Llama2cCheckpoint(bytes, "m.bin").format(), "llama2.c, version 2, int8 in groups of 4");
}

TEST(llama2c, every_truncation_is_refused) {
  for (const SyntheticModel& model : all_kinds()) {
    const Bytes whole = write_llama2c(model);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const Bytes part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      ASSERT_NE(refusal(part), "") << "version " << model.version << ", " << size << " bytes";
    }
  }
}

TEST(llama2c, a_byte_too_many_is_refused_with_both_numbers) {
  for (const SyntheticModel& model : all_kinds()) {
    Bytes bytes = write_llama2c(model);
    const std::string right = std::to_string(bytes.size());
    bytes.push_back(0);
    const std::string message = refusal(bytes);
    EXPECT_NE(message.find(right), std::string::npos) << message;
    EXPECT_NE(message.find(std::to_string(bytes.size())), std::string::npos) << message;
  }
}

TEST(llama2c, every_header_value_out_of_range_is_refused) {
  constexpr std::int32_t kBad[] = {0, -1, -8, 1 << 21, 0x7fffffff, -0x7fffffff - 1};
  for (const SyntheticModel& model : all_kinds()) {
    for (std::size_t field = 0; field < 7; ++field) {
      for (const std::int32_t value : kBad) {
        Bytes bytes = write_llama2c(model);
        set_i32(bytes, shape_offset(model) + 4 * field, value);
        EXPECT_NE(refusal(bytes), "") << "version " << model.version << " field " << field;
      }
    }
  }
}

TEST(llama2c, a_changed_bit_of_the_header_is_refused) {
  for (const SyntheticModel& model : all_kinds()) {
    const Bytes whole = write_llama2c(model);
    const std::size_t header_bytes = model.version == 0 ? 28 : 256;
    const std::size_t context_at = shape_offset(model) + 24;
    for (std::size_t bit = 0; bit < 8 * header_bytes; ++bit) {
      Bytes bytes = whole;
      bytes[bit / 8] ^= static_cast<std::uint8_t>(1U << bit % 8);
      // Versions 1 and 2 hold nothing that depends on the context length.
      const bool in_context = bit / 8 >= context_at && bit / 8 < context_at + 4;
      if (model.version != 0 && in_context) continue;
      EXPECT_NE(refusal(bytes), "") << "version " << model.version << " bit " << bit;
    }
  }
}

TEST(llama2c, shapes_that_do_not_divide_are_refused_by_name) {
  SyntheticModel model;
  Bytes bytes = write_llama2c(model);
  set_i32(bytes, 12, 3);
  EXPECT_NE(refusal(bytes).find("n_heads is 3, must divide dim, 8"), std::string::npos);
  set_i32(bytes, 12, 8);
  EXPECT_NE(refusal(bytes).find("head_size is 1"), std::string::npos);
  set_i32(bytes, 0, 18);
  set_i32(bytes, 12, 6);
  EXPECT_NE(refusal(bytes).find("head_size is 3, must be even"), std::string::npos);
  set_i32(bytes, 0, 8192);
  EXPECT_NE(refusal(bytes).find("dim is 8192, must be 1 to 4096"), std::string::npos);
}

TEST(llama2c, a_group_size_that_does_not_divide_is_refused) {
  SyntheticModel model;
  model.version = 2;
  for (const std::int32_t group_size : {0, -4, 3, 7, 1 << 20}) {
    Bytes bytes = write_llama2c(model);
    set_i32(bytes, 37, group_size);
    EXPECT_NE(refusal(bytes).find("group_size"), std::string::npos) << group_size;
  }
}

TEST(llama2c, the_largest_header_needs_no_memory) {
  SyntheticModel model;
  Bytes bytes = write_llama2c(model);
  const std::int32_t largest[] = {4096, 65536, 256, 16, 16, -(1 << 20), 65536};
  std::memcpy(bytes.data(), largest, sizeof largest);
  EXPECT_NE(refusal(bytes).find("its llama2.c header demands"), std::string::npos);
}

TEST(open_checkpoint, refuses_other_formats_by_name) {
  const std::pair<std::string, std::string> cases[] = {
      {"GGUF\x03", "the version needs 4 bytes"},
      {"PK\x03\x04zip", "zip"},
      {std::string("\x02\0\0\0\0\0\0\0{}", 10), "a safetensors file without its folder"},
      {"MOTE\r\n", "Mote image"},
      {"\x7f"
       "ELF",
       "the format is not known"},
      {"ab", "the format is not known"},
  };
  const std::string path = testing::TempDir() + "open_checkpoint_other.bin";
  for (const auto& [head, expected] : cases) {
    test::write_file(path, Bytes(head.begin(), head.end()));
    try {
      open_checkpoint(path);
      ADD_FAILURE() << expected;
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find(expected), std::string::npos) << error.what();
      const bool is_gguf = head.starts_with("GGUF");
      EXPECT_EQ(std::string(error.what()).find("supported: GGUF") == std::string::npos, is_gguf);
      EXPECT_EQ(std::string(error.what()).rfind(path, 0), 0u);
    }
  }
  std::filesystem::remove(path);
}

struct SharedModel {
  const char* file;
  CheckpointShape shape;
};

TEST(open_checkpoint, the_shared_models_have_their_documented_shapes) {
  const SharedModel models[] = {
      {"stories260K.bin", {64, 172, 5, 8, 4, 8, 512, 512}},
      {"babyllama-0.9M.bin", {128, 352, 5, 8, 4, 16, 105, 256}},
      {"stories3.3M-q80.bin", {192, 512, 6, 6, 2, 32, 4096, 512}},
  };
  for (const SharedModel& model : models) {
    const std::string path = std::string(MOTE_SHARED_DIR) + "/models/" + model.file;
    if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent";
    const auto checkpoint = open_checkpoint(path);
    const CheckpointShape& shape = checkpoint->shape();
    EXPECT_EQ(shape.dim, model.shape.dim);
    EXPECT_EQ(shape.hidden_dim, model.shape.hidden_dim);
    EXPECT_EQ(shape.n_layers, model.shape.n_layers);
    EXPECT_EQ(shape.n_heads, model.shape.n_heads);
    EXPECT_EQ(shape.n_kv_heads, model.shape.n_kv_heads);
    EXPECT_EQ(shape.head_size, model.shape.head_size);
    EXPECT_EQ(shape.vocab_size, model.shape.vocab_size);
    EXPECT_EQ(shape.context_length, model.shape.context_length);
    EXPECT_FALSE(shape.has_classifier);
    EXPECT_EQ(shape.norm_epsilon, 1e-5);
  }
}

}  // namespace
}  // namespace mote::host
