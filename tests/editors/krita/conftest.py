"""One Krita session for all tests of this folder: it runs every case, the tests look at what it found."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

SESSION_SECONDS = 1200


def load(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec
        assert spec.loader
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


harness = load("krita_harness")


class Session:
    """What one run of Krita found."""

    def __init__(self, setup: Any, reports: dict[str, Any], weights: Path) -> None:
        self.setup, self.reports, self.weights = setup, reports, weights
        self.out = setup.folder / "out"

    def report(self, name: str) -> dict[str, Any]:
        """A case's report; fails the test where the case failed or never ran."""
        if name not in self.reports and self.setup.only:
            pytest.skip("not among the chosen cases")
        assert name in self.reports, self.reports["krita_ends_well"]["error"] or "the case never ran"
        report = self.reports[name]
        assert not report["error"], report["error"]
        return report

    def kept(self, name: str, array: str) -> bytes:
        """Raw pixels that a case wrote."""
        return (self.out / f"{name}.{array}").read_bytes()


@pytest.fixture(scope="session")
def photo() -> np.ndarray:
    """A real photograph, uint8 [240, 320, 3] RGB."""
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(data.astronaut()[:240, 100:420])


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with random weights: what is tested here is that its answer arrives unchanged."""
    import torch

    from dgfnet import model

    torch.manual_seed(3)
    network = model.DGFNet(model.DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2))
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    model.save(network.eval(), path)
    return path


@pytest.fixture(scope="session")
def krita(tmp_path_factory: pytest.TempPathFactory, photo: np.ndarray, tiny_weights: Path) -> Iterator[Session]:
    """The session; skips with the reason where there is no Krita.

    DGFNET_KRITA_ROOT: a folder with another Debian's Krita. DGFNET_KRITA_ONLY: parts of case names, comma between.
    DGFNET_KRITA_FROM: the folder of an earlier session, which is looked at again.
    """
    earlier = os.environ.get("DGFNET_KRITA_FROM")
    if earlier:  # look again at what an earlier session left
        setup = harness.Setup(Path(earlier), Path(), Path(), only="earlier")
        yield Session(setup, harness.read_reports(Path(earlier) / "out"), tiny_weights)
        return
    root = harness.other_root()
    reason = harness.missing(root)
    if reason:
        pytest.skip(reason)
    raw = np.dstack([photo[..., ::-1], np.full(photo.shape[:2], 255, np.uint8)])
    for last in (False, True):
        folder = tmp_path_factory.mktemp("krita")
        (folder / "photo").write_bytes(raw.tobytes())
        state = folder / "state"
        weights = shutil.copy(tiny_weights, folder)  # another Debian sees nothing but this folder
        harness.write_launch(state, weights)
        setup = harness.Setup(folder, folder / "photo", state, root, os.environ.get("DGFNET_KRITA_ONLY", ""))
        try:
            reports = harness.run(setup, SESSION_SECONDS)
        finally:
            harness.stop_server(state)
        ending = reports["krita_ends_well"]
        if last or not ending["crashed"]:
            break
        # Krita 5.1.5 itself dies now and then when a document is closed. One death is told, two are a failure.
        warnings.warn(f"Krita crashed and was started once more: {ending['error'][-300:]}", stacklevel=1)
    yield Session(setup, reports, tiny_weights)
