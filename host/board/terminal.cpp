// SPDX-License-Identifier: Apache-2.0
#include "board/terminal.hpp"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <string_view>

#include "support/error.hpp"

namespace mote::host {
namespace {

constexpr std::uint64_t kPumpUs = 5'000;
constexpr char kEndOfInput = 4;  // Ctrl-D
/// What a board writes where it waits for a command of a person.
constexpr std::string_view kPrompt = "> ";

/// Keys one by one, without echo: the board echoes. Ctrl-C goes to the board, which ends its
/// answer.
class RawTerminal {
 public:
  RawTerminal() : is_terminal_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!is_terminal_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO | ISIG);
    raw.c_iflag &= ~static_cast<tcflag_t>(IXON);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
  }
  ~RawTerminal() {
    if (is_terminal_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  RawTerminal(const RawTerminal&) = delete;
  RawTerminal& operator=(const RawTerminal&) = delete;

  bool is_terminal() const { return is_terminal_; }

 private:
  termios before_{};
  bool is_terminal_;
};

/// What has come on standard input; `is_end` once there will be no more.
std::string read_input(bool& is_end) {
  pollfd input = {STDIN_FILENO, POLLIN, 0};
  if (::poll(&input, 1, 0) <= 0) return {};
  std::array<char, 1024> buffer{};
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  is_end = count <= 0;
  return is_end ? std::string() : std::string(buffer.data(), static_cast<std::size_t>(count));
}

class Session {
 public:
  Session(VirtualCluster& cluster, std::size_t chip)
      : cluster_(cluster), console_(cluster.console(chip)) {}

  void run() {
    console_.send("");  // for a prompt
    while (!is_over()) {
      type();
      cluster_.pump(kPumpUs);
      show();
    }
    std::fputc('\n', stdout);
  }

 private:
  bool is_over() const {
    return is_end_ && input_.empty() && (terminal_.is_terminal() || is_ready());
  }
  /// The board waits for a command, having taken all of the last.
  bool is_ready() const { return console_.is_sent() && shown_.ends_with(kPrompt); }

  void type() {
    if (!is_end_) input_ += read_input(is_end_);
    if (terminal_.is_terminal()) {
      const std::size_t end = input_.find(kEndOfInput);
      is_end_ = is_end_ || end != std::string::npos;
      console_.send_bytes(std::string_view(input_).substr(0, end));
      input_.clear();
      return;
    }
    // Line by line, so that each is answered before the next.
    if (input_.empty() || !is_ready()) return;
    const std::size_t end = input_.find('\n');
    if (end == std::string::npos && !is_end_) return;
    const std::size_t size = end == std::string::npos ? input_.size() : end;
    console_.send(input_.substr(0, size));
    input_.erase(0, size + 1);
    shown_.clear();
  }

  void show() {
    const std::string bytes = console_.take_bytes();
    std::fwrite(bytes.data(), 1, bytes.size(), stdout);
    if (!bytes.empty() && std::fflush(stdout) != 0) throw Error("standard output: cannot write");
    shown_ += bytes;
    if (shown_.size() > kPrompt.size()) shown_.erase(0, shown_.size() - kPrompt.size());
  }

  VirtualCluster& cluster_;
  Console& console_;
  RawTerminal terminal_;
  std::string input_;
  std::string shown_;  // the end of the output since the last line was sent
  bool is_end_ = false;
};

}  // namespace

void attach_terminal(VirtualCluster& cluster, std::size_t chip) {
  Session(cluster, chip).run();
}

}  // namespace mote::host
