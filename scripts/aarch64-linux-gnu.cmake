# For computers with aarch64 under Linux, built on another kind. What is built runs in qemu-aarch64,
# as the processor that QEMU_CPU names.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_EXE_LINKER_FLAGS_INIT -static)
set(CMAKE_CROSSCOMPILING_EMULATOR qemu-aarch64-static)
# Of a library that is headers here, the package of this kind of computer serves.
file(GLOB fmt_DIR /usr/lib/*/cmake/fmt)
