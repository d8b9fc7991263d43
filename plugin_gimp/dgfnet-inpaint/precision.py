"""How the pixels of a GIMP image travel: by its precision and base type, as plain data.

`Gimp.Precision` counts in hundreds for the component type (100: 8 bit ... 700: double) and within a hundred for the
curve (0: linear light, 50: the profile's own curve, 75: sRGB's curve). Pixels travel as the image keeps them; 32-bit
integers and doubles as single floats, which is what GIMP computes its layers in.
"""

from __future__ import annotations

from typing import NamedTuple

from client.pixels import DEPTHS

U8, U16, HALF = 1, 2, 5
LINEAR, PROFILE_CURVE = 0, 50
DTYPES = {U8: ("u1", "u8"), U16: ("u2", "u16"), HALF: ("f2", "half")}
SINGLE = ("f4", "float")


class Encoding(NamedTuple):
    """How to ask GIMP for pixels of one drawable, and how they are declared on the wire.

    `dtype` is the wire's, `babl` the format that GEGL reads and writes (in the image's own colour space), `channels`
    its number of components, `has_alpha` whether the last one is alpha.
    """

    dtype: str
    babl: str
    channels: int
    has_alpha: bool

    @property
    def pixel_bytes(self) -> int:
        """Bytes of one pixel."""
        return self.channels * DEPTHS[self.dtype].item_bytes

    @property
    def space(self) -> str:
        """What the server is told of the values: ``linear`` light or, with any curve, ``srgb``."""
        return "srgb" if set("'~") & set(self.babl) else "linear"

    def with_alpha(self) -> Encoding:
        """The same colours and an alpha channel."""
        if self.has_alpha:
            return self
        model, component = self.babl.split()
        return Encoding(self.dtype, f"{model}A {component}", self.channels + 1, True)


def encoding(precision: int, is_grey: bool, has_alpha: bool, with_curve: bool = False) -> Encoding:
    """The encoding for an image of `precision` (the value of a `Gimp.Precision`); indexed images count as colour.

    `with_curve` asks for values that pixels can be mixed in as the server mixes them: with a curve in linear images
    too, and no half floats.
    """
    kind, curve = divmod(int(precision), 100)
    dtype, component = DTYPES.get(kind, SINGLE)
    if with_curve and (curve == LINEAR or kind == HALF):
        dtype, component = SINGLE
    prime = "'" if curve == PROFILE_CURVE else "~" if curve or with_curve else ""
    model = f"Y{prime}" if is_grey else f"R{prime}G{prime}B{prime}"
    plain = Encoding(dtype, f"{model} {component}", 1 if is_grey else 3, False)
    return plain.with_alpha() if has_alpha else plain


def has_profile_curve(precision: int) -> bool:
    """Whether values with a curve follow the colour profile's; sRGB's own otherwise."""
    return int(precision) % 100 == PROFILE_CURVE


def is_linear(precision: int) -> bool:
    """Whether the image itself keeps linear light."""
    return int(precision) % 100 == LINEAR


def mask_encoding(precision: int) -> Encoding:
    """The encoding of masks: linear grey, as GIMP keeps them; 16 bit wherever the image has more than 8."""
    is_8_bit = int(precision) // 100 == U8
    return Encoding("u1", "Y u8", 1, False) if is_8_bit else Encoding("u2", "Y u16", 1, False)


def alpha_encoding(precision: int) -> Encoding:
    """The encoding of a layer's transparency alone, as deep as its masks."""
    masks = mask_encoding(precision)
    return masks._replace(babl=masks.babl.replace("Y", "A"))


def group_refusal(precision: int, is_indexed: bool) -> str:
    """Why coarse and texture layers cannot add up to the fill in such an image; empty where they can."""
    if is_indexed:
        return "Indexed images have no grain merge mode, so the fill came as one plain layer."
    kind, curve = divmod(int(precision), 100)
    if kind == U8 and curve == LINEAR:
        return (
            "In 8-bit linear images coarse and texture layers do not add up exactly, so the fill came as one plain "
            "layer; for an editable group, choose a higher precision in Image > Precision."
        )
    return ""
