"""Features -> Prompts: where to ask the decoder. One strategy a file; ``STRATEGIES`` names them."""

from __future__ import annotations

from collections.abc import Callable

from ..config import PromptingConfig
from ..errors import ConfigError
from ..types import Features, Prompts
from .grid import foreground_grid_prompts, grid_prompts
from .hpg import hpg_prompts

Prompter = Callable[[Features], Prompts]

#: Strategy name -> function of the features and the config.
STRATEGIES: dict[str, Callable[[Features, PromptingConfig], Prompts]] = {
    "hpg": hpg_prompts,
    "grid": grid_prompts,
    "foreground": foreground_grid_prompts,
}


def make_prompter(config: PromptingConfig) -> Prompter:
    """Return the configured strategy as a function of the features alone.

    Raises:
        ConfigError: unknown strategy.
    """
    if config.strategy not in STRATEGIES:
        raise ConfigError(
            f"prompting.strategy: expected one of {', '.join(STRATEGIES)}, got '{config.strategy}'")
    strategy = STRATEGIES[config.strategy]
    return lambda features: strategy(features, config)
