// SPDX-License-Identifier: Apache-2.0
#include "calibrate/divergence.hpp"

#include <algorithm>
#include <thread>

#include "calibrate/float_kernels.hpp"
#include "calibrate/portable_log.hpp"

namespace mote::host {
namespace {

/// Passages are dealt to so many sums, whatever the computer, and these are added up in order.
constexpr std::size_t kSlots = 4;

/// Makes probabilities of logits, in place, and returns the logarithm of their former sum.
double softmax(std::span<float> logits) {
  const FloatKernels& kernels = float_kernels();
  const float largest = kernels.largest(logits.data(), logits.size());
  kernels.exponentials(logits.data(), largest, logits.size());
  double sum = 0;
  for (const float part : logits) sum += static_cast<double>(part);
  const auto factor = static_cast<float>(1 / sum);
  for (float& logit : logits) logit *= factor;
  return portable_log(sum) + static_cast<double>(largest);
}

/// The divergence at one position. Logits become probabilities, `difference` the divergence's
/// gradient by the logits of `found`. // all (vocab_size)
double compare(std::span<float> difference, std::span<float> wanted, std::span<float> found) {
  for (std::size_t i = 0; i < wanted.size(); ++i) difference[i] = wanted[i] - found[i];
  const double shift = softmax(found) - softmax(wanted);
  double sum = 0;
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    sum += static_cast<double>(wanted[i]) * static_cast<double>(difference[i]);
    difference[i] = found[i] - wanted[i];
  }
  return sum + shift;
}

}  // namespace

/// What one thread works with.
struct DivergenceMeter::Slot {
  FloatTrace trace;
  std::vector<float> wanted;       // logits of the exact model, of one passage
  std::vector<float> differences;  // the same shape
  std::vector<FloatMatrix> gradient;
  double sum = 0;
};

/// Calls visit(slot, i) for each i below `count`, in one thread a slot.
template <typename Visit>
void DivergenceMeter::deal(std::size_t count, const Visit& visit) {
  std::vector<std::thread> threads;
  for (std::size_t s = 0; s < kSlots; ++s) {
    threads.emplace_back([this, s, count, &visit] {
      for (std::size_t i = s; i < count; i += kSlots) visit(slots_[s], i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

DivergenceMeter::DivergenceMeter(const FloatModel& exact, const CalibrationText& text)
    : exact_(exact), text_(text), exact_lanes_(text.passages.size()), slots_(kSlots) {
  deal(text.passages.size(), [&](Slot& slot, std::size_t passage) {
    exact.forward(slot.trace, text.passages[passage]);
    exact_lanes_[passage] = slot.trace.final_lanes;
  });
}

DivergenceMeter::~DivergenceMeter() = default;

std::size_t DivergenceMeter::count_tokens(std::span<const std::size_t> passages) const {
  std::size_t tokens = 0;
  for (const std::size_t passage : passages) tokens += text_.passages[passage].size();
  return tokens;
}

double DivergenceMeter::mean(std::span<const std::size_t> passages) const {
  double sum = 0;
  for (const Slot& slot : slots_) sum += slot.sum;
  return sum / static_cast<double>(count_tokens(passages));
}

/// Without a gradient where `weight` is 0.
void DivergenceMeter::read_passage(Slot& slot, const FloatModel& model, std::size_t passage,
                                   float weight) const {
  exact_.classify(slot.wanted, exact_lanes_[passage]);
  model.forward(slot.trace, text_.passages[passage]);
  const std::size_t vocabulary = slot.wanted.size() / text_.passages[passage].size();
  slot.differences.resize(slot.wanted.size());
  for (std::size_t at = 0; at < slot.wanted.size(); at += vocabulary) {
    slot.sum += compare(std::span(slot.differences).subspan(at, vocabulary),
                        std::span(slot.wanted).subspan(at, vocabulary),
                        std::span(slot.trace.logits).subspan(at, vocabulary));
  }
  if (weight == 0) return;
  for (float& difference : slot.differences) difference *= weight;
  model.backward(slot.gradient, slot.trace, slot.differences);
}

void DivergenceMeter::read_passages(const FloatModel& model, std::span<const std::size_t> passages,
                                    float weight) {
  for (Slot& slot : slots_) slot.sum = 0;
  deal(passages.size(),
       [&](Slot& slot, std::size_t i) { read_passage(slot, model, passages[i], weight); });
}

double DivergenceMeter::measure(const FloatModel& model, std::span<const std::size_t> passages) {
  read_passages(model, passages, 0);
  return mean(passages);
}

double DivergenceMeter::measure(std::vector<FloatMatrix>& gradient, const FloatModel& model,
                                std::span<const std::size_t> passages) {
  for (Slot& slot : slots_) {
    if (slot.gradient.empty()) slot.gradient = model.make_gradients();
    for (FloatMatrix& part : slot.gradient) std::fill(part.cells.begin(), part.cells.end(), 0.0F);
  }
  read_passages(model, passages, 1.0F / static_cast<float>(count_tokens(passages)));
  gradient = slots_[0].gradient;
  for (std::size_t s = 1; s < kSlots; ++s) {
    for (std::size_t m = 0; m < gradient.size(); ++m) {
      for (std::size_t i = 0; i < gradient[m].cells.size(); ++i) {
        gradient[m].cells[i] += slots_[s].gradient[m].cells[i];
      }
    }
  }
  return mean(passages);
}

}  // namespace mote::host
