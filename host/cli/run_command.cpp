// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/cluster_options.hpp"
#include "cli/commands.hpp"
#include "cli/computer_options.hpp"
#include "cli/sampler_options.hpp"
#include "cluster/cluster_tokens.hpp"
#include "run/engine.hpp"
#include "run/generate.hpp"
#include "run/model_file.hpp"
#include "shard/shard_summary.hpp"
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
  std::uint32_t threads = 1;
  SamplerOptions sampling;
  ClusterOptions cluster;
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

/// A model file, and what is asked of it.
struct Task {
  explicit Task(const RunOptions& run_options);

  std::vector<std::uint32_t> encode_prompt() const;
  void answer(TokenSource& source, std::uint32_t positions) const;

  const RunOptions& options;
  ModelFile file;
  const Image& image;
  Tokenizer tokenizer;
  SamplerConfig sampling;
  std::string prompt;
};

/// The tokenizer of a shard is with the chip of rank 0.
Tokenizer tokenizer_of(const RunOptions& options, const Image& image) {
  if (image.is_shard() && options.cluster.nodes.empty()) {
    throw Error(fmt::format("{}: holds the part of {}; the other chips are named by --nodes",
                            options.model, rank_text(image.shard())));
  }
  Section section;
  if (image.is_shard() && !image.find(section, SectionKind::tokenizer, 0)) {
    throw Error(fmt::format("{}: holds the part of {}, which has no tokenizer; that of rank 0 has",
                            options.model, rank_text(image.shard())));
  }
  return open_tokenizer(options.model, image);
}

Task::Task(const RunOptions& run_options)
    : options(run_options),
      // Whoever computes reads all of it; an engine opens it again.
      file(options.model, options.cluster.is_used() ? Verify::full : Verify::structure),
      image(file.image()),
      tokenizer(tokenizer_of(options, image)),
      sampling(options.sampling.resolve(image.config().vocab_size)),
      prompt(read_prompt(options)) {}

std::vector<std::uint32_t> Task::encode_prompt() const {
  std::vector<std::uint32_t> tokens(Tokenizer::max_tokens(prompt.size()));
  std::vector<std::uint32_t> scratch(tokens.size());
  std::size_t count = 0;
  check(tokenizer.encode(tokens, count, scratch, prompt), options.model);
  tokens.resize(count);
  if (tokens.empty()) throw Error(options.model + ": an empty prompt needs a beginning token");
  return tokens;
}

void Task::answer(TokenSource& source, std::uint32_t positions) const {
  const auto tokens = encode_prompt();
  if (tokens.size() > positions) {
    throw Error(fmt::format("{}: the prompt has {} tokens, the context {} positions", options.model,
                            tokens.size(), positions));
  }
  write_text(prompt);
  const auto limit =
      options.max_tokens < 0 ? UINT32_MAX : static_cast<std::uint32_t>(options.max_tokens);
  const GenerateResult result = generate(source, tokenizer, tokens, limit, write_text);
  write_text("\n");
  print_speed(result, sampling);
}

void run_engine(const Task& task) {
  EngineOptions options;
  options.context_length = task.options.context_length;
  options.candidates = task.sampling.top_k;
  options.threads = task.options.threads;
  Engine engine(task.options.model, options);
  Sampler sampler;
  check(sampler.configure(task.sampling), "sampling options");
  EngineTokens source(engine, sampler);
  task.answer(source, engine.transformer().position_limit());
}

RunConfig run_config(const Task& task) {
  const std::uint32_t most = task.image.config().context_length;
  const std::uint32_t asked = task.options.context_length;
  if (asked > most) {
    throw Error(fmt::format("{}: a context of {} positions was asked for; the model has 1 to {}",
                            task.options.model, asked, most));
  }
  return {asked != 0 ? asked : most, EngineOptions{}.batch, task.sampling.top_k};
}

void run_chips(const Task& task) {
  const RunConfig run = run_config(task);
  const ClusterOptions& options = task.options.cluster;
  const std::vector<const Image*> images(options.chips, &task.image);
  InProcessCluster cluster(images, options.in_process(run));
  ClusterTokens source(cluster, task.sampling, run.context_length);
  task.answer(source, run.context_length);
}

/// The driver's own account; each node prints one too.
void print_work(const RemoteCluster& cluster, const std::string& path) {
  const WorkStats stats = cluster.stats();
  fmt::print(stderr, "driver: {}\n", format_work(stats));
  if (path.empty()) return;
  auto json = work_json(stats);
  json["chips"] = cluster.members();
  json["sessions"] = cluster.coordinator().sessions();
  write_work_json(path, json);
}

void run_nodes(const Task& task) {
  const RunConfig run = run_config(task);
  RemoteCluster cluster(task.image, task.options.cluster.remote(run));
  ClusterTokens source(cluster, task.sampling, run.context_length);
  task.answer(source, run.context_length);
  print_work(cluster, task.options.cluster.stats_path);
}

void run(const RunOptions& options) {
  if (options.threads != 1 && options.cluster.is_used()) {
    throw Error("--threads: chips of a cluster have one thread each");
  }
  const Task task(options);
  if (!options.cluster.nodes.empty()) return run_nodes(task);
  if (options.cluster.chips != 0) return run_chips(task);
  run_engine(task);
}

}  // namespace

void add_run_command(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  CLI::App* command = app.add_subcommand("run", "Write on from a prompt");
  command->footer(
      "Example:\n"
      "  mote run -m stories260K.mote -p \"Once upon a time\" -n 100 --temp 0\n"
      "  mote run -m stories260K.mote -p \"Once\" --nodes tcp://10.0.0.2:4000,tcp://10.0.0.3:4000");
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
  add_isa_option(*command);
  add_threads_option(*command, options->threads);
  options->sampling.add_to(*command);
  options->cluster.add_to(*command);
  command->callback([options] { run(*options); });
}

}  // namespace mote::host
