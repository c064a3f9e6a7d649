/* SPDX-License-Identifier: Apache-2.0
   From reset to mote_main. Hart 0 runs the program; another hart goes to mote_other_hart, where the
   board has one, and sleeps where it has not. */

    .section .text.start, "ax"
    .globl mote_start
mote_start:
    .option push
    .option norelax
    la    gp, __global_pointer$
    .option pop
    la    t0, trap
    csrw  mtvec, t0
    csrr  t0, mhartid
    bnez  t0, other_hart
    la    sp, mote_stack_top

    la    t0, mote_stack_limit      /* paints the stack */
    li    t1, 0xa5a5a5a5
1:  sw    t1, 0(t0)
    addi  t0, t0, 4
    bltu  t0, sp, 1b

    la    t0, mote_data_start
    la    t1, mote_data_end
    la    t2, mote_data_load
2:  bgeu  t0, t1, 3f
    lw    t3, 0(t2)
    sw    t3, 0(t0)
    addi  t0, t0, 4
    addi  t2, t2, 4
    j     2b

3:  la    t0, mote_bss_start
    la    t1, mote_bss_end
4:  bgeu  t0, t1, 5f
    sw    zero, 0(t0)
    addi  t0, t0, 4
    j     4b

5:  call  mote_board_start
    call  mote_main
    tail  mote_exit

other_hart:
    .weak mote_other_hart
    la    t0, mote_other_hart
    beqz  t0, park
    jr    t0
park:
    wfi
    j     park

    /* A trap is the end: exit status 64 + its cause. Interrupts stay disabled, and only end wfi. */
    .balign 4
trap:
    csrr  a0, mcause
    andi  a0, a0, 63
    addi  a0, a0, 64
    tail  mote_exit
