// SPDX-License-Identifier: Apache-2.0
#include "transport/dialer.hpp"

#include "transport/serial_link.hpp"

namespace mote::host {

Dialer::Dialer(const Address& address) : address_(address) {
  if (!address_.is_serial()) places_ = resolve(address_, false);
}

std::unique_ptr<Link> Dialer::dial(std::string& trouble) {
  if (address_.is_serial()) return open_serial(address_, trouble);
  std::unique_ptr<Link> link;
  for (std::size_t tried = 0; link == nullptr && tried < places_.size(); ++tried) {
    link = begin_connecting(places_[next_], address_.text, trouble);
    next_ = (next_ + 1) % places_.size();
  }
  return link;
}

}  // namespace mote::host
