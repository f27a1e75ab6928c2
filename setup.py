"""Install with pip (``pip install .``) or in a ROS 2 workspace (``colcon build``)."""

import re
from glob import glob
from pathlib import Path

from setuptools import find_packages, setup

NAME = "uois_sam_ros"
HERE = Path(__file__).resolve().parent
VERSION = re.search(r'__version__ = "(.+)"', (HERE / NAME / "__init__.py").read_text()).group(1)
README = HERE / "README.md"

#: All that segmenting, evaluating and the demo need. Headless, because opencv-python wants libGL,
#: which servers and containers lack; both provide the same ``cv2``.
RUN_TIME = [
    "numpy>=1.26",
    "opencv-python-headless>=4.6",
    "onnxruntime>=1.18",
    "pyyaml>=5.4",
    "rosbags>=0.11",
    "tqdm>=4.60",
]
#: segment-anything asks for torchvision only when its predictor is used, which this package does not do.
TRAIN = ["torch==2.13.0", "onnx>=1.17", "onnxscript>=0.5", "matplotlib>=3.8", "segment-anything==1.0"]
SYNTH = ["mujoco>=3.2", "embreex>=2.17.7", "scipy>=1.11"]
PATHTRACE = ["mitsuba>=3.6"]
#: The node without a ROS install; the version is pinned because its inner interface is used.
DDS = ["cyclonedds==11.0.1"]
#: Memory and streams for the TensorRT backends; TensorRT itself comes with JetPack or from NVIDIA.
TENSORRT = ["cuda-bindings>=12.6,<14"]
OPENVINO = ["openvino>=2024.1"]
TEST = ["pytest>=8", "pytest-xdist>=3.7", "setuptools>=68", "wheel", "pycocotools>=2.0.8", *TRAIN, *SYNTH, *DDS]

setup(
    name=NAME,
    version=VERSION,
    description="Unseen object instance segmentation for robots: RGB-D in, one mask per object out",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    author="uois_sam_ros contributors",
    maintainer="uois_sam_ros contributors",
    maintainer_email="uois_sam_ros@users.noreply.github.com",
    python_requires=">=3.10",
    packages=find_packages(include=[NAME, f"{NAME}.*"]),
    package_data={NAME: ["demo/*"]},
    data_files=[
        ("share/ament_index/resource_index/packages", [f"resource/{NAME}"]),
        (f"share/{NAME}", ["package.xml"]),
        (f"share/{NAME}/engines", sorted(glob("engines/*.onnx") + glob("engines/manifest.json"))),
        (f"share/{NAME}/launch", sorted(path for path in glob("launch/*.*") if not path.endswith(".md"))),
    ],
    install_requires=RUN_TIME,
    extras_require={"train": TRAIN, "synth": SYNTH, "pathtrace": PATHTRACE, "dds": DDS, "tensorrt": TENSORRT,
                    "openvino": OPENVINO, "test": TEST},
    entry_points={"console_scripts": ["uois-sam = uois_sam_ros.cli:main",
                                      "uois_sam_node = uois_sam_ros.ros.main:main",
                                      "uois_sam_grasp_node = uois_sam_ros.grasping.consumer:main"]},
    zip_safe=False,
)
