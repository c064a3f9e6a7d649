// SPDX-License-Identifier: Apache-2.0
#include "posix_board.hpp"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <string_view>

#include "firmware/board.hpp"
#include "mote/arena.hpp"
#include "mote/frame.hpp"

namespace mote::posix {
namespace {

constexpr std::size_t kMaxLinks = 8;
constexpr std::size_t kArenaBytes = std::size_t{16} << 20;
constexpr std::size_t kStackBytes = std::size_t{256} << 10;
constexpr int kSleepMs = 2;

struct Board {
  std::span<const std::uint8_t> image;
  std::size_t arena_bytes = kArenaBytes;
  int console_in = STDIN_FILENO;
  int console_out = STDOUT_FILENO;
  bool is_console_over = false;
  std::array<int, kMaxLinks> links{};  // -1: leads nowhere any more
  std::uint32_t link_count = 0;
  std::uint64_t seed = 0;
  int (*program)() = nullptr;
  int status = 0;
};

Board the_board;
alignas(kArenaAlignment * 4) std::array<std::byte, kArenaBytes> arena_memory;
alignas(4096) std::array<std::byte, kStackBytes> stack_memory;

[[noreturn]] void fail(const char* what, const char* why) {
  std::fprintf(stderr, "%s: %s\n", what, why);
  std::exit(2);
}

std::uint64_t clock_ns(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

std::span<const std::uint8_t> map_file(const char* path) {
  const int fd = ::open(path, O_RDONLY | O_CLOEXEC);
  struct stat info {};
  if (fd < 0 || ::fstat(fd, &info) != 0) fail(path, std::strerror(errno));
  const auto bytes = static_cast<std::size_t>(info.st_size);
  if (bytes == 0) return {};
  void* memory = ::mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE, fd, 0);
  if (memory == MAP_FAILED) fail(path, std::strerror(errno));
  return {static_cast<const std::uint8_t*>(memory), bytes};
}

std::uint64_t number_of(const char* option, const char* text) {
  char* end = nullptr;
  const std::uint64_t number = std::strtoull(text, &end, 10);
  if (end == text || *end != 0) fail(option, "a number is expected");
  return number;
}

int descriptor_of(const char* option, const char* text) {
  const int fd = static_cast<int>(number_of(option, text));
  const int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0) fail(option, "no open descriptor has this number");
  ::fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  return fd;
}

void take_option(std::string_view option, const char* value) {
  if (option == "--image") {
    the_board.image = map_file(value);
  } else if (option == "--console") {
    the_board.console_in = the_board.console_out = descriptor_of("--console", value);
  } else if (option == "--link") {
    if (the_board.link_count == kMaxLinks) fail("--link", "there may be 8 at most");
    the_board.links[the_board.link_count++] = descriptor_of("--link", value);
  } else if (option == "--arena") {
    const std::uint64_t bytes = number_of("--arena", value) / kArenaAlignment * kArenaAlignment;
    the_board.arena_bytes = std::min<std::size_t>(bytes, kArenaBytes);
  } else if (option == "--seed") {
    the_board.seed = number_of("--seed", value);
  } else {
    fail("usage", "--image FILE [--console FD] [--link FD]... [--arena BYTES] [--seed N]");
  }
}

void* run_on_stack(void*) {
  the_board.status = the_board.program();
  return nullptr;
}

/// The bytes that a descriptor has; 0 where it has none now, or no more for ever.
std::size_t read_some(int fd, std::span<std::uint8_t> out, bool& is_over) {
  const ssize_t bytes = ::read(fd, out.data(), out.size());
  is_over = bytes == 0 || (bytes < 0 && errno != EAGAIN && errno != EINTR);
  return bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

}  // namespace

int run_program(int argc, char** argv, int (*program)()) {
  // A neighbour that is gone must not end this process.
  ::signal(SIGPIPE, SIG_IGN);
  the_board.seed = clock_ns(CLOCK_REALTIME) ^ static_cast<std::uint64_t>(::getpid()) << 40;
  if (argc % 2 == 0) take_option("", nullptr);
  for (int i = 1; i + 1 < argc; i += 2) take_option(argv[i], argv[i + 1]);
  the_board.program = program;
  stack_memory.fill(board::kStackPaint);
  pthread_attr_t attributes;
  pthread_t thread;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstack(&attributes, stack_memory.data(), stack_memory.size());
  const int error = ::pthread_create(&thread, &attributes, run_on_stack, nullptr);
  if (error != 0) fail("thread", std::strerror(error));
  ::pthread_join(thread, nullptr);
  return the_board.status;
}

}  // namespace mote::posix

namespace mote::board {

using posix::the_board;

std::string_view name() {
  return "posix";
}

std::span<const std::uint8_t> image_region() {
  return the_board.image;
}

std::span<std::byte> arena() {
  return std::span(posix::arena_memory).first(the_board.arena_bytes);
}

std::span<const std::byte> stack() {
  return posix::stack_memory;
}

int read_console() {
  // One system call for many bytes.
  static std::array<std::uint8_t, 256> bytes;
  static std::size_t count = 0;
  static std::size_t next = 0;
  if (next == count) {
    next = 0;
    count = 0;
    if (the_board.is_console_over) return -1;
    pollfd ready = {the_board.console_in, POLLIN, 0};
    if (::poll(&ready, 1, 0) <= 0) return -1;
    count = posix::read_some(the_board.console_in, bytes, the_board.is_console_over);
    if (count == 0) return -1;
  }
  return bytes[next++];
}

void write_console(std::string_view text) {
  while (!text.empty()) {
    const ssize_t bytes = ::write(the_board.console_out, text.data(), text.size());
    if (bytes > 0) {
      text.remove_prefix(static_cast<std::size_t>(bytes));
      continue;
    }
    // Nobody reads the console any more.
    if (errno != EAGAIN && errno != EINTR) exit(1);
    pollfd ready = {the_board.console_out, POLLOUT, 0};
    ::poll(&ready, 1, -1);
  }
}

std::uint32_t link_count() {
  return the_board.link_count;
}

std::size_t read_link(std::uint32_t link, std::span<std::uint8_t> out) {
  int& fd = the_board.links[link];
  if (fd < 0) return 0;
  bool is_over = false;
  const std::size_t bytes = posix::read_some(fd, out, is_over);
  if (is_over) fd = -1;
  return bytes;
}

std::size_t write_link(std::uint32_t link, std::span<const std::uint8_t> bytes) {
  int& fd = the_board.links[link];
  // A line that leads nowhere takes everything.
  if (fd < 0) return bytes.size();
  const ssize_t taken = ::write(fd, bytes.data(), bytes.size());
  if (taken >= 0) return static_cast<std::size_t>(taken);
  if (errno != EAGAIN && errno != EINTR) fd = -1;
  return 0;
}

std::size_t link_frame_bytes() {
  return kMaxFrameBytes;
}

FixedSeat fixed_seat() {
  return {};
}

bool start_apart(void (*)(void*), void*) {
  return false;
}

bool is_apart_done() {
  return true;
}

std::uint64_t now_us() {
  return posix::clock_ns(CLOCK_MONOTONIC) / 1000;
}

std::uint64_t work_count() {
  return posix::clock_ns(CLOCK_THREAD_CPUTIME_ID);
}

std::string_view work_unit() {
  return "ns";
}

void sleep() {
  // Who starts a program with `echo info |` gets its answer, and then the end.
  if (the_board.is_console_over) exit(0);
  std::array<pollfd, posix::kMaxLinks + 1> ready{};
  ready[0] = {the_board.console_in, POLLIN, 0};
  for (std::uint32_t i = 0; i < the_board.link_count; ++i) {
    ready[i + 1] = {the_board.links[i], POLLIN, 0};
  }
  ::poll(ready.data(), the_board.link_count + 1, posix::kSleepMs);
}

std::uint64_t identity() {
  return the_board.seed;
}

std::uint32_t boot_number() {
  return static_cast<std::uint32_t>(the_board.seed ^ the_board.seed >> 32);
}

void exit(int status) {
  std::_Exit(status);
}

}  // namespace mote::board
