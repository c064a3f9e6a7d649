// SPDX-License-Identifier: Apache-2.0
#include "cluster/remote_setup.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kShownHashBytes = 8;

/// The bytes that an error message carries of a hash.
std::string sent_hash(std::uint64_t bytes) {
  std::array<std::uint8_t, kShownHashBytes> hash;
  std::memcpy(hash.data(), &bytes, hash.size());
  return short_hash(hash);
}

std::string rank_of(const Hello& hello) {
  if (hello.chips == 0) return "the whole model";
  return fmt::format("rank {} of {}", hello.rank, hello.chips);
}

/// The driver's own part as a chip, so that all are counted alike; of 0 chips where it is whole.
PresentChip own_part(const Image& driver) {
  PresentChip own{"the driver", {}};
  if (driver.is_shard()) {
    own.hello.rank = static_cast<std::uint8_t>(driver.shard().rank);
    own.hello.chips = static_cast<std::uint8_t>(driver.shard().chips);
  }
  return own;
}

/// The ranks of a cut over `chips` that nobody holds.
std::vector<std::uint32_t> missing_ranks(std::uint32_t chips,
                                         const std::vector<PresentChip>& holders) {
  std::vector<std::uint32_t> missing;
  for (std::uint32_t rank = 0; rank < chips; ++rank) {
    const auto holds = [&](const PresentChip& chip) {
      return chip.hello.chips == chips && chip.hello.rank == rank;
    };
    if (std::ranges::none_of(holders, holds)) missing.push_back(rank);
  }
  return missing;
}

void check_ranks(const Image& driver, const std::vector<PresentChip>& chips) {
  std::vector<PresentChip> holders;
  if (driver.is_shard()) holders.push_back(own_part(driver));
  holders.insert(holders.end(), chips.begin(), chips.end());
  std::uint32_t cut = driver.is_shard() ? driver.shard().chips : 0;
  std::size_t whole = 0;
  std::vector<std::string> list;
  for (const PresentChip& chip : holders) {
    if (!driver.is_shard()) cut = std::max<std::uint32_t>(cut, chip.hello.chips);
    whole += chip.hello.chips == 0 ? 1 : 0;
    list.push_back(fmt::format("{} has {}", chip.name, rank_of(chip.hello)));
  }
  const auto missing = missing_ranks(cut, holders);
  if (missing.size() <= whole) return;
  throw Error(fmt::format("nobody holds rank {} of {}: {}", fmt::join(missing, ", "), cut,
                          fmt::join(list, ", ")));
}

}  // namespace

std::string short_hash(std::span<const std::uint8_t> hash) {
  return fmt::format("{:02x}", fmt::join(hash.first(kShownHashBytes), ""));
}

bool is_refusal(Status status) {
  return status != Status::ok && status != Status::chip_silent &&
         status != Status::chip_restarted && status != Status::cluster_stalled &&
         status != Status::image_damaged;
}

std::string describe_error(const std::string& name, const ErrorMessage& error) {
  switch (error.status) {
    case Status::wrong_model:
      return fmt::format("{} holds model {}, the driver {}", name, sent_hash(error.found),
                         sent_hash(error.expected));
    case Status::message_bad_version:
      return fmt::format("{} speaks version {} of the protocol, the driver {}", name, error.found,
                         error.expected);
    case Status::wrong_shard:
      return fmt::format(
          "{} holds another part than the driver's cut gives it; a driver with the shard of rank 0 "
          "knows the cut",
          name);
    case Status::arena_too_small:
      return fmt::format("{} has too little memory for this context and batch", name);
    case Status::cluster_stalled:
      return fmt::format("{} does not go on with the answer", name);
    case Status::chip_silent:
      return fmt::format("{} has fallen silent", name);
    case Status::chip_restarted:
      return fmt::format("{} has started anew", name);
    default:
      return fmt::format("{}: {}", name, status_text(error.status));
  }
}

void check_setup(const Image& driver, const std::vector<PresentChip>& chips) {
  for (const PresentChip& chip : chips) {
    if (std::ranges::equal(chip.hello.model, driver.model_hash())) continue;
    throw Error(fmt::format("{} holds model {}, the driver {}", chip.name,
                            short_hash(chip.hello.model), short_hash(driver.model_hash())));
  }
  check_ranks(driver, chips);
}

}  // namespace mote::host
