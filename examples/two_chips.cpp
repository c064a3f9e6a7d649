// SPDX-License-Identifier: Apache-2.0
// Two chips answer as one. Here both are objects of one program and a wire is a function call; on
// chips each runs the loop alone and `carry` is the link's driver. Usage: two_chips MODEL.mote
#include <cstddef>
#include <cstdio>

#include "mote/coordinator.hpp"
#include "mote/image.hpp"
#include "mote/node.hpp"
#include "mote/tokenizer.hpp"

namespace {

constexpr mote::RunConfig kRun = {128, 8, 1};
alignas(32) std::uint8_t flash[1 << 20];
alignas(16) std::byte arenas[2][256 << 10];
mote::TensorParallelNode chips[2];
mote::SeatRecord seats[2];  // what the coordinator knows of both
std::uint32_t text[kRun.context_length + 1];

/// All that a chip has to say, to the other. Port 0 of a ring leads to the next chip's port 1.
void carry(mote::TensorParallelNode& from, mote::TensorParallelNode& to, std::uint64_t now_us) {
  std::uint8_t frame[mote::kMaxFrameBytes + 1];
  for (std::uint32_t port = 0; port < from.port_count(); ++port) {
    while (const std::size_t bytes = from.transmit(port, frame)) {
      to.receive(1 - port, {frame, bytes}, now_us);
    }
  }
}

mote::Status start(mote::Coordinator& coordinator, const mote::Image& image,
                   const mote::Tokenizer& tokenizer) {
  mote::NodeConfig config;
  config.seats = 2;
  mote::Status status = chips[0].init(image, config, arenas[0], seats, 0);
  config.seat = 1;
  if (status == mote::Status::ok) status = chips[1].init(image, config, arenas[1], {}, 0);
  std::uint32_t tokens[64];
  std::uint32_t scratch[64];
  std::size_t count = 0;
  if (status == mote::Status::ok) {
    status = tokenizer.encode(tokens, count, scratch, "Once upon a time");
  }
  if (status != mote::Status::ok) return status;
  coordinator = mote::Coordinator(chips[0], seats, text, {});
  return coordinator.start({tokens, count}, {kRun, {}, 100}, 0);
}

void print_new_tokens(const mote::Coordinator& coordinator, const mote::Tokenizer& tokenizer,
                      std::size_t& printed) {
  for (; printed < coordinator.text().size(); ++printed) {
    const std::uint32_t previous = printed == 0 ? 0 : coordinator.text()[printed - 1];
    const auto piece = tokenizer.decode(previous, coordinator.text()[printed]);
    std::printf("%.*s", static_cast<int>(piece.size()), piece.data());
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::FILE* file = argc == 2 ? std::fopen(argv[1], "rb") : nullptr;
  if (file == nullptr) return 2;
  const std::size_t size = std::fread(flash, 1, sizeof(flash), file);
  std::fclose(file);
  mote::Image image;
  mote::Tokenizer tokenizer;
  mote::Coordinator coordinator;
  mote::Status status = image.open({flash, size});
  if (status == mote::Status::ok) {
    status = tokenizer.open(image.section_bytes(mote::SectionKind::tokenizer));
  }
  if (status == mote::Status::ok) status = start(coordinator, image, tokenizer);
  if (status != mote::Status::ok) {
    std::printf("%s\n", mote::status_text(status));
    return 1;
  }
  using State = mote::Coordinator::State;
  std::size_t printed = 1;  // the first token begins a text and has none
  for (std::uint64_t now_us = 1;
       coordinator.state() == State::forming || coordinator.state() == State::running; ++now_us) {
    for (mote::TensorParallelNode& chip : chips) {
      chip.tick(now_us);
      if (chip.has_work()) chip.work(now_us);
    }
    coordinator.poll(now_us);
    carry(chips[0], chips[1], now_us);
    carry(chips[1], chips[0], now_us);
    print_new_tokens(coordinator, tokenizer, printed);
  }
  std::printf("\n(%u exchanges)\n", static_cast<unsigned>(chips[0].sequence()));
  return coordinator.state() == State::done ? 0 : 1;
}
