"""Measure the device frame path on a GPU, with everything that it is compared with, in one run.

    python benchmarks/gpu.py --json benchmarks/gpu.json        on a machine with a GPU; needs the train extra
    python benchmarks/gpu.py --device cpu --quick              the same code on a processor, with the small stand-ins

Two parts. ``compact`` runs the shipped networks on the bundled recording and compares masks, logits and label images
with the host path. ``paper`` runs the shapes of SAM ViT-L with fresh weights on 640x480 and injected points: 30 and 100
prompts, one camera and four, and the reference assembly (official modules, fp32 eager) on the same points. Times
are from the picture in host memory to the label image and records in host memory.
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch

from uois_sam_ros import machine
from uois_sam_ros.benchmark.conditions import conditions
from uois_sam_ros.benchmark.frames import example_frames
from uois_sam_ros.benchmark.injected import device_injecting
from uois_sam_ros.benchmark.reference import ReferenceAssembly, fresh_modules
from uois_sam_ros.benchmark.timing import summary
from uois_sam_ros.benchmark.weights import OPEN_SELECTION
from uois_sam_ros.config import SegmenterConfig, preset, update
from uois_sam_ros.decoding import Decoder
from uois_sam_ros.device.segmenter import DeviceSegmenter
from uois_sam_ros.device.stream import segment_stream
from uois_sam_ros.encoding.encode import Encoder
from uois_sam_ros.errors import BackendError
from uois_sam_ros.example import box_scene
from uois_sam_ros.models.spec import model_spec
from uois_sam_ros.pipeline import Segmenter
from uois_sam_ros.runtime.torch_backend import TorchModel, find_device
from uois_sam_ros.types import Frame, Prompts

#: Targets on an H200 with ViT-L: name -> (limit, whether smaller is better).
TARGETS = {"paper p50 ms, 30 prompts": (15.0, True), "times as fast as the reference": (10.0, False),
           "logit relative error to the reference": (1e-2, True), "compact mask IoU to the host path": (0.99, False),
           "time of 100 prompts over 30": (2.2, True), "time of 4 cameras over 1": (2.5, True)}
#: Of the quick run.
SMALLER = {"encoding": {"short_side": 96, "long_side": 128}, "prompting": {"max_points": 8, "coverage_points": 2}}


@dataclass(frozen=True)
class Plan:
    """What is measured.

    Attributes:
        prompts, cameras: the smaller and the larger number.
        frames, frames_of_others: that are timed, on the device path and of host path and reference.
        warm_up: frames before the first that counts.
    """

    device: str
    precision: str
    quick: bool = False
    prompts: tuple[int, int] = (30, 100)
    cameras: tuple[int, int] = (1, 4)
    frames: int = 200
    frames_of_others: int = 50
    warm_up: int = 5


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write; 0 when done."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda",
                        help="default cuda; cpu is for trying the code")
    parser.add_argument("--quick", action="store_true", 
                        help="small pictures, the small stand-in of SAM, one frame each")
    parser.add_argument("--precision", choices=("fp32", "fp16", "bf16"), default="fp16", help="of the paper's encoders "
                        "and decoder (default fp16); compact runs in fp32 and in this one")
    parser.add_argument("--json", type=Path, default=None, metavar="FILE")
    args = parser.parse_args(argv)
    plan = Plan(args.device, args.precision)
    if args.quick:
        plan = replace(plan, quick=True, prompts=(2, 5), cameras=(1, 2), frames=1, frames_of_others=1, warm_up=0)
    try:
        find_device(on_device(preset("compact"), args.device, args.precision).runtime)
        report = {"command": "python benchmarks/gpu.py " + " ".join(argv if argv is not None else sys.argv[1:]),
                  "plan": asdict(plan), "machine": machine.describe(), "gpu": gpu_facts(args.device),
                  "conditions_before": conditions(),
                  "compact": compact(plan), "paper": paper(plan), "conditions_after": conditions()}
    except BackendError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    if not plan.quick:
        report["targets"] = judged(report)
    print(json.dumps(report, indent=1))
    if args.json:
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    return 0


def gpu_facts(device: str) -> dict[str, Any]:
    """Return the GPU's name, size and software as JSON values."""
    facts: dict[str, Any] = {"device": device, "torch": torch.__version__, "cuda": torch.version.cuda}
    if device == "cuda" and torch.cuda.is_available():
        of = torch.cuda.get_device_properties(0)
        facts |= {"name": of.name, "memory_mb": of.total_memory >> 20, "compute_capability": f"{of.major}.{of.minor}",
                  "multiprocessors": of.multi_processor_count}
    return facts


def compact(plan: Plan) -> dict[str, Any]:
    """Shipped networks: device path in both precisions, stream, host path; and how far the results differ."""
    frames = [box_scene(160, 120)[0]] if plan.quick else example_frames()[0]
    whole = update(preset("compact"), {"encoding": {"focus": "off"}})  # the device path always sees the whole picture
    host_config = update(whole, SMALLER if plan.quick else {})
    host = Segmenter(host_config)
    say("compact: host path")
    report: dict[str, Any] = {"picture": f"{frames[0].width}x{frames[0].height}",
                              "host_path_ms": timed(host.segment, frames, plan.frames_of_others, plan.warm_up)}
    for precision in dict.fromkeys(("fp32", plan.precision)):
        say(f"compact: device path, {precision}")
        segmenter = DeviceSegmenter(on_device(host_config, plan.device, precision))
        report[precision] = {**measured(segmenter, frames, plan),
                             "stream_frames_per_second": streamed(segmenter, frames, plan.frames, plan.warm_up),
                             **differences(segmenter, host, frames)}
    return report


def paper(plan: Plan) -> dict[str, Any]:
    """Fresh weights in the paper's shapes: prompts, cameras, and the reference assembly on the same points."""
    name, size = ("paper-tiny", (160, 120)) if plan.quick else ("paper", (640, 480))
    config = on_device(update(preset(name), {"selection": OPEN_SELECTION}), plan.device, plan.precision)
    frames = [box_scene(*size, seed=seed)[0] for seed in range(1 if plan.quick else 4)]
    torch.manual_seed(0)
    modules = fresh_modules(config)
    place = find_device(config.runtime)
    models = {key: TorchModel(model_spec(key), copy.deepcopy(module), config.runtime, device=place)
              for key, module in modules.items()}
    report: dict[str, Any] = {"preset": name, "picture": "x".join(map(str, size)), "precision": plan.precision,
                              "weights": "fresh: every mask is kept and painted"}
    few, many = (DeviceSegmenter(config, models, prompter=device_injecting(points)) for points in plan.prompts)
    one, several = plan.cameras
    say(f"{name}: {plan.prompts[0]} prompts")
    report["few prompts"] = measured(few, frames, plan, one)
    say(f"{name}: {plan.prompts[1]} prompts")
    report["many prompts"] = measured(many, frames, plan, one)
    say(f"{name}: {several} cameras")
    report["few prompts, several cameras"] = measured(few, frames, plan, several)
    say(f"{name}: reference assembly")
    reference = ReferenceAssembly(config, modules, points=plan.prompts[0], device=plan.device)
    report["reference_ms"] = timed(reference, frames, plan.frames_of_others, plan.warm_up)
    errors = [relative_error(device_masks(few, frame)[0], reference.stages(frame).logits.cpu().numpy())
              for frame in frames]
    report["logit_relative_error_to_reference"] = {"worst": max(errors), "n": len(errors)}
    return report


def on_device(config: SegmenterConfig, device: str, precision: str) -> SegmenterConfig:
    """Return the configuration on the device frame path."""
    return update(config, {"runtime": {"backend": "torch", "frame_path": "device", "torch_device": device,
                                       "precision": precision}})


def say(text: str) -> None:
    """Tell on the error stream what is being done."""
    print(text, file=sys.stderr, flush=True)


def timed(step: Callable[[Frame], Any], frames: Sequence[Frame], count: int, warm_up: int) -> dict[str, float]:
    """Return percentiles of the milliseconds of ``step`` over ``count`` frames, after a warm-up."""
    values = []
    for frame in islice(cycle(frames), warm_up + count):
        begin = perf_counter()
        step(frame)
        values.append(1000 * (perf_counter() - begin))
    return summary(values[warm_up:])


def measured(segmenter: DeviceSegmenter, frames: Sequence[Frame], plan: Plan, cameras: int = 1) -> dict[str, Any]:
    """Return percentiles end to end, the median of every stage as results tell them, and the state afterwards."""
    rows: list[Mapping[str, float]] = []

    def step(frame: Frame) -> None:
        rows.append(segmenter.segment_batch([frame] * cameras)[0].timings_ms)

    times = timed(step, frames, plan.frames, plan.warm_up)
    stages = {name: round(float(np.median([row[name] for row in rows[plan.warm_up:]])), 3) for name in rows[-1]}
    peak = torch.cuda.max_memory_allocated() >> 20 if segmenter.device.type == "cuda" else None
    return {"ms": times, "stages_ms": stages, "device_memory_peak_mb": peak, "graph_problems": list(segmenter.problems)}


def streamed(segmenter: DeviceSegmenter, frames: Sequence[Frame], count: int, warm_up: int) -> float:
    """Return frames a second with double buffering."""
    for _ in segment_stream(segmenter, islice(cycle(frames), 2 * warm_up)):  # for both lanes
        pass
    begin = perf_counter()
    for _ in segment_stream(segmenter, islice(cycle(frames), count)):
        pass
    return round(count / (perf_counter() - begin), 2)


def device_masks(segmenter: DeviceSegmenter, frame: Frame) -> tuple[np.ndarray, np.ndarray]:
    """Return logits float32[N, H, h, w] and working points float32[N, 2] of the taken places."""
    lane = segmenter.begin([frame])
    segmenter.finish(lane)
    taken = lane.masks.valid[0]
    return lane.masks.low_res_masks[0][taken].cpu().numpy(), lane.masks.points_px[0][taken].cpu().numpy()


def differences(segmenter: DeviceSegmenter, host: Segmenter, frames: Sequence[Frame]) -> dict[str, Any]:
    """Compare with the host path: logits at the same points, and label images end to end."""
    config = host.config
    encode = Encoder(config.encoding, [host.models[name] for name in config.encoding.encoders])
    decode = Decoder(config.decoding, host.models[config.decoding.decoder])
    errors, ious, agreement = [], [], []
    for frame in frames:
        ours, points = device_masks(segmenter, frame)
        if len(points):
            theirs = decode(encode(frame), Prompts(points, np.ones(len(points), np.float32))).low_res_masks
            errors.append(relative_error(ours, theirs))
            ious.append(mask_iou(ours > 0, theirs > 0))
        agreement.append(float((segmenter.segment(frame).label == host.segment(frame).label).mean()))
    return {"logit_relative_error": max(errors, default=0.0),
            "mask_iou": {"mean": float(np.mean(ious or [1])), "least": min(ious, default=1.0)},
            "equal_label_pixels": {"mean": float(np.mean(agreement)), "least": min(agreement)}, "n": len(frames)}


def relative_error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference over the largest value, on the part that both cover."""
    height, width = (min(sides) for sides in zip(ours.shape[-2:], theirs.shape[-2:]))
    ours, theirs = ours[..., :height, :width], theirs[..., :height, :width]
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def mask_iou(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the mean IoU of bool[N, H, h, w] pairs; two empty masks agree."""
    both, either = (ours & theirs).sum(axis=(2, 3)), (ours | theirs).sum(axis=(2, 3))
    return float(np.where(either > 0, both / np.maximum(either, 1), 1).mean())


def judged(report: dict[str, Any]) -> dict[str, Any]:
    """Return target -> limit, measured value and whether it is met."""
    paper = report["paper"]
    few = paper["few prompts"]["ms"]["p50"]
    values = {
        "paper p50 ms, 30 prompts": few,
        "times as fast as the reference": paper["reference_ms"]["p50"] / few,
        "logit relative error to the reference": paper["logit_relative_error_to_reference"]["worst"],
        "compact mask IoU to the host path": report["compact"]["fp32"]["mask_iou"]["mean"],
        "time of 100 prompts over 30": paper["many prompts"]["ms"]["p50"] / few,
        "time of 4 cameras over 1": paper["few prompts, several cameras"]["ms"]["p50"] / few,
    }
    return {name: {"limit": limit, "measured": float(f"{values[name]:.4g}"),
                   "met": values[name] <= limit if smaller else values[name] >= limit}
            for name, (limit, smaller) in TARGETS.items()}


if __name__ == "__main__":
    sys.exit(main())
