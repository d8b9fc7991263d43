"""The command `dgfnet`. Heavy modules are imported inside the commands, so that `--help` answers at once.

This is the composition root: beside `demo`, the one place in `dgfnet` that knows the server.
"""

from __future__ import annotations

import argparse
import importlib
import io
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import fields, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dgfnet import __version__
from dgfnet.errors import UsageError, UserError, said_to_the_user

if TYPE_CHECKING:
    import numpy as np

    from dgfnet.errors import Progress
    from dgfnet.model import DGFNet
    from server.client.transport import Client
    from server.installation.checks import Check

FAILED, MISUSED = 1, 2
_DELEGATED = {  # command: module with add_arguments and run, what it does
    "train": ("training.command", "train the network"),
    "evaluate": ("evaluation.command", "measure the network beside other fillers on photographs"),
    "publish": ("publishing", "make a training run's weights ready to ship, with their model card"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; errors are one sentence on stderr. Returns the exit code: 0 done, 1 failed, 2 misused."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name may hold letters that the terminal has not
            stream.reconfigure(errors="backslashreplace")
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser(arguments[0] if arguments else "")
    options, rest = parser.parse_known_args(arguments)
    if options.command == "serve":
        options.rest = rest
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        return options.run(options)
    except KeyboardInterrupt:
        return _complain("Stopped.", 130)
    except UsageError as fault:
        return _complain(str(fault), MISUSED)
    except BrokenPipeError:
        return FAILED
    except Exception as fault:
        sentence = said_to_the_user(fault)
        if sentence is None:
            raise
        return _complain(sentence, FAILED)


def _complain(sentence: str, code: int) -> int:
    print(f"dgfnet: {sentence}", file=sys.stderr)
    return code


# --- options ----------------------------------------------------------------------------------------------------------


def _parser(command: str) -> argparse.ArgumentParser:
    """The parser; delegated commands bring options of their own, loaded only when one of them is meant."""
    parser = argparse.ArgumentParser(prog="dgfnet", description="Fill holes in pictures with DGFNet.")
    parser.add_argument("--version", action="version", version=f"dgfnet {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, run: Callable[[argparse.Namespace], int], text: str, **extra: Any) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".", **extra)
        added.set_defaults(run=run)
        return added

    inpaint = add("inpaint", _inpaint, "fill the white parts of a mask, in a picture or in a folder of pictures")
    inpaint.add_argument("photo", type=Path, metavar="PHOTO", help="picture, or folder of pictures")
    inpaint.add_argument(
        "mask", type=Path, metavar="MASK", help="white = fill, grey = soft edge; or folder, same names"
    )
    inpaint.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="picture, or folder, to write")
    inpaint.add_argument("--context", type=float, help="margin around a hole, times its thickness (default 1)")
    inpaint.add_argument("--grow", type=int, help="pixels to grow the mask by (default 0)")
    inpaint.add_argument("--feather", type=float, help="pixels to soften the edge by, inward (default 0)")
    inpaint.add_argument("--texture-strength", type=float, help="0 smooth to 1 full texture (default 1)")
    inpaint.add_argument("--patches", type=float, help="share of detail copied from the picture, 0 to 1 (default 1)")
    inpaint.add_argument("--variation", type=int, help="another fill of the same hole: 1, 2, ... (default 0)")
    inpaint.add_argument("--overwrite", action="store_true", help="in folders: make outputs anew that exist already")
    inpaint.add_argument("--server", action="store_true", help="let the running server do it, or start one")
    _add_machine_options(inpaint)

    texture = add("texture", _texture, "split a picture into structure and texture")
    texture.add_argument("photo", type=Path, metavar="PHOTO")
    texture.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    texture.add_argument(
        "--lambda", dest="lam", type=float, default=0.01, help="strength of smoothing, to 0.2 (default 0.01)"
    )
    texture.add_argument("--sigma", type=float, default=3.0, help="largest texture scale in pixels (default 3)")
    _add_device_options(texture)

    for name, (module, text) in _DELEGATED.items():
        added = add(name, _delegate(module), text)
        if command == name:
            importlib.import_module(f"dgfnet.{module}").add_arguments(added)

    rfr = add("import-rfr", _import_rfr, "make weights of a published RFR checkpoint: the coarse branch alone")
    rfr.add_argument("checkpoint", type=Path, metavar="CHECKPOINT")
    rfr.add_argument("-o", "--out", type=Path, required=True, metavar="OUT", help="weights to write, .safetensors")

    weights = add("weights", _weights, "list the shipped weights, describe some, or use some by default")
    weights.add_argument("action", choices=("list", "info", "use"))
    weights.add_argument("weights", nargs="?", help="name or path; the default ones unless given")

    add("serve", _serve, "run the server in the foreground", add_help=False)  # its options are the server's own
    add("status", _status, "say what the server does")
    add("stop", _stop, "end the server")
    doctor = add("doctor", _doctor, "check the installation, with a fix for each problem")
    _add_machine_options(doctor)
    return parser


def _add_machine_options(parser: argparse.ArgumentParser) -> None:
    _add_device_options(parser)
    parser.add_argument("--weights", help="name of shipped weights, or a path")


def _add_device_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="cpu, cuda, cuda:1, mps (default: CUDA where there is some, else the CPU)")
    parser.add_argument("--threads", type=_threads, help="CPU threads")


def _threads(text: str) -> int:
    with suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise argparse.ArgumentTypeError("must be a positive number; leave it out to use all that are here")


# --- commands ---------------------------------------------------------------------------------------------------------


@contextmanager
def _asking_server() -> Iterator[None]:
    """Have the user told what goes wrong with the server; its client, which editors carry, has an error of its own."""
    from server.client.errors import InpaintError

    try:
        yield
    except InpaintError as fault:
        raise UserError(str(fault)) from fault


@_asking_server()
def _inpaint(options: argparse.Namespace) -> int:
    from dgfnet.batch import fill_files, find_jobs
    from dgfnet.inpainting import FillOptions, Inpainter

    given = {field.name: value for field in fields(FillOptions) if (value := getattr(options, field.name)) is not None}
    settings = FillOptions(**given)
    jobs = find_jobs(options.photo, options.mask, options.out, options.overwrite)
    if not jobs:
        print(f"Every output is in {options.out} already; --overwrite makes them anew.")
        return 0
    if options.server:
        if options.device or options.weights or options.threads:
            raise UsageError(
                "--device, --weights and --threads do not reach the server; `dgfnet serve` takes the first two."
            )
        with _connect():  # where no server can be had, that is said once, not for each picture
            pass
        failures = fill_files(jobs, partial(_ask_server, given))
    else:
        inpainter = Inpainter(*_network(options))
        failures = fill_files(
            jobs, lambda image, mask, report: inpainter.fill_apart(image, mask, settings, report).compose(image)
        )
    return FAILED if failures else 0


@_asking_server()
def _ask_server(given: dict[str, Any], image: np.ndarray, mask: np.ndarray, report: Progress) -> np.ndarray:
    """Have the server fill a picture, and put the layer that comes back above it as an editor would.

    Each picture has a session of its own: the server may be stopped, or die, during a long run.
    """
    from server.arrays import inpaint_request, lay_over

    with _connect() as client:
        layers = client.run(inpaint_request(image, mask, **given), report).layers
    for layer in layers:
        image = lay_over(image, layer)
    return image


def _connect(start: bool = True) -> Client:
    """A client of this user's server, which is started if none runs (and `start`). Raises `InpaintError`."""
    from server.client.discovery import state_folder
    from server.client.errors import UNANSWERED, InpaintError
    from server.client.launch import does_not_answer
    from server.client.transport import connect
    from server.lifecycle import say_how_to_start
    from server.locking import has_ended

    folder = state_folder()
    if start:
        say_how_to_start(folder)
    else:
        with suppress(OSError):  # a disk without locks, or another user's: there is no server of this user's
            has_ended(folder)  # where one was killed, its file goes
    try:
        return connect(f"dgfnet {__version__}", folder, start)
    except InpaintError as error:
        if start or error.code not in UNANSWERED:
            raise
        raise does_not_answer() from None


def _device(options: argparse.Namespace) -> str:
    """The device that the options ask for, once it has answered."""
    import torch

    from dgfnet.devices import check_device, default_device

    if options.threads:
        torch.set_num_threads(options.threads)
    device = options.device or default_device()
    check_device(device)
    return device


def _network(options: argparse.Namespace) -> tuple[DGFNet, str]:
    """The network that the options ask for, and its device."""
    from dgfnet.model import load

    device = _device(options)
    return load(options.weights, device), device


def _texture(options: argparse.Namespace) -> int:
    from tqdm import tqdm

    from dgfnet import pictures
    from dgfnet.files import make_folder
    from dgfnet.maps import encoded_maps, texture_maps

    device = _device(options)
    photo = pictures.read(options.photo)
    make_folder(options.out)
    with tqdm(total=1.0, disable=None, bar_format="{desc}: {percentage:3.0f}% |{bar}| {elapsed}") as bar:

        def report(stage: str, fraction: float) -> None:
            bar.set_description_str(stage, refresh=False)
            bar.update(fraction - bar.n)

        smooth = texture_maps(photo.pixels, options.lam, options.sigma, report, device)[0]
    structure, texture, offset = encoded_maps(photo.pixels, smooth)
    suffix = ".png" if photo.pixels.dtype.kind == "u" else ".tiff"
    for name, pixels in (("structure", structure), ("texture", texture)):
        path = options.out / f"{options.photo.stem}-{name}{suffix}"
        pictures.write(path, replace(photo, pixels=pixels))
        print(path)
    print(
        f"structure + texture - {offset:g} is the picture: put the texture above the structure in the mode Grain merge."
    )
    return 0


def _delegate(module: str) -> Callable[[argparse.Namespace], int]:
    """A command that lives in a module of its own."""

    def run(options: argparse.Namespace) -> int:
        return importlib.import_module(f"dgfnet.{module}").run(options)

    return run


def _import_rfr(options: argparse.Namespace) -> int:
    from dgfnet.files import make_folder, write_whole
    from dgfnet.model import DGFNet, DGFNetConfig, save
    from dgfnet.network.rfr import read_checkpoint

    if options.out.suffix != ".safetensors":
        raise UsageError("The name of the weights to write must end in .safetensors.")
    make_folder(options.out.parent)
    network = DGFNet(DGFNetConfig(fusion="none"))
    network.coarse = read_checkpoint(options.checkpoint)
    notes = {"origin": f"imported from the RFR checkpoint {options.checkpoint.name}"}
    write_whole(options.out, lambda file: save(network, file, notes))
    print(f"{options.out} written; use it with --weights {options.out}")
    return 0


def _weights(options: argparse.Namespace) -> int:
    from dgfnet.model import SHIPPED, available, load_info
    from dgfnet.settings import choose_weights, overruling_weights

    if options.action == "list":
        print("\n".join(available()) or "There are no shipped weights.")
        return 0
    if options.action == "use" and not options.weights:
        raise UsageError("Say which weights to use: `dgfnet weights use FILE`, or a shipped name.")
    info = load_info(options.weights)
    if options.action == "use":
        choose_weights(info.name if info.path.parent == SHIPPED else str(info.path.resolve()))
        print(f"{info.path} is the default now; a running server takes it up after `dgfnet stop`.")
        if overruling := overruling_weights():
            print(f"As long as $DGFNET_WEIGHTS is set, {overruling} is used all the same; unset it.")
        return 0
    print(f"name: {info.name}\npath: {info.path}\nsha256: {info.sha256}")
    for key, value in (*vars(info.config).items(), *info.notes.items()):
        print(f"{key}: {value}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from server.__main__ import main as serve

    return serve(options.rest, "dgfnet serve")


@_asking_server()
def _status(options: argparse.Namespace) -> int:
    with _connect(start=False) as client:
        for name, value in client.status().fields.items():
            print(f"{name}: {value}")
    return 0


@_asking_server()
def _stop(options: argparse.Namespace) -> int:
    from server.stopping import stop

    print("The server has ended." if stop() else "No server is running.")
    return 0


def _doctor(options: argparse.Namespace) -> int:
    from dgfnet.doctor import checks
    from server.installation.checks import report

    return FAILED if report(chain(checks(options.weights, lambda: _network(options)), _server_checks())) else 0


def _server_checks() -> Iterator[Check]:
    """Whether a server runs, answers and can fill; none is no problem if one can be started when it is needed."""
    from server.client.discovery import state_folder
    from server.client.errors import InpaintError
    from server.installation.checks import Check
    from server.locking import has_ended
    from server.private import check_state_folder

    folder = state_folder()
    try:
        check_state_folder(folder)
        ended = has_ended(folder)
    except OSError as error:
        fix = "Make room there, or set DGFNET_HOME to a folder on a local disk that you can write to."
        yield Check("state folder", f"{folder}: {error.strerror or error}", fix)
        return
    if ended:
        yield Check("server", "not running; it starts when it is needed")
        return
    try:
        with _connect(start=False) as client:
            where, state = client.address, client.status().fields
    except InpaintError as error:
        if error.code == "bad_state":
            yield Check("server", error.message, error.action)
        elif error.code == "no_server":  # it holds the lock, and its connection file is not there yet, or any more
            yield Check("server", "is starting or ending")
        else:
            yield Check("server", "it runs and does not answer", "Stop it with `dgfnet stop`.")
        return
    if state["model"] == "failed":
        yield Check("server", state["problem"], "Stop it with `dgfnet stop`; the next fill starts another.")
    else:
        yield Check("server", f"answers at {where.host}:{where.port}, log {where.log}")


if __name__ == "__main__":
    sys.exit(main())
