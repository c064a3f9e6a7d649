// SPDX-License-Identifier: Apache-2.0
// `mote pack`: an image whose int8 weights stand as the processor of a board takes them.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "cli/commands.hpp"
#include "convert/pack.hpp"
#include "run/image_summary.hpp"
#include "run/model_file.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"
#include "support/progress.hpp"

namespace mote::host {
namespace {

struct PackArguments {
  std::string model;
  std::string output;
  std::string lanes = "pairs";
  bool json = false;
  bool quiet = false;
};

void refuse_same_file(const PackArguments& arguments) {
  std::error_code ignored;  // an output that is not there is no input
  if (std::filesystem::equivalent(arguments.model, arguments.output, ignored)) {
    throw Error(fmt::format("{}: the output would replace the input", arguments.output));
  }
}

std::string format_pack_json(const PackArguments& arguments, const PackReport& report) {
  const nlohmann::ordered_json json = {
      {"image", arguments.output}, {"image_bytes", report.image_bytes},
      {"lanes", arguments.lanes},  {"int8_matrices", report.matrices},
      {"changed", report.changed}, {"content_hash", hex_text(report.hash)}};
  return json.dump(2) + "\n";
}

void run_pack(const PackArguments& arguments) {
  const MappedFile file(arguments.model);
  const Image image = open_image(arguments.model, file.bytes(), Verify::full);
  refuse_same_file(arguments);
  Progress progress("pack", !arguments.quiet);
  const PackReport report =
      pack_image(arguments.output, image, arguments.lanes == "pairs" ? Lanes::pairs : Lanes::plain,
                 [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  if (arguments.json) {
    fmt::print("{}", format_pack_json(arguments, report));
  } else if (!arguments.quiet) {
    fmt::print("{}: {} bytes, lanes {}: {} of {} int8 matrices changed\n", arguments.output,
               report.image_bytes, arguments.lanes, report.changed, report.matrices);
  }
}

}  // namespace

void add_pack_command(CLI::App& app) {
  CLI::App* command =
      app.add_subcommand("pack", "Rewrite an image's int8 weights for another processor");
  const auto arguments = std::make_shared<PackArguments>();
  command->add_option("-m,--model", arguments->model, "Image (.mote) of a model or of a shard")
      ->required();
  command->add_option("-o,--output", arguments->output, "Image to write")->required();
  command
      ->add_option("--lanes", arguments->lanes,
                   "pairs: for Cortex-M4, M7 and M33, slow elsewhere; plain: for all others")
      ->check(CLI::IsMember({"pairs", "plain"}))
      ->capture_default_str();
  command->add_flag("--json", arguments->json, "Report as JSON");
  command->add_flag("-q,--quiet", arguments->quiet, "Neither progress nor report");
  command->footer(
      "Example:\n"
      "  mote pack -m stories260K.mote -o stories260K.m4.mote\n"
      "  mote pack -m stories260K.m4.mote -o stories260K.mote --lanes plain\n"
      "The weights are the same numbers, and so are tokens and logits.");
  command->callback([arguments] { run_pack(*arguments); });
}

}  // namespace mote::host
