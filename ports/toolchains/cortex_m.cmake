# Debian's gcc-arm-none-eabi with picolibc, and the headers of libstdc++-arm-none-eabi-dev.
set(CMAKE_SYSTEM_NAME Generic)
set(CMAKE_SYSTEM_PROCESSOR arm)
set(CMAKE_ASM_COMPILER arm-none-eabi-gcc)
set(CMAKE_CXX_COMPILER arm-none-eabi-g++)
set(CMAKE_TRY_COMPILE_TARGET_TYPE STATIC_LIBRARY)
set(MOTE_TOOL_PREFIX arm-none-eabi-)
# gcc tells of a change of the ABI in its version 7, which concerns nobody who builds all code anew.
set(MOTE_TOOL_OPTIONS --specs=picolibc.specs -mthumb -Wno-psabi)
include(${CMAKE_CURRENT_LIST_DIR}/cxx_headers.cmake)
