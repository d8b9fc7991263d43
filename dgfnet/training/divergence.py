"""Notices that training falls apart before a loss becomes infinite."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dgfnet.errors import UserError
from dgfnet.training.recipes import Stage

_MEMORY = 0.98  # of the running mean: about 50 steps
_SOUND, _LOST = 1.5, 4.0  # running mean over the lowest one: worth a checkpoint, beyond repair


class Diverged(UserError):
    """Training fell apart; the text says how and when, not yet what to do about it."""


@dataclass
class Watch:
    """Compares the running mean of the picture's absolute error with the lowest that this stage has had.

    A stage starts afresh: freezing BatchNorm and larger crops make the error jump without harm. Other learning rates
    and batches do not.
    """

    stage: str = ""
    seen: int = 0
    error: float = 0.0
    lowest: float = float("inf")

    def see(self, values: dict[str, float], step: int, stage: Stage) -> None:
        """Take in the losses of a step.

        Raises:
            Diverged: the error has grown beyond what training recovers from.
        """
        kind = repr(replace(stage, batch=0, rate=0.0, final_rate=None))  # without what a resumed run may change
        if kind != self.stage:
            self.stage, self.seen, self.error, self.lowest = kind, 0, 0.0, float("inf")
        name = "fused" if "fused hole" in values else "coarse"
        now = values[f"{name} hole"] + values[f"{name} valid"]
        self.seen += 1
        self.error += (now - self.error) * max(1 / self.seen, 1 - _MEMORY)
        if self.seen * (1 - _MEMORY) >= 1:
            self.lowest = min(self.lowest, self.error)
        if self.error > _LOST * self.lowest:
            raise Diverged(
                f"Training diverges: the mean error rose to {self.error:.3f} from {self.lowest:.3f} by step {step}."
            )

    @property
    def sound(self) -> bool:
        """Is this state worth keeping as the one to go back to?"""
        return self.error <= _SOUND * self.lowest
