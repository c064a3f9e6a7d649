# SPDX-License-Identifier: Apache-2.0
"""Starts emulated boards as ports/boards.json says, with sockets for their console and links."""

import json
import os
import selectors
import shutil
import socket
import subprocess
import time


class BoardError(Exception):
    """What went wrong with a board, for people."""


class NoEmulator(BoardError):
    """What runs a board is not installed."""


def load_catalogue(folder):
    with open(os.path.join(folder, "boards.json"), encoding="utf-8") as file:
        return json.load(file)


def filled(arguments, values):
    """The arguments with each {placeholder} of `values` replaced."""
    result = []
    for argument in arguments:
        for name, value in values.items():
            argument = argument.replace("{" + name + "}", str(value))
        result.append(argument)
    return result


class Board:
    """One running emulator. `links` is how many of its links get a socket, `extra` are further
    arguments of the emulator."""

    def __init__(self, folder, name, program, image, links=0, counted=True, seed=1, extra=()):
        entry = load_catalogue(folder)[name]
        firmware = os.path.join(folder, name, program + ".elf")
        for file in (firmware, image):
            if not os.path.exists(file):
                raise BoardError(f"{file} is missing: scripts/build_ports.sh {name}")
        self.name = name
        self.console, console = socket.socketpair()
        self.links = []
        theirs = [console]
        values = {"firmware": firmware, "image": image, "seed": seed,
                  "folder": os.path.join(folder, name)}
        if "lockstep" in entry:
            command = entry["lockstep"] + ["--firmware", firmware, "--image", image,
                                           "--seed", str(seed), "--console", str(console.fileno())]
            for _ in range(links):
                mine, other = socket.socketpair()
                self.links.append(mine)
                theirs.append(other)
                command += ["--link", str(other.fileno())]
            command = filled(command, values)
        else:
            command = entry["emulator"] + entry["firmware"] + entry["image"]
            if counted:
                command = command + entry["count"]
            command = filled(command, values) + list(extra)
            command += filled(entry["console"], {"fd": console.fileno()})
            for arguments in entry["links"][:links]:
                mine, other = socket.socketpair()
                self.links.append(mine)
                theirs.append(other)
                command += filled(arguments, {"fd": other.fileno()})
        if shutil.which(command[0]) is None:
            raise NoEmulator(f"{command[0]} is not installed: {entry.get('install', '')}")
        self.command = command
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE,
                                        pass_fds=[end.fileno() for end in theirs])
        for end in theirs:
            end.close()
        self.pending = b""

    def write(self, text):
        self.console.sendall(text if isinstance(text, bytes) else text.encode())

    def read_line(self, timeout):
        """The next line of the console without its end."""
        limit = time.monotonic() + timeout
        while b"\n" not in self.pending:
            self.console.settimeout(max(0.01, limit - time.monotonic()))
            try:
                piece = self.console.recv(4096)
            except TimeoutError:
                raise BoardError(f"{self.name}: no line within {timeout} s; "
                                 f"{self.pending!r} so far") from None
            if not piece:
                raise BoardError(f"{self.name}: ended with status {self.wait(5)}: {self.errors()}")
            self.pending += piece
        line, self.pending = self.pending.split(b"\n", 1)
        return line.decode(errors="replace").rstrip("\r")

    def errors(self):
        return self.process.stderr.read().decode(errors="replace").strip()

    def wait(self, timeout):
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise BoardError(f"{self.name}: does not end within {timeout} s") from None

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        for end in [self.console, *self.links]:
            end.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def exchange(link, data, timeout, window=192):
    """Sends `data` and returns as many bytes as come back until as many have come. No more than
    `window` bytes are under way: some emulated UARTs drop what a full socket does not take, and each
    byte of theirs takes the place of hundreds there."""
    received = b""
    sent = 0
    limit = time.monotonic() + timeout
    link.setblocking(False)
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ | selectors.EVENT_WRITE)
        while len(received) < len(data):
            if time.monotonic() > limit:
                raise BoardError(f"{len(received)} of {len(data)} bytes came back in {timeout} s")
            room = min(len(data), len(received) + window) - sent
            events = selectors.EVENT_WRITE if room > 0 else 0
            selector.modify(link, selectors.EVENT_READ | events)
            for _, events in selector.select(0.1):
                if events & selectors.EVENT_READ:
                    received += link.recv(4096)
                if events & selectors.EVENT_WRITE:
                    sent += link.send(data[sent:sent + room])
    return received
