set(MOTE_PORT_TOOLCHAIN xtensa_lx106)
set(MOTE_PORT_COMPILE_FLAGS)
set(MOTE_PORT_LINK_FLAGS)
set(MOTE_PORT_OPTIMIZE -O2)
set(MOTE_PORT_KERNELS armv6m)
set(MOTE_PORT_SOURCES common/work.cpp xtensa_sim/start.S xtensa_sim/board.cpp
                      xtensa_sim/arithmetic.cpp)
set(MOTE_PORT_PROGRAMS one_chip)
