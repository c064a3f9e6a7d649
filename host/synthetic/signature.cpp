// SPDX-License-Identifier: Apache-2.0
#include "synthetic/signature.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "base/sha256.hpp"
#include "convert/convert.hpp"
#include "mote/sampler.hpp"
#include "run/engine.hpp"
#include "support/temporary_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace mote::host {
namespace {

struct GoldenModel {
  CheckpointShape shape;
  WeightFormat weights = WeightFormat::int8;
  std::uint32_t block = 32;
  std::vector<LayerAttention> attention = {};  // empty: all causal
};

CheckpointShape make_shape(std::uint32_t dim, std::uint32_t hidden_dim, std::uint32_t n_heads,
                           std::uint32_t n_kv_heads, std::uint32_t head_size,
                           std::uint32_t vocab_size, bool has_classifier) {
  CheckpointShape shape;
  shape.dim = dim;
  shape.hidden_dim = hidden_dim;
  shape.n_layers = 3;
  shape.n_heads = n_heads;
  shape.n_kv_heads = n_kv_heads;
  shape.head_size = head_size;
  shape.vocab_size = vocab_size;
  shape.context_length = 96;
  shape.has_classifier = has_classifier;
  return shape;
}

/// One layer of each kind. The 61 positions of a run are several windows long.
std::vector<LayerAttention> every_kind() {
  return {{AttentionKind::causal, 0, 0, {}},
          {AttentionKind::sliding_window, 16, 2, {}},
          {AttentionKind::linear, 0, 0, {65536, 60000}}};
}

const std::array<GoldenModel, 5> kModels = {{
    {make_shape(64, 172, 8, 4, 8, 300, false), WeightFormat::int8, 32},
    {make_shape(96, 250, 4, 4, 24, 500, true), WeightFormat::int4, 32},
    {make_shape(80, 200, 6, 2, 16, 100, true), WeightFormat::int8, 16},
    {make_shape(128, 320, 2, 1, 64, 261, false), WeightFormat::int4, 64},
    {make_shape(64, 120, 4, 2, 16, 300, false), WeightFormat::int8, 32, every_kind()},
}};

template <typename T>
void hash_values(Sha256& hash, std::span<const T> values) {
  hash.update({reinterpret_cast<const std::uint8_t*>(values.data()), values.size_bytes()});
}

/// Feeds a fixed prompt, then draws 40 tokens; end tokens are tokens like others here.
void run_model(Sha256& hash, Engine& engine, const SamplerConfig& config) {
  ParallelTransformer& model = engine.transformer();
  model.reset();
  std::vector<std::uint32_t> prompt;
  Pcg32 random(7);
  for (int i = 0; i < 21; ++i) prompt.push_back(random.next() % model.config().vocab_size);
  Sampler sampler;
  check(sampler.configure(config), "signature");
  for (const std::uint32_t token : prompt) sampler.accept(token);
  engine.decode(prompt);
  for (int i = 0; i < 40; ++i) {
    hash_values(hash, std::span<const std::int32_t>(engine.logits()));
    const std::uint32_t token = sampler.sample(model.candidates(sampler));
    hash_values(hash, std::span<const std::uint32_t>(&token, 1));
    sampler.accept(token);
    engine.decode({&token, 1});
  }
}

SamplerConfig sampled_config() {
  SamplerConfig config;
  config.temperature_q16 = kOneQ16;
  config.top_k = 40;
  config.top_p_q16 = kOneQ16 * 9 / 10;
  config.repeat_penalty_q16 = kOneQ16 * 11 / 10;
  config.seed = 1;
  return config;
}

}  // namespace

std::string compute_signature() {
  Sha256 hash;
  std::uint64_t seed = 0;
  for (const GoldenModel& golden : kModels) {
    const TemporaryFile file("mote-signature");
    ConvertOptions options;
    options.weights = golden.weights;
    options.block = golden.block;
    options.attention = golden.attention;
    options.name = "signature";
    convert_checkpoint(file.path(), SyntheticCheckpoint(golden.shape, ++seed),
                       make_synthetic_vocabulary(golden.shape.vocab_size), options);
    EngineOptions engine_options;
    engine_options.batch = 8;
    engine_options.candidates = 40;
    Engine engine(file.path(), engine_options);
    run_model(hash, engine, {});
    run_model(hash, engine, sampled_config());
  }
  const auto digest = hash.finish();
  std::string text;
  for (const std::uint8_t byte : std::span(digest).first(8)) text += fmt::format("{:02x}", byte);
  return text;
}

}  // namespace mote::host
