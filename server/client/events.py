"""What the server tells a client, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, NamedTuple, Union

from .errors import InpaintError
from .geometry import Bounds
from .zmtp import Buffer


@dataclass(frozen=True)
class Welcome:
    """The server knows us; jobs may be submitted. `device` and `weights` are empty while the network is loaded."""

    instance: str
    server: str
    device: str
    weights: str
    limits: Mapping[str, int]


@dataclass(frozen=True)
class Accepted:
    """The job waits in the queue behind `ahead` others."""

    job: str
    ahead: int


@dataclass(frozen=True)
class Progress:
    """How far the job is: short English text and 0 to 1."""

    job: str
    stage: str
    fraction: float


class Layer(NamedTuple):
    """One layer to add; `pixels` are rows of grey, alpha or R, G, B, alpha in the submitted picture's dtype."""

    name: str
    role: str
    bounds: Bounds  # in the submitted picture
    blend: str
    opacity: float
    dtype: str
    channels: int
    pixels: Buffer


@dataclass(frozen=True)
class Result:
    """The job is done: its layers, bottom first, and what a run needs to be repeated."""

    job: str
    layers: tuple[Layer, ...]
    report: Mapping[str, Any]


@dataclass(frozen=True)
class JobCancelled:
    """The job has stopped because it was cancelled."""

    job: str


@dataclass(frozen=True)
class Failed:
    """A job failed, or, with an empty `job`, what was asked last; `InpaintError` says why and what to do."""

    job: str
    error: InpaintError


@dataclass(frozen=True)
class Closed:
    """The connection is over, for the reason in `error`; every job has failed with it."""

    error: InpaintError


@dataclass(frozen=True)
class Pong:
    """The server is alive."""


@dataclass(frozen=True)
class State:
    """The answer to a status question: docs/protocol.md, STATE."""

    fields: Mapping[str, Any]


Event = Union[Welcome, Accepted, Progress, Result, JobCancelled, Failed, Closed, Pong, State]
