"""The verb ``engines``: export another precision, build and prove engines, list, check and clean what is stored."""

from __future__ import annotations

import argparse
from dataclasses import replace
from typing import TYPE_CHECKING

from ..config import SegmenterConfig, load_config, preset, update
from ..errors import ConfigError, UoisError

if TYPE_CHECKING:
    from ..types import Frame

EPILOG = """\
on the desktop (needs the extra train):
  uois-sam engines export --precision fp16 --out models_fp16
on the robot (needs TensorRT and cuda-bindings):
  uois-sam engines build --backend tensorrt --model-dir models_fp16
  uois-sam segment INPUT --out DIR --backend tensorrt --model-dir models_fp16
  uois-sam engines list
An engine belongs to one GPU, one library version and one ONNX file; it is used only after it has been compared with
the fp32 models on fixed frames. See docs/engines.md."""
#: Generated scenes that int8 takes its ranges from when no input is given; the parity frames have other seeds.
CALIBRATION_SEEDS = range(24)


def register(subparsers: argparse._SubParsersAction) -> None:
    """Add the verb."""
    parser = subparsers.add_parser(
        "engines", help="build, prove and keep TensorRT engines; export fp16 and int8 models", description=__doc__,
        epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    build = actions.add_parser("build", help="build what is missing for this machine, and prove it")
    _add_pipeline(build)
    _add_cache(build)
    build.add_argument("--backend", default=None, metavar="NAME", help="tensorrt (default) or tensorrt_rtx")
    build.add_argument("--device", type=int, default=None, metavar="N", help="GPU (default 0)")
    build.add_argument("--picture", type=_size, default=(480, 640), metavar="WxH",
                       help="size of the camera's pictures, which engines are tuned for (default 640x480)")
    build.add_argument("--reference", default="", metavar="DIR",
                       help="fp32 models that the engines are compared with (default: those the models were made from)")
    build.add_argument("--optimization-level", type=int, default=None, metavar="0..5",
                       help="higher searches longer (default 3)")
    build.add_argument("--workspace-mb", type=int, default=None, metavar="MB",
                       help="scratch memory that one layer may use; 0 = what the GPU has (default)")
    build.add_argument("--rebuild", action="store_true", help="build even what is there")
    build.set_defaults(handler=run_build)

    listing = actions.add_parser("list", help="show what is stored, with its figures")
    _add_cache(listing)
    listing.set_defaults(handler=run_list)

    check = actions.add_parser("check", help="read every stored engine again; exit code 1 when one cannot be used")
    _add_cache(check)
    check.set_defaults(handler=run_check)

    clean = actions.add_parser("clean", help="delete stored engines, logs and timing caches")
    _add_cache(clean)
    clean.add_argument("--unusable", action="store_true", help="only what 'check' complains about")
    clean.set_defaults(handler=run_clean)

    export = actions.add_parser("export", help="write the models in another precision")
    _add_pipeline(export)
    export.add_argument("--precision", required=True, choices=("fp32", "fp16", "int8"),
                        help="fp32: same numbers; fp16: delicate parts stay fp32; int8: encoders only, where speed "
                             "matters more than masks")
    export.add_argument("--out", required=True, metavar="DIR", help="folder for the models and their manifest")
    export.add_argument("--int8-for", default="processor", choices=("processor", "tensorrt"),
                        help="int8: who runs it; the two want different files (default processor)")
    export.add_argument("--calibrate", default="", metavar="INPUT",
                        help="int8: recording, folder or shards to take ranges from (default: generated scenes)")
    export.add_argument("--frames", type=int, default=48, metavar="N", help="int8: how many frames of it (default 48)")
    export.set_defaults(handler=run_export)


def run_build(args: argparse.Namespace) -> int:
    """Build and prove; 0 when every engine may be used."""
    from ..runtime.engine_backends import ENGINE_BACKENDS
    from .build import Workshop

    config = _config(args)
    if args.backend is None and config.runtime.backend not in ENGINE_BACKENDS:
        config = update(config, {"runtime": {"backend": "tensorrt"}})
    workshop = Workshop(config, picture_hw=args.picture, reference_dir=args.reference)
    for outcome in workshop.ensure_all(rebuild=args.rebuild):
        print(f"{'built' if outcome.built else 'kept '} {outcome.engine.plan}: {outcome.parity}")
    return 0


def run_list(args: argparse.Namespace) -> int:
    """Print one line an engine; 0."""
    from ..runtime.engine_store import EngineStore

    store = EngineStore(args.cache)
    good, bad = store.engines()
    for engine in good:
        identity = engine.identity
        seconds = engine.build.get("seconds", 0)
        print(f"{identity.key}  {identity.backend} {identity.version}  {identity.gpu} ({identity.compute_capability})  "
              f"{engine.size / 1e6:.1f} MB  built in {seconds:g} s  {engine.parity or 'not compared yet'}")
    for text in bad:
        print(f"unusable: {text}")
    print(f"{len(good)} engines in {store.folder}" + (f", {len(bad)} unusable" if bad else ""))
    return 0


def run_check(args: argparse.Namespace) -> int:
    """Print what is wrong with every engine; 1 when something is."""
    from ..runtime.engine_store import EngineStore

    store = EngineStore(args.cache)
    good, bad = store.engines()
    for engine in good:
        try:
            engine.read_plan()
            engine.require_parity()
            print(f"ok        {engine.identity.key}")
        except UoisError as error:
            bad.append(str(error))
    for text in bad:
        print(f"unusable  {text}")
    return 1 if bad else 0


def run_clean(args: argparse.Namespace) -> int:
    """Delete and say what; 0."""
    from ..runtime.engine_store import EngineStore

    store = EngineStore(args.cache)
    keep = [engine.identity.key for engine in store.engines()[0] if args.unusable and _usable(engine)]
    deleted = store.clean(keep=frozenset(keep))
    print(f"deleted {len(deleted)} files in {store.folder}")
    return 0


def run_export(args: argparse.Namespace) -> int:
    """Write the models; 1 when they do not pass the gate."""
    from .export import export

    if args.frames < 1:
        raise ConfigError(f"--frames: expected 1 or more, got {args.frames}")
    report = export(_config(args), args.precision, args.out, target=args.int8_for,
                    calibration=lambda: _calibration(args))
    print(f"{args.out}: {report}" if report else f"{args.out}: fp32, the same numbers bit for bit")
    if report is not None and not report.passed:
        print(f"an engine of these models would be refused; the next safer precision is {report.safer or 'fp32'}")
        return 1
    return 0


def _usable(engine) -> bool:
    try:
        engine.read_plan()
        engine.require_parity()
    except UoisError:
        return False
    return True


def _calibration(args: argparse.Namespace) -> list[Frame]:
    if not args.calibrate:
        from ..example import box_scene

        return [box_scene(seed=seed)[0] for seed in CALIBRATION_SEEDS]
    from ..replay.sources import InputOptions, open_input

    frames: list[Frame] = []
    for sample in open_input(args.calibrate, InputOptions()):
        if sample.frame is not None:
            frames.append(sample.frame)
        if len(frames) == args.frames:
            break
    if not frames:
        raise ConfigError(f"--calibrate: expected frames in {args.calibrate}, got none")
    return frames


def _add_pipeline(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--preset", default=None, metavar="NAME", help="whose networks (default compact)")
    parser.add_argument("--config", default=None, metavar="FILE", help="YAML with settings that differ from a preset")
    parser.add_argument("--model-dir", default=None, metavar="DIR", help="folder with manifest.json (default: shipped)")
    parser.add_argument("--threads", type=int, default=None, metavar="N", help="CPU threads; 0 = all")


def _add_cache(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--cache", default="", metavar="DIR",
                        help="folder of engines (default $XDG_CACHE_HOME/uois_sam_ros, ~/.cache/uois_sam_ros)")


def _config(args: argparse.Namespace) -> SegmenterConfig:
    """Return the configuration that the options describe."""
    if args.config and args.preset:
        raise ConfigError(f"--config, --preset: expected one of them, got both ({args.config}, {args.preset})")
    config = load_config(args.config) if args.config else preset(args.preset or "compact")
    names = ("backend", "model_dir", "threads", "cache", "device", "optimization_level", "workspace_mb")
    given = {name: getattr(args, name) for name in names if getattr(args, name, None) not in (None, "")}
    return replace(config, runtime=update(config.runtime, given, "runtime."))


def _size(text: str) -> tuple[int, int]:
    """Parse ``WxH`` into (h, w)."""
    width, cross, height = text.partition("x")
    if not (cross and width.isdigit() and height.isdigit() and min(int(width), int(height)) >= 16):
        raise argparse.ArgumentTypeError(f"expected WxH in pixels, like 1280x720, got '{text}'")
    return int(height), int(width)
