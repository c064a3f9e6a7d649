// SPDX-License-Identifier: Apache-2.0
// UART wires with flow control: bytes take their time, wait where the receiver is full, and may be
// damaged.

const FIFO_BYTES = 32;
const NO_ROOM = 1 << 5; // of the UART's flags, which rp2040js does not set

/** The sending half of a UART: its FIFO, and when each byte has left it. */
export class Transmitter {
  constructor(chip, link, byteNanos) {
    this.chip = chip;
    this.byteNanos = byteNanos;
    this.queue = []; // { byte, at }
    this.free = 0;
    const uart = chip.mcu.uart[link];
    uart.onByte = (byte) => this.send(byte);
    const { get } = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(uart), 'flags');
    Object.defineProperty(uart, 'flags', {
      get: () => get.call(uart) | (this.queue.length >= FIFO_BYTES ? NO_ROOM : 0),
    });
  }

  send(byte) {
    this.free = Math.max(this.free, this.chip.clock.nanos) + this.byteNanos;
    this.queue.push({ byte, at: this.free });
  }

  /** Hands out the bytes that have left until `now` while `takes` says that there is room. */
  drain(now, takes, give) {
    while (this.queue.length > 0 && this.queue[0].at <= now && takes()) give(this.queue.shift().byte);
  }
}

/** Flips each bit with the same probability, the same ones for the same seed. */
export class Noise {
  constructor(bitErrorRate, seed) {
    this.state = BigInt(seed) * 0x9e3779b97f4a7c15n + 1n;
    this.rate = bitErrorRate;
    this.rest = this.drawDistance();
  }

  /** Bits up to the next damaged one. */
  drawDistance() {
    if (this.rate <= 0) return Infinity;
    this.state = BigInt.asUintN(64, this.state * 6364136223846793005n + 1442695040888963407n);
    const uniform = (Number(this.state >> 11n) + 1) / 2 ** 53;
    return 1 + Math.floor(Math.log(uniform) / Math.log1p(-this.rate));
  }

  apply(byte) {
    let result = byte;
    let bit = 0;
    while (this.rest <= 8 - bit) {
      bit += this.rest;
      result ^= 1 << (bit - 1);
      this.rest = this.drawDistance();
    }
    this.rest -= 8 - bit;
    return result;
  }
}

export class Wire {
  constructor(from, fromLink, to, toLink, byteNanos, noise) {
    this.transmitter = new Transmitter(from, fromLink, byteNanos);
    this.receiver = to.mcu.uart[toLink];
    this.noise = noise;
  }

  deliver(now) {
    const { receiver, noise } = this;
    this.transmitter.drain(
      now,
      () => !receiver.rxFIFO.full,
      (byte) => receiver.feedByte(noise.apply(byte)),
    );
  }
}
