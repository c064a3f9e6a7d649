// SPDX-License-Identifier: Apache-2.0
// What connects chips with the process that started this one: sockets at inherited descriptors.
import net from 'node:net';
import { Transmitter } from './wire.mjs';

const STOP = 3; // Ctrl-C, which need not wait for the end of a line

export class Console {
  constructor(chip, fd) {
    this.chip = chip;
    this.closed = false;
    this.input = Buffer.alloc(0);
    this.socket = new net.Socket({ fd, readable: true, writable: true });
    this.socket.on('data', (data) => this.take(data));
    this.socket.on('end', () => {
      this.closed = true;
    });
    this.socket.on('error', () => {
      this.closed = true;
    });
  }

  take(data) {
    if (data.includes(STOP)) this.chip.writeTerminal(Buffer.from([STOP]));
    this.input = Buffer.concat([this.input, data.filter((byte) => byte !== STOP)]);
  }

  /** Gives the chip the next line, where one is complete. */
  deliverLine() {
    const end = this.input.findIndex((byte) => byte === 10 || byte === 13);
    if (end < 0 || !this.chip.writeTerminal(this.input.subarray(0, end + 1))) return false;
    this.input = this.input.subarray(end + 1);
    return true;
  }

  /** Passes on what the chip has written. */
  flush() {
    const text = this.chip.readTerminal();
    if (text !== null && !this.closed) this.socket.write(text);
  }

  close() {
    return new Promise((resolve) => {
      if (this.closed) resolve();
      else this.socket.end(resolve);
    });
  }
}

/** A link of one chip that leads to a socket instead of another chip. */
export class SocketLink {
  constructor(chip, link, fd, byteNanos) {
    this.transmitter = new Transmitter(chip, link, byteNanos);
    this.receiver = chip.mcu.uart[link];
    this.input = [];
    this.socket = new net.Socket({ fd, readable: true, writable: true });
    this.socket.on('data', (data) => this.input.push(...data));
    this.socket.on('error', () => {});
  }

  deliver(now) {
    const sent = [];
    this.transmitter.drain(now, () => true, (byte) => sent.push(byte));
    if (sent.length > 0) this.socket.write(Buffer.from(sent));
    if (this.input.length > 0 && !this.receiver.rxFIFO.full) {
      this.receiver.feedByte(this.input.shift());
    }
  }
}
