"""Turn linear light into the picture a cheap camera takes."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np


@dataclass(frozen=True)
class Exposure:
    """How the camera takes the picture.

    Attributes:
        brightness: linear level that the scene's mean is brought to.
        white: float32[3] gains of red, green, blue.
        contrast: exponent around middle grey; 1 keeps the tone curve.
        saturation: 0 is grey, 1 unchanged.
        blur_px: standard deviation of the lens blur.
        noise: sensor noise at middle grey, sRGB units in [0, 1].
        vignette: darkening of the corners, 0 to 1.
    """

    brightness: float = 0.2
    white: tuple[float, float, float] = (1.0, 1.0, 1.0)
    contrast: float = 1.0
    saturation: float = 1.0
    blur_px: float = 0.5
    noise: float = 0.01
    vignette: float = 0.1

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Exposure:
        """Draw a plausible camera."""
        warm = rng.normal(0, 0.10)
        return cls(
            brightness=float(np.exp(rng.normal(np.log(0.20), 0.35))),
            white=(float(np.exp(warm)), float(np.exp(rng.normal(0, 0.03))), float(np.exp(-warm))),
            contrast=float(rng.uniform(0.85, 1.2)),
            saturation=float(rng.uniform(0.7, 1.15)),
            blur_px=float(rng.uniform(0.45, 0.85)),
            noise=float(rng.choice([0.004, 0.01, 0.02, 0.035], p=[0.3, 0.4, 0.22, 0.08])),
            vignette=float(rng.uniform(0, 0.3)),
        )


def photograph(linear: np.ndarray, rng: np.random.Generator, exposure: Exposure) -> np.ndarray:
    """Return uint8[H, W, 3] sRGB from linear light float32[H, W, 3] of any scale."""
    height, width = linear.shape[:2]
    grey = linear[::2, ::2].mean(2)
    level = np.median(grey) * 0.6 + np.minimum(grey, np.percentile(grey, 98)).mean() * 0.4
    image = linear * (np.array(exposure.white, np.float32) * exposure.brightness / max(float(level), 1e-6))
    if exposure.vignette:
        x, y = np.meshgrid(np.linspace(-1, 1, width, dtype=np.float32), np.linspace(-1, 1, height, dtype=np.float32))
        image *= (1 - exposure.vignette * 0.5 * (x * x + y * y))[..., None]
    # A shoulder keeps highlights from clipping at once.
    bright = image > 0.6
    image[bright] = 0.6 + 0.4 * (1 - np.exp((0.6 - image[bright]) / 0.4))
    image = np.maximum(image, 0).astype(np.float32)
    srgb = np.where(image <= 0.0031308, 12.92 * image, 1.055 * cv2.pow(image, 1 / 2.4) - 0.055)
    srgb = 0.5 + (srgb.astype(np.float32) - 0.5) * exposure.contrast
    grey = (srgb @ np.full((3, 1), 1 / 3, np.float32))
    srgb = grey + (srgb - grey) * exposure.saturation
    if exposure.blur_px > 0.2:
        srgb = cv2.GaussianBlur(srgb, (0, 0), exposure.blur_px)
    grain = rng.standard_normal(srgb.shape, dtype=np.float32)
    grain = (0.6 * grain + 0.6 * cv2.blur(grain, (2, 2))) * np.float32(exposure.noise)
    srgb = srgb + grain * (0.6 + 0.8 * cv2.sqrt(np.clip(srgb, 0, 1)))
    return (np.clip(srgb, 0, 1) * 255 + 0.5).astype(np.uint8)
