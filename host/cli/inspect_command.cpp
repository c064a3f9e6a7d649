// SPDX-License-Identifier: Apache-2.0
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "cli/commands.hpp"
#include "mote/transformer.hpp"
#include "run/engine.hpp"
#include "run/image_summary.hpp"
#include "shard/shard_summary.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::ordered_json;

struct InspectOptions {
  std::string model;
  std::vector<std::uint32_t> context_lengths;
  bool json = false;
};

std::vector<std::pair<const char*, std::uint64_t>> config_fields(const ModelConfig& c) {
  return {{"dim", c.dim},
          {"hidden_dim", c.hidden_dim},
          {"n_layers", c.n_layers},
          {"n_heads", c.n_heads},
          {"n_kv_heads", c.n_kv_heads},
          {"head_size", c.head_size},
          {"vocab_size", c.vocab_size},
          {"context_length", c.context_length},
          {"block", c.block},
          {"head_block", c.head_block()},
          {"residual_fraction_bits", c.residual_fraction_bits}};
}

/// "causal", "window 256, 4 sinks", "linear".
std::string attention_text(const LayerAttentionConfig& attention) {
  switch (attention.kind) {
    case AttentionKind::causal:
      break;
    case AttentionKind::sliding_window:
      return fmt::format("window {}, {} sinks", attention.window, attention.sinks);
    case AttentionKind::linear:
      return "linear";
  }
  return "causal";
}

struct ArenaRow {
  std::uint32_t context_length = 0;
  std::size_t arena_bytes = 0;
  std::size_t state_bytes = 0;
};

/// What the image holds on one chip, one token at a time, greedy: the least that it needs.
std::vector<ArenaRow> arena_rows(const Image& image, std::vector<std::uint32_t> lengths) {
  const ModelConfig& config = image.config();
  if (lengths.empty()) {
    for (std::uint32_t length = 64; length < config.context_length; length *= 2) {
      lengths.push_back(length);
    }
    lengths.push_back(config.context_length);
  }
  std::vector<ArenaRow> rows;
  for (const std::uint32_t length : lengths) {
    if (length == 0 || length > config.context_length) {
      throw Error(fmt::format("--ctx-size {}: the model has 1 to {} positions", length,
                              config.context_length));
    }
    const RunConfig run = {length, 1, 1};
    rows.push_back({length, Transformer::arena_bytes(image, run, image.held()),
                    Transformer::state_bytes(image, run, image.held())});
  }
  return rows;
}

void print_json(const InspectOptions& options, const Image& image,
                const std::vector<ArenaRow>& rows) {
  const ImageSummary summary = summarize(image);
  Json json = {{"file", options.model},
               {"format_version", kImageVersion},
               {"content_hash", hex_text(image.content_hash())},
               {"metadata", Json::object()},
               {"config", Json::object()},
               {"parameters", summary.parameters},
               {"image_bytes", image.bytes().size()},
               {"weight_bytes", summary.weight_bytes},
               {"tokenizer_bytes", summary.tokenizer_bytes},
               {"bytes_per_token", summary.bytes_per_token},
               {"sections", Json::array()},
               {"arena", Json::array()}};
  for (const char* key : {"name", "license", "source"}) {
    json["metadata"][key] = metadata_value(image, key);
  }
  for (const auto& [name, value] : config_fields(image.config())) json["config"][name] = value;
  for (std::uint32_t layer = 1; layer <= image.config().n_layers; ++layer) {
    json["attention"].push_back(attention_text(image.layer_attention(layer)));
  }
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    const Section s = image.section(i);
    json["sections"].push_back({{"name", section_name(s)},
                                {"format", format_name(s.format)},
                                {"rows", s.rows},
                                {"columns", s.columns},
                                {"offset", s.offset},
                                {"bytes", s.bytes}});
  }
  if (image.is_shard()) json["shard"] = shard_json(image);
  for (const ArenaRow& row : rows) {
    json["arena"].push_back({{"context_length", row.context_length},
                             {"arena_bytes", row.arena_bytes},
                             {"state_bytes", row.state_bytes}});
  }
  fmt::print("{}\n", json.dump(2, ' ', false, Json::error_handler_t::replace));
}

void print_shard(const Image& image) {
  if (!image.is_shard()) return;
  for (const auto& [name, value] : shard_fields(image)) fmt::print("  {:<22} {}\n", name, value);
}

void print_text(const InspectOptions& options, const Image& image,
                const std::vector<ArenaRow>& rows) {
  const ImageSummary summary = summarize(image);
  fmt::print("{}: Mote image, version {}\n", options.model, kImageVersion);
  for (const char* key : {"name", "license", "source"}) {
    const std::string value = metadata_value(image, key);
    if (!value.empty()) fmt::print("  {:<22} {}\n", key, value);
  }
  fmt::print("  {:<22} {}\n", "content hash", hex_text(image.content_hash()));
  print_shard(image);
  for (const auto& [name, value] : config_fields(image.config())) {
    fmt::print("  {:<22} {}\n", name, value);
  }
  for (std::uint32_t layer = 1; layer <= image.config().n_layers; ++layer) {
    fmt::print("  {:<22} {}\n", fmt::format("attention of layer {}", layer - 1),
               attention_text(image.layer_attention(layer)));
  }
  fmt::print("  {:<22} {}\n", "parameters", summary.parameters);
  fmt::print("\n{:<28} {:>10} {:>8} {:>8} {:>10} {:>10}\n", "section", "format", "rows", "columns",
             "offset", "bytes");
  for (std::uint32_t i = 0; i < image.section_count(); ++i) {
    const Section s = image.section(i);
    fmt::print("{:<28} {:>10} {:>8} {:>8} {:>10} {:>10}\n", section_name(s), format_name(s.format),
               s.rows, s.columns, s.offset, s.bytes);
  }
  fmt::print("\nflash: {} bytes, of these weights {}, tokenizer {}; a token reads {}\n",
             image.bytes().size(), summary.weight_bytes, summary.tokenizer_bytes,
             summary.bytes_per_token);
  fmt::print("\n{:>10} {:>12} {:>14}\n", "positions", "arena bytes", "of these state");
  for (const ArenaRow& row : rows) {
    fmt::print("{:>10} {:>12} {:>14}\n", row.context_length, row.arena_bytes, row.state_bytes);
  }
}

void inspect(const InspectOptions& options) {
  const MappedFile file(options.model);
  const Image image = open_image(options.model, file.bytes(), Verify::full);
  // Refuses what could not run; of the shards only that of rank 0 has a tokenizer.
  Section tokenizer;
  const bool has_tokenizer = image.find(tokenizer, SectionKind::tokenizer, 0);
  if (has_tokenizer || !image.is_shard()) open_tokenizer(options.model, image);
  const auto rows = arena_rows(image, options.context_lengths);
  return options.json ? print_json(options, image, rows) : print_text(options, image, rows);
}

}  // namespace

void add_inspect_command(CLI::App& app) {
  auto options = std::make_shared<InspectOptions>();
  CLI::App* command = app.add_subcommand("inspect", "Show what an image holds and needs");
  command->footer("Example: mote inspect stories260K.mote -c 128,512");
  command->add_option("model,-m,--model", options->model, "Model image (.mote)")->required();
  command
      ->add_option("-c,--ctx-size", options->context_lengths,
                   "Context lengths for the table of arena bytes")
      ->delimiter(',');
  command->add_flag("--json", options->json, "Print JSON");
  command->callback([options] { inspect(*options); });
}

}  // namespace mote::host
