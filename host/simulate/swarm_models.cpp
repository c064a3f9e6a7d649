// SPDX-License-Identifier: Apache-2.0
#include "simulate/swarm_models.hpp"

#include "convert/convert.hpp"
#include "mote/partition.hpp"
#include "run/engine.hpp"
#include "shard/shard_section.hpp"
#include "shard/shard_writer.hpp"
#include "support/mapped_file.hpp"
#include "support/temporary_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace mote::host {
namespace {

std::vector<std::uint8_t> read_file(const std::string& path) {
  const MappedFile file(path);
  return {file.bytes().begin(), file.bytes().end()};
}

struct SwarmModel {
  CheckpointShape shape;
  WeightFormat weights = WeightFormat::int8;
  std::uint32_t block = 16;
  std::vector<LayerAttention> attention = {};  // empty: all causal
};

/// Rows, heads and layers that fill no block; int8 and int4; layers of every kind; a classifier
/// that is the embedding, and one of its own; biases.
std::vector<SwarmModel> swarm_models() {
  CheckpointShape shape;
  shape.context_length = 48;
  const auto make = [&](std::uint32_t dim, std::uint32_t hidden, std::uint32_t layers,
                        std::uint32_t heads, std::uint32_t kv_heads, std::uint32_t head_size,
                        std::uint32_t vocabulary, bool has_classifier) {
    shape.dim = dim;
    shape.hidden_dim = hidden;
    shape.n_layers = layers;
    shape.n_heads = heads;
    shape.n_kv_heads = kv_heads;
    shape.head_size = head_size;
    shape.vocab_size = vocabulary;
    shape.has_classifier = has_classifier;
    return shape;
  };
  const auto with_biases = [](CheckpointShape biased) {
    biased.has_attention_bias = true;
    biased.has_output_bias = true;
    return biased;
  };
  return {
      {make(32, 72, 2, 4, 2, 8, 40, false)},
      {with_biases(make(50, 67, 1, 6, 3, 8, 33, true)), WeightFormat::int4},
      {make(4, 6, 2, 2, 1, 2, 5, true)},
      {make(32, 90, 5, 4, 4, 8, 31, false)},
      {make(64, 48, 2, 8, 2, 8, 29, false),
       WeightFormat::int8,
       16,
       {{AttentionKind::sliding_window, 6, 2, {}}, {AttentionKind::linear, 0, 0, {65536, 60000}}}}};
}

std::vector<std::uint8_t> make_image(const SwarmModel& model, std::uint64_t seed) {
  const TemporaryFile file("mote-swarm");
  ConvertOptions options;
  options.weights = model.weights;
  options.block = model.block;
  options.attention = model.attention;
  options.name = "swarm";
  convert_checkpoint(file.path(), SyntheticCheckpoint(model.shape, seed),
                     make_synthetic_vocabulary(model.shape.vocab_size), options);
  return read_file(file.path());
}

}  // namespace

SwarmModels::Model::Model(std::span<const std::uint8_t> bytes) : memory(bytes) {
  check(image.open(memory.span(), Verify::full), "a model of the swarm");
}

SwarmModels::SwarmModels() {
  std::uint64_t seed = 0;
  for (const SwarmModel& model : swarm_models()) {
    models_.push_back(std::make_unique<Model>(make_image(model, ++seed)));
  }
}

std::span<const std::uint8_t> SwarmModels::shard(std::uint32_t model, HeadPolicy policy,
                                                 std::uint32_t chips, std::uint32_t rank) {
  std::vector<std::uint8_t>& bytes = shards_[{model, policy, chips, rank}];
  if (!bytes.empty()) return bytes;
  const Image& whole = image(model);
  const std::vector<std::uint8_t> weights(chips, 1);
  std::vector<Range> table(Partition::table_count(whole.config(), chips));
  Partition partition;
  check(partition.init(whole.config(), policy, weights, table), "a cut of the swarm");
  const TemporaryFile file("mote-swarm");
  write_shard(file.path(), whole, describe_shard(whole, partition, weights, rank));
  bytes = read_file(file.path());
  return bytes;
}

}  // namespace mote::host
