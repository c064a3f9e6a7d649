# SPDX-License-Identifier: Apache-2.0
"""A phase of training: its loss, its steps, and its state on disk."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .data import Stories, draw_mixed
from .export import int4_units
from .freezing import LaneFreezer
from .model import MATRICES, Decoder, Numerics, Tables, Weights, make_tables
from .optim import Optimizer, schedule
from .quant import DeviceNumerics, Int4Numerics, Int8Numerics, compile_on_gpu
from .shape import ModelShape


@dataclass(frozen=True)
class Phase:
    """How a phase trains. batch and length in sequences and tokens; real: share of real text;
    unit_lr: step of the logarithms of int4's scales. freeze: int4 lanes that change at more than
    this share of the steps are held (`freezing`), at five times it in the beginning; 0: none."""

    steps: int
    batch: int
    length: int
    muon_lr: float
    adam_lr: float
    warmup: int = 200
    real: float = 0.15
    decay: float = 0.01
    seed: int = 1
    unit_lr: float = 0.0
    freeze: float = 0.0


def flatten(weights: Weights) -> tuple[Tensor, ...]:
    layers = tuple(weights.layers[name] for name in MATRICES)
    return (weights.embedding, weights.classifier, weights.final_norm, *layers)


def unflatten(flat: tuple[Tensor, ...]) -> Weights:
    return Weights(flat[0], flat[1], flat[2], dict(zip(MATRICES, flat[3:])))


Loss = Callable[..., Tensor]


def make_loss(model: Decoder, numerics: Numerics, teacher: Decoder | None) -> Loss:
    """loss(batch (b, t + 1), *flatten(weights)), compiled where PyTorch can. With a teacher, of
    any shape, the target is its distribution, from its exact weights, else the token that
    follows."""
    shapes = [model.shape] if teacher is None else [model.shape, teacher.shape]
    with torch.no_grad():
        taught = () if teacher is None else flatten(teacher.folded())

    def loss(
        batch: Tensor, tables: list[Tables], taught: tuple[Tensor, ...], *flat: Tensor
    ) -> Tensor:
        logits = model(batch[:, :-1], numerics, unflatten(flat), tables[0]).float().flatten(0, 1)
        if teacher is None:
            return F.cross_entropy(logits, batch[:, 1:].flatten())
        with torch.no_grad():
            target = teacher(batch[:, :-1], Numerics(), unflatten(taught), tables[1])
        return F.cross_entropy(logits, target.float().softmax(-1).flatten(0, 1))

    compiled = compile_on_gpu(loss)
    tables: dict[int, list[Tables]] = {}

    def loss_of_batch(batch: Tensor, *flat: Tensor) -> Tensor:
        t = batch.shape[1] - 1
        if t not in tables:
            tables[t] = [make_tables(shape, t, batch.device) for shape in shapes]
        return compiled(batch, tables[t], taught, *flat)

    return loss_of_batch


class Training:
    """A phase of a run: its state can be saved and goes on elsewhere."""

    def __init__(
        self,
        shape: ModelShape,
        phase: Phase,
        format: str,
        device: torch.device,
        teacher: Decoder | None = None,
    ) -> None:
        self.shape, self.phase, self.device = shape, phase, device
        self.format = format
        self.model = Decoder(shape, phase.seed).to(device)
        # The weights come rounded into the loss.
        self.loss = make_loss(
            self.model, Numerics() if format == "float" else DeviceNumerics(), teacher
        )
        self.generator = torch.Generator(device).manual_seed(phase.seed)
        self.done = 0
        self.begin()

    def begin(self) -> None:
        """From the present weights."""
        phase = self.phase
        self.numerics: Numerics = Int8Numerics() if self.format == "int8" else Numerics()
        scales: list[nn.Parameter] = []
        if self.format == "int4":
            units = {name: u.to(self.device) for name, u in int4_units(self.model).items()}
            self.numerics = Int4Numerics(self.shape, units)
            scales = list(self.numerics.log_units.values())
        self.optimizer = Optimizer(
            self.model, phase.muon_lr, phase.adam_lr, phase.decay, scales, phase.unit_lr
        )

    def step(self, batch: Tensor) -> Tensor:
        cuda = self.device.type == "cuda"
        with torch.autocast("cuda", torch.bfloat16) if cuda else contextlib.nullcontext():
            loss = self.loss(batch, *flatten(self.numerics.weights(self.model.folded())))
        loss.backward()
        scale = schedule(self.done, self.phase.steps, self.phase.warmup)
        if isinstance(self.numerics, Int4Numerics) and self.phase.freeze > 0:
            self.numerics.watch(self.phase.freeze * (1 + 4 * scale))
        self.optimizer.step(scale)
        self.optimizer.zero_grad()
        self.done += 1
        return loss.detach()

    def save(self, path: Path) -> None:
        if isinstance(self.numerics, Int4Numerics):
            self.numerics.settle(self.model)
        state: dict[str, Any] = {
            "shape": self.shape.to_dict(),
            "model": self.model.state_dict(),
            "done": self.done,
        }
        if isinstance(self.numerics, Int4Numerics):
            state["units"] = self.numerics.units()
            state["log_units"] = {n: u.detach() for n, u in self.numerics.log_units.items()}
        if self.done < self.phase.steps:
            state["optimizer"] = self.optimizer.state()
            state["generator"] = self.generator.get_state()
            if isinstance(self.numerics, Int4Numerics):
                state["freezers"] = {n: f.state for n, f in self.numerics.freezers.items()}
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(state, path)

    def load(self, path: Path, resume: bool) -> None:
        """Weights; to `resume`, all the rest as well."""
        state = torch.load(path, map_location=self.device)
        self.model.load_state_dict(state["model"])
        self.begin()
        if resume:
            self.done = state["done"]
            if isinstance(self.numerics, Int4Numerics):
                for name, u in self.numerics.log_units.items():
                    u.data.copy_(state["log_units"][name])
                for name, freezer in state.get("freezers", {}).items():
                    self.numerics.freezers[name] = LaneFreezer(freezer["last"])
                    self.numerics.freezers[name].state = freezer
            if "optimizer" in state:
                self.optimizer.load_state(state["optimizer"])
                self.generator.set_state(state["generator"].cpu())


def run(
    training: Training,
    sources: list[tuple[Stories, float]],
    held_out: Callable[[], float],
    seconds: float,
    log: Callable[[str], None],
    every: int,
) -> None:
    """Trains to the end of the phase or of `seconds`; a progress line all `every` steps."""
    phase, start, first = training.phase, time.time(), training.done
    total = torch.zeros((), device=training.device)
    while training.done < phase.steps and time.time() - start < seconds:
        batch = draw_mixed(sources, phase.batch, phase.length, training.generator)
        total += training.step(batch)
        if training.done % every == 0 or training.done == phase.steps:
            count = (training.done - 1) % every + 1
            rate = (training.done - first) / (time.time() - start)
            loss, total = total.item() / count, torch.zeros_like(total)
            line = f"step {training.done} loss {loss:.4f} held-out {held_out():.4f} bits/char, "
            line += f"{rate:.1f} steps/s"
            if phase.freeze > 0 and isinstance(training.numerics, Int4Numerics):
                line += f", {training.numerics.held():.0%} of the lanes held"
            log(line)
