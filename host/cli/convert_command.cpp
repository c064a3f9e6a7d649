// SPDX-License-Identifier: Apache-2.0
// `mote convert`: from a model file of another program to an image.
#include <fmt/format.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "calibrate/calibrated_convert.hpp"
#include "chat/chat_template.hpp"
#include "chat/template_files.hpp"
#include "cli/commands.hpp"
#include "convert/convert.hpp"
#include "convert/convert_report.hpp"
#include "convert/open_vocabulary.hpp"
#include "convert/pack.hpp"
#include "run/model_file.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"
#include "support/progress.hpp"

namespace mote::host {
namespace {

struct ConvertArguments {
  std::string source;
  std::string tokenizer;
  std::string output;  // empty: beside the source
  std::string weights = "int8";
  std::string lanes = "plain";
  ConvertOptions options;
  std::uint32_t window = 0;  // 0: layers stay causal
  std::uint32_t sinks = 0;
  std::vector<std::uint32_t> window_layers;  // empty: all
  std::string text;                          // of calibration; empty: plain rounding
  std::uint64_t budget_bytes = 0;            // 0: not given; of mixed weights, as the next
  double budget_bits = 0;
  std::uint32_t steps = CalibrationOptions{}.steps;
  double written_share = CalibrationOptions{}.written_share;
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
  for (const std::string& input : {arguments.source, arguments.tokenizer, arguments.text}) {
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

/// Each stage of a calibration has a bar of its own.
class StageProgress {
 public:
  explicit StageProgress(bool enabled) : enabled_(enabled) {}

  void update(std::string_view stage, std::uint64_t done, std::uint64_t total) {
    if (stage != stage_) {
      stage_ = stage;
      bar_ = std::make_unique<Progress>(stage_, enabled_);
    }
    bar_->update(done, total);
  }

 private:
  bool enabled_;
  std::string stage_;
  std::unique_ptr<Progress> bar_;
};

/// Refuses options of calibration that say nothing without one another.
void check_calibration(const ConvertArguments& arguments) {
  const bool is_mixed = arguments.weights == "mixed";
  const bool has_budget = arguments.budget_bytes != 0 || arguments.budget_bits != 0;
  if (!arguments.text.empty() && arguments.weights == "int8") {
    throw Error("--calibrate is for --weights int4 and mixed; int8 is exact enough without");
  }
  if (is_mixed && arguments.text.empty()) throw Error("--weights mixed needs --calibrate TEXT");
  if (is_mixed && !has_budget) throw Error("--weights mixed needs --budget or --bits");
  if (!is_mixed && has_budget) throw Error("--budget and --bits need --weights mixed");
}

ConvertReport convert(const ConvertArguments& arguments, const Checkpoint& checkpoint,
                      const Vocabulary& vocabulary) {
  StageProgress progress(!arguments.quiet);
  if (arguments.text.empty()) {
    return convert_checkpoint(
        arguments.output, checkpoint, vocabulary, arguments.options,
        [&](std::uint64_t done, std::uint64_t total) { progress.update("convert", done, total); });
  }
  const MappedFile text(arguments.text);
  CalibrationOptions calibration;
  calibration.text = {reinterpret_cast<const char*>(text.bytes().data()), text.bytes().size()};
  calibration.text_name = arguments.text;
  calibration.steps = arguments.steps;
  calibration.written_share = arguments.written_share;
  if (arguments.weights == "mixed") calibration.budget.emplace();
  if (arguments.budget_bytes != 0) calibration.budget->image_bytes = arguments.budget_bytes;
  if (arguments.budget_bits != 0) calibration.budget->bits_per_weight = arguments.budget_bits;
  return convert_calibrated(arguments.output, checkpoint, vocabulary, arguments.options,
                            calibration,
                            [&](std::string_view stage, std::uint64_t done, std::uint64_t total) {
                              progress.update(stage, done, total);
                            });
}

/// Replaces the image at `path` by one for processors that take two lanes at once.
void pair_lanes(ConvertReport& report, const std::string& path) {
  const MappedFile file(path);
  pack_image(path, open_image(path, file.bytes(), Verify::structure), Lanes::pairs);
  for (TensorReport& tensor : report.tensors) {
    if (tensor.format == WeightFormat::int8) tensor.format = WeightFormat::int8_pairs;
  }
}

void run_convert(ConvertArguments arguments) {
  check_calibration(arguments);
  complete_arguments(arguments);
  const std::unique_ptr<Checkpoint> checkpoint = open_checkpoint(arguments.source);
  add_windows(arguments, checkpoint->shape());
  add_chat_template(arguments.options, arguments.source);
  const Vocabulary vocabulary =
      open_vocabulary(arguments.source, arguments.tokenizer, checkpoint->shape().vocab_size);
  ConvertReport report = convert(arguments, *checkpoint, vocabulary);
  if (arguments.lanes == "pairs") pair_lanes(report, arguments.output);
  if (arguments.json) {
    fmt::print("{}", format_convert_json(report, arguments.output));
  } else if (!arguments.quiet) {
    fmt::print("{}: {}\n{}", arguments.output, checkpoint->format(), format_convert_table(report));
  }
}

void add_calibration_options(CLI::App& command, ConvertArguments& arguments) {
  command
      .add_option("--calibrate", arguments.text,
                  "Round int4 so that this text keeps its probabilities; 100 KB of what the model "
                  "is for are enough")
      ->type_name("TEXT");
  command
      .add_option("--steps", arguments.steps,
                  "Steps by which calibration tunes what is rounded; 0 spares memory and time")
      ->check(CLI::Range(0U, 1000000U))
      ->capture_default_str();
  command
      .add_option("--written", arguments.written_share,
                  "Tokens that the model writes itself to be tuned with, for each of the text")
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str();
  CLI::Option* bytes =
      command.add_option("--budget", arguments.budget_bytes,
                         "Mixed weights: bytes of the image at the most (300KiB, 1MB)");
  bytes->transform(CLI::AsSizeValue(true))->type_name("BYTES");
  command
      .add_option("--bits", arguments.budget_bits,
                  "Mixed weights: bits a weight at the most, scales and all counted")
      ->check(CLI::Range(1.0, 256.0))
      ->excludes(bytes);
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
  command
      ->add_option("--weights", arguments->weights,
                   "int8: exact enough; int4: half the size; mixed: int8 where int4 costs most")
      ->check(CLI::IsMember({"int8", "int4", "mixed"}))
      ->capture_default_str();
  command
      ->add_option("--lanes", arguments->lanes,
                   "How int8 weights stand; pairs: for Cortex-M4, M7 and M33 (see mote pack)")
      ->check(CLI::IsMember({"plain", "pairs"}))
      ->capture_default_str();
  add_calibration_options(*command, *arguments);
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
      "--window 256 --sinks 4\n"
      "  mote convert model.gguf --weights int4 --calibrate stories.txt\n"
      "  mote convert model.gguf --weights mixed --budget 600KiB --calibrate stories.txt");
  command->callback([arguments] { run_convert(*arguments); });
}

}  // namespace mote::host
