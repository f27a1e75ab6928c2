"""Generate a recording: a camera swings around settled scenes, as a hand or an arm would move it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ..replay.recording import write_recording
from ..types import Frame, Intrinsics
from .model import Camera, Scene

#: (layout, seed) of the scenes of the bundled recording.
DEMO_SCENES = (("clutter", 12), ("row", 11), ("pile", 12))
FRAMES_PER_SCENE = 20
SWEEP_DEG = 40.0
RATE_HZ = 10
START_NS = 1_700_000_000_000_000_000


def orbit_cameras(first: Camera, centre: np.ndarray, count: int, sweep_deg: float = SWEEP_DEG) -> list[Camera]:
    """Turn a camera around the vertical line through ``centre``.

    Args:
        first: pose in the middle of the sweep.
        centre: float[3] metres, world.
        count: cameras, at least 1.
        sweep_deg: angle between the first and the last.
    """
    cameras = []
    for angle in np.deg2rad(np.linspace(-sweep_deg / 2, sweep_deg / 2, count) if count > 1 else [0.0]):
        turn = np.eye(4)
        turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        turn[:3, 3] = centre - turn[:3, :3] @ centre
        cameras.append(replace(first, pose=turn @ first.pose))
    return cameras


def record_frames(scenes: Sequence[tuple[str, int]] = DEMO_SCENES, *, frames: int = FRAMES_PER_SCENE,
                  width: int = 640, height: int = 480,
                  sensor: str = "structured_light") -> Iterator[tuple[Frame, np.ndarray]]:
    """Yield (frame, truth uint16[H, W]) of one orbit a scene; the same arguments, the same pictures.

    Args:
        scenes: (layout, seed) of each; see ``scenes.build_scene``.
        frames: of each orbit.
        sensor: one of ``sensor.SENSORS``.
    """
    from .cameras import sample_cameras
    from .generate import to_frame
    from .render import Renderer
    from .scenes import build_scene
    from .sensor import simulate
    from .shapes import TRAIN_FAMILIES
    from .textures import dress

    number = 0
    for layout, seed in scenes:
        rng = np.random.default_rng((seed, 2024))
        scene = dress(build_scene(rng, families=tuple(sorted(TRAIN_FAMILIES)), layout=layout, max_objects=14), rng)
        (middle,) = sample_cameras(rng, scene, 1, width=width, height=height)
        renderer = Renderer(scene, seed=seed)
        for camera in orbit_cameras(middle, _middle_of(scene), frames):
            render = renderer.view(camera, amodal=False, supersample=2)
            depth_m = simulate(render, camera, np.random.default_rng(seed), sensor)
            stored = to_frame(render, depth_m, camera, scene, {})
            stamp_ns = START_NS + number * 1_000_000_000 // RATE_HZ
            yield Frame(stored.color, depth_m, Intrinsics(*camera.intrinsics), f"{number:06d}", stamp_ns), stored.label
            number += 1


def _middle_of(scene: Scene) -> np.ndarray:
    return np.median([placed.pose[:3, 3] for placed in scene.objects], axis=0)


def main(argv: Sequence[str] | None = None) -> int:
    """Write the recording of ``DEMO_SCENES``: ``python -m uois_sam_ros.synthetic.record OUT.mcap``."""
    parser = argparse.ArgumentParser(prog="python -m uois_sam_ros.synthetic.record", description=main.__doc__)
    parser.add_argument("out", type=Path, metavar="OUT.mcap")
    parser.add_argument("--frames", type=int, default=FRAMES_PER_SCENE, metavar="N", help="frames a scene (default 20)")
    args = parser.parse_args(argv)
    count = write_recording(args.out, record_frames(frames=args.frames), jpeg_quality=85, depth_step_mm=2)
    print(f"{count} frames, {args.out.stat().st_size / 1e6:.1f} MB: {args.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
