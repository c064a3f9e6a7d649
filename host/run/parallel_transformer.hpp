// SPDX-License-Identifier: Apache-2.0
// A transformer whose rows are divided over threads of this computer, as over chips.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "mote/image.hpp"
#include "mote/partition.hpp"
#include "mote/transformer.hpp"
#include "run/thread_team.hpp"

namespace mote::host {

/// What a caller on one chip needs of a Transformer, and the same bits with any number of threads:
/// each is a chip of the partition, and after every phase takes the others' blocks from their
/// memory. One thread is a Transformer of the whole model.
class ParallelTransformer {
 public:
  /// `image` is open, whole and outlives this; 1 to kMaxChips threads. Throws `Error` "<what>:
  /// <status>" where the run does not fit the model.
  ParallelTransformer(const Image& image, const RunConfig& run, std::uint32_t threads,
                      const std::string& what);

  /// As those of Transformer.
  Status decode(std::span<const std::uint32_t> tokens);
  std::span<const Candidate> candidates(Sampler& sampler);
  void logits(std::span<std::int32_t> out);
  void reset();
  Status rewind(std::uint32_t position);
  std::uint32_t position() const { return chip(0).position(); }
  std::uint32_t position_limit() const { return chip(0).position_limit(); }
  const ModelConfig& config() const { return chip(0).config(); }
  const RunConfig& run_config() const { return chip(0).run_config(); }

  std::uint32_t threads() const { return team_.size(); }
  /// The threads, for what else they are to do between calls.
  ThreadTeam& team() { return team_; }
  /// Of all threads' arenas.
  std::size_t arena_bytes() const { return arena_bytes_; }

 private:
  struct Chip {
    std::unique_ptr<std::max_align_t[]> arena;
    Transformer transformer;
    std::vector<Candidate> best;
  };

  Transformer& chip(std::uint32_t rank) { return chips_[rank].transformer; }
  const Transformer& chip(std::uint32_t rank) const { return chips_[rank].transformer; }
  void init_chip(const Image& image, const RunConfig& run, std::uint32_t rank,
                 const std::string& what);
  bool is_decodable(std::span<const std::uint32_t> tokens) const;
  void run_passes(std::uint32_t rank, std::span<const std::uint32_t> tokens);
  void gather(std::uint32_t rank, std::span<const std::uint32_t> tokens);

  std::vector<Range> table_;
  Partition partition_;
  std::vector<Chip> chips_;
  std::size_t arena_bytes_ = 0;
  std::vector<Candidate> merged_;
  ThreadTeam team_;
};

}  // namespace mote::host
