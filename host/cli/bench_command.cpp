// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <chrono>
#include <cmath>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "cli/computer_options.hpp"
#include "kernels/kernel_choice.hpp"
#include "run/engine.hpp"
#include "run/image_summary.hpp"
#include "run/read_bandwidth.hpp"
#include "support/error.hpp"
#include "synthetic/signature.hpp"

namespace mote::host {
namespace {

struct BenchOptions {
  std::vector<std::string> models;
  std::uint32_t prompt_tokens = 128;
  std::uint32_t generated_tokens = 128;
  std::uint32_t depth = 0;
  std::uint32_t repetitions = 5;
  std::uint32_t batch = 16;
  std::uint32_t threads = 1;
  std::string output = "md";
  bool read_bandwidth = false;
  bool signature = false;
};

/// One line of the table: a test of one model.
struct BenchRow {
  std::string model;
  std::string formats;
  ImageSummary summary;
  std::uint64_t image_bytes = 0;
  std::uint32_t threads = 1;
  std::string test;  // llama-bench's names: pp128, tg128, tg128 @ d512
  bool is_generation = false;
  double tokens_per_second = 0;
  double deviation = 0;
  double read_bytes_per_second = 0;  // by as many threads; 0: not measured

  double gigabytes_per_second() const {
    return tokens_per_second * static_cast<double>(summary.bytes_per_token) * 1e-9;
  }
};

/// Leaves the first `depth` tokens in the context: goes back to them where that can be.
void fill_context(Engine& engine, std::span<const std::uint32_t> depth) {
  const auto position = static_cast<std::uint32_t>(depth.size());
  const bool has_run = position != 0 && engine.transformer().position() >= position;
  if (has_run && engine.transformer().rewind(position) == Status::ok) return;
  engine.transformer().reset();
  if (position != 0) engine.decode(depth);
}

/// Tokens per second of running `count` tokens, `step` at a time, behind the first `depth`.
double time_tokens(Engine& engine, std::uint32_t depth, std::uint32_t count, std::uint32_t step) {
  std::vector<std::uint32_t> all(std::size_t{depth} + count);
  std::uint32_t next = 0;
  for (std::uint32_t& token : all) token = next++ * 7 % engine.image().config().vocab_size;
  Sampler sampler;
  fill_context(engine, std::span(all).first(depth));
  const auto tokens = std::span(all).subspan(depth);
  const auto begin = std::chrono::steady_clock::now();
  for (std::uint32_t i = 0; i < count; i += step) {
    engine.decode(tokens.subspan(i, std::min(step, count - i)));
    if (step == 1) engine.transformer().candidates(sampler);
  }
  if (step != 1) engine.transformer().candidates(sampler);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  return count / seconds.count();
}

/// Runs, each behind one reading of the image where that is asked for: other users of the memory
/// then slow both.
void measure(BenchRow& row, Engine& engine, std::uint32_t count, std::uint32_t step,
             const BenchOptions& options) {
  time_tokens(engine, options.depth, std::min<std::uint32_t>(count, 32), step);  // warm-up
  double sum = 0;
  double sum_of_squares = 0;
  double read_sum = 0;
  for (std::uint32_t i = 0; i < options.repetitions; ++i) {
    if (options.read_bandwidth) {
      read_sum += measure_reading(engine.transformer().team(), engine.image().bytes());
    }
    const double rate = time_tokens(engine, options.depth, count, step);
    sum += rate;
    sum_of_squares += rate * rate;
  }
  row.read_bytes_per_second = read_sum / options.repetitions;
  row.tokens_per_second = sum / options.repetitions;
  const double variance =
      sum_of_squares / options.repetitions - row.tokens_per_second * row.tokens_per_second;
  row.deviation = std::sqrt(std::max(variance, 0.0));
}

std::vector<BenchRow> bench_model(const std::string& path, const BenchOptions& options) {
  EngineOptions engine_options;
  engine_options.batch = options.batch;
  engine_options.threads = options.threads;
  Engine engine(path, engine_options);
  BenchRow row;
  const std::string name = metadata_value(engine.image(), "name");
  row.model = name.empty() ? path : name;
  row.formats = weight_formats(engine.image());
  row.summary = summarize(engine.image());
  row.threads = options.threads;
  row.image_bytes = engine.image().bytes().size();
  const std::uint32_t context = engine.image().config().context_length;
  if (options.depth >= context) {
    throw Error(fmt::format("{}: a depth of {} tokens leaves no room in a context of {}", path,
                            options.depth, context));
  }
  std::vector<BenchRow> rows;
  for (const bool is_generation : {false, true}) {
    std::uint32_t count = is_generation ? options.generated_tokens : options.prompt_tokens;
    if (count == 0) continue;
    count = std::min(count, context - options.depth);
    row.is_generation = is_generation;
    row.test = fmt::format("{}{}", is_generation ? "tg" : "pp", count);
    if (options.depth != 0) row.test += fmt::format(" @ d{}", options.depth);
    measure(row, engine, count, is_generation ? 1 : options.batch, options);
    rows.push_back(row);
  }
  return rows;
}

void print_markdown(const std::vector<BenchRow>& rows) {
  fmt::print("| model | size | params | backend | threads | test | t/s | bytes/token | GB/s |\n");
  fmt::print("|---|---:|---:|---|---:|---:|---:|---:|---:|\n");
  for (const BenchRow& row : rows) {
    fmt::print("| {} {} | {:.2f} MiB | {:.2f} M | {} | {} | {} | {:.2f} ± {:.2f} |", row.model,
               row.formats, static_cast<double>(row.image_bytes) / (1 << 20),
               static_cast<double>(row.summary.parameters) * 1e-6, name_of_kernels_in_use(),
               row.threads, row.test, row.tokens_per_second, row.deviation);
    if (row.is_generation) {
      fmt::print(" {} | {:.3f}{} |\n", row.summary.bytes_per_token, row.gigabytes_per_second(),
                 row.read_bytes_per_second == 0
                     ? ""
                     : fmt::format(" of {:.3f}", row.read_bytes_per_second * 1e-9));
    } else {
      fmt::print(" | |\n");
    }
  }
}

void print_json(const std::vector<BenchRow>& rows) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const BenchRow& row : rows) {
    json.push_back({{"model", row.model},
                    {"weights", row.formats},
                    {"image_bytes", row.image_bytes},
                    {"parameters", row.summary.parameters},
                    {"backend", std::string(name_of_kernels_in_use())},
                    {"threads", row.threads},
                    {"test", row.test},
                    {"tokens_per_second", row.tokens_per_second},
                    {"deviation", row.deviation}});
    if (!row.is_generation) continue;
    json.back()["bytes_per_token"] = row.summary.bytes_per_token;
    json.back()["gigabytes_per_second"] = row.gigabytes_per_second();
    if (row.read_bytes_per_second == 0) continue;
    json.back()["read_gigabytes_per_second"] = row.read_bytes_per_second * 1e-9;
    json.back()["read_tokens_per_second"] =
        row.read_bytes_per_second / static_cast<double>(row.summary.bytes_per_token);
  }
  // A path may hold any bytes; JSON may not.
  fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
}

void bench(const BenchOptions& options) {
  if (options.signature) {
    fmt::print("Signature: {}\n", compute_signature());
    if (options.models.empty()) return;
  }
  if (options.models.empty()) throw Error("bench: name a model (-m) or ask for --signature");
  std::vector<BenchRow> rows;
  for (const std::string& path : options.models) {
    for (BenchRow& row : bench_model(path, options)) rows.push_back(std::move(row));
  }
  return options.output == "json" ? print_json(rows) : print_markdown(rows);
}

}  // namespace

void add_bench_command(CLI::App& app) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App* command = app.add_subcommand("bench", "Measure tokens per second on this computer");
  command->footer(
      "pp: prompt processing; tg: text generation, with the bytes of weights that a token reads.\n"
      "Example: mote bench -m stories260K.mote -m babyllama.mote -o md");
  command->add_option("-m,--model", options->models, "Model images (.mote)");
  command->add_option("-p,--n-prompt", options->prompt_tokens, "Tokens of the prompt test; 0: none")
      ->capture_default_str();
  command
      ->add_option("-n,--n-gen", options->generated_tokens,
                   "Tokens of the generation test; 0: none")
      ->capture_default_str();
  command
      ->add_option("-d,--n-depth", options->depth,
                   "Tokens that the context has before the tests; their time does not count")
      ->capture_default_str();
  command->add_option("-r,--repetitions", options->repetitions, "Runs that the mean is taken of")
      ->capture_default_str()
      ->check(CLI::Range(1, 10000));
  command->add_option("-b,--batch-size", options->batch, "Positions a pass in the prompt test")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxBatch));
  command->add_option("-o,--output", options->output, "md or json")
      ->capture_default_str()
      ->check(CLI::IsMember({"md", "json"}));
  command->add_flag("--read-bandwidth", options->read_bandwidth,
                    "Also measure how fast the threads read the image and do nothing else");
  add_isa_option(*command);
  add_threads_option(*command, options->threads);
  command->add_flag("--signature", options->signature,
                    "Print the hash of the golden run over built-in models");
  command->callback([options] { bench(*options); });
}

}  // namespace mote::host
