"""Jobs, queue, cancel, sessions and the end, over a real socket."""

from __future__ import annotations

import contextlib
import threading
import time
import weakref
from types import SimpleNamespace

import msgpack
import numpy as np
import pytest
import zmq

from dgfnet.errors import PictureError
from server import messages as m
from server import protocol
from server.client import wire
from server.client.errors import InpaintError
from server.worker import NoEngine

ID = "ab" * 16


def collect(client, jobs, seconds=10.0):
    """The last word of each of these jobs, and everything heard on the way."""
    heard, last = [], {}
    deadline = time.monotonic() + seconds
    while len(last) < len(jobs):
        received = client.receive(deadline - time.monotonic())
        assert received is not None, f"no last word for {len(jobs) - len(last)} jobs; heard {heard}"
        message = received[0]
        heard.append(message)
        if isinstance(message, (m.Result, m.Cancelled, m.Error)) and message.job in jobs:
            last[message.job] = message
    return last, heard


def post(client, image, mask, **options):
    job = protocol.new_id()
    client.send(m.Submit(job, "inpaint", "srgb", options), {"image": image, "mask": mask})
    return job


def test_a_layer_comes_back_at_its_place(client, photo, mask):
    stages = []
    layers, report = client.submit(photo, mask, progress=lambda stage, fraction: stages.append((stage, fraction)))
    (layer,) = layers
    assert (layer.name, layer.role, layer.x, layer.y, layer.blend) == ("Inpaint (DGFNet)", "fill", 10, 8, "normal")
    assert layer.pixels.dtype == np.uint8
    assert layer.pixels.shape == (12, 20, 4)
    assert (layer.pixels[..., :3] == 128).all()
    assert (layer.pixels[0, :, 3] == 100).all()
    assert (layer.pixels[1:, :, 3] == 255).all()
    assert report["weights"] == {"name": "stand-in", "sha256": "0" * 64}
    assert report["options"] == {"texture_strength": 1.0, "output": "layer"}
    assert report["scales"] == [1.0]
    assert ("Working", 0.5) in stages


def test_a_group_sums_to_the_layer(client, photo, mask):
    (layer,), _ = client.submit(photo, mask)
    (coarse, texture), _ = client.submit(photo, mask, options={"output": "group", "texture_strength": 0.7})
    assert (coarse.role, coarse.blend, coarse.opacity) == ("coarse", "normal", 1.0)
    assert (texture.role, texture.blend, texture.opacity) == ("texture", "grain_merge", 0.7)
    total = coarse.pixels[..., :3].astype(int) + texture.pixels[..., :3] - 127
    np.testing.assert_array_equal(total, layer.pixels[..., :3])


@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4"])
def test_texture_layers_sum_to_the_picture(client, dtype):
    values = np.random.default_rng(0).random((16, 16, 4))
    image = (values * {"u1": 255, "u2": 65535}.get(dtype, 1)).astype(dtype)
    (structure, texture), _ = client.submit(image, task="texture")
    offset = {"u1": 127, "u2": 32767}.get(dtype, 0.5)
    total = structure.pixels[..., :3].astype(np.float64) + texture.pixels[..., :3] - offset
    np.testing.assert_allclose(total, image[..., :3].astype(np.float64), atol={"f2": 5e-4, "f4": 1e-7}.get(dtype, 0))
    np.testing.assert_array_equal(structure.pixels[..., 3], image[..., 3])


def test_linear_light_goes_through_srgb_and_back(client, mask):
    image = np.full((32, 48, 3), 0.2, np.float32)
    (layer,), _ = client.submit(image, mask, space="linear")
    np.testing.assert_allclose(layer.pixels[..., :3], 0.21404, atol=1e-4)  # what sRGB 0.5 is in linear light


@pytest.mark.parametrize(("shape", "channels"), [((32, 48), 2), ((32, 48, 1), 2), ((32, 48, 2), 2), ((32, 48, 4), 4)])
def test_every_number_of_channels(client, mask, shape, channels):
    (layer,), _ = client.submit(np.zeros(shape, np.uint16), mask)
    assert layer.pixels.shape == (12, 20, channels)
    assert layer.pixels[2, 2, 0] == 32768


def test_two_clients_take_turns(server, engine, photo, mask):
    engine.go.clear()

    def marked(number):
        image = photo.copy()
        image.flat[0] = number
        return image

    with server.client() as first, server.client() as second:
        jobs = [post(first, marked(number), mask) for number in (0, 1, 2, 3)]
        engine.started.wait(10)
        accepted = [first.receive(5)[0] for _ in range(4)]
        late = [post(second, marked(number), mask) for number in (10, 11)]
        ahead = second.receive(5)[0].ahead
        engine.go.set()
        collect(first, jobs)
        collect(second, late)
    assert sum(isinstance(message, m.Accepted) for message in accepted) >= 1
    assert ahead == 2  # the one at work and one of the three that wait
    assert engine.order == [0, 1, 10, 2, 11, 3]


def test_a_running_job_is_cancelled(server, engine, photo, mask):
    engine.go.clear()
    with server.client() as client:
        job = post(client, photo, mask)
        assert engine.started.wait(10)
        client.send(m.Cancel(job))
        assert collect(client, [job])[0][job] == m.Cancelled(job)
        engine.go.set()
        assert client.submit(photo, mask)[0]


def test_a_queued_job_is_cancelled_while_another_runs(server, engine, photo, mask):
    engine.go.clear()
    with server.client() as client:
        running, queued = post(client, photo, mask), post(client, photo, mask)
        engine.started.wait(10)
        client.send(m.Cancel(queued))
        assert collect(client, [queued])[0][queued] == m.Cancelled(queued)
        engine.go.set()
        assert isinstance(collect(client, [running])[0][running], m.Result)
        client.send(m.Cancel(running))
        assert collect(client, [running])[0][running].code == "unknown_job"
    assert len(engine.order) == 1


def test_a_silent_client_loses_its_jobs_and_is_told(run_server, engine, photo, mask):
    engine.go.clear()
    server = run_server(lambda: engine, silence=0.3)
    client = server.client()
    running, queued = post(client, photo, mask), post(client, photo, mask)
    engine.started.wait(10)
    with server.client(heartbeat=0.05) as other:
        threading.Timer(1.0, engine.go.set).start()
        assert other.submit(photo, mask)[0]  # the silent one's jobs are out of the way
    last, _ = collect(client, [running, queued])
    assert {message.code for message in last.values()} == {"client_silent"}
    assert len(engine.order) == 2
    assert client.submit(photo, mask)[0]  # and it may come back
    client.close()


def test_a_client_whose_editor_stands_still_for_a_minute_keeps_its_job(run_server, engine, photo, mask, monkeypatch):
    passed = [0.0]
    monkeypatch.setattr("server.broker.time", SimpleNamespace(monotonic=lambda: time.monotonic() + sum(passed)))
    engine.go.clear()
    server = run_server(lambda: engine, tick=60)  # or the server would notice that it was away itself
    with server.client() as client, server.client() as other:
        job = post(client, photo, mask)
        engine.started.wait(10)
        passed.append(60)
        for _ in range(2):  # before the second answer it has looked for the silent
            assert other.status().jobs == 1
        engine.go.set()
        assert isinstance(collect(client, [job])[0][job], m.Result)
        other.shutdown()  # which does not wait for the tick


def test_heartbeats_keep_a_long_job(run_server, engine, photo, mask):
    engine.go.clear()
    server = run_server(lambda: engine, silence=0.3)
    threading.Timer(1.0, engine.go.set).start()
    with server.client(heartbeat=0.05) as client:
        assert client.submit(photo, mask)[0]


def test_goodbye_drops_jobs(server, engine, photo, mask, wait_until):
    engine.go.clear()
    leaving = server.client()
    post(leaving, photo, mask)
    engine.started.wait(10)
    leaving.close()
    with server.client() as client:
        wait_until(lambda: client.status().jobs == 0)


def test_status(server, client, wait_until):
    wait_until(lambda: client.status().model == "ready")
    state = client.status()
    assert (state.device, state.weights, state.log, state.jobs) == ("cpu", "stand-in", "/the/log", 0)
    assert (state.weights_path, state.weights_sha256) == ("/stand-in.safetensors", "0" * 64)
    assert state.memory == {"process_peak": 1}
    welcome = client.hello()
    assert (welcome.instance, welcome.device) == (server.instance, "cpu")
    assert welcome.limits == {"message_bytes": 1 << 30, "pixels": 100_000_000}


def test_the_full_queue_refuses(run_server, engine, photo, mask):
    engine.go.clear()
    server = run_server(lambda: engine, jobs=1)
    with server.client() as client:
        jobs = [post(client, photo, mask) for _ in range(3)]
        assert collect(client, jobs[2:])[0][jobs[2]].code == "queue_full"
        engine.go.set()
        assert all(isinstance(word, m.Result) for word in collect(client, jobs[:2])[0].values())


def test_missing_weights_are_told_and_may_come_later(run_server, engine, photo, mask, wait_until):
    present = threading.Event()

    def load():
        if not present.is_set():
            raise NoEngine("There are no weights.")
        return engine

    with run_server(load).client() as client:
        wait_until(lambda: client.status().model == "failed")
        assert client.status().problem == "There are no weights."
        with pytest.raises(InpaintError, match="There are no weights") as refused:
            client.submit(photo, mask)
        assert refused.value.code == "no_weights"
        present.set()
        assert client.submit(photo, mask)[0]
        assert client.status().model == "ready"


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (PictureError("full_mask", "All.", "Less."), "full_mask"),
        (PictureError("no_such_code", "Odd.", "Report it."), "internal"),
        (MemoryError(), "out_of_memory"),
        (ZeroDivisionError(), "internal"),
    ],
)
def test_a_failing_job_leaves_a_working_server(server, engine, photo, mask, failure, code):
    engine.failure = failure
    with server.client() as client:
        with pytest.raises(InpaintError) as refused:
            client.submit(photo, mask)
        assert refused.value.code == code
        engine.failure = None
        assert client.submit(photo, mask)[0]


@pytest.mark.parametrize("result_bytes", [1 << 30, 100])
def test_a_picture_is_not_kept_after_its_job(client, engine, photo, mask, monkeypatch, wait_until, result_bytes):
    monkeypatch.setattr("server.jobs.PAYLOAD_BYTES", result_bytes)
    pictures, inpaint = [], engine.inpaint

    def watched(image, *rest):
        pictures.append(weakref.ref(image))
        return inpaint(image, *rest)

    monkeypatch.setattr(engine, "inpaint", watched)
    with contextlib.suppress(InpaintError):  # the second one: its result is too large
        client.submit(photo, mask)
    wait_until(lambda: pictures[0]() is None)


def test_a_result_that_no_message_can_hold_is_told(client, photo, mask, monkeypatch):
    monkeypatch.setattr("server.jobs.PAYLOAD_BYTES", 1000)
    client.send(m.Submit(ID, "texture"), {"image": np.zeros((9, 9, 3), np.uint8)})
    assert isinstance(collect(client, [ID])[0][ID], m.Result)
    with pytest.raises(InpaintError) as refused:
        client.submit(photo, task="texture")
    assert refused.value.code == "too_large"


@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((6, 5), "u1"), ((6, 5, 1), "u2"), ((6, 5, 2), "f2"), ((6, 5, 3), "f4"), ((6, 5, 4), "f4")],
)
def test_a_map_that_no_message_can_hold_is_refused_before_the_work(client, engine, monkeypatch, shape, dtype):
    image = np.zeros(shape, dtype)
    made = sum(layer.pixels.nbytes for layer in client.submit(image, task="texture")[0])
    engine.started.clear()
    monkeypatch.setattr("server.jobs.PAYLOAD_BYTES", made - 1)
    with pytest.raises(InpaintError, match="smaller rectangle") as refused:
        client.submit(image, task="texture")
    assert refused.value.code == "too_large"
    assert not engine.started.is_set()
    monkeypatch.setattr("server.jobs.PAYLOAD_BYTES", made)
    assert client.submit(image, task="texture")[0]


@pytest.mark.parametrize(
    ("wrong", "own"),
    [({"seq": 0}, True), ({"type": 7}, True), ({"arrays": 1}, True), ({"session": "AB" * 16}, False)],
)
def test_a_bad_header_is_answered_to_its_session_if_it_names_one(server, client, photo, mask, wrong, own):
    sent = {"type": "PING", "session": client.session.id, "seq": 99, **wrong}
    header = msgpack.packb(sent)
    with zmq.Context() as context, context.socket(zmq.DEALER) as other:  # another connection, as of a replay
        other.connect(f"tcp://127.0.0.1:{server.port}")
        other.send_multipart([wire.signature(server.key, wire.TO_SERVER, header, []), header])
        assert other.poll(5000)
        answer = protocol.read_header(other.recv_multipart()[1])
    assert (answer.type, answer.fields["code"]) == ("ERROR", "bad_message")
    assert answer.session == (client.session.id if own else protocol.NO_SESSION)
    assert client.submit(photo, mask)[0]  # the session goes on where it was


def test_a_fault_in_the_broker_itself_ends_one_request(client, photo, mask, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("server.broker.read_job", lambda *_: 1 // 0)
        with pytest.raises(InpaintError) as refused:
            client.submit(photo, mask)
    assert refused.value.code == "internal"
    assert "/the/log" in refused.value.action
    assert client.submit(photo, mask)[0]


def test_a_result_that_cannot_be_written_ends_one_job(server, engine, photo, mask):
    with server.client() as client, server.client() as other:
        engine.weights_sha256 = np.float32(1)  # which the header cannot hold
        jobs = [post(client, photo, mask) for _ in range(2)]
        assert {word.code for word in collect(client, jobs)[0].values()} == {"internal"}
        engine.weights_sha256 = "0" * 64
        assert other.submit(photo, mask)[0]


def test_a_worker_that_dies_ends_the_server_and_its_jobs_are_told(server, engine, photo, mask, caplog):
    engine.failure = SystemExit(3)
    with server.client() as client:
        job = post(client, photo, mask)
        assert collect(client, [job])[0][job].code == "shutting_down"
    server.thread.join(10)
    assert server.ended is True
    assert "the worker has died" in caplog.text


def test_a_server_that_was_asleep_has_not_listened(server, engine, photo, mask, monkeypatch):
    engine.go.clear()
    slept = 0.0
    monkeypatch.setattr("server.broker.time", SimpleNamespace(monotonic=lambda: time.monotonic() + slept))
    with server.client() as client:
        job = post(client, photo, mask)
        engine.started.wait(10)
        slept = 5000.0
        time.sleep(0.2)  # some ticks
        engine.go.set()
        assert isinstance(collect(client, [job])[0][job], m.Result)


def test_shutdown_says_goodbye_to_all(server, engine, photo, mask):
    engine.go.clear()
    with server.client() as client, server.client() as other:
        job = post(client, photo, mask)
        engine.started.wait(10)
        other.shutdown()
        assert collect(client, [job])[0][job].code == "shutting_down"
    server.thread.join(10)
    assert server.ended is True


def test_a_goodbye_ends_what_is_waited_for(server, engine, photo, mask):
    with server.client() as client, server.client() as other:
        server.stop()
        with pytest.raises(InpaintError) as ended:
            client.submit(photo, mask)
        assert ended.value.code == "shutting_down"
        with pytest.raises(InpaintError) as ended:
            other.status()
        assert ended.value.code == "shutting_down"


def test_an_idle_server_ends(run_server, engine, photo, mask):
    server = run_server(lambda: engine, silence=0.2, idle=0.3)
    with server.client() as client:
        assert client.submit(photo, mask)[0]
    server.thread.join(10)
    assert server.ended is True


def test_a_working_server_is_not_idle(run_server, engine, photo, mask):
    engine.go.clear()
    server = run_server(lambda: engine, silence=5, idle=0.2)
    threading.Timer(0.8, engine.go.set).start()
    with server.client(heartbeat=0.05) as client:
        assert client.submit(photo, mask)[0]
