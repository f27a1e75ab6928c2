"""The command ``uois-sam``: verbs only. Each area brings its verbs in a light ``register`` function.

Exit codes: 0 all went well, 1 a frame was refused or a check failed, 2 the request was refused.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence

from . import __version__, doctor
from .benchmark import command as bench
from .datasets import commands as dataset_commands
from .engines import commands as engine_commands
from .errors import UoisError
from .grasping import commands as grasping_commands
from .replay import commands as replay_commands
from .replay.accuracy import commands as accuracy_commands
from .replay.playback import commands as playback_commands
from .replay.reproduce import commands as reproduce_commands
from .ros import commands as ros_commands, echo
from .synthetic import commands as synthetic_commands
from .training import commands as training_commands
from .weights import commands as weights_commands

AREAS = (replay_commands, accuracy_commands, reproduce_commands, playback_commands, ros_commands, echo,
         grasping_commands, dataset_commands, bench, synthetic_commands, training_commands, weights_commands,
         engine_commands, doctor)
DESCRIPTION = "Segment unseen objects in RGB-D frames: one mask per object, no training on your objects."
EPILOG = """\
examples:
  uois-sam doctor                                  is everything in place on this machine?
  uois-sam segment recording.mcap --out out --overlay
  uois-sam segment --color c.png --depth-image d.png --intrinsics 615,615,319.5,239.5 --out out
  uois-sam eval folder/ --json scores.json         the input must have labels
  uois-sam VERB --help                             units, ranges and defaults

units: metres, pixels, milliseconds. Images are RGB; depth 0, NaN and infinity mean "no reading".
exit code: 0 all went well; 1 a frame was refused or a check failed; 2 the request was refused."""
#: Verb -> extra that brings the packages which the run time does without.
EXTRAS = {"synth": "synth", "train": "train", "export": "train", "engines": "train"}


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every verb; a verb's ``handler`` maps the namespace to an exit code."""
    parser = argparse.ArgumentParser(prog="uois-sam", description=DESCRIPTION, epilog=EPILOG,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--version", action="version", version=f"uois-sam {__version__}")
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for area in AREAS:
        area.register(verbs)
    for verb in verbs.choices.values():
        verb.add_argument("--debug", action="store_true", default=argparse.SUPPRESS,
                          help="show the traceback of an error")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; a refusal is one line on stderr."""
    args = build_parser().parse_args(argv)
    try:
        return int(args.handler(args))
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # quiet exit of "| head"
        return 1
    except KeyboardInterrupt:
        return _refuse(args, "interrupted; what was written stays", code=130)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == __package__:
            raise
        extra = EXTRAS.get(args.verb)
        remedy = f"in the source tree: pip install '.[{extra}]'" if extra else "install the package again"
        return _refuse(args, f"{args.verb}: expected the package '{error.name}', got none; {remedy}")
    except UoisError as error:
        return _refuse(args, str(error))
    except OSError as error:
        return _refuse(args, f"{args.verb}: expected files that can be read and written, got: {error}; "
                             "check the path, its permissions and the free space")


def _refuse(args: argparse.Namespace, message: str, code: int = 2) -> int:
    if args.debug:
        traceback.print_exc()
    print(f"uois-sam: error: {' '.join(message.split())}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
