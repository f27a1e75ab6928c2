"""How far an engine leads the pipeline away from the fp32 reference, and how far it may."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from ..errors import ModelError


@dataclass(frozen=True)
class Gate:
    """What a precision must reach on every fixed frame.

    Attributes:
        mask_iou: least mean IoU of the thresholded masks, at the reference's prompts.
        score_error: largest mean difference of the final scores.
        instance_f: least mean overlap F of the label images against the reference's.
    """

    mask_iou: float
    score_error: float
    instance_f: float


#: fp32 allows for TF32 and other orders of summation; int8 is for users who accept a loss.
GATES = {
    "fp32": Gate(0.99, 0.01, 0.97),
    "fp16": Gate(0.99, 0.01, 0.97),
    "int8": Gate(0.93, 0.05, 0.93),
}
#: From the fastest to the safest.
PRECISIONS = ("int8", "fp16", "fp32")


@dataclass(frozen=True)
class ParityReport:
    """Figures of the worst of ``frames`` fixed frames; the reference is fp32 on ONNX Runtime, CPU.

    Attributes:
        precision: of the engine; decides the gate.
        mask_iou, score_error, instance_f: as in ``Gate``; NaN when the engine gave no finite numbers.
        frames: how many were compared.
        worst: the network, or the block of it, that differs most; "" when not looked for.
    """

    precision: str
    mask_iou: float
    score_error: float
    instance_f: float
    frames: int
    worst: str = ""

    @property
    def gate(self) -> Gate:
        """What this precision must reach."""
        if self.precision not in GATES:
            raise ModelError(f"parity: expected a precision of {', '.join(GATES)}, got '{self.precision}'")
        return GATES[self.precision]

    @property
    def passed(self) -> bool:
        """True when every figure is within the gate; a NaN never is."""
        return (self.frames > 0 and self.mask_iou >= self.gate.mask_iou
                and self.score_error <= self.gate.score_error and self.instance_f >= self.gate.instance_f)

    @property
    def safer(self) -> str:
        """The next safer precision, or "" when there is none."""
        place = PRECISIONS.index(self.precision) + 1 if self.precision in PRECISIONS else len(PRECISIONS)
        return PRECISIONS[place] if place < len(PRECISIONS) else ""

    def __str__(self) -> str:
        verdict = "passed" if self.passed else "failed"
        worst = f", worst {self.worst}" if self.worst else ""
        return (f"{verdict} {self.precision}: mask IoU {self.mask_iou:.4f}, score error {self.score_error:.4f}, "
                f"instance F {self.instance_f:.4f} on {self.frames} frames{worst}")

    def to_json(self) -> dict[str, Any]:
        """Return JSON values; NaN becomes ``None``."""
        return {key: None if isinstance(value, float) and math.isnan(value) else value
                for key, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Any) -> ParityReport:
        """Read what ``to_json`` wrote.

        Raises:
            ModelError: other keys or types.
        """
        names = [field.name for field in fields(cls)]
        if not isinstance(values, Mapping) or sorted(values) != sorted(names):
            raise ModelError(f"parity: expected the keys {', '.join(names)}, got {values!r}; build the engine again")
        try:
            numbers = {key: math.nan if values[key] is None else float(values[key])
                       for key in ("mask_iou", "score_error", "instance_f")}
            report = cls(str(values["precision"]), frames=int(values["frames"]), worst=str(values["worst"]), **numbers)
        except (TypeError, ValueError) as error:
            raise ModelError(f"parity: expected numbers, got {values!r}; build the engine again") from error
        report.gate  # noqa: B018 - refuses an unknown precision
        return report
