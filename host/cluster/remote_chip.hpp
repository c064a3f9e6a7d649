// SPDX-License-Identifier: Apache-2.0
// The line from a driver to one chip: opened, told its seat, opened again when it is lost.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "mote/message.hpp"
#include "transport/dialer.hpp"
#include "transport/link.hpp"

namespace mote::host {

class RemoteChip {
 public:
  /// Throws `Error` where the host is not known.
  RemoteChip(const Address& address, const SeatAssignment& seat);

  /// "chip 2 (tcp://...)".
  const std::string& name() const { return name_; }
  std::uint32_t seat() const { return seat_.seat; }
  bool is_open() const { return link_ != nullptr && link_->is_up(); }
  /// Null while there is none.
  Link* link() { return link_.get(); }
  /// Why the line was lost, or could not be opened, the last time; empty where it never was.
  const std::string& trouble() const { return trouble_; }

  /// Opens the line if there is none and it is time for an attempt. True where it has become open
  /// since the last call.
  bool keep_open(std::uint64_t now_us);
  /// True where the line has failed; then there is none.
  bool take_loss(std::uint64_t now_us);
  /// Gives the line up, to open it anew. A serial port stays as it is.
  void reopen(std::uint64_t now_us);
  /// Tells the chip its seat, if that was not done for a while.
  void tell_seat(std::uint64_t now_us);

  std::uint64_t sent_bytes() const;
  std::uint64_t received_bytes() const;

 private:
  void close(std::uint64_t now_us);

  Dialer dialer_;
  SeatAssignment seat_;
  std::string name_;
  std::unique_ptr<Link> link_;
  std::string trouble_;
  bool was_open_ = false;
  std::uint64_t dial_us_ = 0;     // not before
  std::uint64_t dialled_us_ = 0;  // the last attempt
  std::uint64_t tell_us_ = 0;     // not before
  std::uint64_t sent_bytes_ = 0;  // by links that are gone
  std::uint64_t received_bytes_ = 0;
};

}  // namespace mote::host
