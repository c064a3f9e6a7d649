// SPDX-License-Identifier: Apache-2.0
#pragma once
struct device {
  const char* name;
};

extern "C" bool device_is_ready(const struct device* dev);
