"""What the node itself can be told, beside the pipeline's configuration; defaults carry their reason."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import check, setting
from ..errors import ConfigError

#: Quality of service by name; see ``qos.py``.
PROFILES = ("sensor_data", "reliable", "latched")


@dataclass(frozen=True)
class QosSettings:
    """Quality of service of every topic.

    Images are best effort, so that neither a slow network nor a stalled subscriber holds the node up.
    """

    color: str = setting("sensor_data", "colour images", choices=PROFILES)
    depth: str = setting("sensor_data", "depth images", choices=PROFILES)
    camera_info: str = setting("sensor_data", "camera info; what was latched is heard all the same", choices=PROFILES)
    ignore: str = setting("sensor_data", "ignore mask; what was latched is heard all the same", choices=PROFILES)
    label: str = setting("sensor_data", "~/label", choices=PROFILES)
    detections: str = setting("reliable", "~/detections", choices=PROFILES)
    objects: str = setting("reliable", "~/objects", choices=PROFILES)
    cloud: str = setting("sensor_data", "~/cloud", choices=PROFILES)
    overlay: str = setting("sensor_data", "~/overlay", choices=PROFILES)
    heatmap: str = setting("sensor_data", "~/heatmap", choices=PROFILES)


@dataclass(frozen=True)
class NodeSettings:
    """Parameters of the node. Topic names may be relative, absolute or private (~)."""

    color_topic: str = setting("color/image_raw", "colour images; a name that ends in /compressed is read as CompressedImage")
    depth_topic: str = setting(
        "aligned_depth_to_color/image_raw", "depth aligned to colour; a name that ends in /compressedDepth "
        "is read as CompressedImage; empty = colour only")
    camera_info_topic: str = setting("color/camera_info", "CameraInfo of the colour camera, latched or streamed")
    ignore_topic: str = setting(
        "", "mono8 mask of the size of the colour image, latched or streamed; what is not 0 there (the "
        "robot's own arm, a fixture) is never an object; empty = none")
    depth_scale: float = setting(0.001, "metres per unit of 16UC1 depth; 0.001 = millimetres (REP 118)",
                                 low=1e-6, high=1.0)
    check_frames: bool = setting(
        True, "refuse depth whose frame_id differs from that of colour: it is not aligned")
    slop_s: float = setting(0.02, "seconds; colour and depth further apart than this are no pair", low=0.0, high=1.0)
    depth_timeout_s: float = setting(
        2.0, "seconds without depth after which encoding.depth 'auto' goes on with colour alone", low=0.1, high=3600.0)
    mode: str = setting("continuous", "continuous: every pair, newest first; on_demand: only when ~/segment is called",
                        choices=("continuous", "on_demand"))
    max_rate_hz: float = setting(0.0, "segment at most this often; 0 = as fast as it goes", low=0.0, high=1000.0)
    service_timeout_s: float = setting(5.0, "seconds that ~/segment waits for a pair and its result",
                                       low=0.1, high=600.0)
    roi: tuple[int, ...] = setting((0, 0, 0, 0), "segment only this part of the picture: x0, y0, x1, y1 in pixels, "
                                   "half-open; all 0 = everything")
    label_encoding: str = setting(
        "16UC1", "of ~/label; mono8 for consumers that know no other, refuses frames with more than 255 objects",
        choices=("16UC1", "mono8"))
    track: bool = setting(False, "keep the ids of objects from frame to frame (greedy matching of masks by IoU); "
                          "ids are then no longer 1..N without gaps")
    save_dir: str = setting("", "folder for ~/save; empty = $ROS_HOME/uois_sam (~/.ros/uois_sam)")
    autostart: bool = setting(True, "configure and activate at start; false leaves that to a lifecycle manager")
    qos: QosSettings = QosSettings()

    def __post_init__(self) -> None:
        check(self)
        if not self.color_topic:
            raise ConfigError("color_topic: expected the name of a topic, got none")
        if len(self.roi) != 4:
            raise ConfigError(f"roi: expected four whole numbers x0, y0, x1, y1, got {list(self.roi)}")
        x0, y0, x1, y1 = self.roi
        if any(self.roi) and not (0 <= x0 < x1 and 0 <= y0 < y1):
            raise ConfigError(f"roi: expected 0 <= x0 < x1 and 0 <= y0 < y1 in pixels, got {list(self.roi)}")


#: Settings that may change while the node runs; the others take effect at the next configure.
DYNAMIC = ("depth_scale", "check_frames", "depth_timeout_s", "mode", "max_rate_hz", "service_timeout_s", "roi",
           "label_encoding", "track", "save_dir")
