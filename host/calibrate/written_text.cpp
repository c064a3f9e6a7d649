// SPDX-License-Identifier: Apache-2.0
#include "calibrate/written_text.hpp"

#include <algorithm>
#include <vector>

#include "calibrate/working_image.hpp"
#include "mote/sampler.hpp"
#include "run/engine.hpp"

namespace mote::host {
namespace {

/// Tokens to choose from; what is less likely than so many others is left out.
constexpr std::uint32_t kMostCandidates = 1024;
constexpr std::uint64_t kSeed = 260;
constexpr const char* kLabel = "writing text for calibration";

class Writer {
 public:
  Writer(const Image& image, const Tokenizer& tokenizer, std::size_t longest)
      : model_(image, static_cast<std::uint32_t>(longest), 1),
        tokenizer_(tokenizer),
        logits_(image.config().vocab_size),
        memory_(std::min(image.config().vocab_size, kMostCandidates)),
        candidates_(memory_) {
    SamplerConfig config;
    config.temperature_q16 = kOneQ16;
    config.top_k = static_cast<std::uint32_t>(memory_.size());
    config.seed = kSeed;
    check(sampler_.configure(config), kLabel);
  }

  std::vector<std::uint32_t> write(std::uint32_t first, std::size_t length) {
    std::vector<std::uint32_t> passage = {first};
    model_.transformer().reset();
    while (passage.size() < length) {
      const std::uint32_t token = draw_after(passage.back());
      if (tokenizer_.is_end(token) || token == tokenizer_.bos()) break;
      passage.push_back(token);
    }
    return passage;
  }

 private:
  std::uint32_t draw_after(std::uint32_t token) {
    check(model_.transformer().decode({&token, 1}), kLabel);
    model_.transformer().logits(logits_);
    candidates_.clear();
    for (std::uint32_t i = 0; i < logits_.size(); ++i) candidates_.offer({logits_[i], i});
    return sampler_.sample(candidates_.sort());
  }

  WorkingModel model_;
  const Tokenizer& tokenizer_;
  std::vector<std::int32_t> logits_;
  std::vector<Candidate> memory_;
  CandidateList candidates_;
  Sampler sampler_;
};

}  // namespace

CalibrationText write_text(const Image& image, const Tokenizer& tokenizer,
                           const CalibrationText& text, std::uint64_t tokens,
                           const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  CalibrationText written;
  Writer writer(image, tokenizer, text.longest);
  for (std::size_t i = 0; written.tokens < tokens; ++i) {
    const std::vector<std::uint32_t>& model = text.passages[i % text.passages.size()];
    written.passages.push_back(writer.write(model.front(), model.size()));
    written.tokens += written.passages.back().size();
    written.longest = std::max(written.longest, written.passages.back().size());
    if (progress) progress(std::min(written.tokens, tokens), tokens);
  }
  return written;
}

}  // namespace mote::host
