// SPDX-License-Identifier: Apache-2.0
#include "mpi/mpi_cluster.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>

#include "support/error.hpp"

namespace mote::host {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::uint32_t rank_in(MPI_Comm communicator) {
  int rank = 0;
  MPI_Comm_rank(communicator, &rank);
  return static_cast<std::uint32_t>(rank);
}

std::uint32_t size_of(MPI_Comm communicator) {
  int size = 1;
  MPI_Comm_size(communicator, &size);
  return static_cast<std::uint32_t>(size);
}

std::vector<std::uint8_t> weights_or_equal(const std::vector<std::uint8_t>& weights,
                                           std::uint32_t size) {
  return weights.empty() ? std::vector<std::uint8_t>(size, 1) : weights;
}

std::uint32_t share_bytes(const Share& share) {
  std::size_t bytes = 0;
  for (std::uint32_t item = 0; item < share.item_count(); ++item) bytes += share.item_bytes(item);
  return static_cast<std::uint32_t>(bytes);
}

}  // namespace

/// One process that cannot go on stops all, each with the same words.
void MpiCluster::agree(Status status, const char* what) const {
  const int own = static_cast<int>(status);
  std::vector<int> all(size_);
  MPI_Allgather(&own, 1, MPI_INT, all.data(), 1, MPI_INT, communicator_);
  const auto failed = std::ranges::find_if(all, [](int one) { return one != 0; });
  if (failed == all.end()) return;
  throw Error(fmt::format("process {} of {}: {}: {}", failed - all.begin(), size_, what,
                          status_text(static_cast<Status>(*failed))));
}

void MpiCluster::check_model() const {
  std::array<std::uint8_t, 32> first{};
  std::ranges::copy(image_.model_hash(), first.begin());
  MPI_Bcast(first.data(), static_cast<int>(first.size()), MPI_BYTE, 0, communicator_);
  const bool is_same = std::ranges::equal(first, image_.model_hash());
  agree(is_same ? Status::ok : Status::wrong_model, "its model and that of process 0");
}

MpiCluster::MpiCluster(MPI_Comm communicator, const Image& image, const MpiOptions& options)
    : communicator_(communicator),
      rank_(rank_in(communicator)),
      size_(size_of(communicator)),
      image_(image),
      run_(options.run),
      memory_(0),
      counts_(size_),
      offsets_(size_) {
  check_model();
  const auto weights = weights_or_equal(options.weights, size_);
  if (weights.size() != size_) {
    throw Error(fmt::format("{} weights are given for {} processes", weights.size(), size_));
  }
  const bool can_cut = size_ <= kMaxChips;
  hidden_table_.resize(can_cut ? Partition::table_count(image.config(), size_) : 0);
  agree(can_cut ? partition_.init(image.config(), options.policy, weights, hidden_table_)
                : Status::bad_partition,
        "the cut");
  for (std::uint32_t rank = 0; rank < size_; ++rank) slices_.push_back(partition_.slice(rank));
  memory_ = ArenaMemory(Transformer::arena_bytes(image, run_, slices_[rank_]));
  agree(transformer_.init(image, run_, memory_.span(), slices_[rank_]), "its part of the model");
  gathered_.resize(std::size_t{size_} * run_.candidates);
  merged_.resize(run_.candidates);
  shared_.candidates = gathered_;
  shared_.k = run_.candidates;
}

Share MpiCluster::share(const Step& step, std::uint32_t rank) {
  return {transformer_, shared_, step, slices_[rank], rank, false};
}

/// The one collective: every process gives its items and gets those of all others.
void MpiCluster::gather(const Step& step) {
  int total = 0;
  for (std::uint32_t rank = 0; rank < size_; ++rank) {
    counts_[rank] = static_cast<int>(share_bytes(share(step, rank)));
    offsets_[rank] = total;
    total += counts_[rank];
  }
  const auto own_bytes = static_cast<std::size_t>(counts_[rank_]);
  send_.resize(std::max<std::size_t>(own_bytes, 1));
  receive_.resize(static_cast<std::size_t>(std::max(total, 1)));
  std::uint32_t next = 0;
  const Share own = share(step, rank_);
  own.write(std::span(send_).first(own_bytes), 0, own.item_count(), next);
  const auto begin = Clock::now();
  MPI_Allgatherv(send_.data(), counts_[rank_], MPI_BYTE, receive_.data(), counts_.data(),
                 offsets_.data(), MPI_BYTE, communicator_);
  counters_.gather_seconds += seconds_since(begin);
  counters_.payload_bytes += own_bytes;
  ++counters_.gathers;
  for (std::uint32_t rank = 0; rank < size_; ++rank) {
    if (rank == rank_) continue;
    const auto part = std::span(receive_).subspan(static_cast<std::size_t>(offsets_[rank]),
                                                  static_cast<std::size_t>(counts_[rank]));
    if (!share(step, rank).read(part, 0, next)) throw Error("a share has another size than agreed");
  }
}

void MpiCluster::gather_candidates(Step step) {
  step.phase = {Exchange::candidates, 0};
  const auto own = transformer_.candidates(sampler_);
  std::ranges::copy(
      own, gathered_.begin() + static_cast<std::ptrdiff_t>(std::size_t{rank_} * run_.candidates));
  gather(step);
  CandidateList best(merged_);
  for (std::uint32_t rank = 0; rank < size_; ++rank) {
    const std::uint32_t count = share(step, rank).item_count();
    for (std::uint32_t i = 0; i < count; ++i) {
      best.offer(gathered_[std::size_t{rank} * run_.candidates + i]);
    }
  }
  candidates_ = best.sort();
}

void MpiCluster::pass(std::span<const std::uint32_t> tokens, bool with_logits) {
  Step step;
  step.position = transformer_.position();
  step.count = static_cast<std::uint32_t>(tokens.size());
  step.tokens = tokens;
  transformer_.begin(tokens, with_logits);
  while (transformer_.phase().exchange != Exchange::candidates) {
    step.phase = transformer_.phase();
    const auto begin = Clock::now();
    transformer_.compute();
    counters_.compute_seconds += seconds_since(begin);
    gather(step);
    const auto whole = Clock::now();
    transformer_.advance();
    counters_.compute_seconds += seconds_since(whole);
  }
  if (with_logits) gather_candidates(step);
}

void MpiCluster::start(std::span<const std::uint32_t> text, const SamplerConfig& sampler) {
  if (text.empty() || text.size() > run_.context_length) {
    throw Error(fmt::format("the text has {} tokens, the context 1 to {}", text.size(),
                            run_.context_length));
  }
  if (sampler_.configure(sampler) != Status::ok) throw Error("a sampler setting is out of range");
  transformer_.reset();
  text_.assign(text.begin(), text.end());
  // The first token of the answer needs the pass over the last of these.
  for (const std::uint32_t token : text_) {
    if (token >= image_.config().vocab_size) throw Error("a token is not in the vocabulary");
    sampler_.accept(token);
  }
}

bool MpiCluster::next_token() {
  if (text_.size() > run_.context_length) return false;
  while (transformer_.position() < text_.size()) {
    const std::size_t left = text_.size() - transformer_.position();
    const std::size_t count = std::min<std::size_t>(left, run_.batch);
    pass(std::span(text_).subspan(transformer_.position(), count), count == left);
  }
  const std::uint32_t token = sampler_.sample(candidates_);
  sampler_.accept(token);
  text_.push_back(token);
  return true;
}

}  // namespace mote::host
