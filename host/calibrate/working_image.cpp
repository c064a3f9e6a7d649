// SPDX-License-Identifier: Apache-2.0
#include "calibrate/working_image.hpp"

#include <algorithm>
#include <vector>

#include "base/crc32.hpp"
#include "convert/image_writer.hpp"
#include "run/engine.hpp"
#include "support/little_endian.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kHeaderCrcOffset = 20;
constexpr std::size_t kLayersOffset = 8;  // in the config section
constexpr const char* kLabel = "the image for calibration";

struct Part {
  Section section;
  std::span<const std::uint8_t> bytes;
};

std::vector<Part> choose_parts(const Image& original, const RoundedMatrices& rounded,
                               std::uint32_t n_layers) {
  std::vector<Part> parts;
  for (std::uint32_t i = 0; i < original.section_count(); ++i) {
    Part part = {original.section(i), {}};
    Section& section = part.section;
    if (section.layer > n_layers) continue;
    part.bytes = original.section_bytes(section.kind, section.layer);
    const auto found = rounded.find({section.kind, section.layer});
    if (found != rounded.end()) {
      part.bytes = found->second.encoded.bytes;
      section.bytes = static_cast<std::uint32_t>(part.bytes.size());
      section.format = found->second.format;
      section.exponent = static_cast<std::int8_t>(found->second.encoded.exponent);
    }
    parts.push_back(part);
  }
  return parts;
}

}  // namespace

WorkingImage::WorkingImage(const Image& original, const RoundedMatrices& rounded,
                           std::uint32_t n_layers) {
  const std::vector<Part> parts = choose_parts(original, rounded, n_layers);
  std::vector<Section> sections;
  for (const Part& part : parts) sections.push_back(part.section);
  const std::uint64_t bytes = layout_sections(sections, kLabel);
  memory_.reset(
      static_cast<std::uint8_t*>(::operator new[](bytes, std::align_val_t{kSectionAlignment})));
  std::fill_n(memory_.get(), bytes, std::uint8_t{0});
  for (std::size_t i = 0; i < parts.size(); ++i) {
    std::uint8_t* place = memory_.get() + sections[i].offset;
    std::copy(parts[i].bytes.begin(), parts[i].bytes.end(), place);
    if (sections[i].kind == SectionKind::config) store_u32(place + kLayersOffset, n_layers);
  }
  const std::vector<std::uint8_t> header = encode_header(sections, bytes);
  std::copy(header.begin(), header.end(), memory_.get());
  store_u32(memory_.get() + kHeaderCrcOffset, crc32(header));
  check(image_.open({memory_.get(), bytes}, Verify::structure), kLabel);
}

WorkingModel::WorkingModel(const Image& image, std::uint32_t context_length, std::uint32_t batch) {
  RunConfig run;
  run.context_length = context_length;
  run.batch = batch;
  run.candidates = 1;
  const std::size_t bytes = Transformer::arena_bytes(image, run);
  arena_ = std::make_unique<std::max_align_t[]>((bytes + sizeof(std::max_align_t) - 1) /
                                                sizeof(std::max_align_t));
  check(transformer_.init(image, run, {reinterpret_cast<std::byte*>(arena_.get()), bytes}), kLabel);
}

}  // namespace mote::host
