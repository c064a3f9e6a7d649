// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

extern "C" ssize_t hwinfo_get_device_id(uint8_t* buffer, size_t length);
