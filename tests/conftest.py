"""Nothing that a test starts or writes may meet the user's own server: each run gets a state folder of its own."""

from __future__ import annotations

import os

import pytest

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):
    # Several processes share the cores; each with threads for all of them would mostly wait for the others.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))


@pytest.fixture(scope="session", autouse=True)
def own_state_folder(tmp_path_factory: pytest.TempPathFactory) -> object:
    """Point $DGFNET_HOME (docs/protocol.md, Connection file) at an empty folder for the whole run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DGFNET_HOME", str(tmp_path_factory.mktemp("state")))
        yield
