"""What the artist can choose, and how it is kept between sessions."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any, Callable, Mapping

GROUP = "dgfnet_inpaint"  # in kritarc
OUTPUTS = ("layer", "group")
SOURCES = ("layer", "visible")
MAX_VARIATION = 9999


@dataclass(frozen=True)
class Settings:
    """One set of choices; all but `source` as on the wire. No widget shows `variation`: *Another* draws it."""

    output: str = "layer"
    source: str = "layer"
    context: float = 1.0
    grow: int = 0
    feather: float = 0.0
    texture_strength: float = 1.0
    patches: float = 1.0
    variation: int = 0

    def as_map(self) -> dict[str, Any]:
        """For the layer's record."""
        return asdict(self)


LIMITS = {
    "context": (0.25, 16.0),
    "grow": (0, 1000),
    "feather": (0.0, 1000.0),
    "texture_strength": (0.0, 1.0),
    "patches": (0.0, 1.0),
    "variation": (0, MAX_VARIATION),
}
_WHOLE = ("grow", "variation")


def from_map(values: Mapping[str, Any]) -> Settings:
    """Settings from text or numbers; what is missing, unknown or out of range takes its default or its limit."""
    known: dict[str, Any] = {}
    for field in fields(Settings):
        text = values.get(field.name)
        if field.name in LIMITS:
            low, high = LIMITS[field.name]
            try:
                number = min(max(float(str(text)), low), high)
            except ValueError:
                continue
            known[field.name] = round(number) if field.name in _WHOLE else number
        elif text in (OUTPUTS if field.name == "output" else SOURCES):
            known[field.name] = text
    return Settings(**known)


def load(read: Callable[[str, str, str], str]) -> Settings:
    """Settings as Krita's `readSetting(group, name, default)` gives them."""
    return from_map({field.name: read(GROUP, field.name, "") for field in fields(Settings)})


def save(settings: Settings, write: Callable[[str, str, str], Any]) -> None:
    """Hand them to Krita's `writeSetting(group, name, value)`."""
    for name, value in settings.as_map().items():
        write(GROUP, name, str(value))
