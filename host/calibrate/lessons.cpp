// SPDX-License-Identifier: Apache-2.0
#include "calibrate/lessons.hpp"

#include <utility>

namespace mote::host {
namespace {

/// One passage in so many is held out.
constexpr std::size_t kHeldOutPeriod = 8;
constexpr std::uint64_t kSeed = 8;

}  // namespace

Lessons::Lessons(const CalibrationText& text, std::size_t given) : text_(text), random_(kSeed) {
  for (std::size_t i = 0; i < given; ++i) {
    const bool is_held_out = i % kHeldOutPeriod == kHeldOutPeriod - 1;
    (is_held_out ? held_out_ : given_.passages).push_back(i);
  }
  for (std::size_t i = given; i < text.passages.size(); ++i) written_.passages.push_back(i);
  if (held_out_.empty()) held_out_ = given_.passages;
}

std::size_t Lessons::draw(Pile& pile) {
  if (pile.read == 0) {
    for (std::size_t i = pile.passages.size(); i > 1; --i) {
      std::swap(pile.passages[i - 1], pile.passages[random_.next() % i]);
    }
  }
  const std::size_t passage = pile.passages[pile.read];
  pile.read = (pile.read + 1) % pile.passages.size();
  return passage;
}

std::vector<std::size_t> Lessons::next() {
  std::vector<std::size_t> passages;
  const std::size_t all = given_.passages.size() + written_.passages.size();
  for (std::size_t tokens = 0; tokens < kStepTokens && passages.size() < all;) {
    const bool is_written = is_written_turn_ && !written_.passages.empty();
    passages.push_back(draw(is_written ? written_ : given_));
    tokens += text_.passages[passages.back()].size();
    is_written_turn_ = !is_written_turn_;
  }
  return passages;
}

}  // namespace mote::host
