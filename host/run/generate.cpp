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

GenerateResult generate(Engine& engine, Sampler& sampler, std::span<const std::uint32_t> prompt,
                        std::uint32_t max_tokens,
                        const std::function<void(std::string_view)>& write) {
  GenerateResult result;
  Transformer& model = engine.transformer();
  const auto prompt_begin = Clock::now();
  for (const std::uint32_t token : prompt) sampler.accept(token);
  engine.decode(prompt);
  result.prompt_tokens = static_cast<std::uint32_t>(prompt.size());
  result.prompt_seconds = seconds_since(prompt_begin);

  const auto generation_begin = Clock::now();
  Utf8Stream stream;
  std::vector<char> buffer;
  std::uint32_t previous = prompt.back();
  while (result.generated_tokens < max_tokens) {
    const std::uint32_t token = sampler.sample(model.candidates(sampler));
    if (engine.tokenizer().is_end(token)) {
      result.ended = true;
      break;
    }
    const std::string_view piece = engine.tokenizer().decode(previous, token);
    buffer.resize(piece.size() + 4);
    write(stream.push(piece, buffer));
    sampler.accept(token);
    previous = token;
    ++result.generated_tokens;
    if (model.position() == model.position_limit()) {
      result.context_full = true;
      break;
    }
    if (result.generated_tokens < max_tokens) engine.decode({&token, 1});
  }
  buffer.resize(4);
  write(stream.flush(buffer));
  result.generation_seconds = seconds_since(generation_begin);
  return result;
}

}  // namespace mote::host
