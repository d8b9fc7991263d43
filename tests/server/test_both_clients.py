"""Our client (standard library) and one on libzmq get the same bytes from the same server."""

from __future__ import annotations

import numpy as np
import pytest

from server.client import transport
from server.client.requests import InpaintRequest
from server.client.wire import Array


@pytest.mark.parametrize("output", ["layer", "group"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4"])
def test_same_layers(server, mask, dtype, output):
    image = (np.random.default_rng(0).random((32, 48, 4)) * {"u1": 255, "u2": 65535}.get(dtype, 1)).astype(dtype)
    with server.client() as client:
        layers, report = client.submit(image, mask, options={"output": output})
    request = InpaintRequest(
        Array("image", dtype, image.shape, image.tobytes()),
        Array("mask", "u1", mask.shape, mask.tobytes()),
        output=output,
    )
    with transport.Client(server.address, "test") as client:
        result = client.run(request)
    assert [bytes(layer.pixels) for layer in result.layers] == [layer.pixels.tobytes() for layer in layers]
    assert [(layer.name, layer.role, layer.bounds.x, layer.blend) for layer in result.layers] == [
        (layer.name, layer.role, layer.x, layer.blend) for layer in layers
    ]
    assert result.report == report


def test_messages_of_100_mb_pass(server):
    with server.client() as client:
        mask = np.zeros((5000, 6700), np.uint8)
        mask[4990:, 6690:] = 255
        (layer,) = client.submit(np.zeros((5000, 6700, 3), np.uint8), mask)[0]  # 134 MB to the server
        assert (layer.x, layer.y, layer.pixels.shape) == (6690, 4990, (10, 10, 4))
        structure, texture = client.submit(np.ones((2500, 2600), np.float32), task="texture")[0]  # 104 MB back
    assert (structure.pixels[..., 0] + texture.pixels[..., 0] - 0.5 == 1).all()
