"""What a run was asked and what it was done with: plain data, kept as JSON in a parasite on the result."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

PARASITE = "dgfnet-inpaint"
VERSION = 1
OUTPUTS = ("layer", "group", "copy")
MAX_VARIATION = 9999
SAMPLES = ("layer", "visible")
RANGES = {
    "context": (0.0, 16.0),
    "grow": (0, 1000),
    "feather": (0.0, 1000.0),
    "texture_strength": (0.0, 1.0),
    "patches": (0.0, 1.0),
    "variation": (0, MAX_VARIATION),
}


class BadRecord(ValueError):
    """A parasite that cannot be used; one sentence."""


@dataclass(frozen=True)
class Settings:
    """What the artist chooses.

    `output`: ``layer``, ``group`` (coarse and texture) or ``copy`` (a copy of the source with the fill in it).
    `sample`: what is looked at, the ``layer`` or what is ``visible``. `context`: margin around the hole, times its
    thickness. `grow` and `feather`: pixels. `texture_strength` and `patches` (copied detail): 0 to 1.
    `variation`: which of many fills of the hole.
    """

    output: str = "layer"
    sample: str = "layer"
    context: float = 1.0
    grow: int = 0
    feather: float = 0.0
    texture_strength: float = 1.0
    patches: float = 1.0
    variation: int = 0

    def __post_init__(self) -> None:
        """Refuse what no dialog can hold: scripts and parasites may say anything."""
        for name, allowed in (("output", OUTPUTS), ("sample", SAMPLES)):
            if getattr(self, name) not in allowed:
                raise BadRecord(f"{name} is {getattr(self, name)!r}; it must be one of {', '.join(allowed)}.")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
                raise BadRecord(f"{name} is {value!r}; it must be a number from {low:g} to {high:g}.")


@dataclass(frozen=True)
class Record:
    """How a result came about.

    `source` is the identity of the layer that it was made from (see `records`; empty: unknown), `exclude` that of the
    channel whose area was left out (empty: none), `hole` where the mask came from, `mask` its digest in a copy under
    whose fill nothing but the source lies (else empty), `report` the server's own words, `began` when it was (seconds
    since 1970), `seconds` what it took to read the picture, have it filled, make layers.
    """

    settings: Settings
    source: str = ""
    exclude: str = ""
    hole: str = "selection"
    mask: str = ""
    report: dict[str, Any] = field(default_factory=dict)
    began: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)

    def to_json(self) -> bytes:
        """UTF-8, for a parasite."""
        return json.dumps({"version": VERSION, **asdict(self)}, sort_keys=True).encode()

    @classmethod
    def from_json(cls, data: bytes) -> Record:
        """Undo `to_json`; keys that are not known are skipped. Raises `BadRecord`."""
        try:
            content = json.loads(bytes(data).rstrip(b"\0").decode())
            if content["version"] != VERSION:
                raise BadRecord("These settings were kept by another version of the plug-in.")
            kept = {name: content["settings"][name] for name in _names(Settings) if name in content["settings"]}
            return cls(
                Settings(**kept),
                str(content.get("source", "")),
                str(content.get("exclude", "")),
                str(content.get("hole", "selection")),
                str(content.get("mask", "")),
                dict(content.get("report", {})),
                float(content.get("began", 0)),
                dict(content.get("seconds", {})),
            )
        except BadRecord:
            raise
        except (ValueError, KeyError, TypeError):
            raise BadRecord("The settings that are kept with this layer cannot be read.") from None


def _names(kind: type) -> list[str]:
    return [each.name for each in fields(kind)]
