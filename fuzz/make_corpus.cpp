// SPDX-License-Identifier: Apache-2.0
// Writes the seeds of the fuzz targets: make_corpus FOLDER makes FOLDER/llama2c/... and so on.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "convert/convert.hpp"
#include "mote/partition.hpp"
#include "run/engine.hpp"
#include "shard/shard_section.hpp"
#include "shard/shard_writer.hpp"
#include "support/llama2c_writer.hpp"
#include "support/mapped_file.hpp"
#include "synthetic/synthetic_checkpoint.hpp"

namespace {

bool write_seeds(const std::filesystem::path& folder, const std::vector<mote::test::Seed>& seeds) {
  std::filesystem::create_directories(folder);
  for (const mote::test::Seed& seed : seeds) {
    std::ofstream file(folder / seed.name, std::ios::binary);
    file.write(reinterpret_cast<const char*>(seed.bytes.data()),
               static_cast<std::streamsize>(seed.bytes.size()));
    if (!file.flush()) return false;
  }
  return true;
}

void write_image(const std::filesystem::path& path, mote::WeightFormat weights, bool has_classifier,
                 const mote::host::LayerAttention& attention = {}) {
  mote::host::CheckpointShape shape;
  shape.dim = 16;
  shape.hidden_dim = 20;
  shape.n_layers = 1;
  shape.n_heads = 2;
  shape.n_kv_heads = 1;
  shape.head_size = 8;
  shape.vocab_size = 12;
  shape.context_length = 4;
  shape.has_classifier = has_classifier;
  mote::host::ConvertOptions options;
  options.weights = weights;
  options.block = 16;
  options.attention = {attention};
  options.name = "seed";
  mote::host::convert_checkpoint(path.string(), mote::host::SyntheticCheckpoint(shape, 1),
                                 mote::host::make_synthetic_vocabulary(shape.vocab_size), options);
}

/// The image at `whole_path` cut over three chips: one with the tokenizer, one without, and one
/// that has no row of anything.
void write_shards(const std::filesystem::path& folder, const std::filesystem::path& whole_path) {
  const std::vector<std::uint8_t> weights = {1, 1, 0};
  const mote::host::MappedFile file(whole_path.string());
  const mote::Image whole =
      mote::host::open_image(whole_path.string(), file.bytes(), mote::Verify::full);
  std::vector<mote::Range> table(mote::Partition::table_count(whole.config(), 3));
  mote::Partition partition;
  mote::host::check(partition.init(whole.config(), mote::HeadPolicy::round_robin, weights, table),
                    "partition");
  for (std::uint32_t rank = 0; rank < 3; ++rank) {
    const std::string name = "shard" + std::to_string(rank) + ".mote";
    mote::host::write_shard((folder / name).string(), whole,
                            mote::host::describe_shard(whole, partition, weights, rank));
  }
}

bool write_image_seeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write_image(folder / "int8.mote", mote::WeightFormat::int8, false);
  write_image(folder / "int4.mote", mote::WeightFormat::int4, true);
  write_image(folder / "window.mote", mote::WeightFormat::int4, false,
              {mote::AttentionKind::sliding_window, 2, 1, {}});
  write_image(folder / "linear.mote", mote::WeightFormat::int4, false,
              {mote::AttentionKind::linear, 0, 0, {60000}});
  write_shards(folder, folder / "linear.mote");
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  const std::filesystem::path folder = argv[1];
  const bool written = write_image_seeds(folder / "image") &&
                       write_seeds(folder / "llama2c", mote::test::llama2c_seeds()) &&
                       write_seeds(folder / "tokenizer_bin", mote::test::tokenizer_bin_seeds());
  if (!written) std::fprintf(stderr, "make_corpus: cannot write below %s\n", argv[1]);
  return written ? 0 : 1;
}
