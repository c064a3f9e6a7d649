// SPDX-License-Identifier: Apache-2.0
#include "board/board_check.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "run/generate.hpp"
#include "run/image_summary.hpp"
#include "support/error.hpp"

namespace mote::host {
namespace {

/// Remembers what passes.
class RecordedTokens : public TokenSource {
 public:
  explicit RecordedTokens(TokenSource& source) : source_(source) {}

  void start(std::span<const std::uint32_t> prompt, std::uint32_t max_tokens) override {
    source_.start(prompt, max_tokens);
  }
  bool next_token(std::uint32_t& token) override {
    if (!source_.next_token(token)) return false;
    tokens.push_back(token);
    return true;
  }
  bool is_full() const override { return source_.is_full(); }
  void stop() override { source_.stop(); }

  std::vector<std::uint32_t> tokens;

 private:
  TokenSource& source_;
};

std::uint32_t context_of(const BoardRun& run, const BoardAnswer& answer) {
  const std::uint32_t asked = run.options().context_length;
  return answer.done.value("context", asked != 0 ? asked : run.image().config().context_length);
}

void compare_tokens(std::vector<std::string>& out, const std::vector<std::uint32_t>& expected,
                    const std::vector<std::uint32_t>& tokens) {
  const auto [here, there] =
      std::mismatch(expected.begin(), expected.end(), tokens.begin(), tokens.end());
  if (here == expected.end() && there == tokens.end()) return;
  const auto name = [](auto at, auto end) {
    return at == end ? std::string("none") : fmt::format("{}", *at);
  };
  out.push_back(fmt::format("token {}: the boards drew {}, this computer draws {}",
                            here - expected.begin() + 1, name(there, tokens.end()),
                            name(here, expected.end())));
}

/// `said` is what the chip says of itself under `key`.
void compare_bytes(std::vector<std::string>& out, const ChipAccount& chip, const char* key,
                   std::uint64_t expected) {
  if (!chip.info.contains(key)) {
    out.push_back(fmt::format("{}: does not say its {}", chip.name, key));
  } else if (chip.info.at(key) != expected) {
    out.push_back(fmt::format("{}: {} is {}, expected {}", chip.name, key, chip.info.at(key).dump(),
                              expected));
  }
}

void compare_chip(std::vector<std::string>& out, const ChipAccount& chip,
                  const ChipMemory& memory) {
  compare_bytes(out, chip, "image_bytes", chip.image.image_bytes);
  compare_bytes(out, chip, "arena_bytes", memory.arena_bytes);
  if (chip.image.weight_bytes != memory.weight_bytes) {
    out.push_back(fmt::format("{}: its image holds {} bytes of weights, the plan says {}",
                              chip.name, chip.image.weight_bytes, memory.weight_bytes));
  }
  const std::string hash = hex_text(chip.image.hash);
  if (chip.info.value("image", hash) != hash) {
    out.push_back(fmt::format("{}: holds the image {}, expected {}", chip.name,
                              chip.info.at("image").dump(), hash));
  }
}

}  // namespace

std::vector<std::uint32_t> expected_tokens(const BoardRun& run, const BoardQuestion& question,
                                           const BoardAnswer& answer) {
  EngineOptions options;
  options.context_length = context_of(run, answer);
  options.candidates = question.sampler.top_k;
  options.verify = Verify::structure;
  Engine engine(run.options().model, options);
  Sampler sampler;
  check(sampler.configure(question.sampler), "sampling options");
  EngineTokens source(engine, sampler);
  RecordedTokens recorded(source);
  const auto prompt = engine.encode(question.prompt);
  const GenerateResult result =
      generate(recorded, engine.tokenizer(), prompt, question.max_tokens, [](std::string_view) {});
  if (result.ended) recorded.tokens.pop_back();
  return recorded.tokens;
}

Plan plan_of(const BoardRun& run, const BoardQuestion& question, const BoardAnswer& answer) {
  PlanOptions options;
  options.chips = run.options().chips;
  options.run = {context_of(run, answer), question.batch, question.sampler.top_k};
  options.topology = run.options().topology;
  options.link = parse_link("uart");
  Plan plan = make_plan(run.image(), options, run.options().model);
  if (options.chips == 1 && run.options().program == "cluster_node") {
    // A node has more than the model even where it is alone.
    const Slice whole = Slice::whole(run.image().config());
    plan.chips[0].memory.arena_bytes =
        TensorParallelNode::arena_bytes(run.image(), {}, options.run, whole);
  }
  return plan;
}

std::vector<std::string> find_differences(const BoardRun& run, const BoardQuestion& question,
                                          const BoardAnswer& answer) {
  std::vector<std::string> differences;
  compare_tokens(differences, expected_tokens(run, question, answer), answer.tokens);
  const Plan plan = plan_of(run, question, answer);
  for (std::size_t chip = 0; chip < answer.chips.size(); ++chip) {
    compare_chip(differences, answer.chips[chip], plan.chips[chip].memory);
  }
  return differences;
}

}  // namespace mote::host
