// SPDX-License-Identifier: Apache-2.0
#include "board/console.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

namespace mote::host {
namespace {

/// Longer lines are noise.
constexpr std::size_t kMaxLine = 65536;

}  // namespace

void Console::send(std::string_view command) {
  unsent_ += command;
  unsent_ += '\n';
}

void Console::pump() {
  std::array<std::uint8_t, 4096> buffer{};
  for (std::size_t count = link_.read(buffer); count != 0; count = link_.read(buffer)) {
    received_.append(reinterpret_cast<const char*>(buffer.data()), count);
  }
  const std::size_t room = std::min(unsent_.size(), link_.space().size());
  link_.write(std::span(reinterpret_cast<const std::uint8_t*>(unsent_.data()), room));
  unsent_.erase(0, room);
  link_.flush();
}

void Console::take_line(std::string line) {
  while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) line.pop_back();
  if (line.empty()) return;
  // A prompt for people may stand before it.
  const std::size_t begin = line.find('{');
  Json json = begin == std::string::npos
                  ? Json()
                  : Json::parse(line.begin() + static_cast<std::ptrdiff_t>(begin), line.end(),
                                nullptr, false);
  if (json.is_object()) {
    objects_.push_back(std::move(json));
  } else {
    last_text_ = std::move(line);
  }
}

std::optional<Console::Json> Console::next() {
  for (std::size_t end = received_.find('\n'); end != std::string::npos;
       end = received_.find('\n')) {
    take_line(received_.substr(0, end));
    received_.erase(0, end + 1);
  }
  if (received_.size() > kMaxLine) received_.clear();
  if (objects_.empty()) return std::nullopt;
  Json first = std::move(objects_.front());
  objects_.pop_front();
  return first;
}

std::string Console::take_bytes() {
  return std::exchange(received_, {});
}

}  // namespace mote::host
