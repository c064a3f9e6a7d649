// SPDX-License-Identifier: Apache-2.0
// One byte stream to one neighbour: a socket or a serial port, without waiting.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace mote::host {

/// A descriptor that does not block, with a small buffer of what is to leave. Whatever fails makes
/// it down, for good; a new link takes its place.
class Link {
 public:
  enum class State : std::uint8_t { connecting, up, down };

  /// Takes `fd` over and makes it non-blocking. A link that connects is up once it can be written
  /// to.
  ///   name  what errors call it
  Link(int fd, std::string name, State state = State::up);
  ~Link();
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  bool is_up() const { return state_ == State::up; }
  bool is_down() const { return state_ == State::down; }
  /// Why it is down.
  const std::string& down_reason() const { return down_reason_; }
  const std::string& name() const { return name_; }

  /// For poll(): the descriptor and what to wait for.
  int fd() const { return fd_; }
  short poll_events() const;
  /// Ends connecting, once poll() says that the descriptor can be written to.
  void finish_connecting();

  /// What has come, as far as it fits; 0 where nothing has.
  std::size_t read(std::span<std::uint8_t> out);

  /// Whether `bytes` more fit the buffer of what is to leave.
  bool can_write(std::size_t bytes) const { return buffer_.size() - size_ >= bytes; }
  /// The free part of the buffer; what is put to its front leaves after `commit`.
  std::span<std::uint8_t> space() { return std::span(buffer_).subspan(size_); }
  void commit(std::size_t bytes) { size_ += bytes; }
  /// The same with a copy; where can_write(bytes.size()).
  void write(std::span<const std::uint8_t> bytes);
  /// Hands over as much as the system takes.
  void flush();
  bool has_unsent() const { return size_ != 0; }

  std::uint64_t received_bytes() const { return received_bytes_; }
  /// Bytes that the system took.
  std::uint64_t sent_bytes() const { return sent_bytes_; }

 private:
  void go_down(int error);

  int fd_;
  std::string name_;
  State state_;
  bool is_socket_ = false;
  std::string down_reason_;
  std::vector<std::uint8_t> buffer_;
  std::size_t size_ = 0;  // bytes of the buffer that are to leave
  std::uint64_t received_bytes_ = 0;
  std::uint64_t sent_bytes_ = 0;
};

}  // namespace mote::host
