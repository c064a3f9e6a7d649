// SPDX-License-Identifier: Apache-2.0
#include "calibrate/calibration_text.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "run/engine.hpp"
#include "run/perplexity.hpp"
#include "support/error.hpp"

namespace mote::host {

CalibrationText read_calibration_text(std::string_view text, const Tokenizer& tokenizer,
                                      std::uint32_t context_length, const std::string& where) {
  CalibrationText result;
  for (const std::string_view story : split_stories(text)) {
    const std::vector<std::uint32_t> tokens = encode(tokenizer, where, story, {});
    for (std::size_t first = 0; first < tokens.size(); first += context_length) {
      const std::size_t count = std::min<std::size_t>(context_length, tokens.size() - first);
      const auto begin = tokens.begin() + static_cast<std::ptrdiff_t>(first);
      result.passages.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(count));
      result.longest = std::max<std::size_t>(result.longest, count);
    }
    result.tokens += tokens.size();
  }
  if (result.tokens < kLeastCalibrationTokens) {
    throw Error(
        fmt::format("{}: holds {} tokens, calibration needs {} or more; some ten thousand "
                    "are better",
                    where, result.tokens, kLeastCalibrationTokens));
  }
  return result;
}

CalibrationText sample_text(const CalibrationText& text, std::uint64_t tokens) {
  const std::uint64_t stride =
      std::max<std::uint64_t>(1, text.tokens / std::max<std::uint64_t>(1, tokens));
  for (std::uint64_t step = stride; step > 1; --step) {
    CalibrationText sample;
    for (std::size_t i = 0; i < text.passages.size(); i += step) {
      sample.passages.push_back(text.passages[i]);
      sample.tokens += text.passages[i].size();
      sample.longest = std::max(sample.longest, text.passages[i].size());
    }
    if (sample.tokens >= tokens) return sample;
  }
  return text;
}

}  // namespace mote::host
