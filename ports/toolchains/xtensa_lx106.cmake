# Debian's gcc-xtensa-lx106, whose C library is picolibc already; C++ headers as for riscv32.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR xtensa)
set(CMAKE_ASM_COMPILER xtensa-lx106-elf-gcc)
set(CMAKE_CXX_COMPILER xtensa-lx106-elf-g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(MOTE_TOOL_PREFIX xtensa-lx106-elf-)
set(MOTE_TOOL_OPTIONS -mlongcalls -mtext-section-literals)
include(${CMAKE_CURRENT_LIST_DIR}/cxx_headers.cmake)
