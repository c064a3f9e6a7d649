// SPDX-License-Identifier: Apache-2.0
// Flips 1 to 3 bits of a frame, as often as asked, and counts what the reader makes of it:
//   frame_flips [COUNT] [SEED]    10^6 and 1 by default; exits with 1 where a promise is broken
// Each damaged frame is followed by two intact ones. No message may be accepted but the three that
// were sent, the damaged one only where the flips cancel each other; the last must always arrive,
// and the one before it unless the zero between it and the damage is gone.
#include <algorithm>
#include <array>
#include <chrono>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>

#include "mote/frame.hpp"
#include "mote/message.hpp"
#include "support/random.hpp"

namespace {

using mote::test::Random;

struct Message {
  std::array<std::uint8_t, mote::kMaxMessageBytes> bytes;
  std::size_t size = 0;

  std::span<const std::uint8_t> span() const { return std::span(bytes).first(size); }
  bool equals(std::span<const std::uint8_t> other) const {
    return std::ranges::equal(span(), other);
  }
};

struct Counts {
  std::uint64_t frames = 0;
  std::uint64_t bits = 0;
  std::uint64_t bytes = 0;
  std::uint64_t merged = 0;  // the zero of the damaged frame was hit, and the next frame lost
  std::uint64_t intact = 0;  // the flips cancelled each other
  std::uint64_t violations = 0;
};

/// 7 in 8 are of 9 to 64 bytes, the others of 9 to kMaxMessageBytes. A quarter each is random,
/// mostly zeros, mostly ones, and of long runs of equal bits.
void make_message(Message& message, Random& random) {
  const std::size_t limit = random.below(8) == 0 ? mote::kMaxMessageBytes : 64;
  message.size = 9 + random.below(limit - 8);
  const std::uint64_t kind = random.below(4);
  for (std::size_t i = 0; i < message.size; i += 8) {
    std::uint64_t word = kind == 3 ? random.awkward() : random.next();
    if (kind == 1) word &= random.next() & random.next() & random.next() & 0x0101010101010101ULL;
    if (kind == 2) word |= random.next() | random.next();
    std::memcpy(&message.bytes[i], &word, std::min<std::size_t>(8, message.size - i));
  }
}

/// 9 bytes that no other frame has.
void make_sentinel(Message& message, std::uint64_t number, std::uint8_t kind) {
  message.size = 9;
  std::memcpy(message.bytes.data(), &number, sizeof(number));
  message.bytes[8] = kind;
}

class Stream {
 public:
  void clear() { size_ = 0; }
  /// The frame, in place.
  std::span<std::uint8_t> append(const Message& message) {
    const std::span<std::uint8_t> rest = std::span(bytes_).subspan(size_);
    const std::size_t size = mote::encode_frame(rest, message.span());
    size_ += size;
    return rest.first(size);
  }
  std::span<const std::uint8_t> span() const { return std::span(bytes_).first(size_); }

 private:
  std::array<std::uint8_t, 3 * mote::kMaxFrameBytes> bytes_;
  std::size_t size_ = 0;
};

/// Flips `count` bits, perhaps one of them more than once; whether the frame is what it was.
bool flip_bits(std::span<std::uint8_t> frame, std::uint64_t count, Random& random) {
  std::array<std::uint64_t, 3> places{};
  for (std::uint64_t i = 0; i < count; ++i) {
    places[i] = random.below(8 * frame.size());
    frame[places[i] / 8] = static_cast<std::uint8_t>(frame[places[i] / 8] ^ 1U << places[i] % 8);
  }
  return count == 2 && places[0] == places[1];
}

class Trial {
 public:
  explicit Trial(std::uint64_t seed) : random_(seed) {}

  void run(Counts& counts) {
    make_message(damaged_, random_);
    make_sentinel(next_, counts.frames, 1);
    make_sentinel(last_, counts.frames, 2);
    stream_.clear();
    const std::span<std::uint8_t> frame = stream_.append(damaged_);
    stream_.append(next_);
    stream_.append(last_);
    const std::uint64_t flips = 1 + random_.below(3);
    const bool is_intact = flip_bits(frame, flips, random_);
    const bool is_merged = frame.back() != 0;
    input_ = stream_.span();
    const bool is_right = expect(is_intact, damaged_) && expect(!is_merged, next_) &&
                          expect(true, last_) && reader_.read(input_).empty();
    ++counts.frames;
    counts.bits += flips;
    counts.bytes += stream_.span().size();
    counts.merged += is_merged ? 1 : 0;
    counts.intact += is_intact ? 1 : 0;
    counts.violations += is_right ? 0 : 1;
  }

 private:
  /// Whether the next message is this one; passes where it is not to come.
  bool expect(bool comes, const Message& message) {
    return !comes || message.equals(reader_.read(input_));
  }

  Random random_;
  mote::FrameReader reader_;
  Stream stream_;
  Message damaged_;
  Message next_;
  Message last_;
  std::span<const std::uint8_t> input_;
};

}  // namespace

int main(int argc, char** argv) {
  const std::uint64_t count = argc > 1 ? std::strtoull(argv[1], nullptr, 10) : 1000000;
  const std::uint64_t seed = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1;
  const auto start = std::chrono::steady_clock::now();
  Counts counts;
  Trial trial(seed);
  while (counts.frames < count) trial.run(counts);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("seed %" PRIu64 ": %" PRIu64 " frames damaged by %" PRIu64 " flips, %" PRIu64
              " bytes read\n",
              seed, counts.frames, counts.bits, counts.bytes);
  std::printf("lost with the next frame: %" PRIu64 ", flips that cancelled: %" PRIu64 "\n",
              counts.merged, counts.intact);
  std::printf("violations: %" PRIu64 "; %.1f s, %.0f frames/s\n", counts.violations,
              seconds.count(), static_cast<double>(counts.frames) / seconds.count());
  return counts.violations == 0 ? 0 : 1;
}
