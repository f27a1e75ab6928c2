"""The ``train`` verb: each stage is a resumable step on one run folder."""

from __future__ import annotations

import argparse
import os
import shlex
import sys

from ..replay.options import add_reading_options

STAGES = """stages of the compact model from scratch, in this order (each reads what the one before wrote into --out):
  base     encoder, HPG head and mask decoder                    -> base.pth
  iou      the decoder's IoU head to convergence                 -> iou.pth
  hdnet    HDNet on the frozen decoder                           -> hdnet.pth
  export   ONNX files and their manifest entries                 -> --engines

the two heads on labelled frames (--data INPUT), everything below them frozen:
  hpg      the prompt generator                                  -> hpg.pth
  hdnet    the rescorer                                          -> hdnet.pth
  --preset compact adapts exported models (--start, else the shipped ones) to a handful of your frames; then export.
  --preset paper, shared, ... trains them on official backbones (--sam, --dinov2); then: uois-sam export.
  Several GPUs: torchrun --nproc-per-node N -m -- uois_sam_ros.cli train hpg ... computes the same with N ranks.
  Stage base shares its batch among N ranks in the same way, on GPUs or, with --threads 1, on the cores of a processor.

  standins small networks in place of SAM and DINOv2 (--preset paper-tiny, shared-tiny) -> sam_tiny.pth, dinov2_tiny.pth

examples:
  uois-sam synth --out data/train --scenes 2500 --seed 1
  uois-sam train base   --data data/train --out runs/a --samples 60000 --size 144x192 --size 192x256
  uois-sam synth --out data/scores --split scores --scenes 450 --seed 31
  uois-sam train iou    --data data/train --unseen data/scores --out runs/a
  uois-sam train hdnet  --out runs/a
  uois-sam train export --out runs/a --engines engines

  uois-sam train hdnet  --data my_frames --out runs/site
  uois-sam train export --out runs/site --engines site_models

  uois-sam train hpg    --preset paper --dinov2 dinov2_vits14_pretrain.pth --data uoais-sim:DIR --fraction 10 --out r
  uois-sam train hdnet  --preset paper --sam sam_vit_l_0b3195.pth --data uoais-sim:DIR --fraction 10 --out r
"""
#: Stage -> default learning rate and batch where an option does not say; "adapt" is either head of the compact model.
DEFAULTS = {"base": (2e-3, 12), "hpg": (1e-3, 32), "hdnet": (1e-3, 30), "adapt": (1e-4, 16), "standins": (2e-3, 4)}


def register(subparsers) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "train", help="train the compact model, or HPG and HDNet of any preset", epilog=STAGES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Train stage by stage. Interrupt at any time and give the same command again: it goes on.")
    parser.add_argument("stage", choices=("base", "iou", "hdnet", "export", "hpg", "standins"))
    parser.add_argument("--out", required=True, metavar="RUN", help="run folder with checkpoints and curves")
    parser.add_argument("--data", metavar="INPUT", help="base, iou, standins: folder of shards made by 'uois-sam "
                        "synth'; hpg, hdnet: anything with labels that 'uois-sam eval' reads")
    parser.add_argument("--epochs", type=int, default=30, help="iou, hdnet, hpg: epochs (%(default)s)")
    parser.add_argument("--batch", type=int, help="views, images (hpg) or prompts (hdnet) a step over all processes "
                        "(base 12, hpg 32, hdnet 30, both on compact 16, standins 4)")
    parser.add_argument("--lr", type=float,
                        help="peak learning rate (base, standins 2e-3; hpg, hdnet 1e-3, both on compact 1e-4)")
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"), help="base, hpg, hdnet: where to train")
    parser.add_argument("--amp", action="store_true", help="base, hpg, hdnet, standins: bfloat16 autocast")
    parser.add_argument("--workers", type=int, default=1, help="base, hpg: loader processes (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0 = all (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of weights and data order, from 0 up (%(default)s)")
    parser.add_argument("--save-minutes", type=float, default=2.0,
                        help="hpg, hdnet, standins: work that a kill may cost (%(default)s)")
    scratch = parser.add_argument_group("the compact model from scratch")
    scratch.add_argument("--samples", type=int, help="base, standins: views to see in all (60000; 5000)")
    scratch.add_argument("--size", action="append", type=_size, metavar="HxW",
                         help="base, iou: working size, multiples of 16; repeat to mix sizes (192x256)")
    scratch.add_argument("--decay-from", type=float, default=0.6,
                         help="base: share of the samples after which the rate falls (%(default)s)")
    scratch.add_argument("--views", type=int, help="iou: views whose clicks the score heads learn from (1500); hpg and "
                         "hdnet on compact: augmented views of each frame (8)")
    scratch.add_argument("--unseen", default="", metavar="DIR", help="iou: shards whose families the base stage did not "
                         "see (uois-sam synth --split scores); every other batch comes from there")
    scratch.add_argument("--start", default="", metavar="DIR", help="exported models to go on from: base (else from "
                         "scratch), hpg and hdnet (else the shipped ones)")
    scratch.add_argument("--engines", default="engines", metavar="DIR", help="export: where the files go")
    heads = parser.add_argument_group("hpg and hdnet on labelled frames")
    heads.add_argument("--preset", default="compact", metavar="NAME", help="whose heads (%(default)s)")
    heads.add_argument("--val", default="", metavar="INPUT", help="frames to validate with; else some of --data")
    heads.add_argument("--held-out", type=float, metavar="SHARE",
                       help="without --val: the last frames of every source validate (0.1; compact 0.2)")
    heads.add_argument("--fraction", type=float, default=100.0, metavar="PERCENT",
                       help="of the training frames, 1 to 100, chosen by --seed (%(default)g)")
    heads.add_argument("--sam", default="", metavar="FILE", help="SAM's checkpoint")
    heads.add_argument("--dinov2", default="", metavar="FILE", help="DINOv2's checkpoint")
    heads.add_argument("--cache", default="", metavar="DIR", help="features of frozen networks (RUN/cache)")
    heads.add_argument("--cache-gb", type=float, default=20.0, metavar="GB", help="its budget (%(default)g)")
    heads.add_argument("--sigma", type=float, default=8.0, metavar="PX",
                       help="hpg: of the heatmap's Gaussians, on a map 448 pixels wide (%(default)g)")
    heads.add_argument("--widths", type=_widths, metavar="C,C,...", help="hpg: channels after the projection and "
                       "after each block (256,128,64,32,32; stand-ins 48,32,24,16,16)")
    heads.add_argument("--clicks", type=int, default=30, help="hdnet: clicks a frame (%(default)s)")
    heads.add_argument("--background", type=float, default=0.5, metavar="SHARE",
                       help="hdnet: share of the clicks that miss all objects (%(default)s)")
    reading = parser.add_argument_group("hpg and hdnet: reading frames that do not tell it themselves")
    add_reading_options(reading)
    parser.set_defaults(handler=run, depth="auto", max_frames=0)


def run(args: argparse.Namespace) -> int:
    """Run one stage."""
    from ..errors import ConfigError

    try:
        import torch
    except ImportError as error:
        raise ConfigError("training: expected torch, found none; in the source tree: pip install '.[train]'") from error
    on_frames = args.stage == "hpg" or (args.stage == "hdnet" and (bool(args.data) or args.preset != "compact"))
    _check(args, on_frames)
    if args.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device: expected a CUDA device, torch sees none; use --device cpu")
    if args.threads:
        torch.set_num_threads(args.threads)
    command = shlex.join(["uois-sam", *sys.argv[1:]])
    if args.stage == "base":
        return _base(args, command)
    if on_frames or args.stage == "standins":
        from . import head_commands

        return head_commands.run(args, command)
    from . import stages

    if args.stage == "export":
        stages.export(args.out, args.engines)
    else:
        folders = [folder for folder in (args.data, args.unseen) if folder]
        stages.scores(args.stage, folders, args.out, views=args.views, sizes=_sizes(args),
                      epochs=args.epochs, seed=args.seed, command=command)
    return 0


def _check(args: argparse.Namespace, on_frames: bool) -> None:
    from ..errors import ConfigError

    shards = args.stage in ("base", "iou", "standins")
    if (shards or on_frames) and not args.data:
        needs = "a folder of shards, got none; make one with uois-sam synth" if shards else (
            "labelled frames, got none; pass a folder, COCO annotations or name:ROOT of a data set")
        raise ConfigError(f"--data: stage {args.stage} needs {needs}")
    if args.unseen and args.stage != "iou":
        raise ConfigError(f"--unseen: expected stage iou, whose clicks the hdnet stage reads too, got {args.stage}")
    rate, batch = DEFAULTS.get("adapt" if on_frames and args.preset == "compact" else args.stage, (1e-3, 1))
    args.lr = rate if args.lr is None else args.lr
    args.batch = batch if args.batch is None else args.batch
    args.samples = (5000 if args.stage == "standins" else 60000) if args.samples is None else args.samples
    args.views = (8 if on_frames else 1500) if args.views is None else args.views
    if args.samples < 1 or args.views < 1 or args.epochs < 1 or args.batch < 1:
        raise ConfigError("--samples, --views, --epochs, --batch: expected 1 or more, got "
                          f"{args.samples}, {args.views}, {args.epochs}, {args.batch}")
    if args.seed < 0:
        raise ConfigError(f"--seed: expected 0 or more, got {args.seed}")
    world = int(os.environ.get("WORLD_SIZE", "1"))
    if world > 1 and args.stage != "base" and (not on_frames or args.preset == "compact"):
        raise ConfigError("torchrun: expected stage base, or hpg or hdnet of a preset with SAM, which processes can "
                          f"share, got {args.stage} of {args.preset}; run it in one process")
    if args.stage == "base" and args.batch % world:
        raise ConfigError(f"--batch: expected a multiple of the {world} processes that share it, got {args.batch}")
    if shards:
        from ..datasets.shards import ShardReader

        for folder in filter(None, (args.data, args.unseen)):
            ShardReader(folder)  # refuses a folder without shards here, not in a loader process


def _base(args: argparse.Namespace, command: str) -> int:
    from .base import BaseConfig, train_base
    from .dataset import SampleConfig
    from .ranks import started_ranks

    config = BaseConfig(data=args.data, out=args.out, samples=args.samples, lr=args.lr,
                        decay_from=args.decay_from, workers=args.workers, amp=args.amp,
                        seed=args.seed, command=command, start=args.start)
    with started_ranks(args.device) as ranks:
        path = train_base(config, SampleConfig(sizes=_sizes(args), batch=args.batch, seed=args.seed), ranks)
        if ranks.first:
            print(f"wrote {path}")
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


def _widths(text: str) -> tuple[int, ...]:
    try:
        widths = tuple(int(part) for part in text.split(","))
    except ValueError:
        widths = ()
    if len(widths) < 2 or min(widths) < 1:
        raise argparse.ArgumentTypeError(f"expected two or more numbers of channels like 256,128,64,32, got '{text}'")
    return widths
