"""Runs inside GIMP: copies that were moved, adjusted or asked for at once, what lies about them; soft texture maps."""

from contextlib import contextmanager
from importlib import import_module
from unittest.mock import patch

from gi.repository import Gegl, Gimp
from gimp_cases import BESIDE, ELLIPSE
from gimp_looks import NOWHERE, digest
from gimp_scenes import group, holed, load, masked_softly, over_base, select

LEFT, AROUND = (0, 0, 30, 160), (95, 65, 30, 20)  # beside a layer at 30; inside ELLIPSE


def inpaint(image, layer, **settings):
    """The result, and what the artist was told."""
    import filling
    from settings import Settings

    messages = []
    with patch.object(Gimp, "message", messages.append):
        return filling.inpaint(image, layer, filling.Wish(Settings(**settings)), lambda *told: None), messages


@contextmanager
def meanwhile(act, module="service", name="run"):
    """What happens while the server works on the next job, or while another function is run for it."""
    owner = import_module(module)
    run = getattr(owner, name)

    def answer(*arguments):
        setattr(owner, name, run)
        answered = run(*arguments)
        act()
        return answered

    with patch.object(owner, name, answer):
        yield


def pixels(layer, box, channels="R'G'B' u8"):
    return layer.get_buffer().get(Gegl.Rectangle.new(*box), 1.0, channels, NOWHERE)


def seen(image, box=(0, 0, 192, 160), channels="R'G'B' u8"):
    visible = Gimp.Layer.new_from_visible(image, image, "seen")
    shown = pixels(visible, box, channels)
    visible.delete()
    return shown


def moved():
    """Whether a re-run fills the hole where a moved copy has it, and what is said of one that was resized."""
    import repeating

    image, layer = holed(None)
    copy, _ = inpaint(image, layer, output="copy")
    copy.set_offsets(40, 30)
    again = repeating.rerun(image, copy, lambda *told: None)
    told = [digest(again) == digest(copy)]
    again.resize(200, 170, 0, 0)
    try:
        repeating.rerun(image, again, lambda *told: None)
    except Exception as error:
        told.append(str(error))
    image.delete()
    return told


def adjusted():
    """By how much another fill of a copy that was darkened brightens it where hardly anything is selected."""
    import repeating

    image, layer = load()
    select(image, ELLIPSE)
    Gimp.Selection.feather(image, 20)
    copy, _ = inpaint(image, layer, output="copy")
    kept = Gimp.Selection.save(image)
    Gimp.Selection.none(image)
    copy.brightness_contrast(-0.6, 0.0)
    image.select_item(Gimp.ChannelOps.REPLACE, kept)
    box = (0, 0, 192, 160)
    selected, before = pixels(image.get_selection(), box, "Y u8"), pixels(copy, box, "Y' u8")
    after = pixels(repeating.rerun(image, copy, lambda *told: None), box, "Y' u8")
    rim = [new - old for share, old, new in zip(selected, before, after, strict=True) if 0 < share <= 30]
    image.delete()
    return sum(rim) / len(rim)


def visible_fills():
    """Whether copies leave alone what fills of the visible picture show beside their layer, wholly or in part."""
    image, layer = over_base(30, 25)
    told = []
    for hole in (("rectangle", 4, 100, 20, 20), ("rectangle", 10, 60, 40, 30)):
        select(image, hole)
        inpaint(image, layer, sample="visible")
        before = seen(image, LEFT)
        select(image, BESIDE)
        copy, _ = inpaint(image, layer, output="copy")
        told.append(seen(image, LEFT) == before)
        image.remove_layer(copy)
        layer.set_visible(True)
    image.delete()
    return told


def both_seen(*meantime):
    """Whether two copies of a layer that are asked for at once are both seen in the end, and the last is selected."""
    image, layer = load()
    image.set_selected_layers([layer])
    original, shown = seen(image, AROUND), []

    def fill_beside():
        select(image, ("rectangle", 10, 10, 30, 30))
        inpaint(image, layer, output="copy")
        shown.append(seen(image, LEFT))

    select(image, ELLIPSE)
    with meanwhile(fill_beside, *meantime):
        made, _ = inpaint(image, layer, output="copy")
    is_selected = image.get_selected_layers() == [made]
    told = [seen(image, LEFT) == shown[0] != pixels(layer, LEFT), seen(image, AROUND) != original, is_selected]
    image.delete()
    return told


def at_once():
    """`both_seen` where the first copy comes while the server works on the second, and while the second is made."""
    return [both_seen("service", "run"), both_seen("assembly", "copy")]


def twice():
    """Of a hole that is filled in two copies at once: which eyes are open, from the top, and if the top is selected."""
    image, layer = load()
    image.set_selected_layers([layer])
    select(image, ELLIPSE)
    with meanwhile(lambda: inpaint(image, layer, output="copy")):
        made, _ = inpaint(image, layer, output="copy")
    told = [[each.get_visible() for each in image.get_layers()], image.get_selected_layers() == [made]]
    image.delete()
    return told


def other_pictures():
    """What is said of a small part of a layer that was painted on and of a flip, if much beside it was sent as well.

    And whether little of a large layer is kept to know that by.
    """
    import blend
    from before import Before
    from client.geometry import Bounds

    image, layer = load("large")
    before, kept = Before(image, layer, Bounds(-2000, 0, 4000, 900)), []
    changed = blend.changed

    def noted(pixels, *others):
        kept.append(len(pixels))
        return changed(pixels, *others)

    with patch.object(blend, "changed", noted):
        select(image, ("rectangle", 100, 100, 300, 300))
        layer.edit_fill(Gimp.FillType.WHITE)
        told = [before.differences()]
        Gimp.Selection.none(image)
        image.flip(Gimp.OrientationType.HORIZONTAL)
        told += [before.differences(), max(kept) < 980 * 900]  # pixels of three bytes
    image.delete()
    return told


def went_on():
    """A copy of a masked group while which the image is flipped and another layer selected."""
    image, layer = group(None)
    layer.add_mask(layer.create_mask(Gimp.AddMaskType.WHITE))
    layer.set_edit_mask(False)
    other = layer.get_children()[0].copy()
    image.insert_layer(other, None, 0)
    image.set_selected_layers([layer])
    select(image, ELLIPSE)

    def act():
        image.flip(Gimp.OrientationType.HORIZONTAL)
        image.set_selected_layers([other])

    with meanwhile(act):
        made, messages = inpaint(image, layer, output="copy")
    told = {
        "selected": image.get_selected_layers() == [other],
        "edits mask": made.get_edit_mask(),
        "messages": messages,
    }
    image.delete()
    return told


def not_seen():
    """What is said where a copy lies on a texture map and earlier fills take its opacity."""
    import filling

    image, layer = load()
    layer.set_opacity(50)
    with patch.object(Gimp, "message"):
        filling.texture_map(image, layer, 0.01, 3.0, lambda *told: None)
    select(image, ELLIPSE)
    inpaint(image, layer)
    select(image, BESIDE)
    _, messages = inpaint(image, layer, output="copy")
    image.delete()
    return messages


def soft_map():
    """By how much the texture map of a layer with a soft mask differs from the layer, and what is said."""
    import filling

    image, layer = masked_softly(None)
    before, messages = seen(image, channels="R'G'B'A u8"), []
    with patch.object(Gimp, "message", messages.append):
        filling.texture_map(image, layer, 0.01, 3.0, lambda *told: None)
    layer.set_visible(False)
    after = seen(image, channels="R'G'B'A u8")
    worst = max(abs(old - new) for at, (old, new) in enumerate(zip(before, after, strict=True)) if before[at | 3])
    image.delete()
    return [worst, messages]


def refused():
    """What is said of a copy of a pass-through group, and of a layer of another image."""
    import running

    image, layer = group(None)
    layer.set_mode(Gimp.LayerMode.PASS_THROUGH)
    select(image, ELLIPSE)
    other, elsewhere = load()
    told = []
    for work in (lambda: inpaint(image, layer, output="copy"), lambda: running._layer(image, [elsewhere])):
        try:
            told.append(str(work()))
        except Exception as error:
            told.append(str(error))
    image.delete()
    other.delete()
    return told


LOOKS_AT = (moved, adjusted, visible_fills, at_once, twice, other_pictures, went_on, not_seen, soft_map, refused)
