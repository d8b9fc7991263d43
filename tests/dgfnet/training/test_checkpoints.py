import errno
import json
import pathlib
from dataclasses import replace

import pytest
import torch

from dgfnet import model
from dgfnet.errors import FileError, UserError
from dgfnet.training import checkpoints
from dgfnet.training.trainer import Trainer


@pytest.fixture
def trainer(recipe, bank):
    trainer = Trainer(recipe, bank, None)
    list(trainer.run(1))
    return trainer


def same(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def test_weights_beside_a_checkpoint_can_be_used(trainer, tmp_path):
    checkpoints.write(trainer, tmp_path)
    info = model.load_info(tmp_path / "weights.safetensors")
    assert info.notes["step"] == "1"
    assert info.notes["recipe"] == "test"
    loaded = model.load(tmp_path / "weights.safetensors")
    assert torch.equal(loaded.coarse.out.weight, trainer.average.coarse.out.weight)
    assert not list(tmp_path.glob("*.partial"))


def test_parts_join_to_the_same_state(trainer, tmp_path):
    checkpoints.write(trainer, tmp_path, part_bytes=500_000)
    parts = list(tmp_path.glob("checkpoint-*.part"))
    assert len(parts) > 2
    assert all(part.stat().st_size <= 500_000 for part in parts)
    assert same(checkpoints.read(tmp_path, "cpu"), trainer.state())


def test_only_the_newest_form_stays(trainer, tmp_path):
    checkpoints.write(trainer, tmp_path)
    checkpoints.write(trainer, tmp_path, part_bytes=1_000_000)
    first = {part.name for part in tmp_path.glob("*.part")}
    list(trainer.run(2))
    checkpoints.write(trainer, tmp_path, part_bytes=1_000_000)
    second = {part.name for part in tmp_path.glob("*.part")}
    assert not (tmp_path / checkpoints.WHOLE).exists()
    assert not first & second
    checkpoints.write(trainer, tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["checkpoint.pt", "weights.safetensors"]


def test_a_crash_between_two_forms_leaves_one_that_is_read(trainer, tmp_path, monkeypatch):
    """From parts to a whole checkpoint, killed before or after the parts are gone."""
    for after in (False, True):
        checkpoints.write(trainer, tmp_path, part_bytes=1_000_000)
        remove = checkpoints._remove_parts

        def killed(*arguments, after=after, remove=remove, **named):
            if after:
                remove(*arguments, **named)
            raise KeyboardInterrupt

        with monkeypatch.context() as patched:
            patched.setattr(checkpoints, "_remove_parts", killed)
            with pytest.raises(KeyboardInterrupt):
                checkpoints.write(trainer, tmp_path)
        assert same(checkpoints.read(tmp_path, "cpu"), trainer.state())


@pytest.mark.parametrize("part_bytes", [None, 700_000])
def test_a_full_disk_leaves_the_checkpoint_before(trainer, tmp_path, room, part_bytes):
    checkpoints.write(trainer, tmp_path, part_bytes)
    before, state = sorted(tmp_path.iterdir()), checkpoints.read(tmp_path, "cpu")
    list(trainer.run(2))
    with room(600_000), pytest.raises(FileError, match=r"cannot be written \(.*\); make room"):
        checkpoints.write(trainer, tmp_path, part_bytes)
    assert sorted(tmp_path.iterdir()) == before
    assert same(checkpoints.read(tmp_path, "cpu"), state)


def test_parts_already_written_go_when_the_disk_gets_full(trainer, tmp_path, monkeypatch):
    checkpoints.write(trainer, tmp_path, part_bytes=1_000_000)
    before = sorted(tmp_path.iterdir())
    list(trainer.run(2))
    write_bytes, written = pathlib.Path.write_bytes, []

    def full_at_the_third(file, data):
        written.append(file)
        if len(written) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write_bytes(file, data)

    monkeypatch.setattr(pathlib.Path, "write_bytes", full_at_the_third)
    with pytest.raises(FileError, match="No space left on device"):
        checkpoints.write(trainer, tmp_path, part_bytes=1_000_000)
    assert sorted(tmp_path.iterdir()) == before


def test_whole_checkpoints_are_read_without_the_weights_beside(trainer, tmp_path, monkeypatch):
    checkpoints.write(trainer, tmp_path)
    monkeypatch.setattr(checkpoints, "load_info", lambda file: pytest.fail("the weights were read"))
    assert same(checkpoints.read(tmp_path, "cpu"), trainer.state())


def test_missing_and_damaged_files_get_a_sentence(trainer, tmp_path):
    with pytest.raises(UserError, match="no checkpoint"):
        checkpoints.read(tmp_path, "cpu")
    checkpoints.write(trainer, tmp_path, part_bytes=1_000_000)
    part = tmp_path / json.loads((tmp_path / checkpoints.LIST).read_text())["parts"][1]["file"]
    content = part.read_bytes()
    part.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=f"{part.name}' is damaged"):
        checkpoints.read(tmp_path, "cpu")
    part.unlink()
    with pytest.raises(UserError, match=f"{part.name}' is missing"):
        checkpoints.read(tmp_path, "cpu")
    (tmp_path / checkpoints.LIST).write_text("{}")
    with pytest.raises(UserError, match=r"checkpoint\.json' is damaged"):
        checkpoints.read(tmp_path, "cpu")
    (tmp_path / checkpoints.LIST).unlink()
    (tmp_path / checkpoints.WHOLE).write_bytes(b"PK no checkpoint")
    with pytest.raises(UserError, match="damaged"):
        checkpoints.read(tmp_path, "cpu")


def test_a_slim_checkpoint_goes_on_from_nearly_the_same_place(trainer, recipe, bank, tmp_path):
    checkpoints.write(trainer, tmp_path)
    full = (tmp_path / checkpoints.WHOLE).stat().st_size
    checkpoints.write(trainer, tmp_path, slim=True)
    assert (tmp_path / checkpoints.WHOLE).stat().st_size < 0.4 * full  # this network has many small tensors
    again = Trainer(recipe, bank, None)
    again.restore(checkpoints.read(tmp_path, "cpu"))
    for a, b in zip(trainer.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        assert torch.allclose(a.float(), b.float(), rtol=1e-3, atol=1e-6)
    for a, b in zip(trainer.average.state_dict().values(), again.average.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(again.average.fusion.out.weight, again.network.fusion.out.weight)
    after, before = next(again.run(2)), next(trainer.run(2))
    assert after["total"] == pytest.approx(before["total"], rel=0.02)
    assert again.step == 2


@pytest.mark.parametrize("part_bytes", [None, 700_000])
def test_a_full_disk_does_not_part_a_slim_checkpoint_from_its_average(trainer, tmp_path, monkeypatch, part_bytes):
    checkpoints.write(trainer, tmp_path, part_bytes, slim=True)
    before, state = sorted(tmp_path.iterdir()), checkpoints.read(tmp_path, "cpu")
    list(trainer.run(2))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoints, "save", full)
    with pytest.raises(FileError, match="No space left on device"):
        checkpoints.write(trainer, tmp_path, part_bytes, slim=True)
    assert sorted(tmp_path.iterdir()) == before
    assert same(checkpoints.read(tmp_path, "cpu"), state)
    assert not same(state["average"], state["network"])


def test_a_slim_checkpoint_alone_takes_the_network_for_the_average(trainer, tmp_path, capsys):
    checkpoints.write(trainer, tmp_path, slim=True)
    for spoil in (lambda file: file.write_bytes(b"garbage"), lambda file: file.unlink()):
        spoil(tmp_path / checkpoints.WEIGHTS)
        state = checkpoints.read(tmp_path, "cpu")
        assert same(state["average"], state["network"])
        said = f"'{tmp_path}' has no weights.safetensors of step 1; copy them there, else the moving average"
        assert said in capsys.readouterr().err


def test_a_discriminator_that_no_stage_uses_is_not_kept(recipe, bank, tmp_path):
    alone = replace(recipe, stages=tuple(replace(stage, adversarial=False) for stage in recipe.stages))
    trainer = Trainer(alone, bank, None)
    list(trainer.run(1))
    for slim in (False, True):
        checkpoints.write(trainer, tmp_path, slim=slim)
        state = checkpoints.read(tmp_path, "cpu")
        assert not [name for name in state if "discriminator" in name]
        Trainer(alone, bank, None).restore(state)


def test_a_checkpoint_of_before_the_watch_is_read(trainer, recipe, bank, tmp_path):
    """Version 0.1's first runs kept generators, and no watch; later ones did not say what they used."""
    state = {k: v for k, v in trainer.state().items() if k not in ("watch", "used")}
    generator = torch.Generator().get_state()
    torch.save({**state, "crops": generator, "holes": generator, "holes_device": "cpu"}, tmp_path / checkpoints.WHOLE)
    assert checkpoints.records(tmp_path)["used"] == {}
    again = Trainer(replace(recipe, steps=2), bank, None)
    again.restore(checkpoints.read(tmp_path, "cpu"))
    assert len(list(again.run(2))) == 1
