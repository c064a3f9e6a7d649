// SPDX-License-Identifier: Apache-2.0
#include "calibrate/float_kernel_loops.hpp"
#include "calibrate/float_kernel_sets.hpp"

namespace mote::host {

const FloatKernels kPortableFloatKernels = make_float_kernels<4, 4>("portable");

}  // namespace mote::host
