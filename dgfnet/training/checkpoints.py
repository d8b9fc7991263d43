"""A training run on disk: whole checkpoints, checkpoints in parts, slimmed ones, and the weights beside them.

A checkpoint is `checkpoint.pt`, or parts of a given size with `checkpoint.json`, which lists their names and hashes and
is written last: a crash at any moment leaves the checkpoint before whole. With it come the weights, which hold the
moving average of a slimmed one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import json
import pathlib
import pickle
import sys
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from dgfnet.errors import FileError, UserError, is_out_of_memory
from dgfnet.files import Write, write_together, write_whole
from dgfnet.model import Storage, WeightsError, load, load_info, save
from dgfnet.training import parallel
from dgfnet.training.trainer import Trainer

WHOLE, LIST, WEIGHTS = "checkpoint.pt", "checkpoint.json", "weights.safetensors"
_NETWORKS, _OPTIMIZERS = {"network", "discriminator"}, {"optimizer", "discriminator_optimizer"}
"""Of a state, which has no discriminator where no stage uses one."""


def exists(folder: pathlib.Path) -> bool:
    """Is there a checkpoint to go on from?"""
    return (folder / WHOLE).is_file() or (folder / LIST).is_file()


def write(trainer: Trainer, folder: pathlib.Path, part_bytes: int | None = None, slim: bool = False) -> None:
    """Checkpoint and averaged weights.

    Args:
        part_bytes: write the checkpoint in files of at most this size.
        slim: leave out what training finds again by itself, see `slimmed`.

    Raises:
        FileError: it cannot be written, as where the disk is full; the checkpoint before is left.
    """
    state = slimmed(trainer.state()) if slim else trainer.state()
    weights = folder / WEIGHTS, functools.partial(_save_average, trainer)
    if part_bytes is None:
        write_together([weights, (folder / WHOLE, lambda file: torch.save(state, file))])
        (folder / LIST).unlink(missing_ok=True)  # before its parts: `read` prefers it
        _remove_parts(folder, keep=[])
    else:
        _write_parts(state, folder, part_bytes, weights)
        (folder / WHOLE).unlink(missing_ok=True)


def keep(trainer: Trainer, folder: pathlib.Path) -> None:
    """The averaged weights as they are now, beside those to come: what a learning curve is measured on."""
    kept = folder / "kept" / f"step-{trainer.step:07d}.safetensors"
    write_whole(kept, functools.partial(_save_average, trainer, storage="float16"))


def _save_average(trainer: Trainer, file: pathlib.Path, storage: Storage = "float32") -> None:
    save(trainer.average, file, _notes(trainer), storage)


def _notes(trainer: Trainer) -> dict[str, str]:
    return {
        "recipe": trainer.recipe.name,
        "step": str(trainer.step),
        **({} if trainer.recipe.hours else {"steps": str(trainer.recipe.steps)}),
        "hours": f"{trainer.seconds / 3600:.2f}",
        "device": device_name(trainer.device),
        "photographs": str(trainer.bank.photographs),
        "features": "used" if trainer.used["features"] else "none",
        **({"origin": trainer.origin} if trainer.origin else {}),
    }


def read(folder: pathlib.Path, device: torch.device | str) -> dict[str, Any]:
    """The state for `Trainer.restore`, from whichever form the checkpoint has.

    Raises:
        UserError: there is none, a part is missing or damaged, or it is not a checkpoint.
    """
    source = _source(folder)
    with _damage_told(folder):
        state = torch.load(source, map_location=device, weights_only=True)
        return state if "average" in state else whole(state, _average_beside(folder, state["step"], device))


def records(folder: pathlib.Path) -> dict[str, Any]:
    """What a state says beside its tensors, which stay on the disk where the checkpoint is one file. Raises as `read`.

    `recipe` (its settings), `step`, `seconds` and `used` (see `Trainer`), which is empty where the checkpoint is older.
    """
    source = _source(folder)
    with _damage_told(folder):
        mapped = isinstance(source, pathlib.Path)
        state = torch.load(source, map_location="cpu", weights_only=True, mmap=mapped)
        return {name: state[name] for name in ("recipe", "step", "seconds")} | {"used": state.get("used", {})}


def _source(folder: pathlib.Path) -> pathlib.Path | io.BytesIO:
    if not exists(folder):
        raise UserError(f"There is no checkpoint in '{folder}'; leave --resume out to start.")
    return _join(folder) if (folder / LIST).is_file() else folder / WHOLE


@contextlib.contextmanager
def _damage_told(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, KeyError, EOFError, pickle.UnpicklingError) as error:
        if is_out_of_memory(error):
            raise
        raise UserError(f"The checkpoint in '{folder}' is damaged ({type(error).__name__}).") from error


def _average_beside(folder: pathlib.Path, step: int, device: torch.device | str) -> dict[str, Tensor] | None:
    """The moving average in the weights beside a checkpoint, if they are of the same step."""
    try:
        notes = load_info(folder / WEIGHTS).notes
        if notes.get("step") == str(step):
            return load(folder / WEIGHTS, device).state_dict()
    except WeightsError:
        pass
    if parallel.rank() == 0:
        told = f"'{folder}' has no {WEIGHTS} of step {step}; copy them there, else the moving average begins anew."
        print(told, file=sys.stderr)
    return None


def slimmed(state: dict[str, Any]) -> dict[str, Any]:
    """A quarter of a state's bytes: kernels as float16, Adam's second moments as bfloat16, all else left out.

    The average is that of the weights beside it, and Adam's first moments are back after some ten steps: going on is
    not to the bit.
    """
    kept = {name: value for name, value in state.items() if name != "average"}
    for name in _NETWORKS & set(state):
        kept[name] = {k: v.half() if v.ndim == 4 else v for k, v in state[name].items()}
    for name in _OPTIMIZERS & set(state):
        moments = {
            i: {"step": m["step"], "exp_avg_sq": m["exp_avg_sq"].bfloat16()} for i, m in state[name]["state"].items()
        }
        kept[name] = {**state[name], "state": moments}
    return kept


def whole(state: dict[str, Any], average: dict[str, Tensor] | None = None) -> dict[str, Any]:
    """What `slimmed` left out, put back as well as may be.

    Args:
        average: where it is known; the network as it is stands in.
    """
    full = dict(state)
    for name in _NETWORKS & set(state):
        full[name] = {k: v.float() if v.is_floating_point() else v for k, v in state[name].items()}
    for name in _OPTIMIZERS & set(state):
        full[name] = {**state[name], "state": {i: _moments(m) for i, m in state[name]["state"].items()}}
    return {**full, "average": average or full["network"]}


def _moments(kept: dict[str, Tensor]) -> dict[str, Tensor]:
    second = kept["exp_avg_sq"].float()
    return {"step": kept["step"], "exp_avg": torch.zeros_like(second), "exp_avg_sq": second}


def _write_parts(
    state: dict[str, Any], folder: pathlib.Path, part_bytes: int, beside: tuple[pathlib.Path, Write]
) -> None:
    """`beside` is written together with the list."""
    buffer = io.BytesIO()
    torch.save(state, buffer)
    data, parts = buffer.getbuffer(), []
    before = [file.name for file in folder.glob("checkpoint-*.part")]
    try:
        for number, start in enumerate(range(0, len(data), part_bytes)):
            part = data[start : start + part_bytes]
            digest = hashlib.sha256(part).hexdigest()
            name = f"checkpoint-{number:03d}-{digest[:8]}.part"  # never that of another content
            write_whole(folder / name, functools.partial(pathlib.Path.write_bytes, data=part))
            parts.append({"file": name, "sha256": digest})
        listed = json.dumps({"step": state["step"], "parts": parts}, indent=1) + "\n"
        write_together([beside, (folder / LIST, lambda file: file.write_text(listed))])
    except FileError:
        _remove_parts(folder, keep=before)
        raise
    _remove_parts(folder, keep=[part["file"] for part in parts])


def _join(folder: pathlib.Path) -> io.BytesIO:
    data = io.BytesIO()
    try:
        parts = json.loads((folder / LIST).read_text())["parts"]
        for part in parts:
            content = (folder / part["file"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != part["sha256"]:
                raise UserError(f"'{folder / part['file']}' is damaged; copy it again.")
            data.write(content)
    except OSError as error:
        raise UserError(f"The checkpoint's part '{error.filename}' is missing; copy it there.") from error
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"'{folder / LIST}' is damaged; copy it again.") from error
    data.seek(0)
    return data


def _remove_parts(folder: pathlib.Path, keep: list[str]) -> None:
    for file in folder.glob("checkpoint-*.part*"):  # those that a killed process left half written, too
        if file.name not in keep:
            file.unlink()


def device_name(device: torch.device) -> str:
    """What a person calls the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
