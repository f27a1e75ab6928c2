"""Network definitions and their tensor names. ``spec`` needs numpy only; the rest imports torch."""

from __future__ import annotations


def load_reference(name: str, folder):
    """Return the torch network ``name`` with the weights of a model folder; see ``networks``."""
    from .networks import load_reference as load

    return load(name, folder)
