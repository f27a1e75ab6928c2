"""The short stages on a run folder: IoU head, HDNet, export."""

from __future__ import annotations

from pathlib import Path

import torch

from ..models.compact import CompactModel
from ..models.export import export_compact, prepare
from ..runtime import manifest
from .checkpoint import Progress, load_checkpoint, save_checkpoint
from .curves import plot_curves
from .dataset import SampleConfig
from .scores import ScoreConfig, selection_quality, train_hdnet, train_iou
from .tokens import TokenSet, collect_tokens

#: Clicks a view for the score stages; half of the paper's 30 hit nothing or the background.
SCORE_PROMPTS = 20
SCORE_BACKGROUND = 0.4


def scores(stage: str, data: str, out: str, *, views: int, sizes: tuple[tuple[int, int], ...],
           epochs: int, seed: int, command: str) -> Path:
    """Run stage "iou" or "hdnet"; return its checkpoint.

    Args:
        views, sizes: how many training views the clicks come from, and at which working sizes (h, w).
    """
    run = Path(out)
    before = load_checkpoint(run / ("base.pth" if stage == "iou" else "iou.pth"))
    model = CompactModel().eval()
    model.load_state_dict(before["average"] if stage == "iou" else before["model"])
    tokens = _tokens(model, data, run, views, sizes, seed, fresh=stage == "iou")
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
    content = load_checkpoint(Path(out) / "hdnet.pth")
    model = CompactModel()
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


def _tokens(model: CompactModel, data: str, run: Path, views: int, sizes: tuple[tuple[int, int], ...],
            seed: int, *, fresh: bool) -> TokenSet:
    """Collect tokens; those that the iou stage collected from the same views serve hdnet, too."""
    path = run / "tokens.pth"
    origin = f"{data} {views} {sizes} {seed}"
    if not fresh and path.exists():
        content = torch.load(path, weights_only=True)
        if content.pop("origin") == origin:
            return TokenSet(**content)
    sample = SampleConfig(sizes=sizes, batch=4, prompts=SCORE_PROMPTS,
                          background_share=SCORE_BACKGROUND, seed=seed + 7919)
    tokens = collect_tokens(model, data, views, sample)
    torch.save({"origin": origin, **{name: getattr(tokens, name) for name in TokenSet.__dataclass_fields__}}, path)
    return tokens
