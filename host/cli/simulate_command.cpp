// SPDX-License-Identifier: Apache-2.0
// `mote simulate`: chips and links that do not exist, under virtual time.
#include <fmt/format.h>

#include <cstdio>
#include <memory>
#include <string>
#include <vector>

#include "cli/cluster_names.hpp"
#include "cli/commands.hpp"
#include "cli/sampler_options.hpp"
#include "convert/convert.hpp"
#include "plan/plan_report.hpp"
#include "run/engine.hpp"
#include "run/model_file.hpp"
#include "simulate/fault_options.hpp"
#include "simulate/speed_report.hpp"
#include "simulate/swarm.hpp"
#include "support/error.hpp"
#include "support/temporary_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace mote::host {
namespace {

constexpr std::uint32_t kSyntheticPrompt = 8;
constexpr std::uint32_t kSyntheticContext = 256;
/// A swarm says where it is after so many runs.
constexpr std::uint64_t kProgressRuns = 500;

struct SimulateOptions {
  std::string model;
  std::vector<std::uint32_t> shape;
  std::uint32_t block = 32;
  std::uint32_t chips = 0;  // 0: as many as weights, or 2
  std::vector<std::uint32_t> weights;
  std::string policy = policy_name(HeadPolicy::contiguous);
  std::string link = "spi";
  std::string topology;
  std::string message_cost_on = "link";
  std::string prompt;
  std::string faults;
  SpeedOptions speed;
  SamplerOptions sampling;
  std::uint64_t swarm = 0;
  bool json = false;
};

void run_swarm_command(const SimulateOptions& options) {
  SwarmModels models;
  const std::uint64_t first = options.speed.seed;
  const auto progress = [&](const SwarmCounts& counts) {
    if (counts.runs % kProgressRuns != 0) return;
    fmt::print(stderr, "{} of {} runs\n", counts.runs, options.swarm);
  };
  const SwarmResult result = run_swarm(models, first, options.swarm, progress);
  if (result.failure.empty() && options.swarm == 1) {
    fmt::print("{}\n", describe(draw_case(models, first), models));
  }
  fmt::print("{}", format_counts(result.counts));
  if (result.failure.empty()) return;
  throw Error(fmt::format("seed {}: {}\n{}\nreplay: mote simulate --swarm 1 --seed {}", result.seed,
                          result.failure, describe(draw_case(models, result.seed), models),
                          result.seed));
}

/// dim,hidden,layers,heads,kv_heads,vocabulary
void write_synthetic(const std::string& path, const SimulateOptions& options) {
  const auto& numbers = options.shape;
  CheckpointShape shape;
  shape.dim = numbers[0];
  shape.hidden_dim = numbers[1];
  shape.n_layers = numbers[2];
  shape.n_heads = numbers[3];
  shape.n_kv_heads = numbers[4];
  shape.vocab_size = numbers[5];
  if (shape.n_heads == 0 || shape.dim % shape.n_heads != 0) {
    throw Error(
        fmt::format("--shape: {} heads do not divide a dim of {}", shape.n_heads, shape.dim));
  }
  shape.head_size = shape.dim / shape.n_heads;
  shape.context_length = std::max(kSyntheticContext, options.speed.run.context_length);
  ConvertOptions convert;
  convert.block = options.block;
  convert.name = "synthetic";
  convert_checkpoint(path, SyntheticCheckpoint(shape, 1),
                     make_synthetic_vocabulary(shape.vocab_size), convert);
}

void set_chips(SpeedOptions& speed, const SimulateOptions& options) {
  const std::size_t given = options.weights.size();
  const std::size_t chips = options.chips != 0 ? options.chips : given != 0 ? given : 2;
  if (given != 0 && given != chips) {
    throw Error(fmt::format("--weights-of-chips: {} weights for {} chips", given, chips));
  }
  speed.weights.assign(chips, 1);
  for (std::size_t i = 0; i < given; ++i) {
    speed.weights[i] = static_cast<std::uint8_t>(options.weights[i]);
  }
}

void set_question(SpeedOptions& speed, const SimulateOptions& options, const std::string& path,
                  const Image& image) {
  Question& question = speed.question;
  const std::uint32_t vocabulary = image.config().vocab_size;
  if (options.model.empty()) {
    Pcg32 random(1);
    for (std::uint32_t i = 0; i < kSyntheticPrompt; ++i) {
      question.prompt.push_back(random.next() % vocabulary);
    }
  } else {
    const Tokenizer tokenizer = open_tokenizer(path, image);
    const std::size_t most = Tokenizer::max_tokens(options.prompt.size());
    std::vector<std::uint32_t> scratch(most);
    std::size_t count = 0;
    question.prompt.resize(most);
    check(tokenizer.encode(question.prompt, count, scratch, options.prompt, {}), path);
    question.prompt.resize(count);
  }
  SamplerOptions sampling = options.sampling;
  if (sampling.seed < 0) sampling.seed = 0;
  question.sampler = sampling.resolve(vocabulary);
  speed.run.candidates = question.sampler.top_k;
  if (speed.run.context_length == 0) speed.run.context_length = image.config().context_length;
  if (question.prompt.empty() || question.prompt.size() >= speed.run.context_length) {
    throw Error(fmt::format("{}: a prompt of {} tokens in a context of {} positions", path,
                            question.prompt.size(), speed.run.context_length));
  }
}

/// Faults come within the time that the answer takes without them.
void set_faults(SpeedOptions& speed, const SimulateOptions& options, const Image& image) {
  const FaultRequest request = parse_faults(options.faults);
  if (!request.any()) return;
  const SpeedResult smooth = measure_speed(image, speed);
  const std::uint64_t silence_us = speed_simulation(image, speed).timing.silence_us;
  speed.faults = draw_plan(request, static_cast<std::uint32_t>(speed.weights.size()),
                           smooth.cluster.answer.end_ns, 2 * silence_us * 1000, speed.seed);
}

void simulate_model(const SimulateOptions& options, const std::string& path,
                    const std::string& name) {
  SpeedOptions speed = options.speed;
  speed.policy = kPolicies.at(options.policy);
  speed.link = parse_link(options.link);
  speed.message_cost_on_cpu = options.message_cost_on == "cpu";
  if (!options.topology.empty()) speed.topology = kTopologies.at(options.topology);
  set_chips(speed, options);
  const ModelFile file(path, Verify::full);
  const Image& image = file.image();
  set_question(speed, options, path, image);
  set_faults(speed, options, image);
  const SpeedResult result = measure_speed(image, speed);
  fmt::print("{}", options.json ? format_speed_json(result, speed, name)
                                : format_speed_text(result, speed, name));
  const bool is_whole = result.cluster.answer.end == AnswerEnd::whole;
  if (is_whole && !result.is_identical) throw Error("the tokens differ from those of one chip");
}

void simulate(const SimulateOptions& options) {
  if (options.swarm != 0) return run_swarm_command(options);
  if (options.model.empty() == options.shape.empty()) {
    throw Error("simulate: needs one of --model, --shape and --swarm");
  }
  if (options.shape.empty()) return simulate_model(options, options.model, options.model);
  const TemporaryFile file("mote-simulate");
  write_synthetic(file.path(), options);
  simulate_model(options, file.path(), fmt::format("shape {}", fmt::join(options.shape, ",")));
}

void add_model_options(CLI::App& command, SimulateOptions& options) {
  auto* model = command.add_option("-m,--model", options.model, "Model image (.mote)");
  command
      .add_option("--shape", options.shape,
                  "A model with random weights: dim,hidden,layers,heads,kv_heads,vocabulary")
      ->delimiter(',')
      ->expected(6)
      ->excludes(model);
  command.add_option("--block", options.block, "Lanes of a block, with --shape")
      ->capture_default_str()
      ->check(CLI::IsMember({16, 32, 64}));
  command.add_option("-p,--prompt", options.prompt, "Text to begin with");
  command.add_option("-n,--predict", options.speed.question.max_tokens, "Tokens to draw")
      ->default_val(32)
      ->check(CLI::Range(2U, kMaxContext));
  command
      .add_option("-c,--context", options.speed.run.context_length,
                  "Positions of context; 0: the model's")
      ->capture_default_str();
  command
      .add_option("-b,--batch", options.speed.run.batch, "Positions of one pass through the prompt")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxBatch));
}

void add_cluster_options(CLI::App& command, SimulateOptions& options) {
  command.add_option("--chips", options.chips, "Chips, 1 to 64; 2 if not given")
      ->check(CLI::Range(1U, kMaxChips));
  command
      .add_option("--weights-of-chips", options.weights,
                  "Relative speed of each chip, 0 to 255; equal if not given")
      ->delimiter(',')
      ->check(CLI::Range(0U, 255U));
  command.add_option("--policy", options.policy, "Which chip has which heads")
      ->capture_default_str()
      ->check(CLI::IsMember(kPolicies));
  command
      .add_option("--link", options.link, "spi, uart, esp-now, tcp or BYTES_PER_S:US_PER_MESSAGE")
      ->capture_default_str();
  command
      .add_option("--topology", options.topology,
                  "Who sends to whom; if not given: broadcast over ESP-NOW, else a ring")
      ->check(CLI::IsMember(kTopologies));
  command
      .add_option("--latency", options.speed.latency_us, "Microseconds from one end to the other")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 1e9));
  command.add_option("--frame", options.speed.frame_bytes, "The longest frame in bytes")
      ->capture_default_str()
      ->check(CLI::Range(static_cast<std::uint32_t>(kMinFrameBytes),
                         static_cast<std::uint32_t>(kMaxFrameBytes)));
}

void add_chip_options(CLI::App& command, SimulateOptions& options) {
  command.add_option("--mhz", options.speed.clock_mhz, "Clock of the fastest chip")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1e6));
  command
      .add_option("--cycles-per-mac", options.speed.cycles_per_mac,
                  "Clock cycles of a multiply-accumulate")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1e6));
  command
      .add_option("--message-cost-on", options.message_cost_on,
                  "Who spends the time of a message: the link (DMA), or the chip's processor")
      ->capture_default_str()
      ->check(CLI::IsMember({"link", "cpu"}));
  command.add_flag("--single-context", options.speed.single_context,
                   "A chip that computes does not pass messages on");
}

void add_fault_options(CLI::App& command, SimulateOptions& options) {
  command.add_option("--faults", options.faults,
                     "KIND=VALUE,...: drop, corrupt, duplicate, reorder and delay as rates of "
                     "frames; partition, reset, slow and flash as numbers");
  command.add_option("--seed", options.speed.seed, "Of the faults; of a swarm's first run")
      ->default_val(1);
  command.add_option("--swarm", options.swarm,
                     "Run so many clusters, models and faults drawn from seeds instead");
  command.add_flag("--json", options.json, "Print JSON");
}

/// As `run` has them, but for the seed, which is that of the faults here.
void add_sampler_options(CLI::App& command, SamplerOptions& sampling) {
  sampling.temperature = 0;
  command.add_option("--temp", sampling.temperature, "Temperature; 0 takes the best token")
      ->capture_default_str()
      ->check(CLI::Range(0.0, 100.0));
  command.add_option("--top-k", sampling.top_k, "Draw from the best K tokens; 0: from all")
      ->capture_default_str();
}

}  // namespace

void add_simulate_command(CLI::App& app) {
  auto options = std::make_shared<SimulateOptions>();
  CLI::App* command = app.add_subcommand(
      "simulate", "Run a model over several chips under virtual time, with faults");
  command->footer(
      "Times are computed from chip and link as the options describe them; nothing is measured.\n"
      "Example:\n"
      "  mote simulate -m stories260K.mote --chips 4 -p \"Once upon a time\"\n"
      "  mote simulate --shape 288,768,6,6,6,32000 --chips 8 --link 5000000:50\n"
      "  mote simulate -m stories260K.mote --chips 3 --faults drop=0.01,reset=1 --seed 7\n"
      "  mote simulate --swarm 300");
  add_model_options(*command, *options);
  add_cluster_options(*command, *options);
  add_chip_options(*command, *options);
  add_sampler_options(*command, options->sampling);
  add_fault_options(*command, *options);
  command->callback([options] { simulate(*options); });
}

}  // namespace mote::host
