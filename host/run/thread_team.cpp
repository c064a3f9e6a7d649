// SPDX-License-Identifier: Apache-2.0
#include "run/thread_team.hpp"

namespace mote::host {
namespace {

/// Looks before a thread goes to sleep: some microseconds, which phases of small models last.
constexpr int kLooks = 2000;
/// Looks between which others may run: where two threads have one processor, the one that is waited
/// for.
constexpr int kLooksAtOnce = 64;

void wait_briefly(int look) {
  if (look % kLooksAtOnce == kLooksAtOnce - 1) return std::this_thread::yield();
#if defined(__x86_64__)
  __builtin_ia32_pause();
#endif
}

}  // namespace

void Barrier::wait() {
  const std::uint32_t round = round_.load(std::memory_order_relaxed);
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == threads_) {
    arrived_.store(0, std::memory_order_relaxed);
    round_.store(round + 1, std::memory_order_release);
    round_.notify_all();
    return;
  }
  for (int i = 0; i < kLooks; ++i) {
    if (round_.load(std::memory_order_acquire) != round) return;
    wait_briefly(i);
  }
  while (round_.load(std::memory_order_acquire) == round) round_.wait(round);
}

ThreadTeam::ThreadTeam(std::uint32_t threads) : size_(threads), barrier_(threads) {
  for (std::uint32_t i = 1; i < size_; ++i) threads_.emplace_back([this, i] { work(i); });
}

ThreadTeam::~ThreadTeam() {
  task_ = nullptr;
  barrier_.wait();
  for (std::thread& thread : threads_) thread.join();
}

void ThreadTeam::work(std::uint32_t thread) {
  for (;;) {
    barrier_.wait();
    if (task_ == nullptr) return;
    (*task_)(thread);
    barrier_.wait();
  }
}

void ThreadTeam::run(const Task& task) {
  task_ = &task;
  barrier_.wait();
  task(0);
  barrier_.wait();
}

}  // namespace mote::host
