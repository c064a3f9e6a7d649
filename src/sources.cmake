# The one list of the device library's sources, relative to src/.
set(MOTE_SOURCES
    base/crc32.cpp
    base/sha256.cpp
    base/status.cpp
    kernels/activation.cpp
    kernels/exp2.cpp
    kernels/hadamard.cpp
    kernels/heads.cpp
    kernels/matvec_ref.cpp
    kernels/quantize.cpp
    kernels/rms_norm.cpp
    kernels/rope.cpp
    kernels/search.cpp
    kernels/softmax.cpp
    attention/attend.cpp
    attention/causal.cpp
    attention/linear.cpp
    attention/sliding_window.cpp
    model/candidates.cpp
    model/image.cpp
    model/image_shard.cpp
    model/image_validate.cpp
    model/layer_attention.cpp
    model/sampler.cpp
    model/tokenizer.cpp
    model/tokenizer_encode.cpp
    model/transformer.cpp
    model/transformer_heads.cpp
    model/transformer_layer.cpp
    model/utf8_stream.cpp
    cluster/all_gather.cpp
    cluster/coordinator.cpp
    cluster/frame.cpp
    cluster/message.cpp
    cluster/message_payload.cpp
    cluster/node.cpp
    cluster/node_receive.cpp
    cluster/node_transmit.cpp
    cluster/partition.cpp
    cluster/share.cpp)

# Byte-level tokenizers (GPT-2, Llama 3, Qwen2, ...) with their tables of characters, or what
# refuses them. MOTE_BYTE_LEVEL=ON takes them in; the library for hosts always has them.
set(MOTE_BYTE_LEVEL_SOURCES
    model/byte_level.cpp
    model/byte_level_validate.cpp
    model/pre_tokenizer.cpp
    model/unicode_class.cpp)
set(MOTE_NO_BYTE_LEVEL_SOURCES
    model/byte_level_absent.cpp)
if(MOTE_BYTE_LEVEL)
  list(APPEND MOTE_SOURCES ${MOTE_BYTE_LEVEL_SOURCES})
else()
  list(APPEND MOTE_SOURCES ${MOTE_NO_BYTE_LEVEL_SOURCES})
endif()

# The programs for boards, over src/firmware/board.hpp; a port links them with its board functions.
set(MOTE_FIRMWARE_SOURCES
    firmware/answer.cpp
    firmware/cluster_commands.cpp
    firmware/cluster_node.cpp
    firmware/console.cpp
    firmware/model.cpp
    firmware/node_link.cpp
    firmware/one_chip.cpp
    firmware/signature.cpp
    firmware/text.cpp)

# The kernels of one instruction set, MOTE_KERNELS: each set defines the same functions once, as the
# reference does in namespace mote::ref. Who includes this list may set it before.
#   portable  the reference
#   armv6m    plain C++ for processors without SIMD: Cortex-M0+, M3, LX106
#   armv7em   Cortex-M4, M7, M33 with the DSP extension
#   mve       Cortex-M55, M85
#   rv32      RISC-V of 32 bits with multiplication
#   x86       computers with x86-64
#   aarch64   computers with aarch64 (Raspberry Pi, servers), under Linux
set(MOTE_KERNELS_portable kernels/matvec_portable.cpp)
set(MOTE_KERNELS_armv6m kernels/matvec_armv6m.cpp)
set(MOTE_KERNELS_armv7em kernels/matvec_armv7em.cpp)
set(MOTE_KERNELS_mve kernels/matvec_mve.cpp kernels/matvec_mve_rows.cpp)
set(MOTE_KERNELS_rv32 kernels/matvec_rv32.cpp)
# Of computers: all that one may turn out to have. Which of them run is chosen at start, by the host
# (host/kernels/), so that these sets have no file that defines the functions themselves.
set(MOTE_KERNELS_x86
    attention/attend_avx2.cpp
    attention/attend_avx512.cpp
    kernels/activation_avx2.cpp
    kernels/activation_avx512.cpp
    kernels/exp2_x86.cpp
    kernels/heads_avx2.cpp
    kernels/heads_avx512.cpp
    kernels/matvec_avx2.cpp
    kernels/matvec_avx512.cpp
    kernels/quantize_avx2.cpp
    kernels/quantize_avx512.cpp
    kernels/rms_norm_avx2.cpp
    kernels/rms_norm_avx512.cpp
    kernels/search_avx2.cpp
    kernels/search_avx512.cpp)
set(MOTE_KERNELS_aarch64 kernels/matvec_dotprod.cpp kernels/matvec_neon.cpp)

if(NOT DEFINED MOTE_KERNELS)
  set(MOTE_KERNELS portable)
endif()
if(NOT DEFINED MOTE_KERNELS_${MOTE_KERNELS})
  message(FATAL_ERROR "MOTE_KERNELS=\"${MOTE_KERNELS}\" names no set of src/sources.cmake")
endif()
list(APPEND MOTE_SOURCES ${MOTE_KERNELS_${MOTE_KERNELS}})
if(MOTE_KERNELS MATCHES "^(aarch64|x86)$")
  list(APPEND MOTE_SOURCES kernels/isa_rounding.cpp)
endif()

# The steps of attention and their products, and loops over lanes: chips without vectors keep a
# piece of a row in registers, and compilers make vectors of the portable form.
set(MOTE_ATTEND_STEPS attention/attend_portable.cpp)
set(MOTE_WEIGH attention/weigh_portable.cpp)
set(MOTE_PAIR attention/pair_portable.cpp)
set(MOTE_HEAD_ROWS kernels/head_rows_portable.cpp)
set(MOTE_LINEAR attention/linear_portable.cpp)
set(MOTE_LANES kernels/activation_portable.cpp kernels/norm_portable.cpp
               kernels/quantize_portable.cpp)
if(MOTE_KERNELS MATCHES "^(armv6m|armv7em)$")
  set(MOTE_HEAD_ROWS kernels/head_rows_scalar.cpp)
endif()
if(MOTE_KERNELS MATCHES "^(armv7em|mve)$")
  set(MOTE_ATTEND_STEPS attention/attend_armv7em.cpp)
  set(MOTE_WEIGH attention/weigh_armv7em.cpp)
  set(MOTE_PAIR attention/pair_armv7em.cpp)
  set(MOTE_LINEAR attention/linear_armv7em.cpp)
  set(MOTE_LANES kernels/activation_armv7em.cpp kernels/norm_armv7em.cpp
                 kernels/quantize_armv7em.cpp)
elseif(MOTE_KERNELS STREQUAL "rv32")
  set(MOTE_ATTEND_STEPS attention/attend_rv32.cpp)
  set(MOTE_WEIGH attention/weigh_rv32.cpp)
  set(MOTE_PAIR attention/pair_rv32.cpp)
  set(MOTE_LINEAR attention/linear_rv32.cpp)
  set(MOTE_HEAD_ROWS)
endif()
list(APPEND MOTE_SOURCES ${MOTE_ATTEND_STEPS} ${MOTE_WEIGH} ${MOTE_PAIR} ${MOTE_LINEAR}
     ${MOTE_HEAD_ROWS} ${MOTE_LANES})
