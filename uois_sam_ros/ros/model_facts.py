"""What diagnostics tell about the networks in use."""

from __future__ import annotations

from collections.abc import Mapping

from ..runtime.base import Model


def model_facts(models: Mapping[str, Model]) -> dict[str, str]:
    """Return "models" (names with the start of their sha256) and, where engines run, "parity" and "cuda_graph".

    "parity" has the figures that compare each engine with the fp32 reference; "cuda_graph" says which engines run
    without one, and why.
    """
    facts = {"models": ", ".join(f"{name} {str(model.metadata.get('sha256', ''))[:12]}".strip()
                                 for name, model in models.items()) or "none"}
    for key in ("parity", "cuda_graph"):
        known = {name: model.metadata[key] for name, model in models.items() if key in model.metadata}
        if known:
            facts[key] = "; ".join(f"{name} {value}" for name, value in known.items())
    return facts
