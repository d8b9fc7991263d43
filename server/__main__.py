"""`python -m server`: run the server in the foreground."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from server.broker import Limits
from server.jobs import Engine
from server.lifecycle import AlreadyRunning, serve


def main(arguments: Sequence[str] | None = None, program: str = "python -m server") -> int:
    """Run until told to end; the exit status. `program` is what the user typed."""
    parser = argparse.ArgumentParser(prog=program, description="Keep the network in memory for the editors.")
    parser.add_argument("--idle-minutes", type=float, default=30, help="exit after so long without work; 0: never")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:1, mps (default: auto)")
    parser.add_argument("--weights", help="a weights file, or the name of shipped weights")
    parser.add_argument("--home", type=Path, help="the state folder (default: as docs/protocol.md says)")
    options = parser.parse_args(arguments)

    def load() -> Engine:
        from server.engine import load_engine  # torch takes seconds; the socket answers meanwhile

        return load_engine(options.device, options.weights)

    idle = options.idle_minutes * 60 if options.idle_minutes > 0 else None
    try:
        ended = serve(load, options.home, Limits(idle=idle))
    except AlreadyRunning as other:
        print(other)
        return 0
    except OSError as error:
        print(
            f"The server cannot start: {error}. Set DGFNET_HOME to a folder on a local disk that you can write to.",
            file=sys.stderr,
        )
        return 1
    if not ended:
        os._exit(0)  # the worker is inside the network; Python would wait for it
    return 0


if __name__ == "__main__":
    sys.exit(main())
