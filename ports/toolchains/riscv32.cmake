# Debian's gcc-riscv64-unknown-elf with picolibc. It comes without a C++ library; the headers are
# those of libstdc++-arm-none-eabi-dev, of which nothing is linked.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR riscv32)
set(CMAKE_ASM_COMPILER riscv64-unknown-elf-gcc)
set(CMAKE_CXX_COMPILER riscv64-unknown-elf-g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(MOTE_TOOL_PREFIX riscv64-unknown-elf-)
set(MOTE_TOOL_OPTIONS --specs=picolibc.specs)
include(${CMAKE_CURRENT_LIST_DIR}/cxx_headers.cmake)
