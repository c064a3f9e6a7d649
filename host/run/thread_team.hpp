// SPDX-License-Identifier: Apache-2.0
// A fixed number of threads that do one task together, and meet at points of it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace mote::host {

/// Where `threads` threads wait for each other, any number of times: a short while by looking again
/// and again, then asleep.
class Barrier {
 public:
  explicit Barrier(std::uint32_t threads) : threads_(threads) {}

  /// Returns once every thread has called it. What they wrote before is seen after.
  void wait();

 private:
  const std::uint32_t threads_;
  alignas(64) std::atomic<std::uint32_t> arrived_ = 0;
  alignas(64) std::atomic<std::uint32_t> round_ = 0;
};

/// The calling thread is number 0; the others wait between tasks and end with this.
class ThreadTeam {
 public:
  using Task = std::function<void(std::uint32_t thread)>;

  /// 1 to kMaxChips threads.
  explicit ThreadTeam(std::uint32_t threads);
  ~ThreadTeam();
  ThreadTeam(const ThreadTeam&) = delete;
  ThreadTeam& operator=(const ThreadTeam&) = delete;

  std::uint32_t size() const { return size_; }
  /// Runs `task` in every thread, until all have done it. It must not throw.
  void run(const Task& task);
  /// Called by every thread in a task: returns once all have.
  void meet() { barrier_.wait(); }

 private:
  void work(std::uint32_t thread);

  const std::uint32_t size_;
  Barrier barrier_;
  const Task* task_ = nullptr;  // of the next round; none: the end
  std::vector<std::thread> threads_;
};

}  // namespace mote::host
