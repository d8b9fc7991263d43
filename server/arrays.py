"""Numpy's side of the editors' client, for the command line and the proof: requests from arrays, layers onto them."""

from __future__ import annotations

from typing import Any

import numpy as np

from dgfnet.filling.composition import blend
from dgfnet.filling.holes import Box
from dgfnet.pixels import split_alpha, to_float
from server.client.events import Layer
from server.client.requests import InpaintRequest
from server.client.wire import Array
from server.protocol import DTYPES, write_array


def inpaint_request(image: np.ndarray, mask: np.ndarray, **options: Any) -> InpaintRequest:
    """Have the mask [H, W] filled in an image [H, W] or [H, W, 1 to 4]; `options` are the request's further fields."""
    described = (write_array(name, pixels) for name, pixels in (("image", image), ("mask", mask)))
    photo, hole = (Array(**descriptor, data=payload) for descriptor, payload in described)
    return InpaintRequest(photo, hole, **options)


def lay_over(picture: np.ndarray, layer: Layer) -> np.ndarray:
    """What an editor shows with a layer of the picture's depth above the picture; both have their own channels."""
    x, y, width, height = layer.bounds
    pixels = np.frombuffer(layer.pixels, DTYPES[layer.dtype]).reshape(height, width, layer.channels)
    colour, alpha = split_alpha(pixels)
    assert alpha is not None
    where, result = Box(x, y, width, height).slices, picture.copy()
    fill = np.broadcast_to(to_float(colour), (*alpha.shape, 3))
    result[where] = blend(picture[where], fill, to_float(alpha))
    return result
