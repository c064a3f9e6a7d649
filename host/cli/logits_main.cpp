// SPDX-License-Identifier: Apache-2.0
// The program `mote_logits`: every bit that a model gives, for programs that compare it with their
// own.
#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "cli/computer_options.hpp"
#include "convert/convert.hpp"
#include "run/engine.hpp"
#include "support/error.hpp"
#include "support/mapped_file.hpp"
#include "support/output_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace mote::host {
namespace {

using Tokens = std::vector<std::uint32_t>;

struct LogitsOptions {
  std::string model;
  std::string synthetic;
  std::string tokens;
  std::string tokens_file;
  std::string encode;
  std::string out;
  std::uint32_t context_length = 0;
  std::uint32_t batch = 16;
  std::uint32_t threads = 1;
  std::uint32_t greedy = 0;
  bool each = false;
};

struct SyntheticModel {
  std::string_view name;
  WeightFormat weights = WeightFormat::int8;
  std::uint32_t block = 32;
  std::uint32_t dim = 0;
  std::uint32_t hidden_dim = 0;
  std::uint32_t n_heads = 0;
  std::uint32_t n_kv_heads = 0;
  std::uint32_t head_size = 0;
  std::uint32_t vocab_size = 0;
  bool has_classifier = false;
  bool is_hybrid = false;  // one layer of each kind, and a second linear one
};

/// Both weight formats, all block sizes, sizes that fill no block, heads that are no power of two.
constexpr SyntheticModel kSynthetic[] = {
    {"int8", WeightFormat::int8, 32, 72, 172, 8, 4, 8, 300, false, false},
    {"int8-16", WeightFormat::int8, 16, 80, 200, 6, 2, 16, 100, true, false},
    {"int4", WeightFormat::int4, 32, 96, 250, 4, 4, 24, 500, true, false},
    {"int4-64", WeightFormat::int4, 64, 160, 321, 2, 1, 64, 261, false, false},
    {"hybrid-int8", WeightFormat::int8, 32, 64, 120, 4, 2, 16, 300, false, true},
    {"hybrid-int4", WeightFormat::int4, 32, 100, 200, 6, 2, 32, 270, false, true},
};

CheckpointShape shape_of(const SyntheticModel& model) {
  CheckpointShape shape;
  shape.dim = model.dim;
  shape.hidden_dim = model.hidden_dim;
  shape.n_layers = model.is_hybrid ? 4 : 2;
  shape.n_heads = model.n_heads;
  shape.n_kv_heads = model.n_kv_heads;
  shape.head_size = model.head_size;
  shape.vocab_size = model.vocab_size;
  shape.context_length = 128;
  shape.has_classifier = model.has_classifier;
  return shape;
}

void write_synthetic(const LogitsOptions& options) {
  const auto* model = std::ranges::find(kSynthetic, options.synthetic, &SyntheticModel::name);
  if (model == std::ranges::end(kSynthetic)) {
    throw Error("--synthetic " + options.synthetic + ": no such model");
  }
  if (options.out.empty()) throw Error("--synthetic: --out names the image");
  ConvertOptions convert;
  convert.weights = model->weights;
  convert.block = model->block;
  convert.name = "synthetic";
  if (model->is_hybrid) {
    convert.attention = {{AttentionKind::causal, 0, 0, {}},
                         {AttentionKind::sliding_window, 16, 3, {}},
                         {AttentionKind::linear, 0, 0, {65536, 60000}},
                         {AttentionKind::linear, 0, 0, {65535, 32768}}};
  }
  convert_checkpoint(options.out, SyntheticCheckpoint(shape_of(*model), 1),
                     make_synthetic_vocabulary(model->vocab_size), convert);
}

/// Tokens of one line, between commas or blanks.
Tokens parse_tokens(std::string line) {
  std::ranges::replace(line, ',', ' ');
  std::istringstream text(line);
  Tokens tokens;
  std::uint32_t token = 0;
  while (text >> token) tokens.push_back(token);
  if (!text.eof() || tokens.empty()) throw Error("\"" + line + "\": not a list of tokens");
  return tokens;
}

std::vector<std::string> read_lines(const std::string& path) {
  const MappedFile file(path);
  const auto bytes = file.bytes();
  std::istringstream text(std::string(bytes.begin(), bytes.end()));
  std::vector<std::string> lines;
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

std::vector<Tokens> read_texts(const LogitsOptions& options) {
  if (options.tokens_file.empty()) return {parse_tokens(options.tokens)};
  std::vector<Tokens> texts;
  for (const std::string& line : read_lines(options.tokens_file)) {
    texts.push_back(parse_tokens(line));
  }
  return texts;
}

template <typename T>
void print_line(const std::vector<T>& values) {
  fmt::print("{}\n", fmt::join(values, " "));
}

/// Where logits go: to a file, as lines of text to standard output, or nowhere.
class LogitsWriter {
 public:
  explicit LogitsWriter(const LogitsOptions& options) : is_text_(options.greedy == 0) {
    if (!options.out.empty()) file_ = std::make_unique<OutputFile>(options.out);
  }

  void write(const std::vector<std::int32_t>& logits) {
    static_assert(std::endian::native == std::endian::little);
    if (file_ != nullptr) {
      const std::size_t bytes = logits.size() * sizeof(std::int32_t);
      file_->write_at(offset_, {reinterpret_cast<const std::uint8_t*>(logits.data()), bytes});
      offset_ += bytes;
    } else if (is_text_) {
      print_line(logits);
    }
  }
  void commit() {
    if (file_ != nullptr) file_->commit();
  }

 private:
  bool is_text_;
  std::unique_ptr<OutputFile> file_;
  std::uint64_t offset_ = 0;
};

/// Reads a text, all of it or token by token with the logits of each.
void read_text(LogitsWriter& writer, Engine& engine, const Tokens& text, bool each) {
  engine.transformer().reset();
  const std::size_t read_at_once = each ? 1 : text.size();
  for (std::size_t first = 0; first < text.size(); first += read_at_once) {
    engine.decode(std::span(text).subspan(first, read_at_once));
    writer.write(engine.logits());
  }
}

/// Continues it by the best token, the lowest of several, and prints what was drawn. The last one
/// is not read.
void write_on(LogitsWriter& writer, Engine& engine, std::uint32_t count) {
  Tokens drawn;
  while (drawn.size() < count) {
    if (!drawn.empty()) {
      engine.decode({&drawn.back(), 1});
      writer.write(engine.logits());
    }
    const auto logits = engine.logits();
    const auto best = std::ranges::max_element(logits);
    drawn.push_back(static_cast<std::uint32_t>(best - logits.begin()));
  }
  print_line(drawn);
}

/// Prints the tokens of each line of a file.
void encode_lines(const LogitsOptions& options) {
  const Engine engine(options.model, {});
  for (const std::string& line : read_lines(options.encode)) print_line(engine.encode(line));
}

void run(const LogitsOptions& options) {
  if (!options.synthetic.empty()) return write_synthetic(options);
  if (!options.encode.empty()) return encode_lines(options);
  EngineOptions engine_options;
  engine_options.context_length = options.context_length;
  engine_options.batch = options.batch;
  engine_options.threads = options.threads;
  Engine engine(options.model, engine_options);
  LogitsWriter writer(options);
  for (const Tokens& text : read_texts(options)) {
    read_text(writer, engine, text, options.each);
    if (options.greedy != 0) write_on(writer, engine, options.greedy);
  }
  writer.commit();
}

void add_options(CLI::App& app, LogitsOptions& options) {
  auto* model = app.add_option("-m,--model", options.model, "Model image (.mote)");
  app.add_option("--synthetic", options.synthetic,
                 "Write an image with random weights instead: int8, int8-16, int4, int4-64, "
                 "hybrid-int8, hybrid-int4")
      ->excludes(model);
  auto* tokens = app.add_option("--tokens", options.tokens, "Text as tokens: 1,2,3");
  auto* file =
      app.add_option("--tokens-file", options.tokens_file, "File with such a text in each line")
          ->excludes(tokens);
  app.add_option("--encode", options.encode, "Only print the tokens of each line of this file")
      ->excludes(tokens)
      ->excludes(file);
  app.add_option("-o,--out", options.out,
                 "File for logits, int32 little-endian; without it they are lines of text");
  app.add_option("-c,--ctx-size", options.context_length, "Positions of context; 0: the model's");
  app.add_option("--batch", options.batch, "Positions of a pass")->capture_default_str();
  add_isa_option(app);
  add_threads_option(app, options.threads);
  app.add_option("--greedy", options.greedy,
                 "Write so many tokens on and print them; logits go only to --out");
  app.add_flag("--each", options.each, "Logits after each token of a text, not only the last");
}

void check_options(const LogitsOptions& options) {
  if (!options.synthetic.empty()) return;
  if (options.model.empty()) throw Error("--model is needed");
  if (options.tokens.empty() && options.tokens_file.empty() && options.encode.empty()) {
    throw Error("--tokens, --tokens-file or --encode is needed");
  }
}

}  // namespace
}  // namespace mote::host

int main(int argc, char** argv) {
  CLI::App app("All logits of a model after given tokens, in Q16.", "mote_logits");
  mote::host::LogitsOptions options;
  mote::host::add_options(app, options);
  try {
    app.parse(argc, argv);
    mote::host::check_options(options);
    mote::host::run(options);
    if (std::fflush(stdout) != 0) throw mote::host::Error("standard output: cannot write");
  } catch (const CLI::ParseError& error) {
    return app.exit(error);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "mote_logits: %s\n", error.what());
    return 1;
  }
  return 0;
}
