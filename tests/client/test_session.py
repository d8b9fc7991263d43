"""The session without a socket: the server's side is played by server/protocol.py, the clock by numbers."""

from __future__ import annotations

import numpy as np
import pytest

from server import protocol
from server.client import events as ev
from server.client import session as cs
from server.client import wire
from server.client.errors import InpaintError
from server.client.geometry import Bounds
from server.client.requests import InpaintRequest, TextureRequest
from server.client.wire import Array
from server.client.zmtp import GREETING, Connection, Message, command, frame, metadata

KEY = bytes(range(32))
JOB = "0123456789abcdef" * 2
IMAGE = np.arange(4 * 5 * 3, dtype=np.uint16).reshape(4, 5, 3)
MASK = np.eye(4, 5, dtype=np.uint8) * 255
READY = command(b"READY", metadata({b"Socket-Type": b"ROUTER"}))


def array(values: np.ndarray) -> Array:
    return Array("", values.dtype.str[1:], values.shape, values.tobytes())


def request(**options: object) -> InpaintRequest:
    return InpaintRequest(array(IMAGE), array(MASK), **options)


class Server:
    """A server on the other end of a `ClientSession`, made of bytes only."""

    def __init__(self, key: bytes = KEY) -> None:
        self.client = cs.ClientSession(KEY, "test", now=0.0)
        self.zmtp = Connection()
        self.zmtp.receive_data(GREETING + READY)
        self.session = protocol.Session(key, "", wire.TO_CLIENT)
        self.client.receive_data(GREETING + READY, 0.0)

    def received(self) -> list[tuple[protocol.Header, list[memoryview]]]:
        """The messages that the client has sent since the last call, verified as the server does."""
        data = b"".join(bytes(chunk) for chunk in self.client.data_to_send())
        messages = []
        for event in self.zmtp.receive_data(data.replace(GREETING, b"", 1).replace(command(b"READY", CLIENT), b"", 1)):
            assert isinstance(event, Message)
            frames = [memoryview(part) for part in event.frames]
            wire.verify(self.session.key, wire.TO_SERVER, frames)
            header = protocol.read_header(frames[1])
            self.session.id = self.session.id or header.session
            self.session.accept(header)
            messages.append((header, frames[2:]))
        return messages

    def bytes_of(self, type_: str, arrays: dict[str, np.ndarray] | None = None, **fields: object) -> bytes:
        frames = self.session.encode(type_, fields, arrays or {})
        return b"".join(bytes(c) for i, f in enumerate(frames) for c in frame(f, flags=int(i < len(frames) - 1)))

    def says(self, type_: str, arrays: dict[str, np.ndarray] | None = None, now: float = 1.0, **fields: object) -> list:
        return self.client.receive_data(self.bytes_of(type_, arrays, **fields), now)


CLIENT = metadata({b"Socket-Type": b"DEALER", b"Identity": b""})
WELCOME = {
    "protocol": 1,
    "instance": JOB,
    "server": "0.1",
    "device": None,
    "weights": "w",
    "limits": {"message_bytes": 1000, "pixels": 100},
}


@pytest.fixture
def server() -> Server:
    server = Server()
    ((hello, _),) = server.received()
    assert (hello.type, hello.seq, hello.fields) == ("HELLO", 1, {"protocol": [1, 1], "client": "test"})
    assert server.says("WELCOME", **WELCOME) == [
        ev.Welcome(JOB, "0.1", "", "w", {"message_bytes": 1000, "pixels": 100})
    ]
    return server


def test_both_implementations_write_the_same_bytes() -> None:
    fields = {"job": JOB, "task": "inpaint", "space": "srgb", "options": {"context": 1.5, "output": "group"}}
    theirs = protocol.Session(KEY, JOB, wire.TO_SERVER)
    for arrays in ({"image": IMAGE, "mask": MASK}, {}):
        expected = [bytes(part) for part in theirs.encode("SUBMIT", fields, arrays)]
        ours = [array(values)._replace(name=name) for name, values in arrays.items()]
        frames = wire.encode(KEY, wire.TO_SERVER, "SUBMIT", JOB, theirs.sent, fields, ours)
        assert [bytes(part) for part in frames] == expected


def test_a_job_from_submit_to_layers(server: Server) -> None:
    job = server.client.submit(request(context=1.5, output="group"), now=1.0)
    ((submit, payloads),) = server.received()
    assert (submit.type, submit.seq) == ("SUBMIT", 2)
    assert submit.fields == {
        "job": job,
        "task": "inpaint",
        "space": "srgb",
        "options": {"output": "group", "context": 1.5},
    }
    arrays = protocol.read_arrays(submit.arrays, payloads)
    assert (arrays["image"] == IMAGE).all()
    assert (arrays["mask"] == MASK).all()
    assert server.says("ACCEPTED", job=job, ahead=2) == [ev.Accepted(job, 2)]
    assert server.says("PROGRESS", job=job, stage="coarse", fraction=0.5) == [ev.Progress(job, "coarse", 0.5)]
    pixels = np.arange(2 * 3 * 4, dtype=np.uint16).reshape(2, 3, 4)
    layer = {"name": "n", "role": "fill", "x": 7, "y": -1, "blend": "normal", "opacity": 1}
    (result,) = server.says("RESULT", {"0": pixels}, job=job, layers=[layer], report={"version": "1"})
    assert result == ev.Result(
        job,
        (ev.Layer("n", "fill", Bounds(7, -1, 3, 2), "normal", 1.0, "u2", 4, pixels.tobytes()),),
        {"version": "1"},
    )
    assert server.says("PROGRESS", job=job, stage="late", fraction=1.0) == []


def test_a_texture_request_names_its_options_as_the_wire_does() -> None:
    asked = TextureRequest(array(IMAGE), lambda_=0.02, sigma=3.0)
    assert asked.fields() == {"task": "texture", "space": "srgb", "options": {"lambda": 0.02, "sigma": 3.0}}


def test_replays_strangers_and_other_sessions_are_ignored(server: Server) -> None:
    pong = server.bytes_of("PONG")
    assert server.client.receive_data(pong, 1.0) == [ev.Pong()]
    assert server.client.receive_data(pong, 1.0) == []
    reflected = wire.encode(KEY, wire.TO_SERVER, "PONG", server.session.id, 99, {}, [])
    elsewhere = wire.encode(KEY, wire.TO_CLIENT, "PONG", JOB, 99, {}, [])
    forged = wire.encode(bytes(32), wire.TO_CLIENT, "PONG", server.session.id, 99, {}, [])
    short = [b"DGF1", b"x"]
    for frames in (reflected, elsewhere, forged, short, [b"one frame"]):
        data = b"".join(bytes(c) for i, f in enumerate(frames) for c in frame(f, flags=int(i < len(frames) - 1)))
        assert server.client.receive_data(data, 1.0) == []
    assert server.client.receive_data(server.bytes_of("PONG"), 1.0) == [ev.Pong()]


def test_heartbeat_every_two_seconds_and_silence_after_ten(server: Server) -> None:
    assert [server.client.tick(now / 2) for now in range(1, 4)] == [[], [], []]
    assert server.received() == []
    assert server.client.tick(2.0) == []
    assert [header.type for header, _ in server.received()] == ["PING"]
    server.says("PONG", now=2.5)
    for now in range(3, 15):
        assert server.client.tick(float(now)) == []
    (closed,) = server.client.tick(14.1)
    assert closed.error.code == "server_silent"
    with pytest.raises(InpaintError, match="10 seconds"):
        server.client.submit(request(), 17.0)
    assert server.client.data_to_send() == []


def test_a_long_upload_is_not_silence(server: Server) -> None:
    for now in range(1, 60):
        server.client.data_moved(float(now))
        assert server.client.tick(float(now)) == []


def test_a_sleeping_computer_is_not_silence(server: Server) -> None:
    server.client.tick(2.0)
    assert server.client.tick(5000.0) == []
    assert server.says("PONG", now=5000.1) == [ev.Pong()]


def test_no_welcome_in_time_says_why() -> None:
    mute = Server()
    assert mute.client.tick(4.0) == []
    (closed,) = mute.client.tick(5.1)
    assert closed.error.code == "no_answer"
    other = Server(key=bytes(32))
    other.session.id = JOB
    assert other.says("WELCOME", **WELCOME) == []
    (closed,) = other.client.tick(5.1)
    assert "another key" in closed.error.message


def test_errors_of_the_server(server: Server) -> None:
    error = {"code": "empty_mask", "message": "Nothing is selected.", "action": "Select something."}
    job = server.client.submit(request(), 1.0)
    (failed,) = server.says("ERROR", job=job, **error)
    assert (failed.job, str(failed.error)) == (job, "Nothing is selected. Select something.")
    (failed,) = server.says("ERROR", **error)
    assert (failed.job, failed.error.code) == ("", "empty_mask")
    assert server.says("ERROR", job=JOB, **error) == []
    early = Server()
    early.received()
    (closed,) = early.says("ERROR", **{**error, "code": "protocol_version"})
    assert closed.error.code == "protocol_version"


def test_cancel_is_confirmed_or_given_up_waiting_for(server: Server) -> None:
    first, second = (server.client.submit(request(), 1.0) for _ in range(2))
    server.client.cancel(first, 1.0)
    server.client.cancel(first, 1.0)
    server.client.cancel(second, 1.0)
    assert [header.type for header, _ in server.received()] == ["SUBMIT", "SUBMIT", "CANCEL", "CANCEL"]
    assert server.says("CANCELLED", job=first) == [ev.JobCancelled(first)]
    server.says("ACCEPTED", job=second, ahead=0)
    events = []
    for now in range(2, 13):
        events += server.client.tick(float(now))
        server.says("PONG", now=float(now))
    assert events == [ev.JobCancelled(second)]


def test_a_job_that_never_arrived_fails_although_the_server_lives(server: Server) -> None:
    job = server.client.submit(request(), 1.0)
    events = []
    for _ in range(cs.PONGS_WITHOUT_ANSWER):
        server.client.ping(1.0)
        events += server.says("PONG")
    assert [event.job for event in events if isinstance(event, ev.Failed)] == [job]


def test_what_cannot_be_sent_is_said_before_it_is_sent(server: Server) -> None:
    with pytest.raises(InpaintError, match="has 3 bytes where its shape needs 120"):
        server.client.submit(InpaintRequest(Array("", "u2", (4, 5, 3), b"abc"), array(MASK)), 1.0)
    big = np.zeros((20, 20, 3), np.uint8)
    with pytest.raises(InpaintError, match="Take a smaller selection"):
        server.client.submit(InpaintRequest(array(big), array(big[..., 0])), 1.0)
    assert server.received() == []


@pytest.mark.parametrize(
    "fields",
    [
        {"layers": [{}], "report": {}},
        {"layers": [], "report": {}},
        {"layers": 3, "report": {}},
        {"report": {}},
        {"layers": [{"name": 1, "role": 1, "blend": 1, "x": "a", "y": 0, "opacity": 1}], "report": {}},
    ],
)
def test_a_result_that_makes_no_sense_ends_the_session(server: Server, fields: dict) -> None:
    job = server.client.submit(request(), 1.0)
    (closed,) = server.says("RESULT", {"0": IMAGE}, job=job, **fields)
    assert closed.error.code == "bad_message"


@pytest.mark.parametrize(
    "header", [b"\xc1", b"\x93\x01\x02\x03", b"\x80", b"\xdf\xff\xff\xff\xff", b"\x81\xa4type\xa1x"]
)
def test_signed_nonsense_ends_the_session(server: Server, header: bytes) -> None:
    signed = wire.signature(KEY, wire.TO_CLIENT, header, [])
    data = b"".join(bytes(c) for c in [*frame(signed, flags=1), *frame(header)])
    (closed,) = server.client.receive_data(data, 1.0)
    assert closed.error.code == "bad_message"
    assert server.client.receive_data(data, 1.0) == []


def test_goodbye_and_a_lost_connection(server: Server) -> None:
    server.client.say_goodbye(1.0)
    assert [header.type for header, _ in server.received()] == ["BYE"]
    (closed,) = server.client.connection_lost("it ended")
    assert closed.error.code == "connection_lost"
    assert server.client.connection_lost("again") == []
    server.client.say_goodbye(1.0)


def test_something_else_at_the_address() -> None:
    session = cs.ClientSession(KEY, "test", 0.0)
    (closed,) = session.receive_data(b"SSH-2.0-OpenSSH_9.2\r\n", 0.1)
    assert closed.error.code == "not_a_server"
