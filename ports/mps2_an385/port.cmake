set(MOTE_PORT_TOOLCHAIN cortex_m)
set(MOTE_PORT_COMPILE_FLAGS -mcpu=cortex-m3 -mfloat-abi=soft)
set(MOTE_PORT_LINK_FLAGS ${MOTE_PORT_COMPILE_FLAGS})
set(MOTE_PORT_OPTIMIZE -O2)
set(MOTE_PORT_KERNELS armv6m)
set(MOTE_PORT_SOURCES common/work.cpp cortex_m/start.cpp cortex_m/machine.cpp cortex_m/mps2.cpp
                      cortex_m/clock_cmsdk.cpp)
set(MOTE_PORT_PROGRAMS one_chip cluster_node)
