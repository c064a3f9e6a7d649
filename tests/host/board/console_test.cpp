// SPDX-License-Identifier: Apache-2.0
#include "board/console.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "board/emulator.hpp"

namespace mote::host {
namespace {

/// A console and the board's end of it.
struct ConsolePair {
  SocketPair pair = make_socket_pair();
  Console console = Console(pair.ours.release(), "chip 1");

  void say(const std::string& text) {
    EXPECT_EQ(::write(pair.theirs.get(), text.data(), text.size()),
              static_cast<ssize_t>(text.size()));
    console.pump();
  }
  std::string heard(std::size_t most = 4096) {
    std::string text(most, '\0');
    const ssize_t count = ::read(pair.theirs.get(), text.data(), text.size());
    text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
    return text;
  }
};

TEST(Console, takes_objects_line_by_line) {
  ConsolePair board;
  board.say("{\"token\":1}\n{\"tok");
  EXPECT_EQ(board.console.next()->at("token"), 1);
  EXPECT_FALSE(board.console.next());
  board.say("en\":2}\r\n");
  EXPECT_EQ(board.console.next()->at("token"), 2);
  EXPECT_FALSE(board.console.next());
}

TEST(Console, passes_over_what_is_for_people) {
  ConsolePair board;
  board.say("Mote one_chip on x\r\n> {\"done\":true}\n\n{broken\n[1]\n{\"a\":1}\n");
  EXPECT_TRUE(board.console.next()->contains("done"));
  EXPECT_TRUE(board.console.next()->contains("a"));
  EXPECT_FALSE(board.console.next());
  EXPECT_EQ(board.console.last_text(), "[1]");
}

TEST(Console, sends_commands) {
  ConsolePair board;
  board.console.send("!info");
  EXPECT_FALSE(board.console.is_sent());
  board.console.pump();
  EXPECT_TRUE(board.console.is_sent());
  EXPECT_EQ(board.heard(), "!info\n");
}

TEST(Console, keeps_what_the_board_does_not_take_yet) {
  ConsolePair board;
  const std::string text(100'000, 'x');
  board.console.send_bytes(text);
  std::string heard;
  while (heard.size() < text.size()) {
    board.console.pump();
    heard += board.heard();
  }
  EXPECT_EQ(heard, text);
  EXPECT_TRUE(board.console.is_sent());
}

TEST(Console, hands_bytes_to_a_person) {
  ConsolePair board;
  board.say("> he");
  EXPECT_EQ(board.console.take_bytes(), "> he");
  EXPECT_EQ(board.console.take_bytes(), "");
}

}  // namespace
}  // namespace mote::host
