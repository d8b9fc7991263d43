"""What editors carry: standard library only, Python 3.8 or newer, relative imports (the folder is copied and renamed).

An editor that may wait uses `transport`: `connect` finds or starts the server, `Client.run` returns layers.
One that may not (Krita's window thread) drives the same `session.ClientSession` and `launch.Launch` from its own event
loop: bytes in, events out. `geometry` and `pixels` turn a selection into a request and an answer into layers.
"""
