// SPDX-License-Identifier: Apache-2.0
#include "calibrate/portable_log.hpp"

#include <cmath>

namespace mote::host {
double portable_log(double x) {
  int power = 0;
  double part = std::frexp(x, &power);  // 0.5 to 1
  if (part < 0.70710678118654752) {
    part *= 2;
    --power;
  }
  // ln(part) = 2 atanh(y), |y| <= 0.172
  const double y = (part - 1) / (part + 1);
  double sum = 0;
  for (int n = 15; n >= 1; n -= 2) sum = sum * (y * y) + 1.0 / n;
  return 2 * y * sum + power * 0.69314718055994531;
}

}  // namespace mote::host
