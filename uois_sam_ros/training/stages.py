"""The short stages on a run folder of the compact model: IoU head, HDNet, export."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ..errors import ModelError
from ..models.compact import CompactModel
from ..models.export import export_compact, prepare
from ..models.layers import fold_batch_norm
from ..runtime import manifest
from .checkpoint import Progress, load_checkpoint, save_checkpoint
from .curves import plot_curves
from .dataset import SampleConfig
from .scores import ScoreConfig, selection_quality, train_hdnet, train_iou
from .tokens import TokenSet, collect_tokens

#: Clicks a view for the score stages; SCORE_BACKGROUND of them hit no object.
SCORE_PROMPTS = 20
SCORE_BACKGROUND = 0.4
#: Clicks that the iou stage collects and the hdnet stage reads, in the run folder.
TOKENS = "tokens.pth"


def scores(stage: str, data: Sequence[str], out: str, *, views: int, sizes: tuple[tuple[int, int], ...],
           epochs: int, seed: int, command: str) -> Path:
    """Run stage "iou" or "hdnet"; return its checkpoint.

    Args:
        data, views, sizes: for "iou": folders of shards, how many training views the clicks come from (the folders
            take turns), and their working sizes (h, w). "hdnet" learns from the same clicks.
    """
    run = Path(out)
    before = load_checkpoint(run / ("base.pth" if stage == "iou" else "iou.pth"))
    model = CompactModel().eval()
    model.load_state_dict(before["average"] if stage == "iou" else before["model"])
    tokens = _collect(model, data, run, views, sizes, seed) if stage == "iou" else _collected(run)
    train = train_iou if stage == "iou" else train_hdnet
    history = train(model, tokens, ScoreConfig(epochs=epochs, seed=seed))
    last = tokens.subset(tokens.view >= int(tokens.view.max()) * 0.85)
    quality = selection_quality(model, last)
    print("IoU with the clicked object, held-out views: "
          + "  ".join(f"{key} {value:.4f}" for key, value in quality.items()))
    facts = {**before["facts"], f"{stage}_command": command, f"{stage}_quality": quality,
             f"{stage}_validation": history[-1]["validation"]}
    path = run / f"{stage}.pth"
    save_checkpoint(path, Progress(before["samples"], history, facts), model=model.state_dict())
    plot_curves([{"samples": row.pop("epoch"), **row} for row in history], path.with_suffix(".png"))
    return path


def export(out: str, engines: str) -> None:
    """Write the ONNX files and the manifest entries of a finished run."""
    run = Path(out)
    adapted = run / "hpg.pth"
    content = load_checkpoint(adapted if adapted.exists() and not (run / "hdnet.pth").exists() else run / "hdnet.pth")
    model = CompactModel()
    if content["facts"].get("folded"):  # an adapted model, which began as an exported one
        fold_batch_norm(model.eval())
    model.load_state_dict(content["model"])
    parameters = {name: sum(p.numel() for p in getattr(model, name).parameters())
                  for name in ("encoder", "decoder", "hdnet")}
    files = export_compact(prepare(model), engines)
    training = {"samples": content["samples"], **content["facts"]}
    for name, file in files.items():
        manifest.write_entry(engines, name, file.name, preset="compact", opset=18,
                             parameters=parameters[name.removeprefix("compact_")],
                             training=training)
        print(f"wrote {file}")


def _collect(model: CompactModel, data: Sequence[str], run: Path, views: int, sizes: tuple[tuple[int, int], ...],
             seed: int) -> TokenSet:
    """Collect tokens with the frozen base and keep them for the hdnet stage."""
    sample = SampleConfig(sizes=sizes, batch=4, prompts=SCORE_PROMPTS,
                          background_share=SCORE_BACKGROUND, seed=seed + 7919)
    tokens = collect_tokens(model, data, views, sample)
    torch.save({name: getattr(tokens, name) for name in TokenSet.__dataclass_fields__}, run / TOKENS)
    return tokens


def _collected(run: Path) -> TokenSet:
    """Read the tokens that the iou stage collected."""
    path = run / TOKENS
    if not path.exists():
        raise ModelError(f"tokens {path}: expected those of the iou stage, found none; run 'train iou' first")
    return TokenSet(**torch.load(path, weights_only=True))
