"""Run inside a process of its own: the line's end on one PyQt, against servers that hang, have ended or are left.

`python unreachable.py PyQt6 FOLDER`, where FOLDER holds the installed plug-in.
"""

import json
import socket
import tempfile
import threading
import time
from pathlib import Path

from one_binding import binding, folder, module

QObject = module("QtCore").QObject
application = module("QtCore").QCoreApplication([])

from dgfnet_inpaint.channel import Channel  # noqa: E402
from dgfnet_inpaint.client import events, session, wire, zmtp  # noqa: E402
from dgfnet_inpaint.client.discovery import read_address  # noqa: E402
from dgfnet_inpaint.worker import OFF, ServerStatus, Worker  # noqa: E402

session.HANDSHAKE_SECONDS = 0.5
KEY, INSTANCE, LOG = bytes(32), "an instance", "the.log"
peers, got = [], bytearray()
READY = ServerStatus("ready", "cpu", LOG)


def wait_for(what, seconds=20):
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "waited in vain"
        application.processEvents()
        time.sleep(0.005)


def publish(server, host="127.0.0.1"):
    """The state folder of a server at this listening socket."""
    state = Path(tempfile.mkdtemp(dir=folder))
    content = {
        "address": f"tcp://{host}:{server.getsockname()[1]}",
        "key": KEY.hex(),
        "instance": INSTANCE,
        "log": LOG,
    }
    (state / "connection.json").write_text(json.dumps(content))
    (state / "connection.json").chmod(0o600)
    return state


def worker_at(state):
    """A worker in this thread, and the list of what its light has shown."""
    worker, shown = Worker("test", state), []
    worker.status.connect(shown.append)
    worker.begin()
    return worker, shown


def listener():
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(0)
    return server


def greet(server):
    """Greet whoever connects, and say no more."""
    while True:
        peer = server.accept()[0]
        peers.append(peer)  # before its client can go on
        peer.sendall(zmtp.GREETING)


# A server that hangs: it listens and never speaks.
hung = listener()
worker, shown = worker_at(publish(hung))
worker.look()
wait_for(lambda: shown)
assert (shown[-1].light, shown[-1].log) == ("problem", LOG), shown
assert "did not answer" in shown[-1].text
worker.stop_server()  # in vain
wait_for(lambda: not worker._channel)
assert shown[-1].light == "problem", shown
worker._seen = (INSTANCE, READY)  # it hangs since it was last talked to
worker.look()
assert worker._channel, "a hung server was taken for ready"
wait_for(lambda: not worker._channel)
assert shown[-1].light == "problem", shown

# A server that was killed: its file is still there.
dead = listener()
state = publish(dead)
dead.close()
worker, shown = worker_at(state)
worker._seen = (INSTANCE, READY)
worker.look()
wait_for(lambda: shown)
assert shown == [OFF], shown

# The same where the system refuses while the connection is asked for, as Linux does for the broadcast address.
worker, shown = worker_at(publish(hung, "255.255.255.255"))
worker.look()
wait_for(lambda: shown)
assert shown == [OFF], shown

# A server whose network failed to load: it is looked at without a session, which would keep it from ending.
server = listener()
worker, shown = worker_at(publish(server))
server.settimeout(None)
threading.Thread(target=greet, args=(server,), daemon=True).start()
worker.look()
worker._on_state(events.State({"model": "failed", "problem": "No weights.", "log": LOG}))
worker._drop()
worker.look()
assert worker._channel is None, "a session for a look"
assert shown == [ServerStatus("problem", "No weights.", LOG)], shown

# A session that is closed: the server is told so.
server = listener()
owner = QObject()
channel = Channel(read_address(publish(server)), "test", owner)
peers.clear()


def converse():
    """The server's side, as far as the WELCOME."""
    if not peers:
        try:
            peer = server.accept()[0]
        except BlockingIOError:
            return False
        peer.settimeout(0)
        peer.sendall(zmtp.GREETING + zmtp.command(b"READY", zmtp.metadata({b"Socket-Type": b"ROUTER"})))
        peers.append(peer)
    receive()
    if b"HELLO" not in got:
        return False
    welcome = {"instance": INSTANCE, "server": "test", "limits": {}}
    frames = wire.encode(KEY, wire.TO_CLIENT, "WELCOME", channel.session._id, 1, welcome, [])
    for place, frame in enumerate(frames):
        peers[0].sendall(b"".join(zmtp.frame(frame, zmtp.MORE if place < len(frames) - 1 else 0)))
    return True


def receive():
    try:
        data = peers[0].recv(1 << 16)
    except BlockingIOError:
        return False
    got.extend(data)
    return not data


wait_for(converse)
wait_for(lambda: channel.is_welcome)
channel.close()
wait_for(receive)
assert b"BYE" in got

# A server that hangs after its greeting: that the kernel takes PINGs says nothing of it.
session.SILENCE_SECONDS, session.HEARTBEAT_SECONDS = 1.0, 0.1
server, told = listener(), []
channel = Channel(read_address(publish(server)), "test", owner)
channel.happened.connect(told.extend)
peers.clear()
got.clear()


def closed():
    channel.tick()
    return [event.error.code for event in told if isinstance(event, events.Closed)]


wait_for(converse)
wait_for(lambda: channel.is_welcome)
wait_for(closed)
assert closed() == ["server_silent"], told
print(f"{binding} fine")
