"""One process, or the several that ``torchrun`` started: their shares of a batch, and the layers that see all of it.

With the same global batch any number of ranks computes the same: gradients are averaged by DistributedDataParallel,
batch norm takes its statistics over all ranks, dropout draws for the whole batch and cuts out its rank's part.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from ..errors import ConfigError


@dataclass(frozen=True)
class Ranks:
    """This process among ``world`` equal ones; ``device`` as torch names it."""

    rank: int = 0
    world: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """True for the one that writes files and prints."""
        return self.rank == 0

    def share(self, batch: torch.Tensor) -> torch.Tensor:
        """Return this rank's part of a global batch, cut so that all parts are equal."""
        return batch[:len(batch) // self.world * self.world][self.rank::self.world]

    def sum(self, value: torch.Tensor) -> torch.Tensor:
        """Return the sum over ranks of a tensor without gradient."""
        if self.world > 1:
            value = value.to(self.device)
            distributed.all_reduce(value)
        return value

    def any(self, value: bool) -> bool:
        """Return whether ``value`` holds on any rank."""
        return bool(self.sum(torch.tensor(float(value))) > 0)

    def average_gradients(self, module: nn.Module) -> None:
        """Replace every gradient by its mean over ranks, for a module whose ``forward`` is not what is trained."""
        gradients = [parameter.grad for parameter in module.parameters() if parameter.grad is not None]
        if self.world == 1 or not gradients:
            return
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        distributed.all_reduce(flat)
        for gradient, mean in zip(gradients, (flat / self.world).split([g.numel() for g in gradients])):
            gradient.copy_(mean.view_as(gradient))

    def wait(self) -> None:
        """Wait until every rank is here."""
        if self.world > 1:
            distributed.barrier()

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return ``module`` such that its backward pass averages gradients over ranks."""
        if self.world == 1:
            return module
        return DistributedDataParallel(module, broadcast_buffers=False)


@contextmanager
def started_ranks(device: str) -> Iterator[Ranks]:
    """Join the ranks that ``torchrun`` started, or be the only one.

    Raises:
        ConfigError: a CUDA device is asked for and there is none for this rank.
    """
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    if device == "cuda":
        if local >= torch.cuda.device_count():
            raise ConfigError(f"--device: expected a CUDA device for local rank {local}, torch sees "
                              f"{torch.cuda.device_count()}; use --device cpu, or fewer processes")
        torch.cuda.set_device(local)
        device = f"cuda:{local}"
    if world == 1:
        yield Ranks(device=device)
        return
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    try:
        yield Ranks(distributed.get_rank(), world, device)
    finally:
        distributed.destroy_process_group()


class _SumOverRanks(torch.autograd.Function):
    """Sum over ranks, forward and backward: every rank's loss depends on every rank's statistics."""

    @staticmethod
    def forward(ctx, value: torch.Tensor) -> torch.Tensor:
        value = value.clone()
        distributed.all_reduce(value)
        return value

    @staticmethod
    def backward(ctx, gradient: torch.Tensor) -> torch.Tensor:
        gradient = gradient.clone()
        distributed.all_reduce(gradient)
        return gradient


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch norm over the equal parts of all ranks; torch's own SyncBatchNorm refuses processors."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training:
            return super().forward(x)
        world = distributed.get_world_size()
        x = x.float()
        mean = _SumOverRanks.apply(x.mean((0, 2, 3))) / world
        centred = x - mean[:, None, None]
        variance = _SumOverRanks.apply((centred**2).mean((0, 2, 3))) / world
        with torch.no_grad():
            count = world * x.numel() // x.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
            self.num_batches_tracked += 1
        scale = self.weight * torch.rsqrt(variance + self.eps)
        return centred * scale[:, None, None] + self.bias[:, None, None]


class SharedDropout(nn.Module):
    """Dropout whose mask depends on a seed and the place in the global batch, not on the number of ranks."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p, self.ranks = p, Ranks()
        self.generator = torch.Generator()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or self.p == 0:
            return x
        whole = torch.rand((self.ranks.world * len(x), *x.shape[1:]), generator=self.generator)
        keep = self.ranks.share(whole) >= self.p
        return x * keep.to(x.device) / (1 - self.p)


def shared_layers(module: nn.Module, ranks: Ranks) -> nn.Module:
    """Replace, in place, dropout and (with several ranks) batch norm by the layers above; weights stay."""
    for name, child in module.named_children():
        if isinstance(child, nn.Dropout):
            shared = SharedDropout(child.p)
            shared.ranks = ranks
            setattr(module, name, shared)
        elif type(child) is nn.BatchNorm2d and ranks.world > 1:
            shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum)
            shared.load_state_dict(child.state_dict())
            setattr(module, name, shared)
        else:
            shared_layers(child, ranks)
    return module


def seed_dropout(module: nn.Module, seed: int) -> None:
    """Make the masks of the next step a function of ``seed`` alone."""
    for number, layer in enumerate(part for part in module.modules() if isinstance(part, SharedDropout)):
        layer.generator.manual_seed(seed + number)
