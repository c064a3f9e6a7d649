// SPDX-License-Identifier: Apache-2.0
// A whole language model on one chip: the image in flash, one arena, text on the console.
// Here a file stands in for flash. Usage: tell_story MODEL.mote
#include <cstddef>
#include <cstdio>

#include "mote/image.hpp"
#include "mote/sampler.hpp"
#include "mote/tokenizer.hpp"
#include "mote/transformer.hpp"

alignas(32) static std::uint8_t flash[1 << 20];
alignas(16) static std::byte arena[256 << 10];

int main(int argc, char** argv) {
  std::FILE* file = argc == 2 ? std::fopen(argv[1], "rb") : nullptr;
  if (file == nullptr) return 2;
  const std::size_t size = std::fread(flash, 1, sizeof(flash), file);
  std::fclose(file);

  mote::Image image;
  mote::Tokenizer tokenizer;
  mote::Transformer model;
  mote::Sampler sampler;
  mote::Status status = image.open({flash, size});
  if (status == mote::Status::ok) {
    status = tokenizer.open(image.section_bytes(mote::SectionKind::tokenizer));
  }
  if (status == mote::Status::ok) status = model.init(image, {128, 1, 1}, arena);
  if (status == mote::Status::ok) status = sampler.configure({});

  std::uint32_t tokens[64];
  std::uint32_t scratch[64];
  std::size_t count = 0;
  if (status == mote::Status::ok) {
    status = tokenizer.encode(tokens, count, scratch, "Once upon a time");
  }
  if (status == mote::Status::ok) status = model.decode({tokens, count});
  std::uint32_t previous = status == mote::Status::ok ? tokens[count - 1] : 0;
  while (status == mote::Status::ok) {
    const std::uint32_t token = sampler.sample(model.candidates(sampler));
    if (tokenizer.is_end(token)) break;
    const auto text = tokenizer.decode(previous, token);
    std::printf("%.*s", static_cast<int>(text.size()), text.data());
    previous = token;
    status = model.decode({&token, 1});
  }
  std::printf("\n(%s)\n", mote::status_text(status));
  return status == mote::Status::ok || status == mote::Status::context_full ? 0 : 1;
}
