"""Optimiser and weight averaging for short trainings.

Muon (momentum, then orthogonalised by a Newton-Schulz iteration) drives the convolution and linear
weights, AdamW the rest. ``torch.optim.Muon`` accepts matrices only; kernels are matrices of
(out, in * k * k) here.
"""

from __future__ import annotations

import copy

import torch
from torch import nn


class Muon(torch.optim.Optimizer):
    """Momentum with orthogonalised updates, scaled to the root mean square of an AdamW step."""

    def __init__(self, params, lr: float = 2e-3, momentum: float = 0.95,
                 weight_decay: float = 0.01) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure=None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "momentum" not in state:
                    state["momentum"] = torch.zeros_like(parameter.grad)
                buffer = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                ahead = parameter.grad.lerp(buffer, group["momentum"])
                update = orthogonalise(ahead.reshape(len(ahead), -1)).reshape(parameter.shape)
                scale = 0.2 * max(update.shape[0], update[0].numel()) ** 0.5
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * scale)


def orthogonalise(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Approximate U V^T of the singular value decomposition by a quintic Newton-Schulz iteration."""
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = wide / (wide.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return x if wide is matrix else x.T


def build_optimizers(modules: nn.Module, lr: float) -> list[torch.optim.Optimizer]:
    """Split parameters: inner kernels and matrices to Muon; biases, norms and heads to AdamW."""
    matrices, rest = [], []
    for name, parameter in modules.named_parameters():
        inner = parameter.ndim >= 2 and parameter.shape[0] >= 16 and "tokens" not in name
        (matrices if inner else rest).append(parameter)
    return [Muon(matrices, lr=lr), torch.optim.AdamW(rest, lr=lr, weight_decay=1e-4)]


class WeightAverage:
    """Exponential moving average of parameters and buffers, warmed up."""

    def __init__(self, module: nn.Module, decay: float = 0.998) -> None:
        self.module = copy.deepcopy(module).eval().requires_grad_(False)
        self.decay, self.steps = decay, 0

    @torch.no_grad()
    def update(self, module: nn.Module) -> None:
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        source = module.state_dict()
        for name, value in self.module.state_dict().items():
            if value.dtype.is_floating_point:
                value.lerp_(source[name], 1 - decay)
            else:
                value.copy_(source[name])


def learning_rate(progress: float, *, warmup: float = 0.02, decay_from: float = 0.6) -> float:
    """Factor on the base rate: warm-up, constant, linear to zero; progress in [0, 1]."""
    if progress < warmup:
        return max(progress / warmup, 1e-3)
    return 1.0 if progress < decay_from else max(0.0, (1 - progress) / (1 - decay_from))
