"""The copy beside a plug-in: it stands alone, under another name, on every Python that an editor brings."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import msgpack
import pytest
from msgpack import fallback

from server.client import vendored

PACKAGE = Path(vendored.__file__).parent
SOURCES = sorted(PACKAGE.glob("*.py")) + [Path(msgpack.__file__).parent / name for name in vendored.MSGPACK_FILES]
PYTHONS = [f"python3.{minor}" for minor in range(8, 15)]

# A whole session in the copy: handshake, HELLO, WELCOME, SUBMIT, without a socket and without site-packages.
SCRIPT = """
import sys
from elsewhere.beside import events, pixels, session, transport, wire, zmtp
from elsewhere.beside.requests import InpaintRequest
heavy = {"numpy", "zmq", "torch", "msgpack", "server"} & set(sys.modules)
assert not heavy, heavy
key = bytes(32)
client = session.ClientSession(key, "test", 0.0)
ready = zmtp.command(b"READY", zmtp.metadata({b"Socket-Type": b"ROUTER"}))
assert client.receive_data(zmtp.GREETING + ready, 0.0) == []
hello = b"".join(bytes(c) for c in client.data_to_send())
assert b"HELLO" in hello
fields = {"protocol": 1, "instance": "i", "server": "s", "device": "d", "weights": "w", "limits": {"pixels": 9}}
frames = wire.encode(key, b"<", "WELCOME", client._id, 1, fields, [])
data = b"".join(bytes(c) for i, f in enumerate(frames) for c in zmtp.frame(f, int(i == 0)))
(welcome,) = client.receive_data(data, 0.1)
assert isinstance(welcome, events.Welcome), welcome
image = wire.Array("", "u2", (2, 3, 4), pixels.reorder(bytes(48), "u2", "BGRA", "RGBA"))
client.submit(InpaintRequest(image, wire.Array("", "u1", (2, 3), bytes(6)), context=1.5), 0.2)
client.tick(0.3)
print("fine", sys.version_info[1])
"""


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("plugin")
    vendored.copy_client(root / "elsewhere" / "beside")
    return root


def test_the_copy_holds_python_files_only(copied: Path) -> None:
    copy = copied / "elsewhere" / "beside"
    names = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    expected = {path.name for path in PACKAGE.glob("*.py")} - {"vendored.py"}
    assert names == expected | {os.path.join("_msgpack", name) for name in vendored.MSGPACK_FILES}


def pythons() -> list[Path]:
    """Every Python from 3.8 on this machine: on PATH, and where pyenv keeps them."""
    found = [Path(path) for name in PYTHONS if (path := shutil.which(name))]
    found += Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob("versions/3.*/bin/python3")
    found = [path for path in found if ".pyenv/shims" not in str(path)]
    usable = [path for path in found if not re.search(r"versions/3\.[0-7]\.", str(path))]
    return [Path(sys.executable), *sorted(set(usable))]


@pytest.mark.parametrize("python", pythons(), ids=str)
def test_the_copy_runs_alone(copied: Path, python: Path) -> None:
    environment = {"PYTHONPATH": str(copied), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [python, "-S", "-s", "-c", SCRIPT], env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("fine")


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_the_sources_are_python_3_8_and_import_nothing_foreign(source: Path) -> None:
    tree = ast.parse(source.read_text(encoding="utf-8"), feature_version=(3, 8))
    absolute = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    absolute |= {str(node.module) for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level}
    tops = {name.partition(".")[0] for name in absolute}
    assert tops <= set(sys.stdlib_module_names) | {"msgpack", "__pypy__"}


def test_pure_msgpack_writes_the_bytes_of_the_compiled_one() -> None:
    header = {"type": "SUBMIT", "seq": 2**40, "options": {"context": 1.5, "x": -3}, "arrays": [{"shape": [4, 5, 3]}]}
    assert fallback.Packer().pack(header) == msgpack.packb(header)


def test_an_older_copy_is_replaced_and_a_foreign_folder_is_not(tmp_path: Path) -> None:
    vendored.copy_client(tmp_path / "copy")
    (tmp_path / "copy" / "old.py").touch()
    vendored.copy_client(tmp_path / "copy")
    assert not (tmp_path / "copy" / "old.py").exists()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "picture.xcf").touch()
    with pytest.raises(vendored.VendorError, match="holds other files"):
        vendored.copy_client(tmp_path / "own")
    assert (tmp_path / "own" / "picture.xcf").exists()
    (tmp_path / "file").touch()
    with pytest.raises(vendored.VendorError, match="cannot be written"):
        vendored.copy_client(tmp_path / "file" / "copy")


def test_a_missing_msgpack_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vendored.util, "find_spec", lambda name: None)
    with pytest.raises(vendored.VendorError, match=r"install\.py"):
        vendored.copy_client(tmp_path / "copy")
    assert not (tmp_path / "copy").exists()
