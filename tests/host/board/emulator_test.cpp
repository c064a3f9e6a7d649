// SPDX-License-Identifier: Apache-2.0
#include "board/emulator.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "support/error.hpp"

namespace mote::host {
namespace {

std::string read_some(int fd) {
  pollfd readable = {fd, POLLIN, 0};
  if (::poll(&readable, 1, 10'000) <= 0) return "nothing came";
  std::string text(100, '\0');
  const ssize_t count = ::read(fd, text.data(), text.size());
  text.resize(count < 0 ? 0 : static_cast<std::size_t>(count));
  return text;
}

/// What is said of an emulator that ends, once it has.
std::string last_words(const CommandWords& command) {
  try {
    Emulator emulator(command, {}, "chip 2 (x)", "");
    for (int i = 0; i < 1000; ++i) {
      emulator.require_alive();
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  } catch (const Error& error) {
    return error.what();
  }
  return "it lives";
}

TEST(Emulator, inherits_the_descriptors_that_it_is_told) {
  SocketPair pair = make_socket_pair();
  const std::string fd = std::to_string(pair.theirs.get());
  Emulator emulator({"sh", "-c", "echo hello >&" + fd + "; read line"}, {pair.theirs.get()}, "x",
                    "");
  EXPECT_EQ(read_some(pair.ours.get()), "hello\n");
}

TEST(Emulator, hears_of_its_end_by_the_stream) {
  SocketPair pair = make_socket_pair();
  const std::string fd = std::to_string(pair.theirs.get());
  Emulator emulator({"sh", "-c", "exec sleep 100"}, {pair.theirs.get()}, "x", "");
  pair.theirs = OwnedFd();
  emulator.require_alive();
  emulator.kill();
  EXPECT_EQ(read_some(pair.ours.get()), "");
}

TEST(Emulator, tells_how_it_ended) {
  EXPECT_EQ(last_words({"sh", "-c", "echo bad news >&2; exit 3"}),
            "chip 2 (x): the emulator ended with status 3; it said: bad news");
  EXPECT_EQ(last_words({"sh", "-c", "exit 0"}), "chip 2 (x): the emulator ended with status 0");
  EXPECT_EQ(last_words({"sh", "-c", "exit 67"}),
            "chip 2 (x): the emulator ended with status 67: fault 3 of the processor");
  EXPECT_EQ(last_words({"sh", "-c", "kill -9 $$"}),
            "chip 2 (x): the emulator was ended by signal 9");
}

TEST(Emulator, says_how_to_install_what_is_missing) {
  const auto start = [](const std::string& install) {
    try {
      const Emulator emulator({"mote-no-such-program", "-M"}, {}, "chip 0 (x)", install);
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("it lives");
  };
  EXPECT_EQ(start("apt-get install it"),
            "chip 0 (x): there is no program mote-no-such-program; to install it: apt-get install "
            "it");
  EXPECT_EQ(start(""), "chip 0 (x): there is no program mote-no-such-program");
}

}  // namespace
}  // namespace mote::host
