set(MOTE_PORT_TOOLCHAIN riscv32)
set(MOTE_PORT_COMPILE_FLAGS -march=rv32imc -misa-spec=2.2 -mabi=ilp32)
set(MOTE_PORT_LINK_FLAGS -march=rv32imc -misa-spec=2.2 -mabi=ilp32)
set(MOTE_PORT_OPTIMIZE -O2)
set(MOTE_PORT_KERNELS rv32)
set(MOTE_PORT_SOURCES riscv32/start.S common/work.cpp riscv32/machine.cpp
                      riscv32_sifive_u/board.cpp)
set(MOTE_PORT_PROGRAMS one_chip cluster_node)
