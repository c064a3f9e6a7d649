// SPDX-License-Identifier: Apache-2.0
#include "board/emulator.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::size_t kLastWords = 1000;  // bytes of output that an error shows
/// Large, and the system gives what it allows: some emulated UARTs lose what a full socket does not
/// take, and each byte that is written by itself takes the place of hundreds.
constexpr int kSocketBytes = 1 << 20;
/// Boards exit with 64 and the number of the fault (ports/README.md).
constexpr int kFaultStatus = 64;

struct Pipe {
  OwnedFd read;
  OwnedFd write;
};

Pipe make_pipe(int flags) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), flags) != 0) throw Error("cannot make a pipe");
  return {OwnedFd(ends[0]), OwnedFd(ends[1])};
}

/// In the child: becomes `command`, or writes why not to `trouble`.
[[noreturn]] void become(const CommandWords& command, const std::vector<int>& inherited, int output,
                         int trouble) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  // Not to be ended by the terminal: this program ends its children itself.
  ::setpgid(0, 0);
  const int nothing = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(output, STDOUT_FILENO);
  ::dup2(output, STDERR_FILENO);
  for (const int fd : inherited) ::fcntl(fd, F_SETFD, 0);
  std::vector<char*> argv;
  for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  ::execvp(argv[0], argv.data());
  const int error = errno;
  const ssize_t written = ::write(trouble, &error, sizeof(error));
  ::_exit(written < 0 ? 126 : 127);
}

std::string start_trouble(const std::string& program, int error, const std::string& install) {
  if (error != ENOENT) return fmt::format("{}: {}", program, std::strerror(error));
  const std::string how = install.empty() ? std::string() : "; to install it: " + install;
  return fmt::format("there is no program {}{}", program, how);
}

}  // namespace

OwnedFd::~OwnedFd() {
  if (fd_ >= 0) ::close(fd_);
}

OwnedFd& OwnedFd::operator=(OwnedFd&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  fd_ = other.release();
  return *this;
}

int OwnedFd::release() {
  return std::exchange(fd_, -1);
}

SocketPair make_socket_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw Error(fmt::format("cannot make a socket pair: {}", std::strerror(errno)));
  }
  ::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &kSocketBytes, sizeof(kSocketBytes));
  return {OwnedFd(ends[0]), OwnedFd(ends[1])};
}

Emulator::Emulator(const CommandWords& command, const std::vector<int>& inherited, std::string name,
                   const std::string& install)
    : name_(std::move(name)) {
  Pipe output = make_pipe(O_CLOEXEC);
  Pipe trouble = make_pipe(O_CLOEXEC);
  child_ = ::fork();
  if (child_ < 0) throw Error(fmt::format("{}: cannot start a process", name_));
  if (child_ == 0) become(command, inherited, output.write.get(), trouble.write.get());
  trouble.write = OwnedFd();
  int error = 0;
  // Ends without a byte once the child has become another program.
  if (::read(trouble.read.get(), &error, sizeof(error)) == sizeof(error)) {
    kill();
    throw Error(fmt::format("{}: {}", name_, start_trouble(command[0], error, install)));
  }
  ::fcntl(output.read.get(), F_SETFL, O_NONBLOCK);
  output_ = std::move(output.read);
}

Emulator::~Emulator() {
  kill();
}

void Emulator::kill() {
  if (child_ <= 0) return;
  ::kill(child_, SIGKILL);
  ::waitpid(child_, nullptr, 0);
  child_ = -1;
}

void Emulator::read_output() {
  std::array<char, 512> buffer{};
  for (ssize_t count = 1; count > 0;) {
    count = ::read(output_.get(), buffer.data(), buffer.size());
    if (count > 0) last_words_.append(buffer.data(), static_cast<std::size_t>(count));
    if (last_words_.size() > kLastWords) last_words_.erase(0, last_words_.size() - kLastWords);
  }
}

std::string Emulator::describe_end(int status) {
  std::string text = name_ + ": the emulator ";
  if (WIFSIGNALED(status)) {
    text += fmt::format("was ended by signal {}", WTERMSIG(status));
  } else if (WEXITSTATUS(status) >= kFaultStatus) {
    text += fmt::format("ended with status {}: fault {} of the processor", WEXITSTATUS(status),
                        WEXITSTATUS(status) - kFaultStatus);
  } else {
    text += fmt::format("ended with status {}", WEXITSTATUS(status));
  }
  while (last_words_.ends_with('\n')) last_words_.pop_back();
  return last_words_.empty() ? text : text + "; it said: " + last_words_;
}

void Emulator::require_alive() {
  if (child_ <= 0) return;
  read_output();  // also lest it waits for room
  int status = 0;
  if (::waitpid(child_, &status, WNOHANG) != child_) return;
  child_ = -1;
  read_output();
  throw Error(describe_end(status));
}

}  // namespace mote::host
