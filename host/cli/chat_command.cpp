// SPDX-License-Identifier: Apache-2.0
// `mote chat`: a conversation, from a terminal or from a pipe.
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>
#include <functional>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "chat/chat_template.hpp"
#include "chat/conversation.hpp"
#include "cli/cluster_options.hpp"
#include "cli/commands.hpp"
#include "cli/sampler_options.hpp"
#include "cluster/cluster_tokens.hpp"
#include "run/engine.hpp"
#include "run/model_file.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

struct ChatOptions {
  std::string model;
  std::string format;  // empty: the model's
  std::string system;
  bool has_system = false;
  std::int64_t max_tokens = -1;
  std::uint32_t context_length = 0;
  bool json = false;
  SamplerOptions sampling;
  ClusterOptions cluster;
};

/// A model file that can hold conversations.
struct ChatModel {
  explicit ChatModel(const ChatOptions& chat_options);

  const ChatOptions& options;
  ModelFile file;
  const Image& image;
  Tokenizer tokenizer;
  ChatEncoder encoder;
  SamplerConfig sampling;
};

ChatTemplate choose_template(const ChatOptions& options, const Image& image) {
  const std::string_view own = find_metadata(image.metadata(), "chat_template");
  const auto format = find_chat_template(options.format.empty() ? own : options.format);
  if (format) return *format;
  throw Error(fmt::format("{}: the model names no chat template; choose one with --template: {}",
                          options.model, chat_template_names()));
}

std::string choose_system(const ChatOptions& options, const Image& image) {
  if (options.has_system) return options.system;
  return options.format.empty() ? std::string(find_metadata(image.metadata(), "chat_system")) : "";
}

ChatModel::ChatModel(const ChatOptions& chat_options)
    : options(chat_options),
      file(options.model, Verify::structure),
      image(file.image()),
      tokenizer(open_tokenizer(options.model, image)),
      encoder(tokenizer, choose_template(options, image), choose_system(options, image),
              options.model),
      sampling(options.sampling.resolve(image.config().vocab_size)) {}

void write_text(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  if (std::fflush(stdout) != 0) throw Error("standard output: cannot write");
}

std::string_view why_ended(const GenerateResult& result) {
  if (result.ended) return "end_token";
  return result.context_full ? "context" : "n";
}

void write_json(const std::string& message, const ChatAnswer& answer) {
  nlohmann::json json;
  json["message"] = message;
  json["answer"] = answer.text;
  json["tokens"] = answer.result.generated_tokens;
  json["context_tokens"] = answer.result.prompt_tokens + answer.result.generated_tokens;
  json["ended"] = why_ended(answer.result);
  json["forgotten_turns"] = answer.forgotten;
  write_text(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

/// A line each is a message, until the end of the input; empty lines are none.
class Dialogue {
 public:
  Dialogue(const ChatModel& model, Conversation& conversation)
      : options_(model.options),
        conversation_(conversation),
        is_terminal_(isatty(STDIN_FILENO) != 0) {}

  void run() {
    for (std::string line; read(line);) {
      if (!line.empty() && line.back() == '\r') line.pop_back();
      if (!line.empty()) answer(line);
    }
    if (is_terminal_) write_text("\n");
  }

 private:
  bool read(std::string& line) const {
    if (is_terminal_) fmt::print(stderr, "> ");
    return static_cast<bool>(std::getline(std::cin, line));
  }

  void answer(const std::string& line) {
    const auto limit =
        options_.max_tokens < 0 ? UINT32_MAX : static_cast<std::uint32_t>(options_.max_tokens);
    const auto write = options_.json ? [](std::string_view) {} : write_text;
    const ChatAnswer answer = conversation_.ask(line, limit, write);
    if (options_.json) return write_json(line, answer);
    write_text("\n");
    if (answer.forgotten > 0) {
      fmt::print(stderr, "[the {} oldest of the turns no longer fit the context]\n",
                 answer.forgotten);
    }
    if (answer.result.context_full) fmt::print(stderr, "[the context is full]\n");
  }

  const ChatOptions& options_;
  Conversation& conversation_;
  bool is_terminal_;
};

void talk(const ChatModel& model, TokenSource& source, std::uint32_t positions) {
  Conversation conversation(model.encoder, model.tokenizer, source, positions, model.options.model);
  Dialogue(model, conversation).run();
}

void run_engine(const ChatModel& model) {
  EngineOptions options;
  options.context_length = model.options.context_length;
  options.candidates = model.sampling.top_k;
  Engine engine(model.options.model, options);
  Sampler sampler;
  check(sampler.configure(model.sampling), "sampling options");
  CachedTokens source(engine, sampler);
  talk(model, source, engine.transformer().position_limit());
}

RunConfig run_config(const ChatModel& model) {
  const std::uint32_t most = model.image.config().context_length;
  const std::uint32_t asked = model.options.context_length;
  if (asked > most) {
    throw Error(fmt::format("{}: a context of {} positions was asked for; the model has 1 to {}",
                            model.options.model, asked, most));
  }
  return {asked != 0 ? asked : most, EngineOptions{}.batch, model.sampling.top_k};
}

void run_chips(const ChatModel& model) {
  const RunConfig run = run_config(model);
  const std::vector<const Image*> images(model.options.cluster.chips, &model.image);
  InProcessCluster cluster(images, model.options.cluster.in_process(run));
  ClusterTokens source(cluster, model.sampling, run.context_length);
  talk(model, source, run.context_length);
}

void run_nodes(const ChatModel& model) {
  const RunConfig run = run_config(model);
  RemoteCluster cluster(model.image, model.options.cluster.remote(run));
  ClusterTokens source(cluster, model.sampling, run.context_length);
  talk(model, source, run.context_length);
}

void chat(const ChatOptions& options) {
  const ChatModel model(options);
  if (!options.cluster.nodes.empty()) return run_nodes(model);
  if (options.cluster.chips != 0) return run_chips(model);
  run_engine(model);
}

}  // namespace

void add_chat_command(CLI::App& app) {
  auto options = std::make_shared<ChatOptions>();
  CLI::App* command = app.add_subcommand("chat", "Talk with a chat model: each line is a message");
  command->footer(
      "Example:\n"
      "  mote chat -m smollm2.mote --system \"You answer in one sentence.\"\n"
      "  echo \"What is a transformer?\" | mote chat -m smollm2.mote --temp 0 --json");
  command->add_option("-m,--model", options->model, "Model image (.mote)")->required();
  command
      ->add_option("--template", options->format,
                   "How turns are written: " + chat_template_names() + " (default: the model's)")
      ->check([](const std::string& name) {
        return find_chat_template(name) ? "" : "must be one of " + chat_template_names();
      });
  CLI::Option* system = command->add_option("--system", options->system,
                                            "What the model is told first (default: the model's)");
  command
      ->add_option("-n,--predict", options->max_tokens,
                   "Tokens of an answer; -1: until the model ends or the context is full")
      ->capture_default_str()
      ->check(CLI::Range(std::int64_t{-1}, std::int64_t{UINT32_MAX}));
  command
      ->add_option("-c,--ctx-size", options->context_length, "Positions of context; 0: the model's")
      ->capture_default_str();
  command->add_flag("--json", options->json, "One object of JSON for each answer");
  options->sampling.add_to(*command);
  options->cluster.add_to(*command);
  command->callback([options, system] {
    options->has_system = system->count() > 0;
    chat(*options);
  });
}

}  // namespace mote::host
