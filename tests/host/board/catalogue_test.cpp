// SPDX-License-Identifier: Apache-2.0
#include "board/catalogue.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/error.hpp"

namespace mote::host {
namespace {

class CatalogueFolder : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "mote-catalogue-" + std::to_string(::getpid());
    std::filesystem::create_directories(folder_ + "/one");
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& json) const { std::ofstream(folder_ + "/boards.json") << json; }
  /// What `action` complains of; empty where it does not.
  template <typename Action>
  static std::string complaint(Action action) {
    try {
      action();
    } catch (const Error& error) {
      return error.what();
    }
    return {};
  }

  std::string folder_;
};

TEST(FillIn, replaces_each_place) {
  const CommandWords words = {"a={fd},b={fd}", "{image}", "{other}", "{}"};
  EXPECT_EQ(fill_in(words, {{"fd", "7"}, {"image", "x{fd}"}}),
            (CommandWords{"a=7,b=7", "x{fd}", "{other}", "{}"}));
}

TEST_F(CatalogueFolder, reads_a_board) {
  write(R"({"one": {"title": "A board", "clock_hz": 25000000, "emulator": ["emu", "-x"],
            "firmware": ["{firmware}"], "image": ["{image}"], "console": ["{fd}"],
            "links": [["a{fd}"], ["b{fd}"]], "count": ["-c"], "programs": ["one_chip"],
            "image_bytes": 77, "install": "get emu", "start_s": 1.5, "isa": "any"}})");
  const Catalogue catalogue(folder_);
  ASSERT_EQ(catalogue.boards().size(), 1U);
  const BoardEntry& board = catalogue.find("one");
  EXPECT_EQ(board.title, "A board");
  EXPECT_EQ(board.folder, folder_ + "/one");
  EXPECT_EQ(board.clock_hz, 25e6);
  EXPECT_EQ(board.emulator, (CommandWords{"emu", "-x"}));
  EXPECT_EQ(board.links, (std::vector<CommandWords>{{"a{fd}"}, {"b{fd}"}}));
  EXPECT_EQ(board.count, CommandWords{"-c"});
  EXPECT_TRUE(board.lockstep.empty());
  EXPECT_EQ(board.image_bytes, 77U);
  EXPECT_EQ(board.install, "get emu");
  EXPECT_EQ(board.start_us, 1'500'000U);
}

TEST_F(CatalogueFolder, finds_programs) {
  write(R"({"one": {"emulator": ["emu"], "programs": ["one_chip"]}})");
  const Catalogue catalogue(folder_);
  const BoardEntry& board = catalogue.find("one");
  const std::string path = folder_ + "/one/one_chip.elf";
  EXPECT_EQ(complaint([&] { (void)board.program_path("one_chip"); }),
            path + ": is not there; build it with scripts/build_ports.sh one");
  std::ofstream(path) << "x";
  EXPECT_EQ(board.program_path("one_chip"), path);
  board.require_program("one_chip");
  EXPECT_EQ(complaint([&] { board.require_program("cluster_node"); }),
            "--board one: has no program cluster_node, only one_chip");
}

TEST_F(CatalogueFolder, names_what_is_wrong) {
  EXPECT_EQ(complaint([&] { const Catalogue catalogue(folder_); }),
            folder_ + "/boards.json: cannot read; scripts/build_ports.sh makes it");
  write("[1]");
  EXPECT_EQ(complaint([&] { const Catalogue catalogue(folder_); }),
            folder_ + "/boards.json: is no JSON object of boards");
  write("{");
  EXPECT_NE(complaint([&] { const Catalogue catalogue(folder_); }), "");
  write(R"({"one": {"title": "no command"}})");
  EXPECT_EQ(complaint([&] { const Catalogue catalogue(folder_); }),
            folder_ + "/boards.json: one: has neither \"emulator\" nor \"lockstep\"");
  write(R"({"one": {"emulator": "emu"}})");
  EXPECT_NE(complaint([&] { const Catalogue catalogue(folder_); }).find("boards.json: one: "),
            std::string::npos);
  write(R"({"one": {"emulator": ["emu"]}, "two": {"emulator": ["emu"]}})");
  EXPECT_EQ(complaint([&] { (void)Catalogue(folder_).find("three"); }),
            "--board three: is none of those in " + folder_ + "/boards.json: one, two");
}

TEST_F(CatalogueFolder, the_folder_that_was_asked_for) {
  EXPECT_EQ(find_firmware_folder("x"), "x");
}

}  // namespace
}  // namespace mote::host
