// SPDX-License-Identifier: Apache-2.0
// The sets of float kernels by name; a build has some of them.
#pragma once

#include "calibrate/float_kernels.hpp"

namespace mote::host {

extern const FloatKernels kPortableFloatKernels;
extern const FloatKernels kAvx2FloatKernels;
extern const FloatKernels kAvx512FloatKernels;

}  // namespace mote::host
