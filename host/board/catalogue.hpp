// SPDX-License-Identifier: Apache-2.0
// The boards that an emulator can stand for, as ports/boards.json lists them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mote::host {

/// Words of a command line with places to fill in: {firmware}, {image}, {fd}, {seed}, {folder}.
using CommandWords = std::vector<std::string>;

/// What stands for the places of a command.
using CommandValues = std::vector<std::pair<std::string_view, std::string>>;

/// The words with every `{name}` of `values` replaced.
CommandWords fill_in(const CommandWords& words, const CommandValues& values);

/// One kind of board.
struct BoardEntry {
  std::string name;    // the folder of its port: "mps2_an386"
  std::string title;   // for people
  std::string folder;  // what the build left for it: its programs
  double clock_hz = 0;
  CommandWords emulator;
  CommandWords firmware;
  CommandWords image;
  CommandWords console;
  std::vector<CommandWords> links;      // in the order of the board's link numbers
  CommandWords count;                   // more words that make counted work exact; may be empty
  CommandWords lockstep;                // not empty: runs all chips of a cluster in one process
  std::vector<std::string> programs;    // "one_chip", "cluster_node"
  std::string install;                  // how to get the emulator; empty: not said
  std::uint64_t image_bytes = 0;        // room for an image; 0: not said
  std::uint64_t start_us = 20'000'000;  // by when it surely answers

  /// Throws `Error` where the board has no such program.
  void require_program(const std::string& program) const;
  /// The path of a program; throws `Error` that says how to build it where it is not there.
  std::string program_path(const std::string& program) const;
};

class Catalogue {
 public:
  /// Reads `folder`/boards.json; the programs of a board lie in `folder`/<board>/. Throws `Error`
  /// that names the file and the board where it is not as it should be.
  explicit Catalogue(const std::string& folder);

  /// Throws `Error` that lists the boards where there is none of that name.
  const BoardEntry& find(const std::string& name) const;
  const std::vector<BoardEntry>& boards() const { return boards_; }

 private:
  std::string path_;
  std::vector<BoardEntry> boards_;
};

/// Where the boards are: `asked` if it is not empty, else build/ports of this folder or `ports`
/// beside the folder of the program. Throws `Error` that says how to build them.
std::string find_firmware_folder(const std::string& asked);

}  // namespace mote::host
