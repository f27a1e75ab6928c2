"""What a pipeline calls before it loads its networks; imports the rest only when something is to be built."""

from __future__ import annotations

from ..config import SegmenterConfig
from ..runtime.engine_backends import ENGINE_BACKENDS
from .profiles import networks


def prepare(config: SegmenterConfig, have: tuple[str, ...] = ()) -> None:
    """Build and prove the engines that are missing, when the configuration asks for that and its backend needs any.

    Args:
        have: networks that are loaded already.

    Raises:
        EngineError, BackendError, ModelError: see ``build.Workshop``.
    """
    runtime = config.runtime
    if runtime.build != "missing" or runtime.backend not in ENGINE_BACKENDS or set(networks(config)) <= set(have):
        return
    from .build import Workshop

    Workshop(config).ensure_all()
