// SPDX-License-Identifier: Apache-2.0
// Any bytes on the console and on the links of both programs: nothing that they say or do may leave
// the rules of C++, and what they say to tools is one object of JSON a line.
//
// The first byte chooses the program; then pieces follow, each a byte that says where it goes (0
// and 1: the links, else the console), a byte that says how long it is, and its bytes.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "firmware/cluster_node.hpp"
#include "firmware/one_chip.hpp"
#include "support/fake_board.hpp"

namespace {

using mote::test::FakeBoard;

const mote::test::Bytes& model_bytes() {
  static const mote::test::Bytes bytes = [] {
    auto model = mote::test::tiny_model();
    model.shape.context_length = 16;
    return mote::test::make_image(model);
  }();
  return bytes;
}

void check_output(const FakeBoard& board) {
  for (const std::string& line : mote::test::json_lines(board.shown)) {
    // A line that people see may begin so too, where it tells what they typed.
    if (line.ends_with('\r')) continue;
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_discarded()) std::abort();
  }
}

/// One step a piece, and some more for what it has begun.
template <typename Program>
void feed(FakeBoard& board, Program& program, std::span<const std::uint8_t> data) {
  bool goes_on = true;
  while (goes_on && data.size() > 2) {
    const std::size_t place = data[0];
    const std::size_t count = std::min<std::size_t>(data[1], data.size() - 2);
    const auto piece = data.subspan(2, count);
    data = data.subspan(2 + count);
    if (place < 2) {
      board.in[place]->bytes.insert(board.in[place]->bytes.end(), piece.begin(), piece.end());
    } else {
      board.typed.append(piece.begin(), piece.end());
    }
    for (int i = 0; goes_on && i < 8; ++i) {
      board.now_us += 1000 * place;
      goes_on = program.step();
      for (const auto& wire : board.out) wire->bytes.clear();
    }
  }
  for (int i = 0; goes_on && i < 64; ++i) goes_on = program.step();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  FakeBoard board(model_bytes(), 16384);
  for (int i = 0; i < 2; ++i) {
    board.in.push_back(std::make_shared<mote::test::FakeWire>());
    board.out.push_back(std::make_shared<mote::test::FakeWire>());
  }
  board.now_us = 1'000'000;
  mote::test::use_board(board);
  const std::span rest(data + 1, size - 1);
  if (data[0] % 2 == 0) {
    auto program = std::make_unique<mote::firmware::OneChip>(board.arena);
    program->start();
    feed(board, *program, rest);
  } else {
    std::vector<mote::firmware::NodeLink> links(board.in.size());
    auto program = std::make_unique<mote::firmware::ClusterNode>(board.arena, links);
    program->start();
    feed(board, *program, rest);
  }
  check_output(board);
  return 0;
}
