// SPDX-License-Identifier: Apache-2.0
// Runs one RP2040 or several in lock step, wired as a ring. README.md tells the arguments.
import fs from 'node:fs';
import { parseArgs } from 'node:util';
import { Chip } from './chip.mjs';
import { Console, SocketLink } from './sockets.mjs';
import { Noise, Wire } from './wire.mjs';

const CHUNK_MS = 20; // of this computer's time between looks at the sockets
const IDLE_WINDOWS = 3; // after so many windows without work, lines of the consoles are taken
const WINDOW_NS = 100e6;
const IDLE_SHARE = 0.9; // of a window, asleep
const PATIENCE_MS = 500; // of this computer's time; then idle chips go on without a line

function fail(text) {
  process.stderr.write(`rp2040: ${text}\n`);
  process.exit(2);
}

function readOptions() {
  const many = { type: 'string', multiple: true, default: [] };
  try {
    return parseArgs({
      options: {
        firmware: { type: 'string' },
        image: many,
        console: many,
        link: many,
        ring: { type: 'boolean', default: false },
        baud: { type: 'string', default: '1000000' },
        'link-error-rate': { type: 'string', default: '0' },
        seed: { type: 'string', default: '1' },
      },
    }).values;
  } catch (error) {
    return fail(error.message);
  }
}

function makeChips(options, seed) {
  const count = options.image.length;
  if (!options.firmware || count === 0 || options.console.length !== count) {
    fail('needs --firmware FILE and, for each chip, --image FILE and --console DESCRIPTOR');
  }
  const elf = fs.readFileSync(options.firmware);
  return options.image.map((file, i) => new Chip(elf, fs.readFileSync(file), seed + i));
}

/** Link 0 leads to the next chip, link 1 to the one before. */
function makeWires(chips, options, byteNanos) {
  const noise = new Noise(Number(options['link-error-rate']), Number(options.seed));
  const wires = [];
  if (options.ring) {
    chips.forEach((chip, i) => {
      const next = chips[(i + 1) % chips.length];
      wires.push(new Wire(chip, 0, next, 1, byteNanos, noise));
      wires.push(new Wire(next, 1, chip, 0, byteNanos, noise));
    });
  }
  return wires;
}

const options = readOptions();
const byteNanos = Math.round(1e10 / Number(options.baud));
if (!(byteNanos >= 100)) fail(`--baud ${options.baud} is no rate up to 100000000`);
const chips = makeChips(options, Number(options.seed));
const wires = makeWires(chips, options, byteNanos);
const links = options.link.map((fd, i) => new SocketLink(chips[0], i, Number(fd), byteNanos));
const consoles = chips.map((chip, i) => new Console(chip, Number(options.console[i])));

let now = 0; // virtual, in ns
let windowEnd = WINDOW_NS;
let idleWindows = 0;
let frozenSince = null;

function finish(status) {
  consoles.forEach((console) => console.flush());
  Promise.all(consoles.map((console) => console.close())).then(() => process.exit(status));
}

/** One byte's time: what is sent in it arrives after it, whichever chip comes first. */
function runSlice() {
  now += byteNanos;
  for (const chip of chips) chip.runUntil(now);
  for (const wire of wires) wire.deliver(now);
  for (const link of links) link.deliver(now);
  for (const console of consoles) console.flush();
  if (now < windowEnd) return;
  const idle = chips.every((chip) => chip.takeSleep() > IDLE_SHARE * WINDOW_NS);
  idleWindows = idle ? idleWindows + 1 : 0;
  windowEnd += WINDOW_NS;
}

function deliverLines() {
  let delivered = false;
  for (const console of consoles) delivered = console.deliverLine() || delivered;
  return delivered;
}

/** Whether time may pass. Idle chips wait for a line, so that it comes at the same moment always. */
function mayRun() {
  if (idleWindows < IDLE_WINDOWS) return true;
  frozenSince ??= Date.now();
  if (!deliverLines() && links.length === 0 && Date.now() - frozenSince < PATIENCE_MS) return false;
  frozenSince = null;
  idleWindows = 0;
  return true;
}

function run() {
  const end = Date.now() + CHUNK_MS;
  while (Date.now() < end) {
    if (consoles.every((console) => console.closed)) return finish(0);
    if (!mayRun()) return setTimeout(run, 2);
    for (let i = 0; i < 64 && idleWindows < IDLE_WINDOWS; ++i) runSlice();
    const ended = chips.find((chip) => chip.status !== null);
    if (ended) return finish(ended.status);
  }
  return setImmediate(run);
}

run();
