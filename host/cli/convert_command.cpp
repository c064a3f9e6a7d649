// SPDX-License-Identifier: Apache-2.0
// `mote convert`: from a model file of another program to an image.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "chat/chat_template.hpp"
#include "chat/template_files.hpp"
#include "cli/commands.hpp"
#include "convert/convert.hpp"
#include "convert/convert_report.hpp"
#include "convert/open_vocabulary.hpp"
#include "support/error.hpp"
#include "support/progress.hpp"

namespace mote::host {
namespace {

struct ConvertArguments {
  std::string source;
  std::string tokenizer;
  std::string output;  // empty: beside the source
  std::string weights = "int8";
  ConvertOptions options;
  std::uint32_t window = 0;  // 0: layers stay causal
  std::uint32_t sinks = 0;
  std::vector<std::uint32_t> window_layers;  // empty: all
  bool json = false;
  bool quiet = false;
};

/// Fills in what the command line left open.
void complete_arguments(ConvertArguments& arguments) {
  std::filesystem::path source = arguments.source;
  if (!source.has_filename()) source = source.parent_path();  // "folder/"
  if (arguments.output.empty()) {
    arguments.output = std::filesystem::path(source).replace_extension(".mote").string();
  }
  if (arguments.options.name.empty()) arguments.options.name = source.stem().string();
  arguments.options.weights = arguments.weights == "int4" ? WeightFormat::int4 : WeightFormat::int8;
  for (const std::string& input : {arguments.source, arguments.tokenizer}) {
    std::error_code ignored;  // a file that is not there is no input
    if (std::filesystem::equivalent(input, arguments.output, ignored)) {
      throw Error(fmt::format("{}: the output would replace an input", arguments.output));
    }
  }
}

/// Turns the named layers, or all, into sliding windows. Without --window
/// layers have those that the model was trained with.
void add_windows(ConvertArguments& arguments, const CheckpointShape& shape) {
  const std::uint32_t n_layers = shape.n_layers;
  if (arguments.window == 0) {
    if (arguments.sinks != 0 || !arguments.window_layers.empty()) {
      throw Error("--sinks and --window-layers need --window");
    }
    const std::uint32_t context = arguments.options.context_length;
    for (const std::uint32_t window : shape.layer_windows) {
      // One of the whole context hides nothing.
      const bool hides = window != 0 && window < (context == 0 ? shape.context_length : context);
      arguments.options.attention.push_back(
          hides ? LayerAttention{AttentionKind::sliding_window, window, 0, {}} : LayerAttention{});
    }
    return;
  }
  const LayerAttention window = {
      AttentionKind::sliding_window, arguments.window, arguments.sinks, {}};
  const bool all = arguments.window_layers.empty();
  arguments.options.attention.assign(n_layers, all ? window : LayerAttention{});
  for (const std::uint32_t layer : arguments.window_layers) {
    if (layer >= n_layers) {
      throw Error(
          fmt::format("--window-layers {}: the model has layers 0 to {}", layer, n_layers - 1));
    }
    arguments.options.attention[layer] = window;
  }
}

/// What the file's template says, where it is one that `mote chat` knows.
void add_chat_template(ConvertOptions& options, const std::string& source) {
  const std::string jinja = read_chat_template(source);
  const auto format = recognise_chat_template(jinja);
  if (!format) return;
  options.chat_template = chat_template_name(*format);
  if (*format == ChatTemplate::chatml) options.chat_system = default_system_prompt(jinja);
}

void run_convert(ConvertArguments arguments) {
  complete_arguments(arguments);
  const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(arguments.source);
  add_windows(arguments, checkpoint->shape());
  add_chat_template(arguments.options, arguments.source);
  const Vocabulary vocabulary =
      open_vocabulary(arguments.source, arguments.tokenizer, checkpoint->shape().vocab_size);
  ConvertReport report;
  {
    Progress progress("convert", !arguments.quiet);
    report = convert_checkpoint(
        arguments.output, *checkpoint, vocabulary, arguments.options,
        [&](std::uint64_t done, std::uint64_t total) { progress.update(done, total); });
  }
  if (arguments.json) {
    fmt::print("{}", format_convert_json(report, arguments.output));
  } else if (!arguments.quiet) {
    fmt::print("{}: {}\n{}", arguments.output, checkpoint->format(), format_convert_table(report));
  }
}

void add_window_options(CLI::App& command, ConvertArguments& arguments) {
  command
      .add_option("--window", arguments.window,
                  "Let each layer see only the last W positions, so that the "
                  "model writes on "
                  "for ever in fixed memory")
      ->check(CLI::Range(1U, kMaxContext));
  command.add_option("--sinks", arguments.sinks,
                     "First positions that stay visible beside the window (4 is usual)");
  command
      .add_option("--window-layers", arguments.window_layers,
                  "Layers that get the window, from 0; the others stay causal "
                  "(default: all)")
      ->delimiter(',');
}

void add_metadata_options(CLI::App& command, ConvertOptions& options) {
  command.add_option("--name", options.name, "Name of the model (default: the file's)");
  command.add_option("--license", options.license, "Licence of the weights, kept in the image");
  command.add_option("--source", options.source, "Where the weights are from, kept in the image");
}

}  // namespace

void add_convert_command(CLI::App& app) {
  CLI::App* command = app.add_subcommand("convert", "Make a .mote image from a model file");
  // The callback outlives this function and shares the values with the options.
  const auto arguments = std::make_shared<ConvertArguments>();
  command
      ->add_option("SRC", arguments->source,
                   "Model: a GGUF file, a Hugging Face folder, or a llama2.c file")
      ->required();
  command->add_option("--tokenizer", arguments->tokenizer,
                      "Tokenizer: llama2.c's tokenizer.bin, SentencePiece's "
                      "tokenizer.model, a tokenizer.json or a "
                      "GGUF file (default: that of SRC)");
  command->add_option("-o,--output", arguments->output, "Image to write (default: SRC with .mote)");
  command->add_option("--weights", arguments->weights, "int8: exact enough; int4: half the size")
      ->check(CLI::IsMember({"int8", "int4"}))
      ->capture_default_str();
  command->add_option("--block", arguments->options.block, "Lanes of a block of activations")
      ->check(CLI::IsMember({16, 32, 64}))
      ->capture_default_str();
  command
      ->add_option("--context", arguments->options.context_length,
                   "Positions that the model was trained for (default: what SRC says)")
      ->check(CLI::Range(1U, kMaxContext));
  add_window_options(*command, *arguments);
  add_metadata_options(*command, arguments->options);
  command->add_flag("--json", arguments->json, "Report as JSON");
  command->add_flag("-q,--quiet", arguments->quiet, "Neither progress nor table");
  command->footer(
      "Example:\n"
      "  mote convert model.gguf -o model.mote\n"
      "  mote convert stories260K.bin --tokenizer tok512.bin -o "
      "stories.mote --license MIT\n"
      "  mote convert stories260K.bin --tokenizer tok512.bin "
      "--window 256 --sinks 4");
  command->callback([arguments] { run_convert(*arguments); });
}

}  // namespace mote::host
