"""One sitting of a training run: steps, and what they leave in its folder: checkpoints, weights, log, plots, sheets."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import pathlib
import signal
import sys
import time
from collections.abc import Callable, Iterator

from tqdm import tqdm

from dgfnet.errors import UserError
from dgfnet.training import checkpoints, parallel
from dgfnet.training.divergence import Diverged
from dgfnet.training.recipes import Stage
from dgfnet.training.runlog import RunLog
from dgfnet.training.samples import Samples
from dgfnet.training.throughput import matrix_peak, operations
from dgfnet.training.trainer import Trainer

SAVE_SECONDS = 300
"""From one checkpoint to the next, unless said otherwise."""
_TELL_SECONDS = 20


class Session:
    """Steps until the recipe's end, the time is up, or a stop is asked for; writes the run's folder on the way."""

    def __init__(
        self,
        trainer: Trainer,
        folder: pathlib.Path,
        samples: Samples | None = None,
        sheet_every: int = 0,
        part_bytes: int | None = None,
        slim: bool = False,
        keep_every: int = 0,
        save_seconds: float = SAVE_SECONDS,
        alone: bool = True,
    ) -> None:
        """`alone`: no network is finished that this one is compared with, so its settings may still change."""
        self.trainer, self.folder, self.samples, self.sheet_every = trainer, folder, samples, sheet_every
        self.part_bytes, self.slim, self.keep_every = part_bytes, slim, keep_every
        self.save_seconds, self.alone = save_seconds, alone

    def run(self, deadline: float = float("inf")) -> bool:
        """Train, in all processes, until the clock `time.monotonic` shows `deadline`; the first process writes.

        Of a run that is over already nothing is written: its records stay those of the steps that made it.

        Returns:
            Whether the recipe's end is reached, and no one asked for a stop.

        Raises:
            UserError: training fell apart; the checkpoint, if there is one, is the last good one.
        """
        trainer = self.trainer
        if trainer.over:
            if parallel.rank() == 0:
                print(self._result(), file=sys.stderr)
            return True
        log = RunLog(self.folder / "log.csv", trainer.step) if parallel.rank() == 0 else None
        if log is not None:
            recipe = dataclasses.asdict(trainer.recipe)
            (self.folder / "recipe.json").write_text(json.dumps(recipe, indent=1) + "\n", encoding="utf-8")
        with _stoppable() as stop:
            try:
                self._steps(log, lambda: stop() or time.monotonic() > deadline)
            except Diverged as error:
                raise UserError(f"{error} {self._remedy()}") from error
            if log is not None:
                self._end(log)
            return trainer.over and not parallel.anyone(stop(), trainer.device)

    def _steps(self, log: RunLog | None, stop: Callable[[], bool]) -> None:
        trainer, speed, saved = self.trainer, _Speed(self.trainer), time.monotonic()
        with self._bar() as bar:
            for values in trainer.run():
                bar.update()
                if log is not None:
                    self._report(log, bar, values, speed)
                    if time.monotonic() - saved > self.save_seconds and trainer.watch.sound:
                        self._write(log)
                        saved = time.monotonic()
                if parallel.anyone(stop(), trainer.device):
                    break

    def _end(self, log: RunLog) -> None:
        sound = self.trainer.watch.sound
        if not sound:
            print(f"The mean error has risen. {self._remedy()}", file=sys.stderr)
        if sound or not checkpoints.exists(self.folder):
            self._write(log)
            print(self._result(), file=sys.stderr)

    def _result(self) -> str:
        return f"{_place(self.trainer)}; weights in {self.folder / checkpoints.WEIGHTS}"

    def _remedy(self) -> str:
        """What to do about a run that falls apart with these learning rates."""
        factor = f"--rate-factor {self.trainer.recipe.rate_factor / 2:g}"
        if not self.alone:
            return f"A finished network is compared with this one; start all again with {factor} and another --out."
        if checkpoints.exists(self.folder):
            return f"The checkpoint is kept from before that; go on from there with --resume {factor}."
        return f"No checkpoint is from before that; start again with {factor} and another --out."

    def _bar(self) -> tqdm:
        recipe, quiet = self.trainer.recipe, None if parallel.rank() == 0 else True
        steps = None if recipe.hours else recipe.steps
        return tqdm(total=steps, initial=self.trainer.step, unit="step", disable=quiet)

    def _report(self, log: RunLog, bar: tqdm, values: dict[str, float], speed: _Speed) -> None:
        trainer = self.trainer
        means = log.add(trainer.step, trainer.seconds, values)
        if means and speed.due:
            shown = {name: means[name] for name in ("coarse hole", "fused hole") if name in means}
            figures = speed.figures()
            log.write(trainer.step, trainer.seconds, figures)
            told = {name: f"{value:.3g}" for name, value in (shown | figures).items()}
            if bar.disable:
                said = ", ".join(f"{name} {value}" for name, value in told.items())
                print(f"{_place(trainer)}: {said}", file=sys.stderr, flush=True)
            bar.set_postfix(told)
        if self.keep_every and trainer.step % self.keep_every == 0:
            checkpoints.keep(trainer, self.folder)
        if self.samples and self.sheet_every and trainer.step % self.sheet_every == 0:
            self._sheet(log, self.samples)

    def _sheet(self, log: RunLog, samples: Samples) -> None:
        sheet, figures = samples.judge(self.trainer)
        (self.folder / "samples").mkdir(exist_ok=True)
        sheet.save(self.folder / "samples" / f"step-{self.trainer.step:07d}.png")
        log.write(self.trainer.step, self.trainer.seconds, figures)
        log.plot(self.folder / "losses.svg")

    def _write(self, log: RunLog) -> None:
        checkpoints.write(self.trainer, self.folder, self.part_bytes, self.slim)
        log.plot(self.folder / "losses.svg")


def _place(trainer: Trainer) -> str:
    recipe = trainer.recipe
    if recipe.hours:
        return f"step {trainer.step}, minute {trainer.seconds / 60:.1f} of {60 * recipe.hours:.1f}"
    return f"step {trainer.step} of {recipe.steps}"


class _Speed:
    """Pictures per second, and the share of the device's matrix peak, since they were last told."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self._operations: dict[Stage, float] = {}
        self._told = trainer.step, trainer.seconds

    @property
    def due(self) -> bool:
        """Has a while gone by?"""
        return self.trainer.seconds - self._told[1] > _TELL_SECONDS

    @functools.cached_property
    def peak(self) -> float:
        """Operations per second, measured when it is first asked for: by the process that shows it alone."""
        return matrix_peak(self.trainer.device)

    def figures(self) -> dict[str, float]:
        """On all devices, and of this one's peak."""
        trainer, stage = self.trainer, self.trainer.stage
        if stage not in self._operations:
            self._operations[stage] = operations(trainer)
        step, seconds = self._told
        rate = (trainer.step - step) / (trainer.seconds - seconds)
        self._told = trainer.step, trainer.seconds
        share = rate * self._operations[stage] / self.peak
        return {"images/s": rate * stage.batch * parallel.size(), "share of peak": share}


@contextlib.contextmanager
def _stoppable() -> Iterator[Callable[[], bool]]:
    """Ctrl+C and a polite kill, however often, only set what the yielded function returns; the first says so."""
    asked = False

    def ask(*_: object) -> None:
        nonlocal asked
        before, asked = asked, True
        if not before and parallel.rank() == 0:
            with contextlib.suppress(OSError, RuntimeError):  # no terminal any more, or in the midst of a line to it
                tqdm.write("Stopping after this step; please wait until the checkpoint is written.", file=sys.stderr)

    previous = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
