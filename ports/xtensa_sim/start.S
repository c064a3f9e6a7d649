/* SPDX-License-Identifier: Apache-2.0
   From reset to mote_main. Every other vector ends the program with 64 + the cause. */

    .macro vector offset
    .org \offset
    rsr.exccause a3
    addi  a3, a3, 64
    movi  a2, 1             /* SYS_exit(a3) */
    simcall
    .endm

    .section .exception_vectors, "ax"
    vector 0x10
    vector 0x20
    vector 0x30
    vector 0x50
    vector 0x70

    .section .text.start, "ax"
    .globl mote_start
mote_start:
    j     prepare
    .align 4
    .literal_position
prepare:
    movi  a2, 0
    wsr.ps a2               /* leaves the mode of exceptions */
    rsync
    movi  a1, mote_stack_top

    movi  a2, mote_stack_limit
    movi  a3, 0xa5a5a5a5
1:  s32i  a3, a2, 0
    addi  a2, a2, 4
    bltu  a2, a1, 1b

    movi  a2, mote_data_start
    movi  a3, mote_data_end
    movi  a4, mote_data_load
2:  bgeu  a2, a3, 3f
    l32i  a5, a4, 0
    s32i  a5, a2, 0
    addi  a2, a2, 4
    addi  a4, a4, 4
    j     2b

3:  movi  a2, mote_bss_start
    movi  a3, mote_bss_end
    movi  a4, 0
4:  bgeu  a2, a3, 5f
    s32i  a4, a2, 0
    addi  a2, a2, 4
    j     4b

5:  call0 mote_board_start
    call0 mote_main
    mov   a3, a2
    movi  a2, 1
    simcall
6:  j     6b
