"""The stages ``hpg``, ``hdnet`` and ``standins`` of the verb ``train``: from options to configurations."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..errors import ConfigError
from ..replay.options import reading_options
from .adapt import AdaptConfig, adapt_hdnet, adapt_hpg
from .backbones import Chain, chain_of
from .clicks import ClickConfig
from .fit import FitConfig
from .hdnet import HdnetConfig
from .hpg import HpgConfig
from .own_frames import OwnFrames
from .paper import RunConfig, train_hdnet, train_hpg
from .ranks import started_ranks
from .standins import VARIANT, StandinConfig, train_standins
from .views import ViewConfig

#: Upsampler of the stand-ins: a few seconds an epoch on one core.
TINY_WIDTHS = (48, 32, 24, 16, 16)
#: Epochs without a gain after which adapting stops.
PATIENCE = 6


def run(args: argparse.Namespace, command: str) -> int:
    """Run the stage that the options describe."""
    if args.stage == "standins":
        return _standins(args)
    if args.preset == "compact":
        return _adapt(args, command)
    chain = chain_of(args.preset)
    _check(args, chain)
    config = RunConfig(
        preset=args.preset, data=args.data, out=args.out, sam=args.sam, dinov2=args.dinov2, val=args.val,
        held_out=0.1 if args.held_out is None else args.held_out, percent=args.fraction, seed=args.seed,
        cache=args.cache, cache_gb=args.cache_gb, command=command,
        reading=reading_options(args))
    with started_ranks(args.device) as ranks:
        if args.stage == "hpg":
            widths = args.widths or (TINY_WIDTHS if VARIANT in chain.hpg else None)
            shape = {"width": widths[0], "widths": widths[1:]} if widths else {}
            path = train_hpg(config, HpgConfig(_fit(args), sigma_px=args.sigma, **shape), ranks)
        else:
            clicks = ClickConfig(args.clicks, args.background, args.seed)
            path = train_hdnet(config, HdnetConfig(_fit(args), clicks), ranks)
        if ranks.first:
            print(f"wrote {path}")
    return 0


def _adapt(args: argparse.Namespace, command: str) -> int:
    if args.device != "cpu":
        raise ConfigError("--device: expected cpu, because adapting the compact model takes seconds there, got "
                          f"{args.device}; leave the option out")
    held_out = 0.2 if args.held_out is None else args.held_out
    frames = OwnFrames(args.data, args.val, held_out, args.fraction, args.views, seed=args.seed,
                       reading=reading_options(args))
    config = AdaptConfig(frames, args.out, args.start, _fit(args, patience=PATIENCE), command=command)
    print(f"wrote {(adapt_hpg if args.stage == 'hpg' else adapt_hdnet)(config)}")
    return 0


def _standins(args: argparse.Namespace) -> int:
    chain = chain_of(args.preset) if args.preset != "compact" else None
    if chain is None or not chain.sam.endswith(VARIANT):
        raise ConfigError(f"--preset: stage standins makes networks for paper-tiny or shared-tiny, got {args.preset}; "
                          "for the others take official weights: uois-sam weights list")
    config = StandinConfig(args.data, args.out, args.samples, views=ViewConfig(batch=args.batch, seed=args.seed),
                           lr=args.lr, amp=args.amp, save_minutes=args.save_minutes)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    train_standins(config, dinov2=chain.prompts_from.startswith("dinov2_"))
    return 0


def _check(args: argparse.Namespace, chain: Chain) -> None:
    if args.start:
        raise ConfigError(f"--start: expected preset compact, whose exported models it names, got {args.preset}; give "
                          "backbones by --sam and --dinov2")
    encoder = chain.prompts_from if args.stage == "hpg" else f"{chain.sam}_encoder"
    option = "sam" if encoder.startswith("sam_") else "dinov2"
    if not getattr(args, option):
        raise ConfigError(f"--{option}: stage {args.stage} of preset {args.preset} needs the checkpoint of "
                          f"{encoder.removesuffix('_encoder')}, got none; 'uois-sam weights list' tells where it is")
    if not 0 < args.sigma <= 64 or not 1 <= args.clicks <= 1000 or not 0 <= args.background <= 1:
        raise ConfigError("--sigma, --clicks, --background: expected 0 to 64 px, 1 to 1000 clicks, a share of 0 to 1, "
                          f"got {args.sigma:g}, {args.clicks}, {args.background:g}")


def _fit(args: argparse.Namespace, patience: int = 0) -> FitConfig:
    return FitConfig(epochs=args.epochs, batch=args.batch, lr=args.lr, patience=patience, seed=args.seed, amp=args.amp,
                     workers=args.workers if args.stage == "hpg" else 0, save_minutes=args.save_minutes)
