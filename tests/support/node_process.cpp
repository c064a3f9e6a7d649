// SPDX-License-Identifier: Apache-2.0
#include "support/node_process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <stdexcept>

namespace mote::test {
namespace {

constexpr int kStartMs = 20'000;
constexpr const char* kListening = "listening on ";

/// What comes by `fd` until a line ends, the writer has gone or time is over.
std::string read_line(int fd) {
  std::string line;
  pollfd readable = {fd, POLLIN, 0};
  char letter = 0;
  while (::poll(&readable, 1, kStartMs) > 0 && ::read(fd, &letter, 1) == 1 && letter != '\n') {
    line += letter;
  }
  return line;
}

[[noreturn]] void become(const std::string& program, const std::vector<std::string>& arguments,
                         int output) {
  // Sent when the thread that forked ends, so nodes are started by the thread of the test.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::dup2(output, STDOUT_FILENO);
  std::vector<char*> argv = {const_cast<char*>(program.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  ::execv(argv[0], argv.data());
  ::_exit(127);
}

}  // namespace

NodeProcess::NodeProcess(const std::string& program, const std::string& image,
                         const std::string& listen, const std::vector<std::string>& arguments)
    : program_(program), arguments_({"node", "-m", image, "--quiet"}), address_(listen) {
  arguments_.insert(arguments_.end(), arguments.begin(), arguments.end());
  restart();
}

NodeProcess::~NodeProcess() {
  kill();
}

void NodeProcess::start(int output, std::chrono::milliseconds delay) {
  std::vector<std::string> arguments = arguments_;
  arguments.insert(arguments.end(), {"--listen", address_});
  child_ = ::fork();
  if (child_ != 0) return;
  ::usleep(static_cast<useconds_t>(delay.count() * 1000));
  become(program_, arguments, output);
}

void NodeProcess::restart() {
  std::array<int, 2> pipe{};
  if (::pipe2(pipe.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  start(pipe[1], {});
  ::close(pipe[1]);
  const std::string line = read_line(pipe[0]);
  ::close(pipe[0]);
  if (!line.starts_with(kListening)) {
    kill();
    throw std::runtime_error("the node does not listen at " + address_ + ": " + line);
  }
  address_ = line.substr(std::string(kListening).size());
}

void NodeProcess::restart_after(std::chrono::milliseconds delay) {
  // Nobody reads what it says; a pipe without a reader would end it.
  const int nothing = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  start(nothing, delay);
  ::close(nothing);
}

void NodeProcess::send_signal(int signal) const {
  if (child_ > 0) ::kill(child_, signal);
}

void NodeProcess::kill() {
  send_signal(SIGKILL);
  wait();
}

int NodeProcess::wait() {
  if (child_ <= 0) return -1;
  int status = 0;
  ::waitpid(child_, &status, 0);
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace mote::test
