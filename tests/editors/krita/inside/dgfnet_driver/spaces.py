"""The colour spaces that are tried. Also read outside of Krita: no imports."""

SRGB = "sRGB-elle-V2-srgbtrc.icc"
LINEAR = "sRGB-elle-V2-g10.icc"
GREY = "Gray-D50-elle-V2-srgbtrc.icc"
SPACES = (
    ("RGBA", "U8", SRGB),
    ("RGBA", "U16", SRGB),
    ("RGBA", "U16", LINEAR),
    ("RGBA", "F16", LINEAR),
    ("RGBA", "F32", LINEAR),
    ("RGBA", "F32", SRGB),
    ("GRAYA", "U8", GREY),
    ("GRAYA", "U16", GREY),
    ("GRAYA", "F32", GREY),
    ("CMYKA", "U8", ""),
    ("CMYKA", "U16", ""),
    ("LABA", "U8", ""),
    ("LABA", "U16", ""),
    ("LABA", "F32", ""),
    ("XYZA", "U16", ""),
    ("YCbCrA", "U8", ""),
)


def case_name(space, output):
    """The name of the case that fills in a space."""
    model, depth, profile = space
    return f"colour_{model}_{depth}_{'linear' if profile == LINEAR else 'srgb'}_{output}"
