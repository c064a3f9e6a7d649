// SPDX-License-Identifier: Apache-2.0
#include <cstdint>
#include <memory>
#include <string>

#include <fmt/format.h>

#include "cli/cluster_names.hpp"
#include "cli/commands.hpp"
#include "plan/plan.hpp"
#include "plan/plan_report.hpp"
#include "run/engine.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

struct PlanCommandOptions {
  std::string model;
  PlanOptions plan;
  std::string policy = policy_name(HeadPolicy::contiguous);
  std::string link = "spi";
  std::string topology;
  std::uint64_t memory_bytes = 0;  // 0: not asked
  bool json = false;
};

void print_plan(const PlanCommandOptions& options) {
  PlanOptions plan_options = options.plan;
  plan_options.policy = kPolicies.at(options.policy);
  plan_options.link = parse_link(options.link);
  if (!options.topology.empty()) plan_options.topology = kTopologies.at(options.topology);
  if (options.memory_bytes != 0) plan_options.memory_bytes = options.memory_bytes;
  const MappedFile file(options.model);
  const Image image = open_image(options.model, file.bytes(), Verify::full);
  const Plan plan = make_plan(image, plan_options, options.model);
  fmt::print("{}", options.json ? format_plan_json(plan, options.model)
                                : format_plan_text(plan, options.model));
}

void add_cluster_options(CLI::App& command, PlanCommandOptions& options) {
  command.add_option("--chips", options.plan.chips, "Chips, 1 to 64")->capture_default_str();
  command
      .add_option("--weights-of-chips", options.plan.weights,
                  "Relative speed of each chip, 0 to 255; equal if not given")
      ->delimiter(',');
  command
      .add_option("--policy", options.policy,
                  "contiguous: consecutive heads; round-robin: head h on chip h mod N")
      ->capture_default_str()
      ->check(CLI::IsMember(kPolicies));
  command
      .add_option("--memory", options.memory_bytes,
                  "RAM of a chip, such as 320KiB: refuse what does not fit")
      ->transform(CLI::AsSizeValue(true))
      ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{1} << 40));
  command.add_flag("--weights-in-ram", options.plan.weights_in_ram,
                   "Weights are copied to RAM; else they stay in flash");
}

void add_run_options(CLI::App& command, PlanCommandOptions& options) {
  command
      .add_option("-c,--context", options.plan.run.context_length,
                  "Positions of context; 0: the model's")
      ->capture_default_str();
  command
      .add_option("-b,--batch", options.plan.run.batch, "Positions of one pass through the prompt")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxBatch));
  command.add_option("--top-k", options.plan.run.candidates, "Tokens that the sampler draws from")
      ->capture_default_str()
      ->check(CLI::Range(1U, kMaxVocabulary));
}

void add_speed_options(CLI::App& command, PlanCommandOptions& options) {
  command
      .add_option("--link", options.link, "spi, uart, esp-now, tcp or BYTES_PER_S:US_PER_MESSAGE")
      ->capture_default_str();
  command
      .add_option("--topology", options.topology,
                  "Who sends to whom; if not given: broadcast over ESP-NOW, else a ring")
      ->check(CLI::IsMember(kTopologies));
  command.add_option("--mhz", options.plan.clock_mhz, "Clock of the fastest chip")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1e6));
  command
      .add_option("--cycles-per-mac", options.plan.cycles_per_mac,
                  "Clock cycles of a multiply-accumulate")
      ->capture_default_str()
      ->check(CLI::Range(0.001, 1e6));
}

}  // namespace

void add_plan_command(CLI::App& app) {
  auto options = std::make_shared<PlanCommandOptions>();
  CLI::App* command = app.add_subcommand("plan", "Show how a model would run over several chips");
  command->footer(
      "Bytes are exact; times are computed from the cards of chip and link, not measured.\n"
      "Example:\n"
      "  mote plan -m stories260K.mote --chips 4\n"
      "  mote plan -m stories260K.mote --chips 3 --weights-of-chips 2,1,1 --memory 64KiB --json");
  command->add_option("-m,--model", options->model, "Model image (.mote)")->required();
  add_cluster_options(*command, *options);
  add_run_options(*command, *options);
  add_speed_options(*command, *options);
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { print_plan(*options); });
}

}  // namespace mote::host
