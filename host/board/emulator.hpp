// SPDX-License-Identifier: Apache-2.0
// An emulator as a process: it inherits the descriptors that its command names, and ends with this
// program whatever happens.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "board/catalogue.hpp"

namespace mote::host {

/// A descriptor that is closed with its object.
class OwnedFd {
 public:
  explicit OwnedFd(int fd = -1) : fd_(fd) {}
  ~OwnedFd();
  OwnedFd(OwnedFd&& other) noexcept : fd_(other.release()) {}
  OwnedFd& operator=(OwnedFd&& other) noexcept;
  OwnedFd(const OwnedFd&) = delete;
  OwnedFd& operator=(const OwnedFd&) = delete;

  int get() const { return fd_; }
  int release();

 private:
  int fd_;
};

/// Two ends of a stream in both directions; neither is inherited by programs.
struct SocketPair {
  OwnedFd ours;
  OwnedFd theirs;
};
SocketPair make_socket_pair();

class Emulator {
 public:
  /// Starts `command`, which inherits `inherited` under their numbers. Throws `Error` that begins
  /// with `name` where it cannot be started, and ends with `install` where there is no such
  /// program.
  Emulator(const CommandWords& command, const std::vector<int>& inherited, std::string name,
           const std::string& install);
  ~Emulator();
  Emulator(const Emulator&) = delete;
  Emulator& operator=(const Emulator&) = delete;

  /// Ends it at once and waits until it has gone.
  void kill();
  /// Throws `Error` with its exit status and last words where it has ended by itself.
  void require_alive();

 private:
  void read_output();
  std::string describe_end(int status);

  std::string name_;
  OwnedFd output_;
  std::string last_words_;
  pid_t child_ = -1;
};

}  // namespace mote::host
