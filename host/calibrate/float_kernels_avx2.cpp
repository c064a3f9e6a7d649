// SPDX-License-Identifier: Apache-2.0
#include "calibrate/float_kernel_loops.hpp"
#include "calibrate/float_kernel_sets.hpp"

namespace mote::host {

const FloatKernels kAvx2FloatKernels = make_float_kernels<8, 4>("avx2");

}  // namespace mote::host
