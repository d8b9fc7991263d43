"""The lines of both doctors, `install.py doctor` and `dgfnet doctor`. Standard library only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from server.client.errors import INSTALL

REINSTALL = f"Run `{INSTALL}`."
"""The fix for whatever is missing, damaged or out of date."""


class Check(NamedTuple):
    """One line of a doctor; an empty fix means that all is well."""

    name: str
    detail: str
    fix: str = ""


def report(found: Iterable[Check]) -> int:
    """Print each check as it is made; the number of problems."""
    problems = 0
    for check in found:
        problems += bool(check.fix)
        print(f"{'problem' if check.fix else 'ok':8} {check.name}: {check.detail}", flush=True)
        if check.fix:
            print(f"{'':8} -> {check.fix}")
    return problems
