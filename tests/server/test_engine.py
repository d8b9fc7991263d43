"""The real engine with a small network: a fill end to end, and the steps when memory runs out."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import cv2
import numpy as np
import pytest
import torch

from dgfnet import inpainting, model
from dgfnet.errors import Cancelled
from server import engine as engine_module
from server.client.errors import InpaintError
from server.engine import NetworkEngine, choose_device, load_engine
from server.options import FILL_OPTIONS, RTV_OPTIONS
from server.worker import NoEngine


@pytest.fixture(scope="module")
def real_engine():
    torch.manual_seed(0)
    config = model.DGFNetConfig(width=0.125, detail_width=0.125, recurrences=1)
    return NetworkEngine(model.DGFNet(config).eval(), torch.device("cpu"), "random", "/random.safetensors", "0" * 64)


def test_a_job_through_server_and_network(run_server, real_engine, photo, mask):
    stages = []
    with run_server(lambda: real_engine).client() as client:
        (layer,), report = client.submit(photo, mask, progress=lambda stage, _: stages.append(stage))
        (coarse, texture), group_report = client.submit(
            photo, mask, options={"output": "group", "texture_strength": 0.25}
        )
    expected = inpainting.Inpainter(real_engine._network).fill(photo, mask).compose(photo)
    x, y, (height, width) = layer.x, layer.y, layer.pixels.shape[:2]
    inside = mask[y : y + height, x : x + width] == 255
    np.testing.assert_array_equal(layer.pixels[..., :3][inside], expected[y : y + height, x : x + width][inside])
    total = coarse.pixels[..., :3].astype(int) + texture.pixels[..., :3] - 127
    np.testing.assert_array_equal(total[inside], layer.pixels[..., :3][inside])
    assert texture.opacity == 0.25
    assert group_report["options"]["texture_strength"] == 0.25
    assert report["weights"] == {"name": "random", "sha256": "0" * 64}
    assert report["notes"] == []
    assert any("Filling" in stage for stage in stages)


@pytest.mark.parametrize(
    ("task", "options"),
    [
        ("inpaint", {}),
        ("inpaint", {"output": "group", "grow": 2, "texture_strength": 0.5}),
        ("texture", {"sigma": 2}),
    ],
)
def test_a_report_sent_back_gives_the_same_layers(run_server, real_engine, photo, mask, task, options):
    image = (photo / np.float32(255)).astype(np.float16)
    hole = mask if task == "inpaint" else None
    with run_server(lambda: real_engine).client() as client:
        layers, report = client.submit(image, hole, task, options, "linear")
        again, same = client.submit(image, hole, task, report["options"], report["space"])
    known = {"inpaint": (*FILL_OPTIONS, "output"), "texture": RTV_OPTIONS}
    assert set(report["options"]) == set(known[task])
    assert (report["options"], report["space"]) == (same["options"], "linear")
    for one, other in zip(layers, again, strict=True):
        assert one.fields() == other.fields()
        np.testing.assert_array_equal(one.pixels, other.pixels)


OPENCV_IS_OUT_OF_MEMORY = (
    "OpenCV(5.0.0) /io/opencv/modules/core/src/alloc.cpp:73: error: (-4:Insufficient memory) "
    "Failed to allocate 14400000000 bytes in function 'OutOfMemoryError'\n"
)


class OutOfMemoryInpainter(inpainting.Inpainter):
    """Needs more than there is until the crop is at most `enough` wide, or always for None."""

    fault: Exception = torch.OutOfMemoryError("CUDA out of memory.")
    enough: int | None = 256
    tried: ClassVar[list[int]] = []

    def fill(self, *arguments):
        self.tried.append(self.max_side)
        if self.enough is None or self.max_side > self.enough:
            raise self.fault
        return super().fill(*arguments)


@pytest.fixture
def little_memory(monkeypatch):
    monkeypatch.setattr(engine_module, "Inpainter", OutOfMemoryInpainter)
    monkeypatch.setattr(OutOfMemoryInpainter, "tried", [])
    return OutOfMemoryInpainter


@pytest.mark.parametrize(
    "fault",
    [torch.OutOfMemoryError("CUDA out of memory."), MemoryError(), cv2.error(OPENCV_IS_OUT_OF_MEMORY)],
    ids=lambda fault: type(fault).__name__,
)
def test_out_of_memory_goes_down_the_ladder_and_says_so(real_engine, photo, mask, little_memory, monkeypatch, fault):
    monkeypatch.setattr(little_memory, "fault", fault)
    outcome = real_engine.inpaint(photo, mask, {}, False, lambda stage, fraction: None)
    assert little_memory.tried == [512, 512, 384, 256]
    assert outcome.notes[-1] == "Filled at a lower scale, at most 256 network pixels wide."


def test_out_of_memory_everywhere_is_told(run_server, real_engine, photo, mask, little_memory, monkeypatch):
    monkeypatch.setattr(little_memory, "enough", None)
    with run_server(lambda: real_engine).client() as client:
        with pytest.raises(Exception, match="not enough memory") as refused:
            client.submit(photo, mask)
        assert refused.value.code == "out_of_memory"
        monkeypatch.setattr(little_memory, "enough", 512)
        assert client.submit(photo, mask)[0]


class SpoilingInpainter(inpainting.Inpainter):
    """Finds no memory a few times, and like oneDNN nothing more for ever after in a thread where that happened."""

    shortages = 0
    thread = threading.local()

    def fill(self, *arguments):
        if type(self).shortages:
            type(self).shortages -= 1
            self.thread.spoilt = True
        if hasattr(self.thread, "spoilt"):
            raise RuntimeError("could not create a primitive")
        return super().fill(*arguments)


def test_memory_that_ran_out_once_harms_no_later_step_or_job(run_server, real_engine, photo, mask, monkeypatch):
    monkeypatch.setattr(engine_module, "Inpainter", SpoilingInpainter)
    with run_server(lambda: real_engine).client() as client:
        monkeypatch.setattr(SpoilingInpainter, "shortages", 1)
        assert client.submit(photo, mask)[1]["notes"] == ["Freed the cached memory and tried again."]
        monkeypatch.setattr(SpoilingInpainter, "shortages", 4)
        with pytest.raises(InpaintError) as refused:
            client.submit(photo, mask)
        assert refused.value.code == "out_of_memory"
        assert client.submit(photo, mask)[1]["notes"] == []


def test_cancel_reaches_the_network(real_engine, photo, mask):
    def stop(stage, fraction):
        if fraction > 0:
            raise Cancelled

    with pytest.raises(Cancelled):
        real_engine.inpaint(photo, mask, {}, False, stop)


def test_other_errors_are_not_taken_for_memory(real_engine, photo, mask, monkeypatch):
    monkeypatch.setattr(OutOfMemoryInpainter, "fill", lambda *_: (_ for _ in ()).throw(RuntimeError("wrong size")))
    monkeypatch.setattr(engine_module, "Inpainter", OutOfMemoryInpainter)
    with pytest.raises(RuntimeError, match="wrong size"):
        real_engine.inpaint(photo, mask, {}, False, lambda stage, fraction: None)


class CrowdedNetwork(model.DGFNet):
    """A network for which a GPU has no room."""

    def to(self, *arguments, **options):
        if "cuda" in str(arguments):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")
        return super().to(*arguments, **options)


@pytest.fixture
def full_gpu(monkeypatch):
    """A GPU that other programs fill."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _: "GPU")
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(engine_module, "fault_of", lambda _: RuntimeError("CUDA out of memory"))
    monkeypatch.setattr("dgfnet.filling.predictor.has_bfloat16", lambda _: False)
    config = model.DGFNetConfig(width=0.125, detail_width=0.125, recurrences=1)
    monkeypatch.setattr(model, "load_info", lambda _: SimpleNamespace(path=Path("/random"), sha256="0" * 64))
    monkeypatch.setattr(model, "label", lambda _: "random")
    monkeypatch.setattr(model, "load", lambda *_: CrowdedNetwork(config).eval())


def test_a_full_gpu_at_the_start_and_at_each_job_leaves_the_cpu(full_gpu, photo, mask):
    engine = load_engine("auto")
    assert engine.device == "cuda (GPU)"
    for _ in range(2):
        outcome = engine.inpaint(photo, mask, {}, False, lambda stage, fraction: None)
        assert outcome.notes[-1] == "Filled on the CPU."
        assert np.isfinite(outcome.fill.fill).all()


@pytest.mark.parametrize(
    "words",
    [
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_HOST_ALLOCATION_FAILED",
        "[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: you tried",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 123 bytes.",
        "std::bad_alloc",
        "could not create a primitive",
        "can't start new thread",
        OPENCV_IS_OUT_OF_MEMORY,
    ],
)
def test_every_allocators_words_are_known_and_texture_maps_say_so(run_server, real_engine, photo, monkeypatch, words):
    def maps(*_, **__):
        raise RuntimeError(words)

    monkeypatch.setattr(engine_module, "texture_maps", maps)
    with run_server(lambda: real_engine).client() as client, pytest.raises(InpaintError) as refused:
        client.submit(photo, task="texture")
    assert refused.value.code == "out_of_memory"


class LosingInpainter(OutOfMemoryInpainter):
    """Finds that a kernel has failed."""

    def fill(self, *arguments):
        raise torch.AcceleratorError("CUDA error: unspecified launch failure\nSearch for `cudaErrorLaunchFailure'.")


@pytest.fixture
def losing_engine(monkeypatch):
    """An engine whose device fails for good within a job: of the device `meta`, too, no value ever comes back."""
    monkeypatch.setattr(engine_module, "Inpainter", LosingInpainter)
    engine = NetworkEngine(
        model.DGFNet(model.DGFNetConfig(0.125, 0.125)), torch.device("cpu"), "random", "/random.safetensors", "0" * 64
    )
    engine._device = torch.device("meta")
    return engine


def test_a_lost_device_ends_the_server_and_its_jobs_are_told_to_try_again(run_server, losing_engine, photo, mask):
    server = run_server(lambda: losing_engine)
    with server.client() as client, server.client() as other:
        with pytest.raises(InpaintError) as lost:
            client.submit(photo, mask)
        assert lost.value.code == "device_lost"
        assert "(CUDA error: unspecified launch failure)." in lost.value.message
        assert lost.value.action.startswith("Try again")
        with pytest.raises(InpaintError) as ended:
            other.submit(photo, mask)
        assert ended.value.code == "shutting_down"
    server.thread.join(10)
    assert server.ended is True


def test_a_device_that_still_answers_is_not_lost(losing_engine, photo, mask):
    losing_engine._device = torch.device("cpu")
    with pytest.raises(torch.AcceleratorError):
        losing_engine.inpaint(photo, mask, {}, False, lambda stage, fraction: None)


def test_a_device_that_is_not_there():
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(NoEngine, match="toaster"):
        choose_device("toaster")
    if not torch.backends.mps.is_available():
        with pytest.raises(NoEngine) as caught:
            choose_device("mps")
        assert len(str(caught.value)) < 200


def test_a_gpu_that_refuses_to_work_is_named(monkeypatch):
    monkeypatch.setattr(engine_module, "default_device", lambda: "toaster")  # no value ever comes from one
    with pytest.raises(NoEngine, match=r"The device toaster cannot be used \(.+\)\."):
        choose_device("auto")


def test_weights_that_are_not_there():
    with pytest.raises(NoEngine, match="none-such"):
        load_engine("cpu", "none-such")


def test_two_training_runs_are_told_apart(tmp_path):
    """All runs write `weights.safetensors`; people read the name of the run."""
    config, engines = model.DGFNetConfig(width=0.125, detail_width=0.125, recurrences=1), []
    for run in ("first", "second"):
        (tmp_path / run).mkdir()
        path = tmp_path / run / "weights.safetensors"
        model.save(model.DGFNet(config), path)
        engines.append(load_engine("cpu", str(path)))
        assert (engines[-1].weights, engines[-1].weights_path) == (run, str(path))
    assert engines[0].weights_sha256 != engines[1].weights_sha256


def test_the_shipped_weights_load(photo, mask):
    if not model.available():
        pytest.skip("no weights are shipped yet")
    outcome = load_engine("cpu").inpaint(photo, mask, {}, False, lambda stage, fraction: None)
    assert np.isfinite(outcome.fill.fill).all()


@pytest.mark.parametrize("problem", [torch.OutOfMemoryError("CUDA out of memory."), RuntimeError("wrong size"), None])
def test_texture_maps_are_made_on_the_device_and_on_the_cpu_if_that_is_full(photo, monkeypatch, problem):
    asked = []

    def maps(image, progress, device="cpu", **options):
        asked.append(str(device))
        if device != "cpu" and problem is not None:
            raise problem
        return image, image

    engine = NetworkEngine(
        model.DGFNet(model.DGFNetConfig(0.125, 0.125)), torch.device("cpu"), "random", "/random.safetensors", "0" * 64
    )
    engine._device = torch.device("cuda")
    monkeypatch.setattr(engine_module, "texture_maps", maps)
    monkeypatch.setattr(engine_module, "_answers", lambda device: True)
    if str(problem) == "wrong size":
        with pytest.raises(RuntimeError, match="wrong size"):
            engine.structure(photo, {}, lambda stage, fraction: None)
    else:
        split = engine.structure(photo, {}, lambda stage, fraction: None)
        assert split.structure is photo
        assert split.notes == ([] if problem is None else ["Split on the CPU."])
        assert asked == (["cuda"] if problem is None else ["cuda", "cpu"])
