// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <cstdio>
#include <memory>
#include <string>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "run/engine.hpp"
#include "run/perplexity.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

struct PerplexityOptions {
  std::string model;
  std::string file;
  std::uint32_t context_length = 0;
  bool json = false;
};

void print_json(const PerplexityOptions& options, const PerplexityResult& result) {
  const nlohmann::ordered_json json = {
      {"model", options.model},           {"file", options.file},
      {"stories", result.stories},        {"tokens", result.tokens},
      {"characters", result.characters},  {"mean_negative_log_likelihood", result.mean()},
      {"perplexity", result.perplexity()}};
  fmt::print("{}\n", json.dump(2));
}

void run_perplexity(const PerplexityOptions& options) {
  EngineOptions engine_options;
  engine_options.context_length = options.context_length;
  engine_options.batch = 1;
  Engine engine(options.model, engine_options);
  const MappedFile file(options.file);
  const auto stories =
      split_stories({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
  if (stories.empty()) throw Error(options.file + ": holds no text");

  const bool shows_progress = isatty(STDERR_FILENO) != 0;
  const auto result =
      measure_perplexity(engine, stories, [&](std::size_t done, const PerplexityResult& so_far) {
        if (!shows_progress) return;
        fmt::print(stderr, "\r{}/{} stories, perplexity {:.4f} ", done, stories.size(),
                   so_far.perplexity());
        if (done == stories.size()) fmt::print(stderr, "\n");
      });
  if (result.tokens == 0) throw Error(options.file + ": holds no story of two tokens");
  if (options.json) return print_json(options, result);
  fmt::print("stories                       {}\n", result.stories);
  fmt::print("tokens                        {}\n", result.tokens);
  fmt::print("mean negative log-likelihood  {:.6f}\n", result.mean());
  fmt::print("perplexity                    {:.4f}\n", result.perplexity());
}

}  // namespace

void add_perplexity_command(CLI::App& app) {
  auto options = std::make_shared<PerplexityOptions>();
  CLI::App* command = app.add_subcommand("perplexity", "Measure how well a model predicts a text");
  command->footer(
      "Stories are parted by a line <|endoftext|>; each is read from a fresh context.\n"
      "Example: mote perplexity -m stories260K.mote -f stories.txt --json");
  command->add_option("-m,--model", options->model, "Model image (.mote)")->required();
  command->add_option("-f,--file", options->file, "Text")->required();
  command
      ->add_option("-c,--ctx-size", options->context_length, "Positions of context; 0: the model's")
      ->capture_default_str();
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { run_perplexity(*options); });
}

}  // namespace mote::host
