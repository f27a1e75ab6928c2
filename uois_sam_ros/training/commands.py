"""The ``train`` verb: base -> iou -> hdnet -> export, each a resumable step on one run folder."""

from __future__ import annotations

import argparse
import shlex
import sys

STAGES = """stages, in this order (each reads what the one before wrote into --out):
  base     encoder, HPG head and mask decoder from scratch       -> base.pth
  iou      the decoder's IoU head to convergence                 -> iou.pth
  hdnet    HDNet on the frozen decoder                           -> hdnet.pth
  export   ONNX files and their manifest entries                 -> --engines

example:
  uois-sam synth --out data/train --scenes 2500 --seed 1
  uois-sam train base   --data data/train --out runs/a --samples 60000 --size 144x192 --size 192x256
  uois-sam train iou    --data data/train --out runs/a
  uois-sam train hdnet  --out runs/a
  uois-sam train export --out runs/a --engines engines
"""


def register(subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "train", help="train the compact model on synthetic shards", epilog=STAGES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train the compact model stage by stage. Interrupt at any time: base resumes\n"
        "from its checkpoint, the other stages take minutes.")
    parser.add_argument("stage", choices=("base", "iou", "hdnet", "export"))
    parser.add_argument("--out", required=True, metavar="RUN", help="run folder with checkpoints and curves")
    parser.add_argument("--data", metavar="DIR", help="base, iou: folder of shards made by 'uois-sam synth'")
    parser.add_argument("--samples", type=int, default=60000, help="base: views to see in all (%(default)s)")
    parser.add_argument("--size", action="append", type=_size, metavar="HxW",
                        help="base, iou: working size, multiples of 16; repeat to mix sizes (192x256)")
    parser.add_argument("--batch", type=int, default=12, help="base: views a step (%(default)s)")
    parser.add_argument("--lr", type=float, default=2e-3, help="base: peak learning rate (%(default)s)")
    parser.add_argument("--decay-from", type=float, default=0.6,
                        help="base: share of the samples after which the rate falls (%(default)s)")
    parser.add_argument("--views", type=int, default=1500,
                        help="iou: views whose clicks the score heads learn from (%(default)s)")
    parser.add_argument("--epochs", type=int, default=30, help="iou, hdnet: epochs (%(default)s)")
    parser.add_argument("--start", default="", metavar="DIR",
                        help="base: go on from the exported models in DIR instead of from scratch")
    parser.add_argument("--engines", default="engines", metavar="DIR", help="export: where the files go")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="base: where to train")
    parser.add_argument("--amp", action="store_true", help="base: bfloat16 autocast")
    parser.add_argument("--workers", type=int, default=1, help="base: loader processes (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 = all (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data order (%(default)s)")
    parser.set_defaults(handler=run)


def run(args: argparse.Namespace) -> int:
    """Run one stage."""
    from ..errors import ConfigError

    try:
        import torch
    except ImportError as error:
        raise ConfigError("training: expected torch, found none; in the source tree: pip install '.[train]'") from error
    if args.stage in ("base", "iou") and not args.data:
        raise ConfigError(f"--data: stage {args.stage} needs a folder of shards, got none; make one with uois-sam synth")
    if args.samples < 1 or args.views < 1 or args.epochs < 1 or args.batch < 1:
        raise ConfigError("--samples, --views, --epochs, --batch: expected 1 or more, got "
                          f"{args.samples}, {args.views}, {args.epochs}, {args.batch}")
    if args.stage in ("base", "iou"):
        from ..datasets.shards import ShardReader

        ShardReader(args.data)  # refuses a folder without shards here, not in a loader process
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device: expected a CUDA device, torch sees none; use --device cpu")
    if args.threads:
        torch.set_num_threads(args.threads)
    command = shlex.join(["uois-sam", *sys.argv[1:]])
    if args.stage == "base":
        return _base(args, command)
    from . import stages

    if args.stage == "export":
        stages.export(args.out, args.engines)
    else:
        stages.scores(args.stage, args.data, args.out, views=args.views, sizes=_sizes(args),
                      epochs=args.epochs, seed=args.seed, command=command)
    return 0


def _base(args: argparse.Namespace, command: str) -> int:
    from .base import BaseConfig, train_base
    from .dataset import SampleConfig

    config = BaseConfig(data=args.data, out=args.out, samples=args.samples, lr=args.lr,
                        decay_from=args.decay_from, workers=args.workers, device=args.device,
                        amp=args.amp, seed=args.seed, command=command, start=args.start)
    print(f"wrote {train_base(config, SampleConfig(sizes=_sizes(args), batch=args.batch, seed=args.seed))}")
    return 0


def _sizes(args: argparse.Namespace) -> tuple[tuple[int, int], ...]:
    return tuple(args.size or [(192, 256)])


def _size(text: str) -> tuple[int, int]:
    try:
        height, width = (int(part) for part in text.lower().split("x"))
    except ValueError:
        height = width = 0
    if min(height, width) < 96 or height % 16 or width % 16:
        raise argparse.ArgumentTypeError(f"expected HEIGHTxWIDTH, multiples of 16 from 96 up, got '{text}'")
    return height, width
