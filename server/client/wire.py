"""Messages of docs/protocol.md as frames: signing, checking, headers, arrays. The server shares the frames' rules."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Mapping, NamedTuple, Sequence

from .pixels import DEPTHS
from .zmtp import Buffer, Limits

try:  # the copy that the installer puts beside a plug-in
    from ._msgpack import packb, unpackb  # type: ignore[import-not-found]
except ImportError:
    from msgpack import packb, unpackb

PROTOCOL = (1, 1)  # lowest and highest version spoken here
MAGIC = b"DGF1"
SIGNATURE_BYTES = len(MAGIC) + 32
HEADER_BYTES = 64 * 1024
PAYLOAD_FRAMES = 8
PAYLOAD_BYTES = 1 << 30  # in one message
TO_SERVER, TO_CLIENT = b">", b"<"  # part of the signed text: a message sent back to its sender does not pass

TRANSPORT_LIMITS = Limits(
    frame_bytes=PAYLOAD_BYTES,
    message_bytes=PAYLOAD_BYTES + HEADER_BYTES + SIGNATURE_BYTES,
    frames=2 + PAYLOAD_FRAMES,
)


class WireError(ValueError):
    """A message that is not as docs/protocol.md says; one sentence."""


class UnsignedError(WireError):
    """A message that nobody who holds the key has signed: to be dropped."""


class Array(NamedTuple):
    """Pixels as they travel: rows from top to bottom, little-endian, channels interleaved.

    ``dtype`` is ``u1``, ``u2``, ``f2`` or ``f4``; ``shape`` is (rows, columns) or (rows, columns, channels).
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: Buffer

    def check(self) -> Array:
        """The array itself; raises `WireError` where dtype, shape and data do not fit together."""
        if self.dtype not in DEPTHS:
            raise WireError(f"The array {self.name} has the unknown type {self.dtype!r}.")
        if len(self.shape) not in (2, 3) or not all(type(extent) is int and extent > 0 for extent in self.shape):
            raise WireError(f"The array {self.name} has the impossible shape {list(self.shape)}.")
        size, expected = memoryview(self.data).nbytes, DEPTHS[self.dtype].item_bytes
        for extent in self.shape:
            expected *= extent
        if size != expected:
            raise WireError(f"The array {self.name} has {size} bytes where its shape needs {expected}.")
        return self


def signature(key: bytes, direction: bytes, header: Buffer, payloads: Sequence[Buffer]) -> bytes:
    """Frame 0: the magic, then HMAC-SHA256 over direction + sha256(header) + sha256(payload)..."""
    digests = b"".join(hashlib.sha256(part).digest() for part in (header, *payloads))
    return MAGIC + hmac.digest(key, direction + digests, "sha256")


def verify(key: bytes, direction: bytes, frames: Sequence[Buffer]) -> None:
    """Raise `UnsignedError` unless the frames are within the limits and signed with `key` for `direction`."""
    if not 2 <= len(frames) <= 2 + PAYLOAD_FRAMES:
        raise UnsignedError(f"The message has {len(frames)} frames.")
    signed, header, *payloads = frames
    if len(header) > HEADER_BYTES or sum(len(payload) for payload in payloads) > PAYLOAD_BYTES:
        raise UnsignedError("The message is larger than the protocol allows.")
    if len(signed) != SIGNATURE_BYTES or signed[: len(MAGIC)] != MAGIC:
        raise UnsignedError("The message is none of this protocol.")
    if not hmac.compare_digest(signature(key, direction, header, payloads), signed):
        raise UnsignedError("The message is not signed with the key of this server.")


def encode(
    key: bytes, direction: bytes, type_: str, session: str, seq: int, fields: Mapping[str, Any], arrays: Sequence[Array]
) -> list[Buffer]:
    """The frames of one message; payloads are not copied. Raises `WireError` on arrays that contradict themselves."""
    header = {"type": type_, "session": session, "seq": seq, **fields}
    if arrays:
        header["arrays"] = [
            {"name": array.name, "dtype": array.dtype, "shape": list(array.shape)}
            for array in (array.check() for array in arrays)
        ]
    packed, payloads = packb(header), [array.data for array in arrays]
    return [signature(key, direction, packed, payloads), packed, *payloads]


def decode(key: bytes, direction: bytes, frames: Sequence[Buffer]) -> tuple[dict[str, Any], list[Array]]:
    """Header and arrays of one received message.

    Raises `UnsignedError` before anything is decoded where the limits or the signature are wrong, and `WireError` on
    a signed message that is malformed.
    """
    verify(key, direction, frames)
    _, packed, *payloads = frames
    try:
        header = unpackb(packed, raw=False)
    except Exception:  # msgpack raises many kinds; all say that this is not msgpack
        raise WireError("The header is not msgpack.") from None
    if not isinstance(header, dict) or not isinstance(header.get("type"), str) or type(header.get("seq")) is not int:
        raise WireError("The header is not a map with type and seq.")
    described = header.get("arrays", [])
    if not isinstance(described, list) or len(described) != len(payloads):
        raise WireError(f"The header does not describe the {len(payloads)} arrays of its message.")
    try:
        arrays = [
            Array(str(entry["name"]), str(entry["dtype"]), tuple(entry["shape"]), payload).check()
            for entry, payload in zip(described, payloads)
        ]
    except (KeyError, TypeError):
        raise WireError("The header describes an array without name, dtype or shape.") from None
    return header, arrays
