// SPDX-License-Identifier: Apache-2.0
// `mote perplexity`: story by story, or one stream that is longer than any context.
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/computer_options.hpp"
#include "run/engine.hpp"
#include "run/perplexity.hpp"
#include "run/stream.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"
#include "support/progress.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::ordered_json;
using Stories = std::vector<std::string_view>;

/// Tokens of a line of the stream's table.
constexpr std::size_t kPartTokens = 512;
/// Positions of a pass where a window is read anew for each token.
constexpr std::uint32_t kRecomputeBatch = 16;

struct PerplexityOptions {
  std::string model;
  std::string file;
  std::uint32_t context_length = 0;
  std::uint32_t threads = 1;
  std::uint32_t stream_tokens = 0;  // 0: story by story
  std::uint32_t recompute = 0;      // 0: no comparison
  std::uint32_t stride = 1;
  bool json = false;
};

/// A path may hold any bytes; JSON may not.
void print(const Json& json) {
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void print_json(const PerplexityOptions& options, const PerplexityResult& result) {
  print({{"model", options.model},
         {"file", options.file},
         {"stories", result.stories},
         {"tokens", result.tokens},
         {"characters", result.characters},
         {"mean_negative_log_likelihood", result.mean()},
         {"perplexity", result.perplexity()}});
}

void run_stories(const PerplexityOptions& options, Engine& engine, const Stories& stories) {
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

/// Neighbouring tokens of a stream, counted from 1: the first token of all is not predicted.
struct StreamPart {
  std::size_t first = 0;
  std::size_t last = 0;
  std::vector<double> losses;      // of every `stride`-th token
  std::vector<double> recomputed;  // of the same; empty without a comparison
};

/// The stream as a whole, then its parts.
///   losses (n), recomputed (n / stride, rounded up) or empty
std::vector<StreamPart> make_parts(std::span<const double> losses,
                                   std::span<const double> recomputed, std::size_t stride) {
  std::vector<StreamPart> parts = {{1, losses.size(), {}, {}}};
  for (std::size_t i = 0; i < losses.size(); i += stride) {
    const std::size_t first = i / kPartTokens * kPartTokens + 1;
    if (parts.size() == 1 || parts.back().first != first) {
      parts.push_back({first, std::min(first + kPartTokens - 1, losses.size()), {}, {}});
    }
    for (StreamPart* part : {&parts.front(), &parts.back()}) {
      part->losses.push_back(losses[i]);
      if (!recomputed.empty()) part->recomputed.push_back(recomputed[i / stride]);
    }
  }
  return parts;
}

std::vector<StreamPart> measure_parts(const PerplexityOptions& options, Engine& engine,
                                      std::span<const std::uint32_t> tokens) {
  const std::size_t total = tokens.size() - 1;
  std::vector<double> losses;
  std::vector<double> recomputed;
  {
    Progress progress("stream");
    losses = measure_stream(engine, tokens, [&](std::size_t n) { progress.update(n, total); });
  }
  if (options.recompute != 0) {
    Progress progress("recompute");
    recomputed = measure_recomputed(engine, tokens, options.recompute, options.stride,
                                    [&](std::size_t n) { progress.update(n, total); });
  }
  return make_parts(losses, recomputed, options.stride);
}

Json to_json(const StreamPart& part) {
  Json json = {
      {"first", part.first}, {"last", part.last}, {"perplexity", perplexity_of(part.losses)}};
  if (!part.recomputed.empty()) json["recomputed_perplexity"] = perplexity_of(part.recomputed);
  return json;
}

void print_json(const PerplexityOptions& options, std::span<const StreamPart> parts) {
  Json json = {{"model", options.model}, {"file", options.file}};
  json["stream_tokens"] = options.stream_tokens;
  if (options.recompute != 0) json["recompute"] = options.recompute;
  json["stride"] = options.stride;
  json.update(to_json(parts.front()));
  for (const StreamPart& part : parts.subspan(1)) json["parts"].push_back(to_json(part));
  print(json);
}

void print_row(const std::string& label, const StreamPart& part) {
  fmt::print("{:<16}{:>10.4f}", label, perplexity_of(part.losses));
  if (!part.recomputed.empty()) fmt::print("{:>13.4f}", perplexity_of(part.recomputed));
  fmt::print("\n");
}

void print_table(const PerplexityOptions& options, std::span<const StreamPart> parts) {
  const bool compares = options.recompute != 0;
  if (compares) fmt::print("recomputed: the last {} tokens read anew\n", options.recompute);
  if (options.stride > 1) fmt::print("one token in {} is counted\n", options.stride);
  fmt::print("{:<16}{:>10}{}\n", "tokens", "stream", compares ? "   recomputed" : "");
  for (const StreamPart& part : parts.subspan(1)) {
    print_row(fmt::format("{} to {}", part.first, part.last), part);
  }
  print_row("all", parts.front());
}

void run_stream(const PerplexityOptions& options, Engine& engine, const Stories& stories) {
  const auto tokens = make_stream(engine, stories, options.stream_tokens);
  if (tokens.size() < options.stream_tokens) {
    throw Error(fmt::format("{}: holds {} tokens; a stream of {} was asked for", options.file,
                            tokens.size(), options.stream_tokens));
  }
  // The last token is predicted, never read.
  const std::uint32_t limit = engine.transformer().position_limit();
  if (tokens.size() - 1 > limit) {
    throw Error(fmt::format(
        "{}: a stream of {} tokens needs {} positions, its causal layers have {}; a model without "
        "such layers has no end (mote convert --window)",
        options.model, tokens.size(), tokens.size() - 1, limit));
  }
  const auto parts = measure_parts(options, engine, tokens);
  return options.json ? print_json(options, parts) : print_table(options, parts);
}

void run_perplexity(const PerplexityOptions& options) {
  EngineOptions engine_options;
  engine_options.context_length = options.context_length;
  engine_options.batch = options.recompute != 0 ? kRecomputeBatch : 1;
  engine_options.threads = options.threads;
  Engine engine(options.model, engine_options);
  const MappedFile file(options.file);
  const Stories stories =
      split_stories({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()});
  if (stories.empty()) throw Error(options.file + ": holds no text");
  if (options.stream_tokens != 0) return run_stream(options, engine, stories);
  run_stories(options, engine, stories);
}

void add_stream_options(CLI::App& command, PerplexityOptions& options) {
  CLI::Option* stream =
      command.add_option("--stream", options.stream_tokens,
                         "Read the stories as one stream of N tokens, without a fresh context");
  stream->check(CLI::Range(2U, 1U << 30))->type_name("N");
  CLI::Option* recompute =
      command.add_option("--recompute", options.recompute,
                         "Compare with reading the last W tokens anew for each one (slow)");
  recompute->check(CLI::Range(1U, kMaxContext))->type_name("W")->needs(stream);
  command.add_option("--stride", options.stride, "Compare on one token in K only")
      ->check(CLI::Range(std::size_t{1}, kPartTokens))
      ->type_name("K")
      ->needs(recompute);
}

}  // namespace

void add_perplexity_command(CLI::App& app) {
  auto options = std::make_shared<PerplexityOptions>();
  CLI::App* command = app.add_subcommand("perplexity", "Measure how well a model predicts a text");
  command->footer(
      "Stories are parted by a line <|endoftext|>; each is read from a fresh context.\n"
      "A stream longer than the context shows what a sliding window forgets.\n"
      "Example:\n"
      "  mote perplexity -m stories260K.mote -f stories.txt --json\n"
      "  mote perplexity -m window.mote -f stories.txt --stream 4097 --recompute 256 --stride 8");
  command->add_option("-m,--model", options->model, "Model image (.mote)")->required();
  command->add_option("-f,--file", options->file, "Text")->required();
  command
      ->add_option("-c,--ctx-size", options->context_length, "Positions of context; 0: the model's")
      ->capture_default_str();
  add_isa_option(*command);
  add_threads_option(*command, options->threads);
  add_stream_options(*command, *options);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { run_perplexity(*options); });
}

}  // namespace mote::host
