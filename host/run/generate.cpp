// SPDX-License-Identifier: Apache-2.0
#include "run/generate.hpp"

#include <chrono>
#include <vector>

namespace mote::host {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

}  // namespace

void EngineTokens::start(std::span<const std::uint32_t> prompt, std::uint32_t /*max_tokens*/) {
  for (const std::uint32_t token : prompt) sampler_.accept(token);
  engine_.decode(prompt);
  has_last_ = false;
}

bool EngineTokens::next_token(std::uint32_t& token) {
  if (has_last_) engine_.decode({&last_, 1});
  token = sampler_.sample(engine_.transformer().candidates(sampler_));
  sampler_.accept(token);
  last_ = token;
  has_last_ = true;
  return true;
}

bool EngineTokens::is_full() const {
  const ParallelTransformer& model = engine_.transformer();
  return has_last_ && model.position() == model.position_limit();
}

GenerateResult generate(TokenSource& source, const Tokenizer& tokenizer,
                        std::span<const std::uint32_t> prompt, std::uint32_t max_tokens,
                        const std::function<void(std::string_view)>& write) {
  GenerateResult result;
  const auto prompt_begin = Clock::now();
  source.start(prompt, max_tokens);
  result.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
  result.prompt_seconds = seconds_since(prompt_begin);

  const auto generation_begin = Clock::now();
  Utf8Stream stream;
  std::vector<char> buffer;
  std::uint32_t previous = prompt.back();
  std::uint32_t token = 0;
  while (result.generated_tokens < max_tokens && !result.context_full && source.next_token(token)) {
    result.ended = tokenizer.is_end(token);
    if (result.ended) break;
    const std::string_view piece = tokenizer.decode(previous, token);
    buffer.resize(piece.size() + 4);
    write(stream.push(piece, buffer));
    previous = token;
    ++result.generated_tokens;
    result.context_full = source.is_full();
  }
  source.stop();
  buffer.resize(4);
  write(stream.flush(buffer));
  result.generation_seconds = seconds_since(generation_begin);
  return result;
}

GenerateResult generate(Engine& engine, Sampler& sampler, std::span<const std::uint32_t> prompt,
                        std::uint32_t max_tokens,
                        const std::function<void(std::string_view)>& write) {
  EngineTokens source(engine, sampler);
  return generate(source, engine.tokenizer(), prompt, max_tokens, write);
}

}  // namespace mote::host
