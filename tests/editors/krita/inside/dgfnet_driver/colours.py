"""Every colour model and depth, as one layer and as a group whose sum must be the fill."""

from dgfnet_inpaint import colour, document
from dgfnet_inpaint.colour import Space

from .spaces import SPACES, case_name
from .stage import CASES, PHOTO, at_once, case, small_bands


def fill_in(space, output):
    def run(stage):
        stage.controller._told.clear()
        doc, node = yield from stage.new_document(*space)
        used = document.space_of(doc)
        canvas, working = stage.canvas(doc), colour.working_space(used)
        yield from stage.select(doc, (120, 80, 60, 40), feather=4)
        own = doc.createNode("own", "paintlayer")
        doc.rootNode().addChildNode(own, node)
        doc.waitForDone()
        yield 0.1  # Krita makes it the active one
        doc.setActiveNode(node)
        yield 0.2
        before = bytes(node.pixelData(*canvas))
        stage.choose(output=output)
        with small_bands(stage.controller._line, 2000) as worked:
            yield from stage.run()
        assert max(worked) <= 2000, worked
        assert not any(is_failure for _, is_failure in stage.messages), stage.messages
        filled = stage.picture(doc)
        result = next(child for child in doc.rootNode().childNodes() if child.name() == "Inpaint (DGFNet)")
        mask, source = stage.selection(doc), stage.convert(before, canvas, used, working)
        stage.facts["linear"] = at_once(stage.bench.is_linear(working))
        stage.facts["working"] = list(working)
        assert bool(colour.loss(used)) == any("sRGB" in text for text, _ in stage.messages), stage.messages
        is_group = result.type() == "grouplayer"
        assert is_group == (output == "group" and (used == working or colour.can_split(used)))
        srgb = stage.convert(filled, canvas, used, PHOTO)
        if is_group:
            parts = {}
            for name, child in zip(("coarse", "texture"), result.childNodes(), strict=False):
                assert document.space_of(child) == used
                parts[name] = bytes(child.pixelData(*canvas))
            assert result.childNodes()[1].blendingMode() == "grain_merge"
            stage.keep(doc, used, source=source, mask=mask, filled=filled, before=before, srgb=srgb, **parts)
        else:
            stage.check_layer(doc, node, result, before)
            pixels = bytes(result.pixelData(*canvas))
            stage.keep(doc, used, source=source, mask=mask, result=pixels, filled=filled, before=before, srgb=srgb)
        yield from stage.step("edit_undo")
        assert stage.layers(doc.rootNode()) == [[node.name()], ["own"]], "one undo is not enough"
        yield from stage.step("edit_undo")
        assert stage.layers(doc.rootNode()) == [[node.name()]], "the second undo is not the artist's own last step"

    return run


@case
def high_dynamic_range_is_not_linear(stage):
    (pq,) = [profile for profile in stage.krita.profiles("RGBA", "U16") if "PQ EOTF" in profile]
    for depth in ("U16", "F16", "F32"):
        assert not at_once(stage.bench.is_linear(Space("RGBA", depth, pq))), depth
    yield 0


for _space in SPACES:
    for _output in ("layer", "group"):
        CASES[case_name(_space, _output)] = fill_in(Space(*_space), _output)
