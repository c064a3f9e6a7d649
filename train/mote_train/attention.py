# SPDX-License-Identifier: Apache-2.0
"""Attention as the device has it (docs/ATTENTION.md), for whole sequences at once.

Shapes: b sequences, t positions, h query heads, g K/V heads, d lanes of a head. Query head i reads
K/V head i // (h / g).
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from .shape import Attention

CHUNK = 64  # positions that linear attention handles as a square


def rope_tables(head_size: int, base: float, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine (t, d / 2) of lanes (2i, 2i + 1) at `positions` (t)."""
    lanes = torch.arange(0, head_size, 2, dtype=torch.float64)
    frequencies = base ** (-lanes / head_size)
    # The image stores turns as u32 (SPEC.md, "rope_frequencies").
    turns = torch.round(frequencies / (2 * math.pi) * 2.0**32) / 2.0**32
    angles = positions.double().cpu()[:, None] * turns[None, :] * (2 * math.pi)
    return (
        angles.cos().float().to(positions.device),
        angles.sin().float().to(positions.device),
    )


def rotate(x: Tensor, tables: tuple[Tensor, Tensor]) -> Tensor:
    """Turns the pairs (2i, 2i + 1) of x (b, heads, t, d)."""
    cos, sin = tables
    even, odd = x[..., 0::2].float(), x[..., 1::2].float()
    return torch.stack((even * cos - odd * sin, even * sin + odd * cos), -1).flatten(-2)


def expand_kv(x: Tensor, group: int) -> Tensor:
    """(b, g, t, d) to (b, g * group, t, d): a K/V head for each query head."""
    if group == 1:
        return x
    b, g, t, d = x.shape
    return x[:, :, None].expand(b, g, group, t, d).reshape(b, g * group, t, d)


def softmax_attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """q (b, h, t, e), k (b, h, t, e), v (b, h, t, d); mask (t, t) of bool, None: causal."""
    if hasattr(F, "scaled_dot_product_attention"):
        return F.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale
        )
    if mask is None:
        mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
    scores = (q @ k.transpose(-1, -2)).float() * scale
    return scores.masked_fill(~mask, float("-inf")).softmax(-1).to(v.dtype) @ v


def window_mask(t: int, attention: Attention, device: torch.device) -> Tensor:
    """(t, t): row i may see column j."""
    i = torch.arange(t, device=device)[:, None]
    j = torch.arange(t, device=device)[None, :]
    return (j <= i) & ((i - j < attention.window) | (j < attention.sinks))


def join_sink_queries(
    q: Tensor, sink_q: Tensor, k: Tensor, sinks: int
) -> tuple[Tensor, Tensor]:
    """Queries and keys of twice the width, so that one product gives q . k for all keys but the
    first `sinks`, and sink_q . k for those. (docs/ATTENTION.md: sinks see another query.)"""
    is_sink = (torch.arange(k.shape[2], device=k.device) < sinks)[:, None]
    zero = torch.zeros((), dtype=k.dtype, device=k.device)
    keys = torch.cat((torch.where(is_sink, zero, k), torch.where(is_sink, k, zero)), -1)
    return torch.cat((q, sink_q), -1), keys


def phi(x: Tensor) -> Tensor:
    return F.relu(x) + 1


def linear_attention(q: Tensor, k: Tensor, v: Tensor, decays: tuple[int, ...]) -> Tensor:
    """out_i = sum_j w_ij v_j / sum_j w_ij with w_ij = phi(q_i) . phi(k_j) decay^(i - j), j <= i.

    q (b, h, t, d); k, v (b, g, t, d); decays (g) in 1/65536. Squares of CHUNK positions are
    computed whole; what comes before them is a sum of outer products for each chunk.
    """
    b, h, t, d = q.shape
    g = k.shape[1]
    n = -(-t // CHUNK)
    pad = n * CHUNK - t
    with torch.autocast(q.device.type, enabled=False):
        q = F.pad(phi(q.float()), (0, 0, 0, pad)).reshape(b, g, h // g, n, CHUNK, d)
        k = F.pad(phi(k.float()), (0, 0, 0, pad)).reshape(b, g, n, CHUNK, d)
        v = F.pad(F.pad(v.float(), (0, 1), value=1.0), (0, 0, 0, pad))
        v = v.reshape(b, g, n, CHUNK, d + 1)

        log_decay = torch.tensor([math.log(x / 65536) for x in decays], device=q.device)
        steps = torch.arange(CHUNK, device=q.device)
        age = steps[:, None] - steps[None, :]
        near = torch.exp(log_decay[:, None, None] * age.clamp(min=0)) * (age >= 0)  # (g, C, C)
        to_end = torch.exp(log_decay[:, None] * (CHUNK - 1 - steps))  # (g, C)
        from_start = torch.exp(log_decay[:, None] * (steps + 1))  # (g, C)
        chunk = torch.arange(n, device=q.device)
        gap = chunk[:, None] - chunk[None, :] - 1
        far = torch.exp(log_decay[:, None, None] * CHUNK * gap.clamp(min=0)) * (gap >= 0)

        scores = q @ k[:, :, None].transpose(-1, -2) * near[:, None, None]
        out = scores @ v[:, :, None]
        sums = (k * to_end[:, None, :, None]).transpose(-1, -2) @ v  # (b, g, n, d, d + 1)
        before = torch.einsum("gnm,bgmij->bgnij", far, sums)
        out = out + (q * from_start[:, None, None, :, None]) @ before[:, :, None]
        out = out[..., :d] / out[..., d:]
    return out.reshape(b, h, n * CHUNK, d)[:, :, :t]
