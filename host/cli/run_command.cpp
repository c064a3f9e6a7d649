// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/commands.hpp"
#include "cli/sampler_options.hpp"
#include "run/engine.hpp"
#include "run/generate.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

struct RunOptions {
  std::string model;
  std::string prompt;
  std::string prompt_file;
  std::int64_t max_tokens = -1;
  std::uint32_t context_length = 0;
  SamplerOptions sampling;
};

std::string read_prompt(const RunOptions& options) {
  if (options.prompt_file.empty()) return options.prompt;
  const MappedFile file(options.prompt_file);
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

void print_speed(const GenerateResult& result, const SamplerConfig& sampling) {
  const auto rate = [](std::uint32_t tokens, double seconds) {
    return seconds > 0 ? tokens / seconds : 0.0;
  };
  fmt::print(stderr, "\nprompt: {} tokens, {:.1f} tokens/s\n", result.prompt_tokens,
             rate(result.prompt_tokens, result.prompt_seconds));
  fmt::print(stderr, "generation: {} tokens, {:.1f} tokens/s, {}\n", result.generated_tokens,
             rate(result.generated_tokens, result.generation_seconds),
             result.ended          ? "ended by the model"
             : result.context_full ? "ended by the context's length"
                                   : "as many as were asked for");
  if (sampling.temperature_q16 != 0) fmt::print(stderr, "seed: {}\n", sampling.seed);
}

void write_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) throw Error("standard output: cannot write");
}

void run(const RunOptions& options) {
  // The image is opened once to learn the vocabulary, which bounds the candidates.
  EngineOptions engine_options;
  engine_options.context_length = options.context_length;
  SamplerConfig sampling;
  {
    const MappedFile file(options.model);
    const Image image = open_image(options.model, file.bytes(), Verify::structure);
    sampling = options.sampling.resolve(image.config().vocab_size);
  }
  engine_options.candidates = sampling.top_k;
  Engine engine(options.model, engine_options);
  Sampler sampler;
  check(sampler.configure(sampling), "sampling options");

  const std::string prompt = read_prompt(options);
  const auto tokens = engine.encode(prompt);
  if (tokens.empty()) throw Error(options.model + ": an empty prompt needs a beginning token");
  const std::uint32_t positions = engine.transformer().position_limit();
  if (tokens.size() > positions) {
    throw Error(fmt::format("{}: the prompt has {} tokens, the context {} positions", options.model,
                            tokens.size(), positions));
  }
  write_text(prompt);
  const auto limit =
      options.max_tokens < 0 ? UINT32_MAX : static_cast<std::uint32_t>(options.max_tokens);
  const GenerateResult result = generate(engine, sampler, tokens, limit, write_text);
  write_text("\n");
  print_speed(result, sampling);
}

}  // namespace

void add_run_command(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Write on from a prompt");
  command->footer("Example: mote run -m stories260K.mote -p \"Once upon a time\" -n 100 --temp 0");
  command->add_option("-m,--model", options->model, "Model image (.mote)")->required();
  auto* prompt = command->add_option("-p,--prompt", options->prompt, "Text to begin with");
  command->add_option("-f,--file", options->prompt_file, "File with the text to begin with")
      ->excludes(prompt);
  command
      ->add_option("-n,--predict", options->max_tokens,
                   "Tokens to write; -1: until the model ends or the context is full")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{-1}, std::int64_t{UINT32_MAX}));
  command
      ->add_option("-c,--ctx-size", options->context_length, "Positions of context; 0: the model's")
      ->capture_default_str();
  options->sampling.add_to(*command);
  command->callback([options] { run(*options); });
}

}  // namespace mote::host
