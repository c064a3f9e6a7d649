// SPDX-License-Identifier: Apache-2.0
// `mote node` as a process of its own, which ends with the test whatever happens.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

namespace mote::test {

class NodeProcess {
 public:
  /// Starts `program node -m image --listen listen arguments...` and waits until it listens. Throws
  /// with what it said where it does not.
  NodeProcess(const std::string& program, const std::string& image,
              const std::string& listen = "tcp://127.0.0.1:0",
              const std::vector<std::string>& arguments = {});
  ~NodeProcess();
  NodeProcess(const NodeProcess&) = delete;
  NodeProcess& operator=(const NodeProcess&) = delete;

  /// What a driver calls it, with the port that it chose.
  const std::string& address() const { return address_; }
  /// SIGKILL, SIGSTOP, SIGCONT, ...
  void send_signal(int signal) const;
  /// kill -9, and waits until it has gone.
  void kill();
  /// The same command at the same address, after `kill`; returns when it listens.
  void restart();
  /// The same a while later; returns at once.
  void restart_after(std::chrono::milliseconds delay);
  /// Waits for its own end and returns its exit code, -1 where a signal ended it.
  int wait();

 private:
  void start(int output, std::chrono::milliseconds delay);

  std::string program_;
  std::vector<std::string> arguments_;
  std::string address_;
  pid_t child_ = -1;
};

}  // namespace mote::test
