"""The loop that fits a head on frozen features: the paper's schedule, resumable at any step, on any number of ranks.

Every random draw is a function of the seed, the epoch and the step, and the state is saved as it is between two
steps; so a run that was killed ends with the very weights of one that was not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import nn

from ..errors import ModelError
from .checkpoint import Progress, load_checkpoint, save_checkpoint
from .ranks import Ranks, seed_dropout, shared_layers


@dataclass(frozen=True)
class FitConfig:
    """The schedule of arXiv 2409.15481.

    Attributes:
        batch: over all ranks together; images for HPG, prompts for HDNet.
        drop, drop_every: the rate is multiplied by ``drop`` every so many epochs.
        patience: stop after so many epochs without a better validation loss; 0 = never. The paper names 30 epochs
            and keeps the best; those who adapt to a handful of frames stop early.
        amp: bfloat16 autocast, whose range needs no loss scaling.
        save_minutes: how much work a kill may cost; 0 saves after every step.
    """

    epochs: int = 30
    batch: int = 32
    lr: float = 1e-3
    drop: float = 0.1
    drop_every: int = 10
    weight_decay: float = 1e-4
    patience: int = 0
    seed: int = 0
    amp: bool = False
    workers: int = 0
    save_minutes: float = 2.0


#: Settings that may change between a run and its continuation without changing what is computed so far.
FREE = ("epochs", "workers", "save_minutes")


class Task(Protocol):
    """What is fitted.

    Attributes:
        module: inputs of one batch -> one loss for each of its items; all its parameters are trained.
        sizes: number of items of the parts "train" and "valid".
        key: names data and settings other than ``FitConfig``; a state of another key is not continued.
    """

    module: nn.Module
    sizes: dict[str, int]
    key: str

    def batches(self, part: str, indices: Sequence[torch.Tensor], workers: int) -> Iterator[tuple[torch.Tensor, ...]]:
        """Yield the inputs of each batch of item numbers."""
        ...


@dataclass
class _State:
    epoch: int = 0
    step: int = 0
    total: float = 0.0
    best: float = math.inf
    best_epoch: int = 0
    best_weights: dict[str, torch.Tensor] = field(default_factory=dict)
    history: list[dict[str, float]] = field(default_factory=list)


def fit(task: Task, config: FitConfig, ranks: Ranks, path: str | Path, *, title: str) -> list[dict[str, float]]:
    """Train ``task.module``, or go on from the state in ``path``; leave it with the weights of its best epoch.

    Args:
        path: of the training state.

    Returns:
        One row an epoch: samples seen, lr, loss, validation; before them the validation loss of the weights given,
        which count as an epoch when the best one is chosen.

    Raises:
        ModelError: damaged state, a state of other data or settings, a loss that is not finite, more ranks than items.
    """
    path, module = Path(path), shared_layers(task.module.to(ranks.device), ranks)
    if min(task.sizes["train"], config.batch) < ranks.world:
        raise ModelError(f"{title}: expected at least one item of a batch for each of {ranks.world} ranks, got "
                         f"{task.sizes['train']} in batches of {config.batch}; start fewer processes")
    optimizer = torch.optim.AdamW(module.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    key = repr((task.key, {k: v for k, v in asdict(config).items() if k not in FREE}))
    state = _resume(path, key, module, optimizer) if path.exists() else _State()
    if not state.history:
        _end_epoch(state, {"samples": 0.0, "validation": _validate(task, module, config, ranks)}, module)
    wrapped = ranks.wrap(module)
    saved = time.monotonic()
    while state.epoch < config.epochs and not _gave_up(state, config):
        rate = config.lr * config.drop ** (state.epoch // config.drop_every)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batches = _epoch_batches(task.sizes["train"], config, state.epoch, ranks)
        module.train()
        for inputs in task.batches("train", batches[state.step:], config.workers):
            seed_dropout(module, mix(config.seed, state.epoch, state.step))
            with torch.autocast(ranks.device.partition(":")[0], torch.bfloat16, enabled=config.amp):
                loss = wrapped(*(tensor.to(ranks.device) for tensor in inputs)).mean()
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            state.total += _finite(float(ranks.sum(loss.detach().double())) / ranks.world, title, state)
            state.step += 1
            if ranks.first and time.monotonic() - saved >= 60 * config.save_minutes:
                _save(path, key, state, module, optimizer)
                saved = time.monotonic()
        row = {"samples": float((state.epoch + 1) * task.sizes["train"]), "lr": rate,
               "loss": state.total / len(batches), "validation": _validate(task, module, config, ranks)}
        state.epoch, state.step, state.total = state.epoch + 1, 0, 0.0
        _end_epoch(state, row, module)
        if ranks.first:
            print(f"{title}  epoch {state.epoch}/{config.epochs}  loss {row['loss']:.5f}  "
                  f"validation {row['validation']:.5f}", flush=True)
            _save(path, key, state, module, optimizer)
            saved = time.monotonic()
    ranks.wait()
    module.load_state_dict(state.best_weights)
    module.eval()
    return state.history


def mix(*numbers: int) -> int:
    """Return one seed made of several numbers from 0 up."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def _epoch_batches(count: int, config: FitConfig, epoch: int, ranks: Ranks) -> list[torch.Tensor]:
    """Return this rank's part of every batch of an epoch; one seed, one order."""
    generator = torch.Generator().manual_seed(mix(config.seed, epoch))
    order = torch.randperm(count, generator=generator)
    return [part for batch in order.split(config.batch) if len(part := ranks.share(batch))]


def _end_epoch(state: _State, row: dict[str, float], module: nn.Module) -> None:
    """Keep the row, and the weights when they are the best so far."""
    state.history.append(row)
    if row["validation"] < state.best:
        state.best, state.best_epoch = row["validation"], state.epoch
        state.best_weights = {name: value.detach().cpu().clone() for name, value in module.state_dict().items()}


@torch.no_grad()
def _validate(task: Task, module: nn.Module, config: FitConfig, ranks: Ranks) -> float:
    """Mean loss over the validation part."""
    module.eval()
    mine = torch.arange(task.sizes["valid"])[ranks.rank::ranks.world].split(config.batch)
    total = torch.zeros((), dtype=torch.float64)
    for inputs in task.batches("valid", [part for part in mine if len(part)], config.workers):
        total += module(*(tensor.to(ranks.device) for tensor in inputs)).double().sum().cpu()
    return float(ranks.sum(total)) / task.sizes["valid"]


def _gave_up(state: _State, config: FitConfig) -> bool:
    return config.patience > 0 and state.epoch - state.best_epoch >= config.patience


def _finite(loss: float, title: str, state: _State) -> float:
    if not math.isfinite(loss):
        raise ModelError(f"{title}: expected a finite loss, got {loss} in epoch {state.epoch + 1}; lower the learning "
                         "rate, or leave out --amp, and start in a new run folder")
    return loss


def _save(path: Path, key: str, state: _State, module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    values = {name: getattr(state, name) for name in ("epoch", "step", "total", "best", "best_epoch")}
    save_checkpoint(path, Progress(int(state.epoch), state.history, {"key": key}), state=values,
                    best_weights=state.best_weights, module=module.state_dict(), optimizer=optimizer.state_dict())


def _resume(path: Path, key: str, module: nn.Module, optimizer: torch.optim.Optimizer) -> _State:
    content = load_checkpoint(path)
    if content["facts"].get("key") != key:
        raise ModelError(f"training state {path}: expected that of the same frames and settings, got another's; use a "
                         "new --out, or remove the file to start again")
    module.load_state_dict(content["module"])
    optimizer.load_state_dict(content["optimizer"])
    return _State(**content["state"], best_weights=content["best_weights"], history=content["history"])
