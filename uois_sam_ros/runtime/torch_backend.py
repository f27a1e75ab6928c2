"""PyTorch: the reference that the other backends are compared with. Needs the train extra."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..config import RuntimeConfig
from ..errors import BackendError, ModelError
from ..models.spec import ModelSpec
from .base import check_inputs, thread_count


class TorchModel:
    """A torch network in eager mode, on the CPU as the reference; see ``base.Model``.

    Args:
        spec: its tensors; the module takes the inputs by position in this order and returns the
            outputs in this order (a tuple, or one tensor when there is one).
        module: a ``torch.nn.Module``.
        config: threads; torch keeps one count for the whole process.
        metadata: kept as it is.
        device: where the module is moved to and runs, "cpu" or "cuda:0".

    Attributes:
        module: the network, on ``device`` and in inference mode.

    Raises:
        BackendError: torch is not installed.
    """

    def __init__(self, spec: ModelSpec, module: Any, config: RuntimeConfig,
                 metadata: Mapping[str, Any] | None = None, device: str = "cpu") -> None:
        self._torch = _import_torch()
        self._torch.set_num_threads(thread_count(config.threads))
        self.spec = spec
        self.metadata: Mapping[str, Any] = metadata or {}
        self.device = device
        self.module = module.eval().to(device)

    @classmethod
    def load(cls, spec: ModelSpec, folder: str | Path, config: RuntimeConfig,
             metadata: Mapping[str, Any] | None = None) -> TorchModel:
        """Load the trained reference of ``spec.name`` whose weights belong to ``folder``, to the configured device.

        Raises:
            BackendError: torch or the GPU is not there.
        """
        device = find_device(config)
        from ..models import load_reference

        return cls(spec, load_reference(spec.name, folder), config, metadata, device)

    def run(self, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Run once; see ``base.Model.run``."""
        check_inputs(self.spec, inputs)
        tensors = [self._tensor(inputs[name]) for name in self.spec.input_names]
        try:
            with self._torch.inference_mode():
                outputs = self.module(*tensors)
        except RuntimeError as error:
            raise BackendError(f"{self.spec.name}: expected torch to run it, got: {error}") from error
        if not isinstance(outputs, (tuple, list)):
            outputs = (outputs,)
        if len(outputs) != len(self.spec.outputs):
            raise ModelError(f"{self.spec.name}: expected {len(self.spec.outputs)} outputs "
                             f"({', '.join(self.spec.output_names)}), got {len(outputs)}")
        return {name: output.cpu().numpy() for name, output in zip(self.spec.output_names, outputs)}

    def _tensor(self, array: np.ndarray) -> Any:
        if not array.flags.writeable:
            array = array.copy()  # torch shares memory and warns about arrays it must not write
        return self._torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


def find_device(config: RuntimeConfig) -> str:
    """Return where torch networks run, "cpu" or "cuda:0": on the host frame path always "cpu".

    Raises:
        BackendError: torch is not installed, or a GPU that is not there; nothing else is taken in its place.
    """
    torch = _import_torch()
    if config.frame_path == "host" or config.torch_device == "cpu":
        return "cpu"
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if config.device < count:
        return f"cuda:{config.device}"
    there = ", ".join(f"{index}: {torch.cuda.get_device_name(index)}" for index in range(count))
    build = f"torch {torch.__version__}" + ("" if torch.version.cuda else ", built without CUDA")
    raise BackendError(f"runtime.torch_device: expected GPU {config.device} for the device frame path, got "
                       f"{there or 'no CUDA device'} ({build}); install a torch with CUDA and the driver, or use "
                       "frame_path: host")


def _import_torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise BackendError(f"backend torch: expected the torch package, got: {error}; "
                           "pip install torch==2.13.0, or use --backend onnxruntime") from error
    return torch
