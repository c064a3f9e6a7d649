// SPDX-License-Identifier: Apache-2.0
#include "firmware/model.hpp"

#include <algorithm>
#include <array>

#include "base/bytes.hpp"
#include "firmware/board.hpp"

namespace mote::firmware {
namespace {

constexpr std::size_t kFileBytesOffset = 12;

/// The image at the front of `region` by its own length. What is no image is left as it is, and
/// refused when it is opened.
std::span<const std::uint8_t> cut_image(std::span<const std::uint8_t> region) {
  if (region.size() < kImageHeaderBytes) return region;
  if (!std::equal(kImageMagic.begin(), kImageMagic.end(), region.begin())) return region;
  const auto bytes = load<std::uint32_t>(region, kFileBytesOffset);
  return region.first(std::min<std::size_t>(bytes, region.size()));
}

bool has_format(const Image& image, WeightFormat format) {
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    if (image.section(i).format == format) return true;
  }
  return false;
}

std::string_view format_name(const Image& image) {
  const bool has_int4 = has_format(image, WeightFormat::int4);
  if (has_format(image, WeightFormat::int8_pairs)) {
    return has_int4 ? "int8_pairs+int4" : "int8_pairs";
  }
  if (!has_int4) return "int8";
  return has_format(image, WeightFormat::int8) ? "int8+int4" : "int4";
}

struct ShapeField {
  const char* name;
  std::uint32_t ModelConfig::*member;
};
constexpr std::array<ShapeField, 9> kShape = {{
    {"dim", &ModelConfig::dim},
    {"hidden_dim", &ModelConfig::hidden_dim},
    {"layers", &ModelConfig::n_layers},
    {"heads", &ModelConfig::n_heads},
    {"kv_heads", &ModelConfig::n_kv_heads},
    {"head_size", &ModelConfig::head_size},
    {"vocabulary", &ModelConfig::vocab_size},
    {"context_length", &ModelConfig::context_length},
    {"block", &ModelConfig::block},
}};

}  // namespace

void Model::open(std::span<const std::uint8_t> region) {
  status = image.open(cut_image(region));
  if (status != Status::ok) return;
  tokenizer_status = tokenizer.open(image.section_bytes(SectionKind::tokenizer));
  const bool fits = tokenizer.vocab_size() == image.config().vocab_size;
  if (tokenizer_status == Status::ok && !fits) tokenizer_status = Status::image_bad_tokenizer;
}

void report_model(Report& report, const Model& model) {
  report.text("status", status_text(model.status));
  if (model.status != Status::ok) return;
  const Image& image = model.image;
  const ModelConfig& config = image.config();
  report.hex("model", image.model_hash());
  report.hex("image", image.content_hash());
  report.number("image_bytes", image.bytes().size());
  report.text("format", format_name(image));
  for (const auto& [name, member] : kShape) report.number(name, config.*member);
  report.number("rank", image.shard().rank);
  report.number("chips", image.shard().chips);
}

std::size_t used_stack_bytes() {
  const auto stack = board::stack();
  const auto used =
      std::ranges::find_if(stack, [](std::byte byte) { return byte != board::kStackPaint; });
  return static_cast<std::size_t>(stack.end() - used);
}

}  // namespace mote::firmware
