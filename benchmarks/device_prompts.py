"""How far the prompts of the device frame path are those of the host path: shares within one working pixel.

    python benchmarks/device_prompts.py uois_sam_ros/demo/tabletop.mcap --every 5

Once with the host's maps on both sides, once with each side encoding the frame by itself; on the processor.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from tqdm import tqdm

from uois_sam_ros.config import RuntimeConfig, preset, update
from uois_sam_ros.device.encoding import DeviceEncoder
from uois_sam_ros.device.prompting import DevicePrompter
from uois_sam_ros.device.types import DeviceFeatures, DeviceFrame, DevicePrompts
from uois_sam_ros.encoding.encode import Encoder
from uois_sam_ros.prompting import make_prompter
from uois_sam_ros.replay.sources import open_input
from uois_sam_ros.runtime.factory import load_model
from uois_sam_ros.types import Frame, Prompts


@torch.inference_mode()
def compare(path: str, every: int) -> dict[str, tuple[int, int]]:
    """Return (met, all) for frames with equal counts, and for prompts within one pixel, either way."""
    config = update(preset("compact"), {"encoding": {"focus": "off"}})  # the device path always sees the whole picture
    model = load_model("compact_encoder", RuntimeConfig(backend="torch", threads=1))
    encode, prompt = Encoder(config.encoding, [model]), make_prompter(config.prompting)
    frames = [sample.frame for sample in open_input(path) if sample.frame is not None][::every]
    rows = []
    for frame in tqdm(frames):
        features = encode(frame)
        found = prompt(features)
        encoded = DeviceEncoder(config.encoding, {"compact_encoder": model.module}, (frame.height, frame.width))(
            _upload(frame))
        prompter = DevicePrompter(config.prompting, features.grid)
        given = {name: torch.tensor(np.array(values)) for name, values in features.maps.items()}
        same = prompter(DeviceFeatures(features.grid, given, encoded.geometry))
        own = prompter(encoded)
        rows.append((len(found), _met(same, found), _met(own, found), int(own.valid.sum()) == len(found)))
    prompts, same, own, counts = np.sum(rows, axis=0)
    return {"prompts met, the host's maps": (same, prompts), "prompts met, own maps": (own, prompts),
            "frames with as many prompts": (counts, len(frames))}


def _upload(frame: Frame) -> DeviceFrame:
    camera = frame.intrinsics
    return DeviceFrame(torch.tensor(frame.color[None]), torch.tensor(frame.depth_m[None]),
                       torch.tensor([[camera.fx, camera.fy, camera.cx, camera.cy]]))


def _met(ours: DevicePrompts, theirs: Prompts) -> int:
    """Count the host's prompts with a device prompt at most one pixel away along either axis."""
    points = ours.points_px[0, ours.valid[0]].numpy()
    return int((np.abs(theirs.points_px[:, None] - points).max(-1).min(1, initial=np.inf) <= 1).sum())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("input", help="frames with depth and intrinsics")
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame (%(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name, (met, total) in compare(args.input, args.every).items():
        print(f"{name:30s} {met} of {total}")


if __name__ == "__main__":
    main()
