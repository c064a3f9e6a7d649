// SPDX-License-Identifier: Apache-2.0
// Counts the blocks of hidden vectors that products skip, because their scale is zero.
//
// Usage: zero_blocks IMAGE TEXT [TOKENS]
//
// Decodes the first tokens of a file (1000; the context begins anew where it is full) and prints
// the share of blocks of silu(gate) * up whose scale is zero, as stored and beside the largest of
// the vector, and the share of lanes that are zero.
#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <span>
#include <string>
#include <vector>

#include "kernels/matvec.hpp"
#include "run/engine.hpp"
#include "support/mapped_file.hpp"

namespace mote {
namespace {

struct Counts {
  std::uint64_t blocks = 0;
  std::uint64_t stored = 0;   // blocks whose own scale is zero
  std::uint64_t aligned = 0;  // blocks whose scale is zero in a product
  std::uint64_t lanes = 0;
  std::uint64_t zero_lanes = 0;
};

void count(Counts& counts, const BlockVectors& vectors) {
  const std::uint32_t blocks = vectors.columns / vectors.block;
  const std::span scales(vectors.row_scales(0), blocks);
  std::vector<std::uint32_t> aligned(blocks);
  align_scales(aligned.data(), scales);
  counts.blocks += blocks;
  counts.lanes += vectors.columns;
  for (std::uint32_t b = 0; b < blocks; ++b) {
    counts.stored += scales[b].mantissa() == 0 ? 1 : 0;
    counts.aligned += aligned[b] == 0 ? 1 : 0;
  }
  counts.zero_lanes += static_cast<std::uint64_t>(
      std::count(vectors.row(0), vectors.row(0) + vectors.columns, std::int8_t{0}));
}

Counts count_zeros(const Image& image, std::span<const std::uint32_t> tokens) {
  const RunConfig run = {image.config().context_length, 1, 1};
  std::vector<std::max_align_t> arena(
      Transformer::arena_bytes(image, run) / sizeof(std::max_align_t) + 1);
  Transformer model;
  host::check(model.init(image, run, std::as_writable_bytes(std::span(arena))), "zero_blocks");
  Counts counts;
  for (const std::uint32_t token : tokens) {
    if (model.position() == model.position_limit()) model.reset();
    model.begin({&token, 1});
    while (model.phase().exchange != Exchange::candidates) {
      model.compute();
      if (model.phase().exchange == Exchange::hidden)
        count(counts, model.vectors(Exchange::hidden));
      model.advance();
    }
  }
  return counts;
}

double percent(std::uint64_t part, std::uint64_t whole) {
  return 100 * static_cast<double>(part) / static_cast<double>(whole);
}

void run(const std::string& path, const std::string& text, std::size_t most) {
  const host::Engine engine(path, {});
  const host::MappedFile file(text);
  const std::string words(reinterpret_cast<const char*>(file.bytes().data()),
                          std::min<std::size_t>(file.bytes().size(), 8 * most));
  std::vector<std::uint32_t> tokens = engine.encode(words);
  tokens.resize(std::min(tokens.size(), most));
  const Counts counts = count_zeros(engine.image(), tokens);
  std::printf(
      "%zu tokens, %llu hidden blocks: scale zero %.4f %%, beside the largest %.4f %%; "
      "lanes zero %.2f %%\n",
      tokens.size(), static_cast<unsigned long long>(counts.blocks),
      percent(counts.stored, counts.blocks), percent(counts.aligned, counts.blocks),
      percent(counts.zero_lanes, counts.lanes));
}

}  // namespace
}  // namespace mote

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: zero_blocks IMAGE TEXT [TOKENS]\n");
    return 2;
  }
  try {
    mote::run(argv[1], argv[2], argc == 4 ? std::strtoul(argv[3], nullptr, 10) : 1000);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "zero_blocks: %s\n", error.what());
    return 1;
  }
  return 0;
}
