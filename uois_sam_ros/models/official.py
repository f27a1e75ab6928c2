"""The official weight files: where their authors keep them, under which licence, and how to know them again.

Plain data; nothing here downloads or needs torch. The authors publish no sha256. Those below are the ones that
several public projects record for these URLs, and SAM's agree with the first digits of the md5 in the file names;
nobody has yet run this package on the files themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import ModelError

SAM_HOME = "https://github.com/facebookresearch/segment-anything"
DINOV2_HOME = "https://github.com/facebookresearch/dinov2"


@dataclass(frozen=True)
class OfficialFile:
    """One weight file.

    Attributes:
        name: what the commands call it.
        title: the network, for people.
        file, url: its official name and place.
        home: the project's page with the licence text.
        sha256: as third parties record it.
    """

    name: str
    title: str
    file: str
    url: str
    home: str
    licence: str
    bytes: int
    sha256: str


def _sam(variant: str, title: str, file: str, size: int, sha256: str) -> OfficialFile:
    return OfficialFile(f"sam_{variant}", title, file, f"https://dl.fbaipublicfiles.com/segment_anything/{file}",
                        SAM_HOME, "Apache-2.0", size, sha256)


OFFICIAL: dict[str, OfficialFile] = {entry.name: entry for entry in (
    _sam("vit_b", "SAM ViT-B", "sam_vit_b_01ec64.pth", 375_042_383,
         "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"),
    _sam("vit_l", "SAM ViT-L", "sam_vit_l_0b3195.pth", 1_249_524_607,
         "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622"),
    _sam("vit_h", "SAM ViT-H", "sam_vit_h_4b8939.pth", 2_564_550_879,
         "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e"),
    OfficialFile("dinov2_vits14", "DINOv2 ViT-S/14", "dinov2_vits14_pretrain.pth",
                 "https://dl.fbaipublicfiles.com/dinov2/dinov2_vits14/dinov2_vits14_pretrain.pth", DINOV2_HOME,
                 "Apache-2.0", 88_283_115, "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"),
)}


def official_file(name: str) -> OfficialFile:
    """Return the official file called ``name``.

    Raises:
        ModelError: unknown name.
    """
    if name not in OFFICIAL:
        raise ModelError(f"weights: expected one of {', '.join(OFFICIAL)}, got '{name}'")
    return OFFICIAL[name]
