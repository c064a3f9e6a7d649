// SPDX-License-Identifier: Apache-2.0
// Writes the seeds of the fuzz targets: make_corpus FOLDER makes FOLDER/llama2c/... and so on.
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "convert/convert.hpp"
#include "support/llama2c_writer.hpp"
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

bool write_image_seeds(const std::filesystem::path& folder) {
  std::filesystem::create_directories(folder);
  write_image(folder / "int8.mote", mote::WeightFormat::int8, false);
  write_image(folder / "int4.mote", mote::WeightFormat::int4, true);
  write_image(folder / "window.mote", mote::WeightFormat::int4, false,
              {mote::AttentionKind::sliding_window, 2, 1, {}});
  write_image(folder / "linear.mote", mote::WeightFormat::int4, false,
              {mote::AttentionKind::linear, 0, 0, {60000}});
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
