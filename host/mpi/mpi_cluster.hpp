// SPDX-License-Identifier: Apache-2.0
// A model over the processes of an MPI program: the phases of Mote, the all-gathers of MPI.
#pragma once

#include <mpi.h>

#include <cstdint>
#include <span>
#include <vector>

#include "cluster/chip.hpp"
#include "mote/partition.hpp"
#include "mote/sampler.hpp"
#include "mote/share.hpp"
#include "mote/transformer.hpp"

namespace mote::host {

struct MpiOptions {
  HeadPolicy policy = HeadPolicy::contiguous;
  std::vector<std::uint8_t> weights;  // of each process; empty: all equal
  RunConfig run;
};

/// What a process did since the beginning.
struct MpiCounters {
  double compute_seconds = 0;
  double gather_seconds = 0;  // in MPI: the wire, and waiting for the slowest
  std::uint64_t gathers = 0;
  std::uint64_t payload_bytes = 0;  // sent
};

/// One process's part. Every process of `communicator` has one and makes the same calls with the
/// same arguments; each draws the same tokens.
class MpiCluster {
 public:
  /// `image` is the whole model or this rank's shard, and outlives this. Throws `Error`, on every
  /// process, where one of them cannot take its part or holds another model.
  MpiCluster(MPI_Comm communicator, const Image& image, const MpiOptions& options);

  /// Begins a text. Throws `Error` where it does not fit the context.
  void start(std::span<const std::uint32_t> text, const SamplerConfig& sampler);
  /// Draws the next token; false where the context is full.
  bool next_token();
  std::span<const std::uint32_t> text() const { return text_; }
  /// What the last token was drawn from, best first.
  std::span<const Candidate> candidates() const { return candidates_; }
  const MpiCounters& counters() const { return counters_; }

 private:
  void agree(Status status, const char* what) const;
  void check_model() const;
  void pass(std::span<const std::uint32_t> tokens, bool with_logits);
  void gather(const Step& step);
  void gather_candidates(Step step);
  Share share(const Step& step, std::uint32_t rank);

  MPI_Comm communicator_;
  std::uint32_t rank_ = 0;
  std::uint32_t size_ = 1;
  const Image& image_;
  RunConfig run_;
  std::vector<Range> hidden_table_;
  Partition partition_;
  std::vector<Slice> slices_;
  ArenaMemory memory_;
  Transformer transformer_;
  Sampler sampler_;
  SharedMemory shared_;
  std::vector<Candidate> gathered_;  // (ranks, k)
  std::vector<Candidate> merged_;    // (k)
  std::span<const Candidate> candidates_;
  std::vector<std::uint32_t> text_;
  std::vector<std::uint8_t> send_;
  std::vector<std::uint8_t> receive_;
  std::vector<int> counts_;   // (ranks) bytes
  std::vector<int> offsets_;  // (ranks)
  MpiCounters counters_;
};

}  // namespace mote::host
