// SPDX-License-Identifier: Apache-2.0
// Whatever the bytes are, an image is refused or can be run: what passes the door is safe to use.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

#include "base/crc32.hpp"
#include "mote/image.hpp"
#include "mote/tokenizer.hpp"
#include "mote/transformer.hpp"

namespace {

constexpr std::size_t kHeaderCrcOffset = 20;
constexpr std::size_t kArenaLimit = 1U << 20;

/// Puts the right checksum over header and table, so that what lies behind it is reached.
void repair_header(std::span<std::uint8_t> image) {
  if (image.size() < mote::kImageHeaderBytes) return;
  std::uint32_t sections = 0;
  std::memcpy(&sections, &image[16], sizeof(sections));
  const std::uint64_t end =
      mote::kImageHeaderBytes + std::uint64_t{sections} * mote::kSectionEntryBytes;
  if (end > image.size()) return;
  std::fill_n(&image[kHeaderCrcOffset], 4, std::uint8_t{0});
  const std::uint32_t crc = mote::crc32(image.first(static_cast<std::size_t>(end)));
  std::memcpy(&image[kHeaderCrcOffset], &crc, sizeof(crc));
}

void encode_some_text(const mote::Tokenizer& tokenizer) {
  const std::string_view text = "Once \xc3\xa9\xff<s> 12\n'll  <|im_end|>ab";
  std::vector<std::uint32_t> tokens(mote::Tokenizer::max_tokens(text.size()));
  std::vector<std::uint32_t> scratch(tokens.size());
  std::size_t count = 0;
  if (tokenizer.encode(tokens, count, scratch, text) != mote::Status::ok) return;
  for (std::size_t i = 1; i < count; ++i) tokenizer.decode(tokens[i - 1], tokens[i]);
  if (tokenizer.encode_marked(tokens, count, scratch, text) != mote::Status::ok) __builtin_trap();
  for (std::size_t i = 0; i < count; ++i) {
    if (tokens[i] >= tokenizer.vocab_size()) __builtin_trap();
  }
}

/// One chip alone: the blocks of the others stay what they are.
void run_shard(mote::Transformer& model, std::span<const std::uint32_t> token) {
  model.begin(token);
  while (model.phase().exchange != mote::Exchange::candidates) {
    model.compute();
    model.advance();
  }
}

void run_two_tokens(const mote::Image& image) {
  const mote::RunConfig run = {std::min<std::uint32_t>(image.config().context_length, 2), 1, 1};
  const std::size_t bytes = mote::Transformer::arena_bytes(image, run, image.held());
  if (bytes > kArenaLimit) return;
  std::vector<std::max_align_t> arena(bytes / sizeof(std::max_align_t) + 1);
  mote::Transformer model;
  const std::span memory(reinterpret_cast<std::byte*>(arena.data()), bytes);
  if (model.init(image, run, memory, image.held()) != mote::Status::ok) __builtin_trap();
  mote::Sampler sampler;
  std::uint32_t token = 0;
  for (std::uint32_t i = 0; i < run.context_length; ++i) {
    if (image.is_shard()) {
      run_shard(model, {&token, 1});
      token = std::min<std::uint32_t>(image.held().vocabulary.first, image.config().vocab_size - 1);
      continue;
    }
    if (model.decode({&token, 1}) != mote::Status::ok) __builtin_trap();
    token = sampler.sample(model.candidates(sampler));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::vector<std::uint8_t> memory(size + mote::kSectionAlignment);
  const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
  const std::size_t shift =
      (mote::kSectionAlignment - address % mote::kSectionAlignment) % mote::kSectionAlignment;
  const std::span<std::uint8_t> bytes = std::span(memory).subspan(shift, size);
  std::copy_n(data, size, bytes.begin());

  mote::Image image;
  static_cast<void>(image.open(bytes, mote::Verify::full) == mote::Status::ok);
  repair_header(bytes);
  if (image.open(bytes, mote::Verify::structure) != mote::Status::ok) return 0;
  mote::Tokenizer tokenizer;
  if (tokenizer.open(image.section_bytes(mote::SectionKind::tokenizer)) == mote::Status::ok) {
    encode_some_text(tokenizer);
  }
  run_two_tokens(image);
  return 0;
}
