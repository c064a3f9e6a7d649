// SPDX-License-Identifier: Apache-2.0
#include "simulate/simulated_chip.hpp"

#include <algorithm>

#include "mote/partition.hpp"

namespace mote::host {

ImageMemory::ImageMemory(std::span<const std::uint8_t> bytes)
    : memory_(static_cast<std::uint8_t*>(
          ::operator new[](bytes.size(), std::align_val_t{kSectionAlignment}))),
      size_(bytes.size()) {
  std::ranges::copy(bytes, memory_.get());
}

SimulatedChip::SimulatedChip(const ChipSpec& spec, const NodeConfig& config,
                             const CoordinatorConfig& coordinator, const RunConfig& run)
    : spec_(spec), config_(config), coordinator_(coordinator), run_(run), memory_(spec.image) {}

void SimulatedChip::power_on(std::uint64_t now_us) {
  ++config_.boot;
  const Verify verify = is_damaged_ ? Verify::full : Verify::structure;
  if (image_.open(memory_.span(), verify) != Status::ok) return;
  chip_ = std::make_unique<Chip>(image_, config_, coordinator_, run_, now_us);
}

void SimulatedChip::power_off() {
  chip_.reset();
  inbox.clear();
  const std::uint32_t number = work.number;
  work = {};
  work.number = number + 1;
}

/// Headers, tables and what describes the layers: where a kernel would read beside the image.
bool SimulatedChip::is_structure(std::uint64_t byte) const {
  if (byte < kImageHeaderBytes + std::uint64_t{image_.section_count()} * kSectionEntryBytes) {
    return true;
  }
  for (std::uint32_t i = 0; i < image_.section_count(); ++i) {
    const Section section = image_.section(i);
    if (byte < section.offset || byte >= std::uint64_t{section.offset} + section.bytes) continue;
    return section.kind == SectionKind::config || section.kind == SectionKind::shard ||
           section.kind == SectionKind::attention;
  }
  return false;
}

bool SimulatedChip::flip_image_bit(std::uint64_t bit) {
  const std::uint64_t byte = bit / 8 % memory_.span().size();
  const bool stops = image_.section_count() != 0 && is_structure(byte);
  std::uint8_t& flipped = memory_.span()[byte];
  flipped = static_cast<std::uint8_t>(flipped ^ 1U << bit % 8);
  is_damaged_ = true;
  return !stops;
}

void SimulatedChip::renew_image() {
  std::ranges::copy(spec_.image, memory_.span().begin());
  is_damaged_ = false;
}

std::uint64_t SimulatedChip::next_macs(const Slice& slice) const {
  const TensorParallelNode& node = chip_->node();
  const Phase phase = node.next_work();
  const Transformer& model = node.transformer();
  if (phase.exchange == Exchange::embed) return 0;
  const auto macs = [&](std::uint32_t position) {
    return phase_macs(image_.config(), slice, phase, position);
  };
  if (phase.exchange == Exchange::candidates) return macs(0);
  const std::uint32_t begin = model.position();
  const std::uint32_t end = std::min<std::uint32_t>(begin + model.run_config().batch,
                                                    static_cast<std::uint32_t>(node.text().size()));
  std::uint64_t sum = 0;
  for (std::uint32_t position = begin; position < end; ++position) sum += macs(position);
  return sum;
}

}  // namespace mote::host
