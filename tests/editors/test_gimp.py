"""The installed plug-in in the real GIMP 3.0, driven by batch: gimp_cases.py lists what, gimp_checks.py judges.

Skipped, with the reason, where no Debian with GIMP can be made (gimp_root.py). One GIMP does all the cases.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent))
from gimp_cases import CASES, Case
from gimp_checks import check, inpainter
from gimp_root import NoRoot, gimp_root
from gimp_session import Session, finish, run_cases, running
from gimp_ui import drive

from dgfnet.inpainting import Inpainter
from plugin_gimp import installation


@pytest.fixture(scope="session")
def root() -> Path:
    try:
        return gimp_root("trixie")
    except NoRoot as why:
        pytest.skip(str(why))


@pytest.fixture(scope="session")
def session(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A server, and a GIMP that has done every case."""
    with running(root, tmp_path_factory.mktemp("gimp")) as session:
        run_cases(session, more=("failures", "inside"))
        yield session


@pytest.fixture(scope="session")
def results(session: Session) -> dict[str, Any]:
    return session.results()


@pytest.fixture(scope="session")
def failures(session: Session) -> dict[str, Any]:
    return json.loads((session.work / "results" / "failures.json").read_text())


@pytest.fixture(scope="session")
def engine(session: Session) -> Inpainter:
    return inpainter(session.weights)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_case(case: Case, session: Session, results: dict[str, Any], engine: Inpainter) -> None:
    check(case, session, results[case.name], engine)


def test_it_is_gimp_3(session: Session) -> None:
    assert session.version().startswith("3.0.")


class TestServer:
    def test_without_an_installation_one_sentence_says_what_to_do(self, failures) -> None:
        succeeded, message = failures["down"]
        assert not succeeded
        assert "not installed for this user" in message
        assert "install.py" in message
        assert failures["status down"][0] is False

    def test_the_first_use_starts_the_server(self, failures) -> None:
        assert failures["started"] == [True, "Inpaint (DGFNet)"]

    def test_a_cancelled_job_frees_the_server(self, failures) -> None:
        succeeded, message = failures["cancelled"]
        assert not succeeded
        assert "server" not in message, "the job ran to its end"
        assert failures["jobs after cancel"] == 0

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            ("layer removed", "The layer was removed before"),
            ("mode changed", "mode, precision or colour profile was changed"),
            ("profile changed", "mode, precision or colour profile was changed"),
        ],
    )
    def test_what_makes_the_answer_useless_meanwhile_is_one_sentence(self, failures, change: str, says: str) -> None:
        succeeded, message, layers = failures[change]
        assert not succeeded
        assert says in message
        assert len(layers) == 1

    def test_a_layer_that_was_moved_meanwhile_is_filled(self, failures) -> None:
        succeeded, _, layers = failures["layer moved"]
        assert succeeded
        assert len(layers) == 2

    def test_what_a_cancelled_call_left_in_gimp_is_deleted_by_the_next(self, failures) -> None:
        assert failures["stages"] == [False, True]

    def test_a_killed_server_is_one_sentence(self, failures) -> None:
        succeeded, message = failures["killed"]
        assert not succeeded
        assert "connection to the server was lost" in message

    def test_afterwards_all_is_well(self, failures) -> None:
        assert failures["afterwards"] == [True, "Inpaint (DGFNet)"]

    def test_the_image_was_never_touched(self, failures) -> None:
        assert failures["untouched"] is True


@pytest.fixture(scope="module")
def told(session: Session) -> dict[str, Any]:
    return json.loads((session.work / "results" / "inside.json").read_text())


class TestInside:
    """What gimp_inside.py found."""

    def test_each_layer_is_asked_for_its_name_once(self, told) -> None:
        found = told["questions"]
        assert found["fills"] == 30
        assert found["asked"] <= 32  # the source twice

    def test_fills_that_cannot_be_seen_in_a_part_are_not_mixed_for_it(self, told) -> None:
        assert told["questions"]["mixed"] == 4  # two lie there, one has a filter, one clips

    def test_runs_of_pixels_are_written_into_one_buffer(self, told) -> None:
        assert told["buffers"] == {"got": 1, "pixels": True}

    def test_looks_that_a_new_layer_has_not_are_told(self, told) -> None:
        looks = told["looks"]
        assert looks["locked group"] == ["", "at 50 % opacity"]  # the fill stays in the other
        assert looks["group"] == ["at 40 % opacity", ""]
        assert looks["clipped"] == "in the composite mode Clip To Backdrop"
        assert looks["map"] == []
        assert "is shown at 50 % opacity" in looks["map in a locked group"][0]
        assert "in the mode Multiply" in looks["multiplied map"][0]

    def test_what_an_undone_fill_left_out_is_left_out_again(self, told) -> None:
        assert told["left_out_after_undo"] == [True, True, True]

    def test_a_duplicated_channel_is_not_taken_for_the_first(self, told) -> None:
        assert told["duplicated_channel"] == [["first"], ["first", "second"]]

    def test_what_is_painted_while_a_copy_is_made_is_not_undone_with_it(self, told) -> None:
        assert told["painted_meanwhile"] is True

    def test_what_goes_while_the_dialog_is_open_is_one_sentence(self, told) -> None:
        removed, closed = told["gone"][:2], told["gone"][2:]
        assert all("The layer was removed" in message for message in removed)
        assert all("The image was closed" in message for message in closed)

    def test_a_copy_that_a_fill_becomes_part_of_shows_what_was_seen_through_a_mask(self, told) -> None:
        succeeded, is_applied, difference = told["masked_copy"]
        assert succeeded
        assert is_applied
        assert difference <= 1

    def test_a_copy_that_was_moved_is_filled_where_its_hole_is_now(self, told) -> None:
        is_same, resized = told["moved"]
        assert is_same
        assert "does not keep the shape of the hole" in resized

    def test_another_fill_of_an_adjusted_copy_has_no_rim_of_the_old_colours(self, told) -> None:
        assert abs(told["adjusted"]) < 3

    def test_a_copy_does_not_hide_what_lies_beside_its_layer(self, told) -> None:
        assert told["visible_fills"] == [True, True]

    def test_two_copies_that_are_asked_for_at_once_are_both_seen(self, told) -> None:
        assert told["at_once"] == [[True, True, True]] * 2

    def test_of_two_copies_with_one_hole_the_one_that_is_seen_is_selected(self, told) -> None:
        assert told["twice"] == [[True, False, False], True]

    def test_another_picture_is_known_by_few_rows_and_by_what_is_beside_none_of_it(self, told) -> None:
        painted, flipped, keeps_few = told["other_pictures"]
        assert painted == []
        assert "The picture changed" in flipped[0]
        assert keeps_few

    def test_a_copy_does_not_take_over_what_the_artist_works_on(self, told) -> None:
        assert told["went_on"]["selected"] is True
        assert told["went_on"]["edits mask"] is False

    def test_a_picture_that_was_flipped_meanwhile_is_told(self, told) -> None:
        assert any("The picture changed" in message for message in told["went_on"]["messages"])

    def test_what_a_copy_covers_or_shows_otherwise_is_told(self, told) -> None:
        fills, texture_map = told["not_seen"]
        assert "Earlier fills" in fills
        assert "texture map lies under the copy" in texture_map

    def test_a_texture_map_is_as_soft_as_the_mask_of_its_layer(self, told) -> None:
        difference, messages = told["soft_map"]
        assert difference <= 1
        assert "hide the layer" in messages[0]

    def test_what_no_layer_of_the_image_can_be_copied_from_is_refused(self, told) -> None:
        passing, elsewhere = told["refused"]
        assert "A pass-through group cannot be copied" in passing
        assert "not in this image" in elsewhere


def test_an_artists_way_through_the_full_gimp(root: Path, tmp_path: Path) -> None:
    """By keyboard and mouse on a virtual screen: menu, dialog, result, undo, repetition, Cancel, an error's dialog."""
    with running(root, tmp_path) as session:
        told = drive(session)
    assert "fault" not in told, told["fault"]
    assert told["result"] == ["Inpaint (DGFNet)", "Background"]
    assert told["selected"] == told["undone"] == ["Background"]
    assert told["same pixels"] is True
    widths = [width for _, width in told["repeated twice"]]
    assert widths == [widths[0], widths[0], 512], "Ctrl+F did not fill the original again"
    assert all(
        told[name] is True
        for name in (
            "undo of group",
            "undo of copy",
            "another",
            "server window",
            "server window again",
            "texture map",
            "cancelled",
            "error",
        )
    )
    shots = ("1-selection", "2-menu", "3-dialog", "5-result", "6-undo", "7-progress-and-cancel", "9-error", "11-server")
    assert all((session.work / "shots" / f"{name}.png").stat().st_size > 10_000 for name in shots)


def test_the_folder_script_of_the_docs(session: Session) -> None:
    """docs/gimp.md, "Every picture of a folder", word for word: transparent parts are filled, opaque pictures told."""
    page = (installation.SOURCE.parents[1] / "docs" / "gimp.md").read_text(encoding="utf-8")
    _, _, rest = page.partition("Save this as `fill_folder.py`:\n")
    script, _, rest = rest.partition("\nand run\n")
    command, _, _ = rest.partition("\nFor folders")
    (session.work / "fill_folder.py").write_text(textwrap.dedent(script))
    for name in ("in", "out"):
        (session.work / name).mkdir(exist_ok=True)
    picture = Image.open(session.work / "photo.png")
    picture.save(session.work / "in" / "whole.png")
    picture.putalpha(255)
    picture.paste((0, 0, 0, 0), (60, 40, 100, 80))
    picture.save(session.work / "in" / "holed.png")
    done = subprocess.run(
        session.command("sh", "-c", f"cd /mnt/work && {command.strip()}"), capture_output=True, text=True, timeout=300
    )
    assert "holed.png filled" in done.stdout, done.stdout + done.stderr
    assert "whole.png Nothing is selected" in done.stdout
    filled = np.asarray(Image.open(session.work / "out" / "holed.png").convert("RGB"))
    known = np.ones(filled.shape[:2], bool)
    known[36:84, 56:104] = False  # it grows by 2
    assert np.array_equal(filled[known], np.asarray(picture.convert("RGB"))[known])
    assert filled[40:80, 60:100].std() > 0


def test_two_gimps_at_once(session: Session) -> None:
    """Both get their fill; the second has a profile of its own."""
    installation.install(session.work / "second")
    both = [
        session.drive({"meet": mine, "other": theirs}, profile)
        for profile, mine, theirs in (("profile", "first", "second"), ("second", "second", "first"))
    ]
    for process in both:
        finish(process)
    for name in ("first", "second"):
        assert (session.work / "results" / f"{name}.met").read_text() == "True"
