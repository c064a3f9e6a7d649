// SPDX-License-Identifier: Apache-2.0
// The best candidates of a stream: a heap whose front is the worst that is kept.
#include <algorithm>

#include "base/assert.hpp"
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

std::span<Candidate> CandidateList::sort() {
  const auto begin = memory_.begin();
  if (!sorted_) std::sort_heap(begin, begin + static_cast<std::ptrdiff_t>(count_));
  sorted_ = true;
  return memory_.first(count_);
}

}  // namespace mote
