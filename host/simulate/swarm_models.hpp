// SPDX-License-Identifier: Apache-2.0
// The smallest models of every kind, whole and cut, for swarms of simulated runs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <tuple>
#include <vector>

#include "mote/image.hpp"
#include "simulate/simulated_chip.hpp"

namespace mote::host {

class SwarmModels {
 public:
  SwarmModels();

  std::uint32_t count() const { return static_cast<std::uint32_t>(models_.size()); }
  const Image& image(std::uint32_t model) const { return models_[model]->image; }
  /// The image of one rank of a cut over equal chips. It stays until this ends.
  std::span<const std::uint8_t> shard(std::uint32_t model, HeadPolicy policy, std::uint32_t chips,
                                      std::uint32_t rank);

 private:
  struct Model {
    explicit Model(std::span<const std::uint8_t> bytes);
    ImageMemory memory;
    Image image;
  };
  using Key = std::tuple<std::uint32_t, HeadPolicy, std::uint32_t, std::uint32_t>;

  std::vector<std::unique_ptr<Model>> models_;
  std::map<Key, std::vector<std::uint8_t>> shards_;
};

}  // namespace mote::host
