// SPDX-License-Identifier: Apache-2.0
// One RP2040: firmware and image in its flash, a virtual clock, and the memory terminal.
import { RP2040 } from 'rp2040js';

const FLASH = 0x10000000;
const RAM = 0x20000000;
const RAM_BYTES = 256 * 1024;
const IMAGE = 0x10040000;
const CHIP_NUMBER = RAM + RAM_BYTES - 16;
const CYCLE_NS = 8; // 125 MHz
const TERMINAL_ID = Buffer.from('SEGGER RTT\0');
const UP = 24; // offsets of the rings in the control block
const DOWN = 48;

/** Copies the parts of an ELF file that lie in flash. */
function loadElf(flash, elf) {
  const header = elf.readUInt32LE(28);
  for (let i = 0; i < elf.readUInt16LE(44); ++i) {
    const part = header + 32 * i;
    const offset = elf.readUInt32LE(part + 4);
    const address = elf.readUInt32LE(part + 12);
    const bytes = elf.readUInt32LE(part + 16);
    if (elf.readUInt32LE(part) === 1 && bytes > 0) {
      flash.set(elf.subarray(offset, offset + bytes), address - FLASH);
    }
  }
}

export class Chip {
  constructor(elf, image, number) {
    const mcu = new RP2040();
    this.mcu = mcu;
    this.core = mcu.core;
    this.clock = mcu.clock;
    this.status = null;
    this.slept = 0;
    this.terminal = null;
    const silent = () => {};
    mcu.logger = { debug: silent, info: silent, warn: silent, error: silent };
    loadElf(mcu.flash, elf);
    mcu.flash.set(image, IMAGE - FLASH);
    mcu.writeUint32(CHIP_NUMBER, number);
    this.core.VTOR = FLASH;
    this.core.SP = mcu.flashView.getUint32(0, true);
    this.core.PC = mcu.flashView.getUint32(4, true) & ~1;
    mcu.onBreak = () => this.endBySemihosting();
    this.keepMaskedInterruptsPending();
  }

  endBySemihosting() {
    const [call, block] = this.core.registers;
    if (call === 0x20) this.status = this.mcu.readUint32(block + 4);
  }

  /** With interrupts masked a pending one ends WFI and is not taken; rp2040js would take it. */
  keepMaskedInterruptsPending() {
    const { core } = this;
    const check = core.checkForInterrupts.bind(core);
    core.checkForInterrupts = () => (core.waiting && core.PM ? this.isWoken() : check());
  }

  isWoken() {
    return (this.core.pendingInterrupts & this.core.enabledInterrupts) !== 0;
  }

  runUntil(end) {
    const { core, clock } = this;
    while (clock.nanos < end && this.status === null) {
      if (!core.waiting) {
        clock.tick(core.executeInstruction() * CYCLE_NS);
      } else if (this.isWoken()) {
        core.waiting = false;
      } else {
        const rest = Math.min(Math.max(clock.nanosToNextAlarm, CYCLE_NS), end - clock.nanos);
        this.slept += rest;
        clock.tick(rest);
      }
    }
  }

  /** Nanoseconds asleep since the last call. */
  takeSleep() {
    const { slept } = this;
    this.slept = 0;
    return slept;
  }

  findTerminal() {
    const memory = Buffer.from(this.mcu.sram.buffer, 0, RAM_BYTES);
    const at = memory.indexOf(TERMINAL_ID);
    if (at >= 0) this.terminal = at;
    return at >= 0;
  }

  ring(offset) {
    const view = this.mcu.sramView;
    const at = this.terminal + offset;
    return {
      bytes: view.getUint32(at + 4, true) - RAM,
      size: view.getUint32(at + 8, true),
      written: view.getUint32(at + 12, true),
      read: view.getUint32(at + 16, true),
    };
  }

  /** What the program has written since. */
  readTerminal() {
    if (this.terminal === null && !this.findTerminal()) return null;
    const ring = this.ring(UP);
    if (ring.read === ring.written) return null;
    const text = [];
    for (; ring.read !== ring.written; ring.read = (ring.read + 1) % ring.size) {
      text.push(this.mcu.sram[ring.bytes + ring.read]);
    }
    this.mcu.sramView.setUint32(this.terminal + UP + 16, ring.read, true);
    return Buffer.from(text);
  }

  /** Whether there was room for all. */
  writeTerminal(text) {
    if (this.terminal === null) return false;
    const ring = this.ring(DOWN);
    const used = (ring.written - ring.read + ring.size) % ring.size;
    if (used + text.length >= ring.size) return false;
    for (const byte of text) {
      this.mcu.sram[ring.bytes + ring.written] = byte;
      ring.written = (ring.written + 1) % ring.size;
    }
    this.mcu.sramView.setUint32(this.terminal + DOWN + 12, ring.written, true);
    return true;
  }
}
