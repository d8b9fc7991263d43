"""The command: what it writes, what it says, how it ends. Weights are tiny random ones, made here."""

import errno
import io
import os
import pathlib
import subprocess
import sys
import threading
import time
import unicodedata
from contextlib import nullcontext
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from dgfnet import pictures
from dgfnet.batch import find_jobs
from dgfnet.cli import _server_checks, main
from dgfnet.errors import Cancelled, FileError, PictureError, UsageError, said_to_the_user
from dgfnet.inpainting import FillOptions, Inpainter
from dgfnet.model import DGFNet, DGFNetConfig, WeightsError, load, save
from dgfnet.pixels import Picture, from_float
from dgfnet.trial import seam_step
from server.client.errors import INSTALL, InpaintError
from server.client.events import Layer, Result
from server.client.geometry import Bounds
from server.private import write_private


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save(DGFNet(DGFNetConfig(width=0.125, detail_width=0.125, recurrences=2)), path)
    return str(path)


def photo(seed=0, dtype=np.uint8, channels=3):
    y, x = np.mgrid[:80, :100]
    waves = np.stack([0.5 + 0.3 * np.sin((x + seed + 9 * c) / 11) * np.cos(y / 13) for c in range(channels)], axis=-1)
    return from_float(waves, dtype)


def hole():
    mask = np.zeros((80, 100), np.uint8)
    mask[30:50, 40:60] = 255
    return mask


def put(path, pixels, **extra):
    path.parent.mkdir(parents=True, exist_ok=True)
    pictures.write(path, Picture(pixels, **extra))
    return str(path)


def test_help_is_fast_because_it_loads_nothing_heavy():
    code = "import sys, dgfnet.cli as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "print({'torch', 'numpy', 'zmq', 'cv2', 'PIL'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.rstrip().endswith("set()")
    assert "inpaint" in done.stdout


@pytest.mark.parametrize(("dtype", "suffix"), [(np.uint8, ".png"), (np.uint16, ".tiff")])
def test_inpaint_changes_the_hole_alone(tmp_path, weights, dtype, suffix, capsys):
    before = photo(dtype=dtype)
    source = put(tmp_path / f"a{suffix}", before, dpi=(300.0, 300.0))
    out = tmp_path / "new" / f"out{suffix}"
    assert main(["inpaint", source, put(tmp_path / "m.png", hole()), "-o", str(out), "--weights", weights]) == 0
    after = pictures.read(out)
    assert after.pixels.dtype == dtype
    assert after.dpi == pytest.approx((300, 300), rel=1e-3)
    np.testing.assert_array_equal(after.pixels[hole() == 0], before[hole() == 0])
    assert (after.pixels[hole() > 0] != before[hole() > 0]).any()
    assert str(out) in capsys.readouterr().out


def test_options_reach_the_fill(tmp_path, weights, monkeypatch):
    """Seen at the fill itself: random weights answer with one colour, in which a texture strength cannot show."""
    source, mask = put(tmp_path / "a.png", photo()), put(tmp_path / "m.png", hole())
    seen, original = [], Inpainter.fill

    def fill(self, image, mask, options=None, progress=None):
        seen.append(options)
        return original(self, image, mask, options, progress)

    monkeypatch.setattr(Inpainter, "fill", fill)
    command = ["inpaint", source, mask, "-o", str(tmp_path / "out.png"), "--weights", weights]
    assert main(command) == 0
    every = ["--context", "2", "--grow", "4", "--feather", "1.5", "--texture-strength", "0.25"]
    every += ["--patches", "0.5"]
    assert main([*command, *every]) == 0
    assert seen == [FillOptions(), FillOptions(2.0, 4, 1.5, 0.25, 0.5)]
    assert main([*command, "--grow", "-1"]) == 1


def test_folders_go_on_after_a_failure_and_resume(tmp_path, weights, capsys):
    for name in ("one", "two", "three", "four"):
        put(tmp_path / "in" / f"{name}.png", photo(len(name)))
    (tmp_path / "in" / "notes.txt").write_text("not a picture")
    put(tmp_path / "masks" / "one.tiff", hole())
    put(tmp_path / "masks" / "two.png", hole()[:-1])
    put(tmp_path / "masks" / "three.png", hole())
    command = ["inpaint", *(str(tmp_path / name) for name in ("in", "masks")), "-o", str(tmp_path / "out")]
    assert main([*command, "--weights", weights]) == 1
    said = capsys.readouterr()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["one.png", "three.png"]
    assert "2 of 4 pictures filled" in said.out
    assert said.err.count("dgfnet: ") == 2
    assert "no mask" in said.err
    assert "80 pixels" in said.err or "79" in said.err
    assert f"dgfnet: {tmp_path / 'in' / 'two.png'}: " in said.err
    first = (tmp_path / "out" / "one.png").stat().st_mtime_ns
    put(tmp_path / "masks" / "two.png", hole())
    put(tmp_path / "masks" / "four.png", hole())
    assert main([*command, "--weights", weights]) == 0
    assert (tmp_path / "out" / "one.png").stat().st_mtime_ns == first
    assert "2 of 2" in capsys.readouterr().out
    assert main([*command, "--weights", weights]) == 0
    assert "already" in capsys.readouterr().out
    assert main([*command, "--weights", weights, "--overwrite"]) == 0
    assert (tmp_path / "out" / "one.png").stat().st_mtime_ns != first


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_nothing_more_is_filled_where_nothing_more_can_be_written(tmp_path, weights, monkeypatch, capsys, number):
    for name in ("a", "b", "c", "d"):
        put(tmp_path / "in" / f"{name}.png", photo())
        put(tmp_path / "masks" / f"{name}.png", hole())
    filled, written, replace = [], [], os.replace

    def fill(self, image, mask, *_):
        filled.append(image)
        return Filled()

    class Filled:
        def compose(self, image):
            return image

    def place(part, path):
        written.append(path)
        if len(written) == 2:
            raise OSError(number, os.strerror(number))
        replace(part, path)

    monkeypatch.setattr(Inpainter, "fill", fill)
    monkeypatch.setattr(os, "replace", place)
    command = ["inpaint", *(str(tmp_path / name) for name in ("in", "masks")), "-o", str(tmp_path / "out")]
    assert main([*command, "--weights", weights]) == 1
    said = capsys.readouterr()
    assert len(filled) == 2
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]
    assert "Pictures left undone: 2. Make room" in said.err
    assert said.err.count("dgfnet: ") == 2
    assert "1 of 4 pictures filled." in said.out


def test_a_folder_that_cannot_be_written_to_is_told_once(tmp_path, weights, monkeypatch, capsys):
    """Before anything is read, and not for each picture."""
    for name in ("a", "b", "c"):
        put(tmp_path / "in" / f"{name}.png", photo())
        put(tmp_path / "masks" / f"{name}.png", hole())
    monkeypatch.setattr(pictures, "read", pytest.fail)
    (tmp_path / "file").write_text("no folder")
    out = tmp_path / "file" / "out"
    command = ["inpaint", *(str(tmp_path / name) for name in ("in", "masks")), "-o", str(out), "--weights", weights]
    assert main(command) == 1
    assert capsys.readouterr().err == f"dgfnet: Nothing can be written to {out}. Choose another place.\n"


@pytest.mark.parametrize("out", ["in", "masks", "in/../masks"])
def test_fills_do_not_go_among_their_inputs(tmp_path, out):
    """The next run would take them for photographs or masks."""
    (tmp_path / "in").mkdir()
    Image.fromarray(photo()).save(tmp_path / "in" / "a.bmp")
    put(tmp_path / "masks" / "a.tiff", hole())
    with pytest.raises(PictureError, match="The fills would lie among the files in"):
        find_jobs(tmp_path / "in", tmp_path / "masks", tmp_path / out, overwrite=False)


def test_a_link_does_not_lead_a_fill_into_another_photograph(tmp_path):
    for name in ("a", "b"):
        put(tmp_path / "in" / f"{name}.png", photo())
        put(tmp_path / "masks" / f"{name}.png", hole())
    (tmp_path / "out").mkdir()
    try:
        (tmp_path / "out" / "b.png").symlink_to(tmp_path / "in" / "a.png")
    except OSError:
        pytest.skip("this system has no links for its users")
    with pytest.raises(PictureError, match=r"b\.png would be overwritten by a fill\."):
        find_jobs(tmp_path / "in", tmp_path / "masks", tmp_path / "out", overwrite=True)


def test_folders_are_matched_by_what_names_say(tmp_path):
    """Accents may be letters of their own in one folder; the hidden files that macOS leaves are no pictures."""
    apart, composed = unicodedata.normalize("NFD", "café"), unicodedata.normalize("NFC", "café")
    put(tmp_path / "in" / f"{apart}.png", photo())
    put(tmp_path / "masks" / f"{composed}.tiff", hole())
    for folder in ("in", "masks"):
        (tmp_path / folder / f"._{apart}.png").write_bytes(b"\0\5\x16\7")
    (job,) = find_jobs(tmp_path / "in", tmp_path / "masks", tmp_path / "out", overwrite=False)
    assert job.mask == next((tmp_path / "masks").glob("caf*"))
    assert job.out == tmp_path / "out" / f"{apart}.png"


OPENCV_IS_OUT_OF_MEMORY = cv2.error(
    "OpenCV(5.0.0) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes in function 'Out'"
)


@pytest.mark.parametrize(
    "fault",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB."),
        OPENCV_IS_OUT_OF_MEMORY,
        RuntimeError("could not create a primitive"),
    ],
    ids=lambda fault: type(fault).__name__,
)
def test_a_picture_without_enough_memory_costs_one_sentence(tmp_path, weights, monkeypatch, capsys, fault):
    for name in ("a", "b"):
        put(tmp_path / "in" / f"{name}.png", photo())
        put(tmp_path / "masks" / f"{name}.png", hole())
    fill, faults, thread = Inpainter.fill, [fault], threading.local()

    def crowded(*arguments):
        if faults:
            thread.spoilt = faults.pop()
        if hasattr(thread, "spoilt"):  # as oneDNN has it, nothing more can be done in this thread
            raise thread.spoilt
        return fill(*arguments)

    monkeypatch.setattr(Inpainter, "fill", crowded)
    command = ["inpaint", *(str(tmp_path / name) for name in ("in", "masks")), "-o", str(tmp_path / "out")]
    assert main([*command, "--weights", weights]) == 1
    said = capsys.readouterr()
    assert f"dgfnet: {tmp_path / 'in' / 'a.png'}: There is not enough memory. Close other programs" in said.err
    assert "1 of 2 pictures filled" in said.out


def test_a_picture_that_finds_no_memory_to_be_read_in_is_not_called_damaged(tmp_path, weights, monkeypatch, capsys):
    def decode(*_):
        raise OPENCV_IS_OUT_OF_MEMORY

    source, mask = put(tmp_path / "a.png", photo(dtype=np.uint16)), put(tmp_path / "m.png", hole())
    monkeypatch.setattr(cv2, "imdecode", decode)
    assert main(["inpaint", source, mask, "-o", str(tmp_path / "out.png"), "--weights", weights]) == 1
    assert "There is not enough memory." in capsys.readouterr().err


def test_a_full_device_is_not_called_absent(tmp_path, weights, monkeypatch, capsys):
    def full(*_, **__):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB.")

    monkeypatch.setattr(torch, "zeros", full)
    assert main(["texture", put(tmp_path / "a.png", photo()), "-o", str(tmp_path / "maps")]) == 1
    assert "There is not enough memory." in capsys.readouterr().err


def test_pictures_of_one_name_are_not_written_over_each_other(tmp_path, weights, capsys):
    for name in ("in/a.png", "masks/a.png"):
        put(tmp_path / name, hole())
    command = ["inpaint", *(str(tmp_path / name) for name in ("in", "masks")), "-o", str(tmp_path / "out")]
    Image.fromarray(hole()).save(tmp_path / "in" / "a.bmp")  # whose fill would be a.png too
    assert main([*command, "--weights", weights]) == 1
    (tmp_path / "in" / "a.bmp").rename(tmp_path / "masks" / "a.bmp")
    assert main([*command, "--weights", weights]) == 1
    assert capsys.readouterr().err.count("would be taken for one. Rename one of them.") == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["absent.png", "m.png", "-o", "o.png"], "no file"),
        (["a.png", "absent.png", "-o", "o.png"], "no file"),
        (["a.png", "empty.png", "-o", "o.png"], "Nothing is selected"),
        (["a.png", "m.png", "-o", "o.gif"], "ending"),
        (["a.png", "m.png", "-o", "a.png"], "overwritten"),
        (["a.png", ".", "-o", "o.png"], "do not go together"),
        ([".", "absent", "-o", "o"], "no file or folder absent"),
        (["text.png", "m.png", "-o", "o.png"], "dgfnet: text.png is not a picture"),
        (["a.png", "m.png", "-o", "a.png/o.png"], "Nothing can be written to a.png."),
        (["a.png", "m.png", "-o", "o.png", "--weights", "nowhere/dgfnet-narrow"], "no weights"),
        (["a.png", "m.png", "-o", "o.png", "--device", "cuda:99"], "no device"),
        (["a.png", "m.png", "-o", "o.png", "--weights", "nonsense"], "no weights"),
    ],
)
def test_mistakes_cost_one_sentence(tmp_path, monkeypatch, weights, capsys, arguments, says):
    monkeypatch.chdir(tmp_path)
    put(tmp_path / "a.png", photo())
    put(tmp_path / "m.png", hole())
    put(tmp_path / "empty.png", hole() * 0)
    (tmp_path / "text.png").write_text("hello")
    if "--weights" not in arguments:
        arguments = [*arguments, "--weights", weights]
    assert main(["inpaint", *arguments]) in (1, 2)
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert says in said[0]
    assert not (tmp_path / "o.png").exists()


def test_a_place_that_cannot_be_written_is_noticed_before_the_work(tmp_path, weights, monkeypatch, capsys):
    source, mask = put(tmp_path / "a.png", photo()), put(tmp_path / "m.png", hole())
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(Inpainter, "fill", None)
    monkeypatch.setattr("dgfnet.maps.texture_maps", None)
    assert main(["inpaint", source, mask, "-o", str(tmp_path / "out.png"), "--weights", weights]) == 1
    assert main(["texture", source, "-o", str(tmp_path / "maps")]) == 1
    assert capsys.readouterr().err.count("Nothing can be written to ") == 2


def test_names_that_the_terminal_cannot_show_are_no_fault(tmp_path, weights, monkeypatch):
    said = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", said)
    source, mask = put(tmp_path / "à.png", photo()), put(tmp_path / "m.png", hole())
    out = tmp_path / "öut.png"
    assert main(["inpaint", source, mask, "-o", str(out), "--weights", weights, "--patches", "0"]) == 0
    assert out.exists()
    said.flush()
    assert b"\\xf6ut.png" in said.buffer.getvalue()


def test_texture_maps_add_up(tmp_path, capsys):
    before = photo(dtype=np.uint16)
    assert main(["texture", put(tmp_path / "a.png", before), "-o", str(tmp_path / "maps"), "--sigma", "2"]) == 0
    structure, texture = (
        pictures.read(tmp_path / "maps" / f"a-{name}.png").pixels for name in ("structure", "texture")
    )
    assert structure.dtype == np.uint16
    np.testing.assert_array_equal(structure.astype(int) + texture - 32767, before)
    assert "32767" in capsys.readouterr().out


def test_texture_maps_are_made_on_the_device_that_is_asked_for(tmp_path, capsys):
    asked = ["texture", put(tmp_path / "a.png", photo()), "-o", str(tmp_path / "maps"), "--device"]
    assert main([*asked, "cuda:99"]) == 2
    assert "no device" in capsys.readouterr().err
    assert not (tmp_path / "maps").exists()
    assert main([*asked, "cpu"]) == 0


def test_import_of_an_rfr_checkpoint(tmp_path, capsys, monkeypatch):
    from dgfnet.network.rfr import _NAMES

    ours = DGFNet(DGFNetConfig(fusion="none")).coarse.state_dict()
    theirs = {}
    for key, value in ours.items():
        prefix = max((name for name in _NAMES.values() if key.startswith(name + ".") or key == name), key=len)
        original = next(old for old, new in _NAMES.items() if new == prefix)
        theirs[original + key[len(prefix) :]] = value
    torch.save({"generator": theirs}, tmp_path / "rfr.pth")
    out = tmp_path / "rfr.safetensors"
    assert main(["import-rfr", str(tmp_path / "rfr.pth"), "-o", str(out)]) == 0
    network = load(out)
    assert network.config.fusion == "none"
    assert all(torch.equal(value, ours[key]) for key, value in network.coarse.state_dict().items())
    assert main(["weights", "info", str(out)]) == 0
    assert "sha256" in capsys.readouterr().out
    (tmp_path / "bad.pth").write_bytes(b"hello")
    assert main(["import-rfr", str(tmp_path / "bad.pth"), "-o", str(out)]) == 1
    assert "cannot be read" in capsys.readouterr().err
    before, write = out.read_bytes(), pathlib.Path.write_bytes

    def full(path, data):
        write(path, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(pathlib.Path, "write_bytes", full)
    assert main(["import-rfr", str(tmp_path / "rfr.pth"), "-o", str(out)]) == 1
    assert f"'{out}' cannot be written (No space left on device); make room" in capsys.readouterr().err
    assert out.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.pth", "rfr.pth", "rfr.safetensors"]


def test_doctor_names_each_part(weights, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DGFNET_HOME", os.fspath(tmp_path))
    assert main(["doctor", "--weights", weights]) in (0, 1)  # random weights may fail the seam check
    said = capsys.readouterr().out
    for part in ("Python", "torch", "weights", "server"):
        assert part in said
    for line in said.splitlines():
        assert line.startswith(("ok ", "problem ", " " * 8 + " -> "))


@pytest.mark.parametrize("blocked", ["torch", "cv2", "tqdm"])
def test_doctor_names_a_package_that_cannot_be_imported(tmp_path, blocked):
    program = f"import sys; sys.modules[{blocked!r}] = None; from dgfnet.cli import main; sys.exit(main(['doctor']))"
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"DGFNET_HOME": os.fspath(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert f"import of {blocked} halted" in done.stdout
    assert f"Run `{INSTALL}`." in done.stdout
    assert "Traceback" not in done.stderr


def test_doctor_says_what_to_do_without_weights(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("DGFNET_HOME", os.fspath(tmp_path))
    assert main(["doctor", "--weights", "absent"]) == 1
    assert "problem  weights: There are no weights called 'absent'" in capsys.readouterr().out


@pytest.mark.skipif(os.name != "posix", reason="Windows locks in another way")
def test_doctor_asks_the_server(monkeypatch, tmp_path):
    import fcntl

    monkeypatch.setenv("DGFNET_HOME", os.fspath(tmp_path))
    (check,) = _server_checks()
    assert (check.detail, check.fix) == ("not running; it starts when it is needed", "")
    with open(tmp_path / "server.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        (check,) = _server_checks()
        assert (check.detail, check.fix) == ("is starting or ending", "")
        content = {"address": "tcp://127.0.0.1:1", "key": "00" * 32, "instance": "ab" * 16}  # nobody is there
        write_private(tmp_path / "connection.json", content)
        (check,) = _server_checks()
        assert (check.detail, check.fix) == ("it runs and does not answer", "Stop it with `dgfnet stop`.")
        (tmp_path / "connection.json").chmod(0o644)
        (check,) = _server_checks()
    assert "touched by others" in check.detail
    assert "chmod 600" in check.fix


def test_doctor_tells_of_a_state_folder_that_cannot_be_written(monkeypatch, tmp_path):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setenv("DGFNET_HOME", os.fspath(tmp_path))
    monkeypatch.setattr("json.dump", full)
    (check,) = _server_checks()
    assert (check.name, check.detail) == ("state folder", f"{tmp_path}: {os.strerror(errno.ENOSPC)}")
    assert "DGFNET_HOME" in check.fix


@pytest.mark.parametrize(
    ("fields", "detail", "fix"),
    [
        ({"model": "failed", "problem": "There are no weights called 'x'."}, "There are no weights", "`dgfnet stop`"),
        ({"model": "loading"}, "answers at 127.0.0.1:9", ""),
    ],
)
def test_doctor_tells_of_a_server_that_cannot_fill(monkeypatch, tmp_path, fields, detail, fix):
    session = SimpleNamespace(address=SimpleNamespace(host="127.0.0.1", port=9, log="x"))
    session.status = lambda: SimpleNamespace(fields=fields)
    monkeypatch.setenv("DGFNET_HOME", os.fspath(tmp_path))
    monkeypatch.setattr("server.locking.has_ended", lambda _: False)
    monkeypatch.setattr("dgfnet.cli._connect", lambda start: nullcontext(session))
    (check,) = _server_checks()
    assert check.detail.startswith(detail)
    assert bool(fix) == bool(check.fix)
    assert fix in check.fix


def test_a_gpu_that_refuses_to_work_is_not_taken_for_one_that_is_not_there(monkeypatch, tmp_path, weights, capsys):
    monkeypatch.setenv("DGFNET_HOME", os.fspath(tmp_path))
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("dgfnet.devices.fault_of", lambda _: RuntimeError("CUDA error: unknown error\nA page more."))
    source, mask = put(tmp_path / "a.png", photo()), put(tmp_path / "m.png", hole())
    assert main(["inpaint", source, mask, "-o", str(tmp_path / "o.png"), "--weights", weights]) == 1
    sentence = "The GPU does not work (CUDA error: unknown error). `--device cpu` uses the CPU."
    assert capsys.readouterr().err == f"dgfnet: {sentence}\n"
    assert main(["doctor", "--weights", weights]) == 1
    said = capsys.readouterr().out
    assert f"problem  device: {sentence}" in said
    assert "server: not running" in said


def test_the_server_fills_as_the_command_does(tmp_path, weights, capsys, monkeypatch):
    monkeypatch.setenv("DGFNET_HOME", os.fspath(tmp_path / "home"))
    source, mask = put(tmp_path / "a.png", photo(dtype=np.uint16)), put(tmp_path / "m.png", hole())
    assert main(["status"]) == 1
    assert "No server is running" in capsys.readouterr().err
    serving = subprocess.Popen(
        [sys.executable, "-m", "dgfnet.cli", "serve", "--weights", weights, "--device", "cpu", "--idle-minutes", "1"]
    )
    try:
        for _ in range(200):
            if (tmp_path / "home" / "connection.json").exists():
                break
            time.sleep(0.1)
        outs = [tmp_path / "local.png", tmp_path / "remote.png"]
        for out, extra in zip(outs, (["--weights", weights, "--device", "cpu"], ["--server"]), strict=True):
            assert main(["inpaint", source, mask, "-o", str(out), "--grow", "2", *extra]) == 0
        local, remote = (pictures.read(out).pixels for out in outs)
        assert local.dtype == remote.dtype == np.uint16
        assert (
            np.abs(local.astype(int) - remote).max() <= 64
        )  # 0.001 of full scale: threads may add up in another order
        assert main(["status"]) == 0
        assert "model: ready" in capsys.readouterr().out
        assert main(["stop"]) == 0
        assert serving.wait(20) == 0
    finally:
        serving.kill()


class Sessions:
    """In place of the server's clients: the server is stopped at the second picture; the next session starts one."""

    submitted = 0

    def __init__(self, *_):
        self.ended = False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self, request, on_progress):
        Sessions.submitted += 1
        self.ended = self.ended or Sessions.submitted == 2
        if self.ended:
            raise InpaintError("shutting_down", "The server has shut down.", "Please try again.")
        layer = Layer("fill", "fill", Bounds(40, 30, 20, 20), "normal", 1.0, "u1", 4, bytes([255]) * 1600)
        return Result("", (layer,), {})


def test_a_server_that_is_stopped_costs_one_picture(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("server.client.transport.connect", Sessions)
    for name in ("a", "b", "c"):
        put(tmp_path / "in" / f"{name}.png", photo())
        put(tmp_path / "masks" / f"{name}.png", hole())
    folders = (str(tmp_path / name) for name in ("in", "masks"))
    assert main(["inpaint", *folders, "-o", str(tmp_path / "out"), "--server"]) == 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a.png", "c.png"]
    assert (pictures.read(tmp_path / "out" / "c.png").pixels[30:50, 40:60] == 255).all()
    assert capsys.readouterr().err.count("shut down") == 1


def test_seam_step_measures_the_border_alone():
    picture, mask = np.zeros((10, 10, 3)), np.zeros((10, 10), bool)
    mask[3:6, 3:6] = True
    picture[mask] = 0.5
    picture[4, 4] = 9
    assert seam_step(picture, mask) == pytest.approx(0.5)


def test_wrong_usage_ends_with_two():
    with pytest.raises(SystemExit) as caught:
        main(["inpaint"])
    assert caught.value.code == 2


@pytest.mark.parametrize("threads", ["0", "-3", "some"])
@pytest.mark.parametrize(
    "command", [["inpaint", "a", "b", "-o", "c"], ["inpaint", "a", "b", "-o", "c", "--server"], ["doctor"]]
)
def test_threads_are_a_positive_number(command, threads, capsys):
    with pytest.raises(SystemExit) as caught:
        main([*command, "--threads", threads])
    assert caught.value.code == 2
    assert "--threads: must be a positive number; leave it out" in capsys.readouterr().err


def test_what_is_meant_for_the_user_is_said_and_bugs_are_not():
    for fault in (
        FileError("It is full."),
        UsageError("It is full."),
        WeightsError("It is full."),
        OSError("It is full."),
    ):
        assert said_to_the_user(fault) == "It is full."
    assert said_to_the_user(PictureError("bad_mask", "It is none.", "Draw one.")) == "It is none. Draw one."
    assert "not enough memory" in said_to_the_user(RuntimeError("CUDA out of memory"))
    for fault in (Cancelled(), ValueError("x"), RuntimeError("x")):
        assert said_to_the_user(fault) is None
