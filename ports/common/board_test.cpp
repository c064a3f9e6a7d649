// SPDX-License-Identifier: Apache-2.0
// What a porter runs first: says what each function of the board gives, and then sends back what it
// receives. On the console a line `exit N` ends it with that status, another comes back as it is;
// on links every byte comes back inverted. tests/ports/board_test.py is the other end.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>

#include "common/layout.hpp"
#include "firmware/board.hpp"

namespace mote {
namespace {

constexpr std::uint32_t kMaxLinks = 8;

void print(std::string_view text) {
  board::write_console(text);
}

void print(std::string_view label, std::uint64_t value) {
  std::array<char, 20> digits;
  std::size_t begin = digits.size();
  do {
    digits[--begin] = static_cast<char>('0' + value % 10);
    value /= 10;
  } while (value != 0);
  print(label);
  print(" ");
  print({&digits[begin], digits.size() - begin});
  print("\n");
}

/// Something that takes the same number of instructions each time.
[[gnu::noinline]] std::uint64_t compute() {
  std::uint64_t sum = 1;
  for (std::uint32_t i = 0; i < 10000; ++i) sum = sum * 6364136223846793005U + 1442695040888963407U;
  return sum;
}

std::size_t painted(std::span<const std::byte> stack) {
  const auto used =
      std::ranges::find_if(stack, [](std::byte b) { return b != board::kStackPaint; });
  return static_cast<std::size_t>(used - stack.begin());
}

void describe() {
  print("board ");
  print(board::name());
  print("\nunit ");
  print(board::work_unit());
  print("\n");
  print("links", board::link_count());
  print("arena", board::arena().size());
  print("image", board::image_region().size());
  print("image_first", board::image_region()[0]);
  print("stack", board::stack().size());
  print("painted", painted(board::stack()));
  print("identity", board::identity());
}

void measure() {
  // The first round also warms what an emulator keeps of translated code.
  for (int i = 0; i < 3; ++i) {
    const std::uint64_t begin = board::work_count();
    const std::uint64_t sum = compute();
    print("work", board::work_count() - begin);
    print("sum", sum);
  }
  const std::uint64_t begin = board::now_us();
  for (int i = 0; i < 10; ++i) board::sleep();
  print("slept_us", board::now_us() - begin);
  std::ranges::fill(board::arena(), std::byte{0x11});
  print("filled", static_cast<std::uint64_t>(std::ranges::count(board::arena(), std::byte{0x11})));
}

/// Takes what has come on a link and gives back what fits.
class Echo {
 public:
  bool serve(std::uint32_t link) {
    if (begin_ == end_) {
      begin_ = 0;
      end_ = board::read_link(link, bytes_);
      for (std::size_t i = 0; i < end_; ++i) bytes_[i] = static_cast<std::uint8_t>(~bytes_[i]);
      if (end_ == 0) return false;
    }
    const std::size_t sent =
        board::write_link(link, std::span(bytes_).subspan(begin_, end_ - begin_));
    begin_ += sent;
    return sent != 0;
  }

 private:
  std::array<std::uint8_t, 32> bytes_{};
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

class Lines {
 public:
  /// The status of a line that says `exit`, or -1.
  int serve() {
    const int byte = board::read_console();
    if (byte < 0) return -1;
    if (byte != '\n') {
      if (used_ < line_.size()) line_[used_++] = static_cast<char>(byte);
      return -1;
    }
    const std::string_view line(line_.data(), std::exchange(used_, 0));
    if (line.starts_with("exit ")) return line.back() - '0';
    print(line);
    print("\n");
    return -1;
  }

 private:
  std::array<char, 600> line_{};
  std::size_t used_ = 0;
};

int run() {
  describe();
  measure();
  print("ready\n");
  std::array<Echo, kMaxLinks> echoes;
  Lines lines;
  for (;;) {
    bool busy = false;
    for (std::uint32_t link = 0; link < board::link_count(); ++link) {
      busy = echoes[link].serve(link) || busy;
    }
    const int status = lines.serve();
    if (status >= 0) return status;
    if (!busy) board::sleep();
  }
}

}  // namespace
}  // namespace mote

int mote_main() {
  const int status = mote::run();
  mote::board::exit(status);
}
