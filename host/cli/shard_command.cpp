// SPDX-License-Identifier: Apache-2.0
// `mote shard`: an image of its own for each chip, with only what that chip computes.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.hpp"
#include "mote/partition.hpp"
#include "run/engine.hpp"
#include "shard/shard_report.hpp"
#include "shard/shard_section.hpp"
#include "shard/shard_summary.hpp"
#include "shard/shard_writer.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"
#include "support/progress.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kProgressSteps = 1000;  // of one shard

struct ShardArguments {
  std::string model;
  std::uint32_t chips = 0;
  std::string policy = "contiguous";
  std::vector<std::uint32_t> weights;  // empty: equal chips
  std::string output;
  bool json = false;
  bool quiet = false;
};

std::vector<std::uint8_t> chip_weights(const ShardArguments& arguments) {
  if (arguments.weights.empty()) return std::vector<std::uint8_t>(arguments.chips, 1);
  if (arguments.weights.size() != arguments.chips) {
    throw Error(fmt::format("--weights-of-chips: {} weights for {} chips", arguments.weights.size(),
                            arguments.chips));
  }
  if (std::ranges::count(arguments.weights, 0U) == std::ssize(arguments.weights)) {
    throw Error("--weights-of-chips: all are 0; some chip must compute");
  }
  std::vector<std::uint8_t> weights;
  for (const std::uint32_t weight : arguments.weights) {
    weights.push_back(static_cast<std::uint8_t>(weight));
  }
  return weights;
}

void create_folder(const std::string& path) {
  std::error_code error;
  std::filesystem::create_directories(path, error);
  if (error) throw Error(fmt::format("{}: cannot create: {}", path, error.message()));
}

std::string shard_path(const ShardArguments& arguments, std::uint32_t rank) {
  const std::string stem = std::filesystem::path(arguments.model).stem().string();
  const std::string name = fmt::format("{}.{}of{}.mote", stem, rank, arguments.chips);
  return (std::filesystem::path(arguments.output) / name).string();
}

Image open_whole(const std::string& path, std::span<const std::uint8_t> bytes) {
  const Image image = open_image(path, bytes, Verify::full);
  if (image.is_shard()) {
    throw Error(fmt::format("{}: holds the part of {}; only a whole model can be cut", path,
                            rank_text(image.shard())));
  }
  open_tokenizer(path, image);  // refuses what could not run
  return image;
}

void write_shards(ShardSet& set, const Image& whole, const Partition& partition,
                  const ShardArguments& arguments) {
  Progress progress("shard", !arguments.quiet);
  for (std::uint32_t rank = 0; rank < partition.chips(); ++rank) {
    const std::string path = shard_path(arguments, rank);
    const auto show = [&](std::uint64_t done, std::uint64_t total) {
      progress.update(rank * kProgressSteps + done * kProgressSteps / total,
                      partition.chips() * kProgressSteps);
    };
    set.files.push_back(
        {path,
         write_shard(path, whole, describe_shard(whole, partition, set.weights, rank), show)});
  }
}

void run_shard(const ShardArguments& arguments) {
  ShardSet set;
  set.weights = chip_weights(arguments);
  const MappedFile file(arguments.model);
  const Image whole = open_whole(arguments.model, file.bytes());
  set.model = arguments.model;
  set.model_bytes = file.bytes().size();
  set.hash.assign(whole.content_hash().begin(), whole.content_hash().end());
  set.policy = arguments.policy == "round-robin" ? HeadPolicy::round_robin : HeadPolicy::contiguous;
  std::vector<Range> table(Partition::table_count(whole.config(), arguments.chips));
  Partition partition;
  check(partition.init(whole.config(), set.policy, set.weights, table), arguments.model);
  create_folder(arguments.output);
  write_shards(set, whole, partition, arguments);
  if (arguments.json) {
    fmt::print("{}", format_shard_json(set));
  } else if (!arguments.quiet) {
    fmt::print("{}", format_shard_table(set));
  }
}

}  // namespace

void add_shard_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("shard", "Cut a model into one image for each chip");
  const auto arguments = std::make_shared<ShardArguments>();
  command->add_option("-m,--model", arguments->model, "Model image (.mote), whole")->required();
  command->add_option("--chips", arguments->chips, "Chips that share the model")
      ->required()
      ->check(CLI::Range(1U, kMaxChips));
  command
      ->add_option("--policy", arguments->policy,
                   "contiguous: heads that share keys stay together; round-robin: head h on chip "
                   "h mod N")
      ->check(CLI::IsMember({"contiguous", "round-robin"}))
      ->capture_default_str();
  command
      ->add_option("--weights-of-chips", arguments->weights,
                   "Relative speeds of the chips by rank, 0 to 255 (default: all alike); a chip of "
                   "weight 0 only passes messages on")
      ->delimiter(',')
      ->check(CLI::Range(0U, 255U));
  command->add_option("-o,--output", arguments->output, "Folder for the shards; it is created")
      ->required();
  command->add_flag("--json", arguments->json, "Report as JSON");
  command->add_flag("-q,--quiet", arguments->quiet, "Neither progress nor table");
  command->footer(
      "Example:\n"
      "  mote shard -m stories260K.mote --chips 4 -o shards\n"
      "  mote shard -m stories260K.mote --chips 3 --weights-of-chips 2,1,1 -o shards");
  command->callback([arguments] { run_shard(*arguments); });
}

}  // namespace mote::host
