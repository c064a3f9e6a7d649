// SPDX-License-Identifier: Apache-2.0
// Reads lines "KIND HEX" (a pre-tokeniser's number, a text) and writes the pieces' lengths in
// bytes.
#include <cstdint>
#include <cstdio>
#include <iostream>
#include <string>

#include "model/pre_tokenizer.hpp"

int main() {
  std::uint32_t kind = 0;
  std::string hex;
  while (std::cin >> kind >> hex) {
    std::string text;
    for (std::size_t i = 1; i + 1 < hex.size(); i += 2) {
      text += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    }
    mote::PieceSplitter splitter(static_cast<mote::PreTokenizer>(kind), text);
    for (auto piece = splitter.next(); !piece.empty(); piece = splitter.next()) {
      std::printf("%zu ", piece.size());
    }
    std::printf("\n");
  }
  return 0;
}
