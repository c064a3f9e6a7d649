// SPDX-License-Identifier: Apache-2.0
#include "board/catalogue.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "support/error.hpp"

namespace mote::host {
namespace {

using Json = nlohmann::json;

constexpr const char* kFileName = "boards.json";
constexpr const char* kBuildCommand = "scripts/build_ports.sh";

Json read_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw Error(fmt::format("{}: cannot read; {} makes it", path, kBuildCommand));
  Json json = Json::parse(file, nullptr, false);
  if (!json.is_object()) throw Error(path + ": is no JSON object of boards");
  return json;
}

CommandWords words_of(const Json& board, const char* key) {
  return board.value(key, CommandWords());
}

BoardEntry read_board(const std::string& name, const Json& board, const std::string& folder) {
  BoardEntry entry;
  entry.name = name;
  entry.title = board.value("title", name);
  entry.folder = (std::filesystem::path(folder) / name).string();
  entry.clock_hz = board.value("clock_hz", 0.0);
  entry.emulator = words_of(board, "emulator");
  entry.firmware = words_of(board, "firmware");
  entry.image = words_of(board, "image");
  entry.console = words_of(board, "console");
  entry.links = board.value("links", std::vector<CommandWords>());
  entry.count = words_of(board, "count");
  entry.lockstep = words_of(board, "lockstep");
  entry.programs = board.value("programs", std::vector<std::string>());
  entry.install = board.value("install", std::string());
  entry.image_bytes = board.value("image_bytes", std::uint64_t{0});
  const double start_s = board.value("start_s", 0.0);
  if (start_s > 0) entry.start_us = static_cast<std::uint64_t>(start_s * 1e6);
  if (entry.emulator.empty() && entry.lockstep.empty()) {
    throw Error("has neither \"emulator\" nor \"lockstep\"");
  }
  return entry;
}

std::string replaced(std::string word, const CommandValues& values) {
  for (const auto& [name, value] : values) {
    const std::string place = fmt::format("{{{}}}", name);
    for (std::size_t at = word.find(place); at != std::string::npos;
         at = word.find(place, at + value.size())) {
      word.replace(at, place.size(), value);
    }
  }
  return word;
}

/// The folder of the program that runs; empty where the system does not say.
std::filesystem::path program_folder() {
  std::error_code error;
  return std::filesystem::read_symlink("/proc/self/exe", error).parent_path();
}

}  // namespace

CommandWords fill_in(const CommandWords& words, const CommandValues& values) {
  CommandWords filled;
  for (const std::string& word : words) filled.push_back(replaced(word, values));
  return filled;
}

void BoardEntry::require_program(const std::string& program) const {
  if (std::ranges::find(programs, program) != programs.end()) return;
  throw Error(fmt::format("--board {}: has no program {}, only {}", name, program,
                          fmt::join(programs, ", ")));
}

std::string BoardEntry::program_path(const std::string& program) const {
  const auto path = std::filesystem::path(folder) / (program + ".elf");
  if (std::filesystem::is_regular_file(path)) return path.string();
  throw Error(
      fmt::format("{}: is not there; build it with {} {}", path.string(), kBuildCommand, name));
}

Catalogue::Catalogue(const std::string& folder)
    : path_((std::filesystem::path(folder) / kFileName).string()) {
  const Json json = read_json(path_);
  for (const auto& [name, board] : json.items()) {
    try {
      boards_.push_back(read_board(name, board, folder));
    } catch (const Json::exception& error) {
      throw Error(fmt::format("{}: {}: {}", path_, name, error.what()));
    } catch (const Error& error) {
      throw Error(fmt::format("{}: {}: {}", path_, name, error.what()));
    }
  }
}

const BoardEntry& Catalogue::find(const std::string& name) const {
  const auto found = std::ranges::find(boards_, name, &BoardEntry::name);
  if (found != boards_.end()) return *found;
  std::vector<std::string> names;
  for (const BoardEntry& board : boards_) names.push_back(board.name);
  throw Error(
      fmt::format("--board {}: is none of those in {}: {}", name, path_, fmt::join(names, ", ")));
}

std::string find_firmware_folder(const std::string& asked) {
  if (!asked.empty()) return asked;
  const std::filesystem::path beside = program_folder() / ".." / "ports";
  for (const std::filesystem::path& folder : {std::filesystem::path("build/ports"), beside}) {
    if (std::filesystem::is_regular_file(folder / kFileName)) return folder.string();
  }
  throw Error(fmt::format(
      "build/ports/{}: is not there; {} builds the boards' programs, --firmware-dir names another "
      "folder",
      kFileName, kBuildCommand));
}

}  // namespace mote::host
