import importlib.util

import pytest
import torch

from dgfnet.errors import UserError
from dgfnet.network import layers, rfr


@pytest.fixture(scope="module")
def golden(shared):
    """(the authors' state dict, what their network answered)."""
    spec = importlib.util.spec_from_file_location("rfr_parity", shared / "reference" / "rfr_parity.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.golden()


@pytest.mark.parametrize("budget", [layers.ATTENTION_BYTES, 300_000], ids=["whole", "blocks"])
@pytest.mark.parametrize("case", range(4))
def test_computes_what_the_authors_network_computes(golden, case, budget, monkeypatch):
    monkeypatch.setattr(layers, "ATTENTION_BYTES", budget)
    state, cases = golden
    expected = cases[case]
    branch = rfr.coarse_branch(state).train(expected["mode"] == "train")
    with torch.no_grad():
        out = branch(expected["image"], expected["mask"][:, :1])
    assert (out - expected["out"]).abs().max() < 2e-4 * expected["out"].abs().max()


def test_a_published_checkpoint_is_read(golden, tmp_path):
    state, _ = golden
    torch.save({"n_iter": 5, "generator": state}, tmp_path / "g.pth")
    branch = rfr.read_checkpoint(tmp_path / "g.pth")
    assert torch.equal(branch.entry.weight, state["Pconv1.weight"])
    assert torch.equal(branch.reason.attention.combiner.bias, state["RFRModule.att.combiner.bias"])


def test_other_files_are_refused_with_a_sentence(tmp_path):
    (tmp_path / "text.pth").write_text("not a checkpoint")
    with pytest.raises(UserError, match="cannot be read"):
        rfr.read_checkpoint(tmp_path / "text.pth")
    with pytest.raises(UserError, match="cannot be read"):
        rfr.read_checkpoint(tmp_path / "absent.pth")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pth")
    with pytest.raises(UserError, match="'weight'"):
        rfr.read_checkpoint(tmp_path / "other.pth")
    torch.save({"Pconv1.weight": torch.zeros(64, 3, 7, 7)}, tmp_path / "part.pth")
    with pytest.raises(UserError, match="missing"):
        rfr.read_checkpoint(tmp_path / "part.pth")


def test_code_in_a_pickle_is_never_run(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    torch.save({"x": Trap()}, tmp_path / "trap.pth")
    with pytest.raises(UserError):
        rfr.read_checkpoint(tmp_path / "trap.pth")
    assert not (tmp_path / "sprung").exists()
