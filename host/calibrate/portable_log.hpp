// SPDX-License-Identifier: Apache-2.0
// A logarithm whose bits depend on neither library nor machine.
#pragma once

namespace mote::host {

/// ln(x) within 1e-12 of itself or of one, x > 0 and normal.
double portable_log(double x);

}  // namespace mote::host
