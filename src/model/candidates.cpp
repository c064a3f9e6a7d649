// SPDX-License-Identifier: Apache-2.0
// The best candidates of a stream: a heap whose front is the worst that is kept.
#include <algorithm>

#include "base/assert.hpp"
#include "kernels/search.hpp"
#include "mote/sampler.hpp"

namespace mote {

void CandidateList::clear() {
  count_ = 0;
  sorted_ = false;
}

// In the place of the worst where all are taken.
void CandidateList::insert(Candidate candidate) {
  MOTE_ASSERT(!sorted_);
  const auto begin = memory_.begin();
  if (count_ == memory_.size()) {
    std::pop_heap(begin, memory_.end());
    --count_;
  }
  memory_[count_] = candidate;
  ++count_;
  std::push_heap(begin, begin + static_cast<std::ptrdiff_t>(count_));
}

void CandidateList::offer(std::uint32_t first, std::span<const std::int32_t> logits) {
  std::size_t i = 0;
  for (; i < logits.size() && count_ < memory_.size(); ++i) {
    insert({logits[i], first + static_cast<std::uint32_t>(i)});
  }
  if (count_ == 0) return;
  // Of equal logits those of lower tokens, which came before, are better.
  while ((i = find_above(logits.data(), i, logits.size(), memory_[0].logit)) < logits.size()) {
    insert({logits[i], first + static_cast<std::uint32_t>(i)});
    ++i;
  }
}

std::span<Candidate> CandidateList::sort() {
  const auto begin = memory_.begin();
  if (!sorted_) std::sort_heap(begin, begin + static_cast<std::ptrdiff_t>(count_));
  sorted_ = true;
  return memory_.first(count_);
}

}  // namespace mote
