"""Generate a folder of synthetic RGB-D frames: parallel, resumable, the same for any number of workers."""

from __future__ import annotations

import functools
import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ConfigError, InputError
from .model import MATERIALS, Camera, Light, Render, Scene
from .sensor import HOLDOUT_SENSOR, SENSORS, simulate
from ..datasets.shards import FORMAT_VERSION, MANIFEST, ShardWriter, SyntheticFrame, read_manifest

SCENES_PER_SHARD = 8
SPLITS = ("train", "test", "scores")
RENDERERS = ("raycast", "pathtrace")
#: Objects with fewer visible pixels at 320x240 are not labelled; scales with the picture's area.
MIN_VISIBLE_PX = 20
_SENSOR_SHARES = (0.34, 0.38, 0.2, 0.08)
_KEEP_EMPTY = 0.02
#: Training families in a scene, for each of the split's own (which are larger, so fewer of them find a place).
_KNOWN_SHARE = {"test": 1.0, "scores": 0.3}


def generate(out: str | Path, scenes: int, seed: int, workers: int = 1, *, views_per_scene: int = 4,
             width: int = 320, height: int = 240, split: str = "train", renderer: str = "raycast",
             layout: str = "any", progress: bool = True) -> dict[str, Any]:
    """Generate shards into ``out`` and return the manifest.

    Running again with the same arguments goes on where an interrupted run stopped. The manifest is
    rewritten after every shard, so a reader may use the shards finished so far.

    Args:
        out: folder, made when missing.
        scenes: number of scenes, at least 1; each gives up to ``views_per_scene`` frames.
        seed: with the scene number it determines everything in a scene.
        workers: processes.
        split: "train", "scores" (seven in ten objects from families that "train" never shows, for the
            score heads; sensors and renderer as for "train") or "test" (families and a sensor that neither of
            the others shows, anti-aliased).
        renderer: "raycast", or "pathtrace" (needs ``mitsuba``).
        layout: one of ``layouts.LAYOUTS`` for every scene; "any" draws one each.

    Raises:
        ConfigError: an argument outside its range.
        InputError: ``out`` holds frames made with other arguments.
    """
    for name, value, low in (("scenes", scenes, 1), ("workers", workers, 1), ("views_per_scene", views_per_scene, 1),
                             ("width", width, 32), ("height", height, 32), ("seed", seed, 0)):
        if int(value) != value or value < low:
            raise ConfigError(f"{name}: expected a whole number of at least {low}, got {value!r}")
    from .layouts import LAYOUTS

    for name, value, known in (("split", split, SPLITS), ("renderer", renderer, RENDERERS),
                               ("layout", layout, ("any", *LAYOUTS))):
        if value not in known:
            raise ConfigError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    if renderer == "pathtrace":
        from .pathtrace import require_mitsuba
        require_mitsuba()
    arguments = {"scenes": scenes, "seed": seed, "views_per_scene": views_per_scene, "width": width,
                 "height": height, "split": split, "renderer": renderer, "layout": layout}
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    done = _resume(folder, arguments)
    count = -(-scenes // SCENES_PER_SHARD)
    todo = [number for number in range(count) if number not in done]
    work = functools.partial(make_shard, folder=str(folder), arguments=arguments,
                             scenes_per_shard=SCENES_PER_SHARD)
    manifest = _write_manifest(folder, arguments, done, count)
    for number, entry in _run(work, todo, workers, progress, count):
        done[number] = entry
        manifest = _write_manifest(folder, arguments, done, count)
    return manifest


def make_shard(number: int, folder: str, arguments: dict[str, Any],
               scenes_per_shard: int = SCENES_PER_SHARD) -> tuple[int, dict[str, Any]]:
    """Generate and write one shard; return its number and manifest entry."""
    first = number * scenes_per_shard
    frames: list[SyntheticFrame] = []
    for scene in range(first, min(first + scenes_per_shard, arguments["scenes"])):
        frames.extend(scene_frames(scene, **{key: arguments[key] for key in arguments if key != "scenes"}))
    objects = sum(len(frame.meta["objects"]) for frame in frames)
    families: dict[str, int] = {}
    for frame in frames:
        for item in frame.meta["objects"]:
            families[item["family"]] = families.get(item["family"], 0) + 1
    entry = ShardWriter(folder).write(f"shard_{number:05d}.npz", frames)
    return number, {**entry, "number": number, "objects": objects, "families": families}


def scene_frames(number: int, *, seed: int, views_per_scene: int, width: int, height: int, split: str,
                 renderer: str, layout: str = "any") -> list[SyntheticFrame]:
    """Return the frames of scene ``number``; at least one, whatever they show."""
    from .cameras import sample_cameras
    from .render import Renderer
    from .textures import dress

    rng = np.random.default_rng((seed, number, SPLITS.index(split)))
    scene = _build(rng, split, None if layout == "any" else layout)
    cameras = sample_cameras(rng, scene, views_per_scene, width=width, height=height)
    frames: list[SyntheticFrame] = []
    spare = None
    drawn = None
    for view, camera in enumerate(cameras):
        if drawn is None:
            drawn = Renderer(dress(scene, rng), seed=int(rng.integers(2**31)))
        elif rng.random() < 0.4:
            drawn = drawn.redressed(dress(scene, rng), seed=int(rng.integers(2**31)))
        lights, ambient = _relight(scene, rng)
        look = {"lights": lights, "ambient": ambient, "index": view, "supersample": 2 if split == "test" else 1}
        if renderer == "pathtrace":
            from .pathtrace import trace
            shown = replace(drawn.scene, lights=lights, ambient=ambient)
            look["radiance"] = functools.partial(trace, shown, seed=view)
        render = drawn.view(camera, **look)
        sensor = HOLDOUT_SENSOR if split == "test" else str(rng.choice(SENSORS, p=_SENSOR_SHARES))
        meta = {"scene": number, "seed": seed, "view": view, "layout": scene.layout, "sensor": sensor,
                "renderer": renderer, "split": split}
        frame = to_frame(render, simulate(render, camera, rng, sensor), camera, drawn.scene, meta)
        if frame.meta["objects"] or rng.random() < _KEEP_EMPTY:
            frames.append(frame)
        else:
            spare = frame
    return frames or [spare]


def to_frame(render: Render, depth_m: np.ndarray, camera: Camera, scene: Scene, meta: dict[str, Any]) -> SyntheticFrame:
    """Label objects 1..N without gaps, drop the hardly visible ones, and describe the rest."""
    smallest = max(1, round(MIN_VISIBLE_PX * camera.width * camera.height / (320 * 240)))
    visible = np.bincount(render.label.ravel(), minlength=len(scene.objects) + 1)
    kept = [index for index in range(len(scene.objects)) if visible[index + 1] >= smallest]
    table = np.zeros(len(scene.objects) + 1, np.uint16)
    table[[index + 1 for index in kept]] = np.arange(1, len(kept) + 1)
    label = table[render.label]
    part = np.where(label > 0, render.part, 0).astype(np.uint16)
    amodal = render.amodal[kept] if len(render.amodal) else np.zeros((0, *label.shape), bool)
    first_part = np.cumsum([1] + [len(placed.model.parts) for placed in scene.objects])
    objects = []
    for row, index in enumerate(kept):
        model = scene.objects[index].model
        parts = list(range(int(first_part[index]), int(first_part[index + 1])))
        materials = [surface.material for surface in model.surfaces]
        objects.append({
            "id": row + 1, "family": model.family, "group": int(scene.objects[index].group), "parts": parts,
            "visible_px": int(visible[index + 1]), "amodal_px": int(amodal[row].sum()) if len(amodal) else -1,
            "material": max(materials, key=lambda name: (materials.count(name), MATERIALS.index(name))),
        })
    return SyntheticFrame(render.color, depth_m, label, part, np.array(camera.intrinsics, np.float32), amodal,
                          {**meta, "objects": objects})


def _build(rng: np.random.Generator, split: str, layout: str | None) -> Scene:
    from .scenes import build_scene
    from .shapes import HOLDOUT_FAMILIES, SCORE_FAMILIES, TRAIN_FAMILIES

    known = sorted(TRAIN_FAMILIES)
    if split == "train":
        return build_scene(rng, families=tuple(known), layout=layout)
    unseen = sorted(SCORE_FAMILIES if split == "scores" else HOLDOUT_FAMILIES)
    count = round(_KNOWN_SHARE[split] * len(unseen))
    for _ in range(8):
        some = [known[int(i)] for i in rng.choice(len(known), min(len(known), count), replace=False)]
        scene = build_scene(rng, families=tuple(unseen + some), layout=layout)
        if any(placed.model.family in unseen for placed in scene.objects):
            break
    return scene


def _relight(scene: Scene, rng: np.random.Generator) -> tuple[tuple[Light, ...], np.ndarray]:
    """Vary the strength and the place of the lights a little, so that views differ."""
    lights = []
    for light in scene.lights:
        strength = np.float32(np.exp(rng.normal(0, 0.35)))
        vector = np.asarray(light.vector, np.float64)
        moved = vector + rng.normal(0, 0.15, 3) * np.linalg.norm(vector)
        moved[2] = max(moved[2], 0.3 * abs(vector[2]))
        lights.append(replace(light, vector=moved, colour=np.asarray(light.colour, np.float32) * strength))
    return tuple(lights), np.asarray(scene.ambient, np.float32) * np.float32(np.exp(rng.normal(0, 0.25)))


def _resume(folder: Path, arguments: dict[str, Any]) -> dict[int, dict[str, Any]]:
    manifest = read_manifest(folder)
    if not manifest:
        if any(folder.glob("shard_*.npz")):
            raise InputError(f"{folder}: expected an empty folder or one with {MANIFEST}, found shards without it; "
                             "give another folder")
        return {}
    before = manifest.get("arguments")
    if before != arguments:
        raise InputError(f"{folder}: expected frames made with {arguments}, found some made with {before}; "
                         "give another folder")
    return {entry["number"]: entry for entry in manifest["shards"]
            if (folder / entry["file"]).is_file() and (folder / entry["file"]).stat().st_size == entry["bytes"]}


def _write_manifest(folder: Path, arguments: dict[str, Any], done: dict[int, dict[str, Any]],
                    count: int) -> dict[str, Any]:
    shards = [done[number] for number in sorted(done)]
    families: dict[str, int] = {}
    for entry in shards:
        for family, seen in entry["families"].items():
            families[family] = families.get(family, 0) + seen
    manifest = {
        "format": FORMAT_VERSION, "arguments": arguments, "complete": len(done) == count,
        "frames": sum(entry["frames"] for entry in shards), "objects": sum(entry["objects"] for entry in shards),
        "families": dict(sorted(families.items())), "shards": shards,
    }
    temporary = folder / f"{MANIFEST}.{os.getpid()}.tmp"
    temporary.write_text(json.dumps(manifest, indent=1))
    os.replace(temporary, folder / MANIFEST)
    return manifest


def _run(work, todo: list[int], workers: int, progress: bool, count: int) -> Iterator[tuple[int, dict[str, Any]]]:
    bar = None
    if progress:
        from tqdm import tqdm
        bar = tqdm(total=count, initial=count - len(todo), unit="shard")
    if workers == 1 or len(todo) < 2:
        results: Iterator = map(work, todo)
        pool = None
    else:
        pool = multiprocessing.get_context("spawn").Pool(min(workers, len(todo)), initializer=_one_thread)
        results = pool.imap_unordered(work, todo)
    try:
        for result in results:
            if bar is not None:
                bar.update()
            yield result
    finally:
        if pool is not None:
            pool.terminate()
            pool.join()
        if bar is not None:
            bar.close()


def _one_thread() -> None:
    import cv2

    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    cv2.setNumThreads(1)
