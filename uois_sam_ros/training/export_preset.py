"""Checkpoints -> the ONNX files and manifest entries of a preset. Needs the train extra."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ..config import SegmenterConfig, preset
from ..errors import ConfigError, ModelError
from ..models.dinov2 import at_grid, load_dinov2
from ..models.export import export_network
from ..models.heads import head_settings, load_head
from ..models.networks import build_network
from ..models.onnx_file import EXTERNAL, EXTERNAL_BYTES, OPSET
from ..models.sam import SamPromptDecoder, load_sam
from ..models.spec import EXPORT, model_spec
from ..runtime.manifest import MANIFEST_NAME, Manifest, write_entry
from ..weights.verify import refuse_impostor, sha256_of

#: Options of the command, each the source of some of a preset's networks.
SOURCES = ("sam", "dinov2", "hpg", "hdnet")
#: What a random HPG starts from: it calls everything foreground and puts peaks anywhere, so that masks are drawn.
RANDOM_FOREGROUND_LOGIT = 4.0


@dataclass(frozen=True)
class Job:
    """One network to write: its torch module, a head's settings, and what the manifest is to tell."""

    name: str
    module: torch.nn.Module
    settings: dict[str, Any] | None
    facts: dict[str, Any]


def networks_of(config: SegmenterConfig) -> tuple[str, ...]:
    """Return the names of the networks that a configuration runs."""
    rescorer = (config.rescoring.rescorer,) if config.rescoring.strategy == "hdnet" else ()
    return (*config.encoding.encoders, config.decoding.decoder, *rescorer)


def export_preset(name: str, files: Mapping[str, str | Path], out: str | Path, *, random: bool = False, seed: int = 0,
                  external_bytes: int = EXTERNAL_BYTES) -> list[Path]:
    """Write the networks of a preset and return their files.

    A network whose source is not given is left as it is when ``out`` has it already. Every checkpoint is read before
    anything is written.

    Args:
        files: source ("sam", "dinov2", "hpg", "hdnet") -> checkpoint.
        random: fresh weights for networks that are neither given nor there, for trying and timing; the masks mean
            nothing.

    Raises:
        ConfigError: a preset without official networks, a source that is missing or not part of the preset.
        ModelError: a checkpoint that cannot be used.
    """
    config, out = preset(name), Path(out)
    names = networks_of(config)
    if config.method != "network" or any(model_spec(network).made_by != EXPORT for network in names):
        raise ConfigError(f"export: expected a preset with SAM, such as paper, got '{name}'; the compact model is "
                          "written by 'uois-sam train export'")
    sources = {network: _source(network) for network in names}
    foreign = [source for source in files if source not in sources.values()]
    if foreign:
        known = ", --".join(dict.fromkeys(sources.values()))
        raise ConfigError(f"--{foreign[0]}: expected a source of preset {name} (--{known}), got one it has no use for; "
                          "drop the option")
    there = Manifest.load(out).models if (out / MANIFEST_NAME).exists() else {}
    wanted = [network for network in names if sources[network] in files or network not in there]
    missing = [network for network in wanted if sources[network] not in files]
    if missing and not random:
        raise ConfigError(f"--{sources[missing[0]]}: expected a checkpoint for {missing[0]}, got none; 'uois-sam "
                          "weights list' tells where official files are, --random takes fresh weights for a trial")
    checkpoints = _Checkpoints()
    jobs = [_random(network, seed) if network in missing else checkpoints.job(network, Path(files[sources[network]]))
            for network in wanted]
    return [_write(job, name, out, external_bytes) for job in jobs]


def _write(job: Job, preset_name: str, out: Path, external_bytes: int) -> Path:
    path = export_network(job.name, job.module, out, settings=job.settings, external_bytes=external_bytes)
    beside = path.with_name(f"{path.name}{EXTERNAL}")
    parameters = sum(value.numel() for value in job.module.parameters())
    write_entry(out, job.name, path.name, data_file=beside.name if beside.exists() else "", preset=preset_name,
                opset=OPSET, parameters=parameters, **job.facts)
    return path


def _source(network: str) -> str:
    if network.endswith(("_hpg", "_hdnet")):
        return network.rpartition("_")[2]
    return network.partition("_")[0]


class _Checkpoints:
    """Files on their way to jobs; each is read and hashed once, though SAM gives two networks."""

    def __init__(self) -> None:
        self._sources: dict[Path, dict[str, Any]] = {}
        self._backbones: dict[Path, Any] = {}

    def job(self, network: str, path: Path) -> Job:
        """Return the network ``network`` with the weights of ``path``; raises ModelError."""
        if path not in self._sources:
            self._sources[path] = _facts_of(path)
        facts: dict[str, Any] = {"source": self._sources[path]}
        if network.endswith(("_hpg", "_hdnet")):
            module, facts["training"] = load_head(path, network)
            return Job(network, module, head_settings(module), facts)
        family, variant, part = re.fullmatch(r"(sam|dinov2)_(.+)_(encoder|decoder)", network).groups()
        if path not in self._backbones:
            self._backbones[path] = load_sam(path, variant) if family == "sam" else at_grid(load_dinov2(path, variant))
        module = self._backbones[path]
        if family == "sam":
            module = module.image_encoder if part == "encoder" else SamPromptDecoder(module)
        return Job(network, module, None, facts)


def _facts_of(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ModelError(f"checkpoint {path}: expected a file, got {'a folder' if path.is_dir() else 'none'}; "
                         "'uois-sam weights list' tells where the official ones are")
    official = refuse_impostor(path)
    return {"file": path.name, "sha256": official.sha256 if official else sha256_of(path), "official": bool(official)}


def random_network(name: str, seed: int = 0) -> torch.nn.Module:
    """Return a network with fresh weights, for trying and timing; an HPG calls everything foreground."""
    torch.manual_seed(seed)
    module = build_network(name)
    if name.endswith("_hpg"):
        with torch.no_grad():
            module.out.bias.copy_(torch.tensor([0.0, RANDOM_FOREGROUND_LOGIT, 0.0]))
    return module


def _random(network: str, seed: int) -> Job:
    module = random_network(network, seed)
    settings = head_settings(module) if network.endswith(("_hpg", "_hdnet")) else None
    return Job(network, module, settings, {"source": {"random": True, "seed": seed}})
