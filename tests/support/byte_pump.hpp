// SPDX-License-Identifier: Apache-2.0
// Lines that a test holds in its hand: two pseudo-terminals joined at a rate, and a TCP connection
// that passes by the test.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <thread>

namespace mote::test {

/// A serial line: what is written to either end comes out of the other, byte after byte at a rate.
class PtyWire {
 public:
  /// 2 Mbaud with ten bits a byte is 200,000.
  explicit PtyWire(double bytes_per_s);
  ~PtyWire();
  PtyWire(const PtyWire&) = delete;
  PtyWire& operator=(const PtyWire&) = delete;

  /// The device of an end, 0 or 1.
  const std::string& device(std::size_t end) const { return devices_[end]; }
  /// "serial://DEVICE?baud=2000000".
  std::string address(std::size_t end) const;
  /// Writes noise to both ends, as a loose contact does.
  void make_noise(std::uint64_t seed);

 private:
  void run(double bytes_per_s);

  std::array<int, 2> masters_{};
  std::array<int, 2> ends_{};  // open as long as this, so that no end ever hangs up
  std::array<std::string, 2> devices_;
  std::atomic<bool> must_stop_ = false;
  std::thread thread_;
};

/// Stands between a driver and a node and passes bytes on, as they are or damaged.
class TcpTap {
 public:
  enum class Mode : std::uint8_t {
    pass,
    garbage,  // the driver gets random bytes in place of the node's
    silence,  // nothing passes, though the line is open
  };

  /// `node_port` at 127.0.0.1; 0: there is no node, only what the mode makes.
  explicit TcpTap(std::uint16_t node_port);
  ~TcpTap();
  TcpTap(const TcpTap&) = delete;
  TcpTap& operator=(const TcpTap&) = delete;

  /// Where the driver connects to.
  std::string address() const;
  void set_mode(Mode mode) { mode_ = mode; }

 private:
  void run();
  void serve(int driver);
  bool pass(int from, int to, bool is_to_driver);

  int listener_ = -1;
  std::uint16_t port_ = 0;
  std::uint16_t node_port_;
  std::atomic<Mode> mode_ = Mode::pass;
  std::atomic<bool> must_stop_ = false;
  std::thread thread_;
};

}  // namespace mote::test
