"""Features + Prompts -> MaskSet: run the promptable mask decoder."""

from .decode import Decoder

__all__ = ["Decoder"]
