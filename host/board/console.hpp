// SPDX-License-Identifier: Apache-2.0
// A board's console as tools use it: a command in, lines of JSON out.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "transport/link.hpp"

namespace mote::host {

class Console {
 public:
  using Json = nlohmann::json;

  /// Takes `fd` over; `name` stands before what errors say.
  Console(int fd, const std::string& name) : link_(fd, name) {}

  Link& link() { return link_; }
  const std::string& name() const { return link_.name(); }

  /// Hands a command over; it leaves as the board takes it.
  void send(std::string_view command);
  /// Takes what has come, hands over what is to leave.
  void pump();
  /// The next object that the board has sent. Other lines, such as those for people, are passed
  /// over.
  std::optional<Json> next();
  /// Raw bytes for and from a person.
  void send_bytes(std::string_view bytes) { unsent_ += bytes; }
  std::string take_bytes();
  /// Nothing that was sent is still to leave.
  bool is_sent() const { return unsent_.empty() && !link_.has_unsent(); }
  /// The last line that was no object; for errors.
  const std::string& last_text() const { return last_text_; }

 private:
  void take_line(std::string line);

  Link link_;
  std::string unsent_;    // that does not fit the link's buffer yet
  std::string received_;  // without an end of line yet
  std::string last_text_;
  std::deque<Json> objects_;
};

}  // namespace mote::host
