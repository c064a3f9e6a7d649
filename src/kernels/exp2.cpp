// SPDX-License-Identifier: Apache-2.0
#include "kernels/exp2.hpp"

#include "kernels/exp2_table.hpp"

namespace mote {

const std::array<std::uint32_t, 257> kPowersOfTwo = kPowersOfTwoTable;

}  // namespace mote
