# MOTE_CXX_HEADERS: options that make every compiler take one set of C++ headers. They do not depend
# on the target but for one folder of configuration, which is right for each 32-bit newlib target.
file(GLOB mote_headers /usr/include/newlib/c++/*/arm-none-eabi)
list(SORT mote_headers COMPARE NATURAL)
list(POP_BACK mote_headers mote_target_headers)
if(NOT mote_target_headers)
  message(FATAL_ERROR "no C++ headers in /usr/include/newlib/c++: install "
                      "libstdc++-arm-none-eabi-dev (scripts/install.sh)")
endif()
cmake_path(GET mote_target_headers PARENT_PATH mote_headers)
set(MOTE_CXX_HEADERS -nostdinc++ -isystem${mote_headers} -isystem${mote_target_headers})
