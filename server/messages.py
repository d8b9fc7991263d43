"""The messages of docs/protocol.md as dataclasses; each field of a request has a check that it passes before use."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from server.protocol import ErrorCode, Header, Refusal, bad_message, is_id

TEXT_LENGTH = 4000
"""Most characters in any text field."""

Check = Callable[[Any], bool]


def is_text(value: object) -> bool:
    """A text of reasonable length."""
    return isinstance(value, str) and len(value) <= TEXT_LENGTH


def is_count(value: object) -> bool:
    """A whole number, 0 or more."""
    return type(value) is int and value >= 0


def is_number(value: object) -> bool:
    """A finite number; booleans are not numbers."""
    return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]


def is_map(value: object) -> bool:
    """A map with text keys."""
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def is_version_range(value: object) -> bool:
    """[lowest, highest], two whole numbers."""
    return isinstance(value, list) and len(value) == 2 and all(is_count(v) for v in value) and value[0] <= value[1]


def _field_of(check: Check, description: str) -> dict[str, Any]:
    """Metadata of a field whose value must pass `check`; `description` completes "`x` is not ..."."""
    return {"check": check, "description": description}


ID = _field_of(is_id, "32 lower-case hex digits")
TEXT = _field_of(is_text, "a short text")
MAP = _field_of(is_map, "a map with text keys")
VERSIONS = _field_of(is_version_range, "[lowest, highest]")


@dataclass(frozen=True)
class Message:
    """What every message is: a type name and checked fields."""

    TYPE: ClassVar[str]

    def fields(self) -> dict[str, Any]:
        """The header's fields; those that are None and may be left out are left out."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value is not None or name not in _omitted(type(self))}


def _omitted(kind: type[Message]) -> set[str]:
    return {f.name for f in dataclasses.fields(kind) if f.default is None}


@dataclass(frozen=True)
class Hello(Message):
    """The first message of a session."""

    TYPE = "HELLO"
    protocol: list[int] = field(metadata=VERSIONS)
    client: str = field(metadata=TEXT, default="")


@dataclass(frozen=True)
class Submit(Message):
    """A job; its arrays travel as payloads."""

    TYPE = "SUBMIT"
    job: str = field(metadata=ID)
    task: str = field(metadata=TEXT)
    space: str = field(metadata=TEXT, default="srgb")
    options: dict[str, Any] = field(metadata=MAP, default_factory=dict)


@dataclass(frozen=True)
class Cancel(Message):
    """Stop a queued or running job."""

    TYPE = "CANCEL"
    job: str = field(metadata=ID)


@dataclass(frozen=True)
class Ping(Message):
    """I am alive."""

    TYPE = "PING"


@dataclass(frozen=True)
class Status(Message):
    """Ask for a `State`."""

    TYPE = "STATUS"


@dataclass(frozen=True)
class Shutdown(Message):
    """End the server."""

    TYPE = "SHUTDOWN"


@dataclass(frozen=True)
class Bye(Message):
    """Goodbye, either way."""

    TYPE = "BYE"


@dataclass(frozen=True)
class Welcome(Message):
    """The answer to `Hello`; device and weights are None while the network is being loaded."""

    TYPE = "WELCOME"
    protocol: int
    instance: str
    server: str
    device: str | None
    weights: str | None
    limits: dict[str, int]


@dataclass(frozen=True)
class Accepted(Message):
    """The job is in the queue."""

    TYPE = "ACCEPTED"
    job: str
    ahead: int


@dataclass(frozen=True)
class Progress(Message):
    """How far a job is."""

    TYPE = "PROGRESS"
    job: str
    stage: str
    fraction: float


@dataclass(frozen=True)
class Result(Message):
    """The layers of a finished job, bottom first; their arrays travel as payloads in the same order."""

    TYPE = "RESULT"
    job: str
    layers: list[dict[str, Any]]
    report: dict[str, Any]


@dataclass(frozen=True)
class Cancelled(Message):
    """The job has stopped without a result."""

    TYPE = "CANCELLED"
    job: str


@dataclass(frozen=True)
class Error(Message):
    """What went wrong and what to do, a sentence each."""

    TYPE = "ERROR"
    code: str
    message: str
    action: str
    job: str | None = None


@dataclass(frozen=True)
class Pong(Message):
    """The answer to `Ping`."""

    TYPE = "PONG"


@dataclass(frozen=True)
class State(Message):
    """The answer to `Status`; device and weights are None until known, `uptime` in seconds, `memory` in bytes.

    `weights` is for people to read; `weights_path` (absolute) and `weights_sha256` tell of the file which it is.
    """

    TYPE = "STATE"
    device: str | None
    weights: str | None
    weights_path: str | None
    weights_sha256: str | None
    model: str
    uptime: float
    jobs: int
    log: str
    version: str
    memory: dict[str, int]
    problem: str | None = None


REQUESTS: dict[str, type[Message]] = {kind.TYPE: kind for kind in (Hello, Submit, Cancel, Ping, Status, Shutdown, Bye)}


def read_message(header: Header) -> Message:
    """The request in a header. Raises `Refusal` (bad_type, bad_message). Fields nobody asked for are ignored."""
    kind = REQUESTS.get(header.type)
    if kind is None:
        raise Refusal(
            ErrorCode.BAD_TYPE,
            f"There is no message type `{header.type[:40]}`.",
            f"Send one of {', '.join(REQUESTS)}.",
        )
    values: dict[str, Any] = {}
    for f in dataclasses.fields(kind):
        if f.name in header.fields:
            values[f.name] = header.fields[f.name]
            if not f.metadata["check"](values[f.name]):
                raise bad_message(f"`{f.name}` of {kind.TYPE} is not {f.metadata['description']}.")
        elif f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING:
            raise bad_message(f"{kind.TYPE} has no `{f.name}`.")
    return kind(**values)


@dataclass(frozen=True)
class Layer:
    """One layer of a result.

    `pixels` has the submitted picture's dtype and [rows, columns, colours + 1]: grey or R, G, B, then straight alpha.
    `x`, `y` is its top left corner in the submitted picture, `opacity` 0 to 1.
    """

    name: str
    role: str
    x: int
    y: int
    blend: str
    opacity: float
    pixels: np.ndarray

    def fields(self) -> dict[str, Any]:
        """Everything but the pixels, for the header."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "pixels"}
