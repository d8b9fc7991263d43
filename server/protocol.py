"""Messages of the wire protocol (docs/protocol.md) as the server reads and writes them. No sockets in here.

A received message passes `wire.verify` (sizes, magic, HMAC) before anything in it is decoded; then `read_header`, then
`Session.accept` (replays), then `read_arrays`. What fails in `verify` or `accept` is dropped without an answer, any
other fault is a `Refusal`, which becomes an ERROR.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple

import msgpack
import numpy as np

from server.client.pixels import DEPTHS
from server.client.wire import signature
from server.client.zmtp import Buffer

PIXELS = 100_000_000
"""Most pixels in one picture."""
DTYPES = {code: np.dtype("<" + code) for code in DEPTHS}

NO_SESSION = "0" * 32
"""The session of an ERROR about a header in which no session can be read."""
_ID = re.compile(r"[0-9a-f]{32}")


class ErrorCode(str, Enum):
    """Every `code` that an ERROR can carry."""

    BAD_MESSAGE = "bad_message"
    BAD_TYPE = "bad_type"
    BAD_ARRAY = "bad_array"
    BAD_OPTION = "bad_option"
    BAD_MASK = "bad_mask"
    EMPTY_MASK = "empty_mask"
    FULL_MASK = "full_mask"
    NOT_FINITE = "not_finite"
    TOO_LARGE = "too_large"
    PROTOCOL_VERSION = "protocol_version"
    DUPLICATE_JOB = "duplicate_job"
    UNKNOWN_JOB = "unknown_job"
    QUEUE_FULL = "queue_full"
    CLIENT_SILENT = "client_silent"
    NO_WEIGHTS = "no_weights"
    OUT_OF_MEMORY = "out_of_memory"
    DEVICE_LOST = "device_lost"
    SHUTTING_DOWN = "shutting_down"
    INTERNAL = "internal"


class Dropped(Exception):
    """The message gets no answer: it was seen before, or is another session's."""


class Refusal(Exception):
    """The message is answered with an ERROR: `message` says what is wrong, `action` what to do, a sentence each."""

    def __init__(self, code: ErrorCode, message: str, action: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.action = action


class BadHeader(Refusal):
    """A `Refusal` of a header; `session` is the one to answer to, or `NO_SESSION` where it names none."""

    def __init__(self, message: str, session: str) -> None:
        reason = bad_message(message)
        super().__init__(reason.code, reason.message, reason.action)
        self.session = session


class Header(NamedTuple):
    """A decoded header: the keys that every message has, and the rest as `fields`."""

    type: str
    session: str
    seq: int
    fields: dict[str, Any]
    arrays: list[Any]


def new_id() -> str:
    """A random session, job or instance id: 32 lower-case hex digits."""
    return secrets.token_hex(16)


def is_id(value: object) -> bool:
    """Whether `value` is 32 lower-case hex digits."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def read_header(frame: Buffer) -> Header:
    """Decode a verified header frame. Raises `BadHeader` where it is not a map with the common keys."""
    try:
        header = msgpack.unpackb(frame, raw=False)
    except Exception as error:  # msgpack raises many kinds; all say that this is not msgpack
        raise BadHeader(f"The header is not a msgpack map ({type(error).__name__}).", NO_SESSION) from None
    if not isinstance(header, dict) or not is_id(header.get("session")):
        raise BadHeader("The header is not a map whose `session` is 32 lower-case hex digits.", NO_SESSION)
    session = header["session"]
    if not all(isinstance(name, str) for name in header):
        raise BadHeader("The header is not a map with text keys.", session)
    common = Header(
        header.pop("type", None),
        header.pop("session"),
        header.pop("seq", None),
        header,
        header.pop("arrays", []),
    )
    if type(common.seq) is not int or common.seq < 1:
        raise BadHeader("`seq` is not a positive whole number.", session)
    if not isinstance(common.type, str):
        raise BadHeader("`type` is not a text.", session)
    if not isinstance(common.arrays, list):
        raise BadHeader("`arrays` is not a list.", session)
    return common


def bad_message(message: str) -> Refusal:
    """A `Refusal` for a message that is signed but not written as docs/protocol.md says."""
    return Refusal(
        ErrorCode.BAD_MESSAGE, message, "Install the plug-in and the server from the same version of DGFNet Inpaint."
    )


def bad_array(message: str) -> Refusal:
    """A `Refusal` for array descriptors that are wrong or do not fit their payloads."""
    return Refusal(ErrorCode.BAD_ARRAY, message, "Send the arrays as docs/protocol.md describes them.")


def read_arrays(descriptors: Sequence[Any], payloads: Sequence[memoryview]) -> dict[str, np.ndarray]:
    """Read-only views of the payloads, by name, nothing copied. Raises `Refusal` (bad_array, too_large)."""
    if len(descriptors) != len(payloads):
        raise bad_array(f"The header describes {len(descriptors)} arrays but {len(payloads)} came.")
    arrays: dict[str, np.ndarray] = {}
    for descriptor, payload in zip(descriptors, payloads, strict=True):
        name, dtype, shape = _read_descriptor(descriptor)
        if name in arrays:
            raise bad_array(f"Two arrays are named `{name}`.")
        if shape[0] * shape[1] > PIXELS:
            raise Refusal(
                ErrorCode.TOO_LARGE,
                f"The picture has {shape[0] * shape[1] / 1e6:.0f} megapixels; the most is {PIXELS / 1e6:.0f}.",
                "Send only the part of the picture around the selection.",
            )
        expected = dtype.itemsize
        for extent in shape:
            expected *= extent
        if payload.nbytes != expected:
            raise bad_array(f"Array `{name}` should have {expected} bytes but has {payload.nbytes}.")
        arrays[name] = np.frombuffer(payload, dtype=dtype).reshape(shape)
    return arrays


def _read_descriptor(descriptor: Any) -> tuple[str, np.dtype, tuple[int, ...]]:
    if not isinstance(descriptor, dict):
        raise bad_array("An entry of `arrays` is not a map.")
    name, dtype, shape = (descriptor.get(key) for key in ("name", "dtype", "shape"))
    if not isinstance(name, str):
        raise bad_array("An array has no name.")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise bad_array(f"Array `{name[:40]}` has a dtype other than {', '.join(DTYPES)}.")
    if not isinstance(shape, list) or len(shape) not in (2, 3):
        raise bad_array(f"The shape of array `{name[:40]}` is not [rows, columns] or [rows, columns, channels].")
    if not all(type(extent) is int and extent > 0 for extent in shape):
        raise bad_array(f"The shape of array `{name[:40]}` is not made of positive whole numbers.")
    return name, DTYPES[dtype], tuple(shape)


def write_array(name: str, array: np.ndarray) -> tuple[dict[str, Any], memoryview]:
    """The descriptor and the payload of one array; copies only what is not contiguous little-endian already."""
    code = array.dtype.str[1:]
    if code not in DTYPES:
        raise ValueError(f"arrays of {array.dtype} cannot be sent; use one of {', '.join(DTYPES)}")
    plain = np.ascontiguousarray(array, dtype=DTYPES[code])
    return {"name": name, "dtype": code, "shape": list(array.shape)}, plain.reshape(-1).view(np.uint8).data


@dataclass
class Session:
    """One end of a session: numbers and signs what it sends, and refuses what comes twice."""

    key: bytes
    id: str
    sends: bytes
    sent: int = 0
    received: int = 0

    def encode(self, type_: str, fields: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> list[Buffer]:
        """The frames of the next message of this session."""
        self.sent += 1
        described = [write_array(name, array) for name, array in arrays.items()]
        header = {"type": type_, "session": self.id, "seq": self.sent, **fields}
        if described:
            header["arrays"] = [descriptor for descriptor, _ in described]
        packed = msgpack.packb(header)
        payloads = [payload for _, payload in described]
        return [signature(self.key, self.sends, packed, payloads), packed, *payloads]

    def accept(self, header: Header) -> None:
        """Raise `Dropped` where the message was seen before or is another session's."""
        if header.session != self.id:
            raise Dropped("another session's message")
        if header.seq <= self.received:
            raise Dropped(f"replay of message {header.seq}")
        self.received = header.seq
