// SPDX-License-Identifier: Apache-2.0
#include "calibrate/float_kernel_loops.hpp"
#include "calibrate/float_kernel_sets.hpp"

namespace mote::host {

const FloatKernels kAvx512FloatKernels = make_float_kernels<16, 8>("avx512");

}  // namespace mote::host
