/* SPDX-License-Identifier: Apache-2.0 */
/* The model in the program, where Kconfig says so. */
	.section .rodata.mote_image, "a"
	.balign 64
	.global mote_image
	.global mote_image_end
mote_image:
	.incbin MOTE_IMAGE_FILE
mote_image_end:
