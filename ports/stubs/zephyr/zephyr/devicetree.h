// SPDX-License-Identifier: Apache-2.0
#pragma once
// A devicetree of a console, two links and a partition.
#include "zephyr/device.h"

extern const struct device stub_console;
extern const struct device stub_link0;
extern const struct device stub_link1;

#define DT_ALIAS(alias) stub_alias_##alias
#define DT_CHOSEN(name) stub_chosen_##name
#define DT_NODELABEL(label) stub_label_##label
#define DT_NODE_EXISTS(node) 1
#define STUB_DEVICE_stub_alias_mote_link0 stub_link0
#define STUB_DEVICE_stub_alias_mote_link1 stub_link1
#define STUB_DEVICE_stub_chosen_zephyr_console stub_console
#define STUB_PASTE(node) STUB_DEVICE_##node
#define DEVICE_DT_GET(node) (&STUB_PASTE(node))
#define DT_REG_ADDR(node) 0x82000
#define DT_REG_SIZE(node) 0x76000
