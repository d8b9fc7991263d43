"""The proof of an installation: a real photograph with a hole goes through the server and comes back filled.

`python -m dgfnet.demo` does what an editor does: it starts the server as launch.json says (unless one runs), sends
picture and mask over ZeroMQ with the editors' own client, and lays the returned layer over the picture. Like the
command line, it is a place where method and server meet; nothing imports it.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from dgfnet import pictures
from dgfnet.errors import UserError
from dgfnet.pixels import Picture
from dgfnet.sheets import contact_sheet
from server.arrays import inpaint_request, lay_over
from server.client.errors import InpaintError
from server.client.events import Result
from server.client.transport import Client, OnProgress, connect
from server.protocol import ErrorCode

# A lattice tower left of the rocket, in x, y: something a retoucher would take out.
TOWER = ((190, 114), (213, 114), (216, 354), (160, 354))
WIDTH = 60  # of a progress line, in characters


def photograph() -> np.ndarray:
    """SpaceX's photograph of a rocket at dusk, bundled with scikit-image: uint8 [427, 640, 3]."""
    from skimage import data

    return np.ascontiguousarray(data.rocket())


def tower_mask(height: int, width: int) -> np.ndarray:
    """The region to fill: uint8 [height, width], 255 inside."""
    canvas = Image.new("L", (width, height))
    ImageDraw.Draw(canvas).polygon(TOWER, fill=255)
    return np.asarray(canvas)


def open_client() -> tuple[Client, bool]:
    """A client of the running server, or of one started now; and whether it was started. Raises `InpaintError`."""
    try:
        return connect("dgfnet demo", start=False), False
    except InpaintError:
        return connect("dgfnet demo"), True


def fill(client: Client, picture: np.ndarray, mask: np.ndarray, on_progress: OnProgress) -> Result:
    """Send picture uint8 [H, W, 3] and mask uint8 [H, W] to the server and wait for the layer."""
    return client.run(inpaint_request(picture, mask), on_progress)


def check(before: np.ndarray, mask: np.ndarray, after: np.ndarray) -> None:
    """Raise `UserError` unless the hole was filled and nothing else was touched."""
    changed = (before != after).any(axis=2)
    outside = int(changed[mask == 0].sum())
    if outside:
        raise UserError(f"{outside} pixels outside the mask were changed.")
    if not changed.any():
        raise UserError("No pixel of the hole was filled.")


class Reporter:
    """Prints each stage of the job with the seconds it took; on a terminal, the running stage with its fraction too."""

    def __init__(self) -> None:
        self._stage, self._began = "", 0.0
        self._live = sys.stdout.isatty()

    def __call__(self, stage: str, fraction: float) -> None:
        """Note where the job is: the stage's name and its fraction, 0 to 1."""
        if stage != self._stage:
            self.finish()
            self._stage, self._began = stage, time.monotonic()
        if self._live:
            print(f"\r  {stage} {fraction:.0%}".ljust(WIDTH), end="", flush=True)

    def finish(self) -> None:
        """Print the stage that has ended."""
        if self._stage:
            start = "\r" if self._live else ""
            print(
                f"{start}  {self._stage}: {time.monotonic() - self._began:.1f} s".ljust(WIDTH if self._live else 0),
                flush=True,
            )
            self._stage = ""


def ask(picture: np.ndarray, mask: np.ndarray) -> Result:
    """Have the server fill the hole, and print the seconds that each step took. Raises `InpaintError`."""
    began = time.monotonic()
    client, started = open_client()
    ready = time.monotonic()
    reporter = Reporter()
    try:
        print(f"  server {'started' if started else 'found running'}: {ready - began:.1f} s", flush=True)
        answer = fill(client, picture, mask, reporter)
        answered = time.monotonic()
    finally:
        reporter.finish()
        if started:
            client.shutdown()
        else:
            client.close()
    print(f"  answer after {answered - ready:.1f} s", flush=True)
    return answer


def prove(folder: Path) -> None:
    """Fill the hole and write result.png and sheet.png; raises `InpaintError`, `UserError` or `OSError`.

    A server that was found running may be ended meanwhile, such as one that another proof had started: then the next
    one is asked, once.
    """
    picture = photograph()
    mask = tower_mask(*picture.shape[:2])
    try:
        answer = ask(picture, mask)
    except InpaintError as error:
        if error.code != ErrorCode.SHUTTING_DOWN.value:
            raise
        print("  that server was ended; once more", flush=True)
        answer = ask(picture, mask)
    began = time.monotonic()
    after = picture
    for layer in answer.layers:
        after = lay_over(after, layer)
    check(picture, mask, after)
    folder.mkdir(parents=True, exist_ok=True)
    sheet = np.asarray(contact_sheet([[picture, mask, after]], cell=picture.shape[1]))
    named = {"result": after, "sheet": sheet}
    for name, pixels in named.items():
        pictures.write(folder / f"{name}.png", Picture(pixels))
    print(f"  files written after another {time.monotonic() - began:.1f} s")
    print(f"  device: {answer.report['device']}")
    for name in named:
        print(f"  {name}: {(folder / name).resolve()}.png")


def main(arguments: list[str] | None = None) -> int:
    """Run the proof; errors are one sentence on stderr. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m dgfnet.demo", description="Prove the installation.")
    parser.add_argument(
        "-o", "--out", type=Path, default=Path("results/demo"), metavar="DIR", help="folder to write to"
    )
    options = parser.parse_args(arguments)
    try:
        prove(options.out)
    except (InpaintError, UserError, OSError) as fault:
        print(f"  {fault}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
