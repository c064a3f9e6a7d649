// SPDX-License-Identifier: Apache-2.0
// Blocks of scale 0 add nothing, so that their weights are not read. A page that cannot be read
// shows it.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "support/each_kernel_set.hpp"
#include "support/matvec_cases.hpp"

namespace mote::test {
namespace {

constexpr std::uint32_t kRows = 11;
constexpr std::uint32_t kPagesOfRow = 4;

/// Rows of whole pages, the second and the last of which cannot be read once the product with all
/// blocks is known.
class PagedRows {
 public:
  PagedRows(WeightFormat format, std::uint32_t block) : page_(page_bytes()), random_(21) {
    void* memory =
        ::mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw std::runtime_error("no memory");
    weights_ = static_cast<std::uint8_t*>(memory);
    std::generate_n(weights_, bytes(), [&] { return static_cast<std::uint8_t>(random_.next()); });
    const std::uint32_t lanes_of_page = page_ * (format == WeightFormat::int4 ? 2 : 1);
    matrix_.weights = weights_;
    matrix_.rows = kRows;
    matrix_.columns = kPagesOfRow * lanes_of_page;
    matrix_.block = block;
    matrix_.format = format;
    matrix_.exponent = -54;
    row_scales_.assign(kRows, Scale16{0x4321});
    matrix_.row_scales = row_scales_.data();
    factors_.resize(std::size_t{kRows} * matrix_.blocks());
    std::ranges::generate(factors_, [&] { return static_cast<std::uint8_t>(random_.next()); });
    matrix_.block_factors = format == WeightFormat::int4 ? factors_.data() : nullptr;
    make_vector(lanes_of_page / block);
  }
  ~PagedRows() { ::munmap(weights_, bytes()); }
  PagedRows(const PagedRows&) = delete;
  PagedRows& operator=(const PagedRows&) = delete;

  /// What the blocks that count give, by the reference: the others with lanes of 0.
  std::vector<std::int32_t> expected() const {
    std::vector<std::uint32_t> scales(scales_);
    std::vector<std::int8_t> lanes(lanes_);
    for (std::size_t i = 0; i < lanes.size(); ++i) {
      if (scales_[i / matrix_.block] == 0) lanes[i] = 0;
    }
    std::ranges::replace(scales, 0U, 1U << 20);
    std::vector<std::int32_t> out(kRows);
    ref::matvec_s8_s32(out.data(), matrix_, {lanes.data(), scales.data(), kFactor}, 16);
    return out;
  }
  void forbid_pages() {
    for (std::uint32_t page = 1; page < kRows * kPagesOfRow; page += 2) {
      ASSERT_EQ(::mprotect(weights_ + std::size_t{page} * page_, page_, PROT_NONE), 0);
    }
  }
  std::vector<std::int32_t> product(Matvec& matvec) const {
    std::vector<std::int32_t> out(kRows);
    matvec(out.data(), matrix_, {lanes_.data(), scales_.data(), kFactor}, 16);
    return out;
  }

 private:
  static constexpr Multiplier kFactor = {1U << 19, -19};

  static std::uint32_t page_bytes() { return static_cast<std::uint32_t>(::sysconf(_SC_PAGESIZE)); }
  std::size_t bytes() const { return std::size_t{kRows} * kPagesOfRow * page_; }

  void make_vector(std::uint32_t blocks_of_page) {
    lanes_.resize(matrix_.columns);
    std::ranges::generate(lanes_, [&] { return random_.between<std::int8_t>(-127, 127); });
    for (std::uint32_t b = 0; b < matrix_.blocks(); ++b) {
      scales_.push_back(b / blocks_of_page % 2 == 0 ? 1U << 26 : 0);
    }
  }

  std::uint32_t page_;
  Random random_;
  std::uint8_t* weights_ = nullptr;
  MatrixView matrix_;
  std::vector<Scale16> row_scales_;
  std::vector<std::uint8_t> factors_;
  std::vector<std::int8_t> lanes_;
  std::vector<std::uint32_t> scales_;
};

constexpr WeightFormat kFormats[] = {WeightFormat::int8, WeightFormat::int4,
                                     WeightFormat::int8_pairs};

void expect_unread(Matvec& matvec) {
  for (const WeightFormat format : kFormats) {
    for (const std::uint32_t block : {8U, 16U, 32U, 64U}) {
      PagedRows rows(format, block);
      const std::vector<std::int32_t> expected = rows.expected();
      rows.forbid_pages();
      EXPECT_EQ(rows.product(matvec), expected) << int(format) << ' ' << block;
    }
  }
}

TEST(ZeroBlocks, the_reference_does_not_read_their_weights) {
  expect_unread(ref::matvec_s8_s32);
}

TEST(ZeroBlocks, no_set_of_x86_reads_their_weights) {
  for_each_kernel_set([](const host::KernelSet& set) {
    const std::string_view name = set.name;
    if (name != "portable" && !name.starts_with("avx")) return;
    expect_unread(*set.matvec);
  });
}

}  // namespace
}  // namespace mote::test
