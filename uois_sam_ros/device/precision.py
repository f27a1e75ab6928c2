"""Networks in reduced precision: products in fp16 or bf16, layer norms and softmax in fp32."""

from __future__ import annotations

import torch
from torch import nn

#: ``RuntimeConfig.precision`` -> type of the products; ``None`` leaves everything fp32.
PRECISIONS: dict[str, torch.dtype | None] = {"fp32": None, "fp16": torch.float16, "bf16": torch.bfloat16}
#: Layers whose weights are kept in the reduced type, so that no frame pays for casting them.
REDUCED = (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)


def in_precision(network: nn.Module, precision: str) -> nn.Module:
    """Return the network, which is changed in place, computing in a precision; inputs and outputs stay float32."""
    dtype = PRECISIONS[precision]
    if dtype is None:
        return network
    for module in network.modules():
        if isinstance(module, REDUCED):
            module.to(dtype)
    return Reduced(network, dtype)


class Reduced(nn.Module):
    """A network under ``torch.autocast``, which keeps layer norms and softmax in fp32."""

    def __init__(self, network: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.network, self._dtype = network, dtype

    def forward(self, *inputs: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Run the network as it is called itself."""
        return self._run(self.network, inputs)

    def batched(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run a decoder on the prompts of several images."""
        return self._run(self.network.batched, inputs)

    def _run(self, function, inputs: tuple[torch.Tensor, ...]) -> torch.Tensor | tuple[torch.Tensor, ...]:
        # Without the cache: casts that a recorded graph shares with others would be freed under it.
        with torch.autocast(inputs[0].device.type, self._dtype, cache_enabled=False):
            outputs = function(*inputs)
        return outputs.float() if isinstance(outputs, torch.Tensor) else tuple(value.float() for value in outputs)
