import pytest
import torch
from safetensors.torch import save_file

from dgfnet import model
from dgfnet.model import DGFNet, DGFNetConfig, WeightsError
from dgfnet.network.coarse import CoarseBranch
from dgfnet.network.diffusion import blank, harmonic_fill
from dgfnet.network.fusion import DifferencePerception, FusionNetwork
from dgfnet.network.texture import TextureBranch

FUSIONS = ["dpfm", "plain", "none"]


def small(fusion="dpfm", recurrences=2, membrane=False):
    torch.manual_seed(0)
    return DGFNet(DGFNetConfig(0.125, 0.125, fusion, recurrences, membrane))


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("size", [(32, 48), (64, 64)])
def test_shapes_and_finite(fusion, size):
    known = torch.ones(2, 1, *size)
    known[..., 8:20, 8:20] = 0
    with torch.no_grad():
        out = small(fusion).eval()(torch.rand(2, 3, *size), known)
    for part in out:
        assert part.shape == (2, 3, *size)
        assert torch.isfinite(part).all()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_parameter_gets_a_gradient(fusion, image, known):
    network = small(fusion).train()
    if fusion != "none":
        torch.nn.init.normal_(network.fusion.out.weight, std=0.1)
    out = network(image.expand(2, -1, -1, -1), known.expand(2, -1, -1, -1))
    sum(part.square().sum() for part in out).backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert silent == []


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("hidden", [torch.rand, lambda *s: torch.full(s, float("nan"))], ids=["noise", "nan"])
def test_nothing_in_the_hole_leaks(fusion, hidden, image, known):
    network = small(fusion).eval()
    poisoned = torch.where(known > 0, image, hidden(*image.shape))
    with torch.no_grad():
        for clean, dirty in zip(network(image, known), network(poisoned, known), strict=True):
            assert torch.equal(clean, dirty)


def test_with_a_membrane_training_starts_from_it(image, known):
    """Exactly where nothing is learned yet; in the hole nothing is read then either."""
    network = small(membrane=True).eval()
    poisoned = torch.where(known > 0, image, torch.full_like(image, float("nan")))
    with torch.no_grad():
        out = network(poisoned, known)
        assert torch.equal(out.coarse, harmonic_fill(image, known))
        assert torch.equal(out.fused, out.coarse + network.fusion.out.bias.view(1, 3, 1, 1))
        torch.nn.init.normal_(network.coarse.out.weight)
        added = network.coarse(blank(image, known), known, 2)
        assert torch.allclose(network(image, known).coarse, harmonic_fill(image, known) + added)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_refining_reads_the_hole_through_the_structure_only(fusion, image, known):
    network = small(fusion).eval()
    if fusion != "none":
        torch.nn.init.normal_(network.fusion.out.weight, std=0.1)
    structure = torch.rand_like(image)
    poisoned = torch.where(known > 0, image, torch.full_like(image, float("nan")))
    outside = torch.where(known > 0, torch.full_like(image, float("nan")), structure)
    with torch.no_grad():
        clean = network.refine(image, known, structure)
        assert torch.equal(network.refine(poisoned, known, structure).fused, clean.fused)
        if fusion != "none":
            assert torch.equal(network.refine(image, known, outside).fused, clean.fused)
        assert not torch.equal(network.refine(image, known, 1 - structure).fused, clean.fused)
        first = network(image, known)
        assert torch.equal(network.refine(image, known, first.coarse).fused, first.fused)


def test_a_call_changes_nothing_on_the_network(network, image, known):
    before = {k: v.clone() for k, v in network.state_dict().items()}
    with torch.no_grad():
        first = network(image, known)
        network(torch.rand_like(image), torch.ones_like(known))
        again = network(image, known)
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert all(torch.equal(before[k], v) for k, v in network.state_dict().items())


def test_equations_1_to_4_of_the_fusion_module():
    """One pixel, ones as weights: gates sigmoid(BN(c + t)), streams BN(gate * LeakyReLU(.))."""
    module = DifferencePerception(1, 1).eval()
    for conv in (module.gates[0], module.coarse, module.texture):
        torch.nn.init.zeros_(conv.weight)
        conv.weight.data[:, :, 1, 1] = 1
        if conv.bias is not None:
            torch.nn.init.zeros_(conv.bias)
    coarse, texture = module(torch.full((1, 1, 2, 2), 1.0), torch.full((1, 1, 2, 2), -0.5))
    gate = torch.sigmoid(torch.tensor(0.5))
    assert coarse.shape == (1, 1, 1, 1)
    assert coarse.item() == pytest.approx(gate.item(), rel=1e-4)
    assert texture.item() == pytest.approx(gate.item() * -0.1, rel=1e-4)


def test_fusion_halves_four_times_and_every_fusion_convolution_has_stride_2():
    fusion = FusionNetwork(0.125)
    strides = {c.stride for m in fusion.merge for c in m.modules() if isinstance(c, torch.nn.Conv2d)}
    assert len(fusion.merge) == 4
    assert strides == {(2, 2)}


def test_untrained_fusion_returns_the_coarse_picture(image, known):
    fusion = FusionNetwork(0.125).eval()
    torch.nn.init.zeros_(fusion.out.bias)
    assert torch.equal(fusion(image, torch.zeros_like(image), known), image)


def test_texture_is_signed(image, known):
    torch.manual_seed(0)
    out = TextureBranch(0.125)(image - 0.5, known)
    assert out.min() < 0 < out.max()


def test_the_reach_is_what_the_coarse_branch_fills():
    """A single known column: pixels beyond reach() get the same colour whatever was known."""
    torch.manual_seed(0)
    branch = CoarseBranch(0.125).eval()
    known = torch.zeros(1, 1, 32, 256)
    known[..., :16] = 1
    with torch.no_grad():
        out = branch(torch.rand(1, 3, 32, 256) * known, known, recurrences=2)[0, :, 16]
    constant = (out - out[:, 255:]).abs().amax(0) < 1e-6
    first = (
        int(constant.float().cumprod(0).argmax())
        if constant[0]
        else 256 - int(constant.flip(0).float().cumprod(0).sum())
    )
    assert abs(first - 16 - model.reach(2)) <= 6


def test_recurrences_grow_with_the_hole():
    network = small(recurrences=6)
    assert [network.recurrences_for(d) for d in (1, 9, 21, 22, 45, 500)] == [2, 2, 2, 3, 4, 6]
    assert network.reach() == 81


def test_wrong_sizes_and_configs_are_refused():
    with pytest.raises(ValueError, match="multiples of 16"):
        small()(torch.rand(1, 3, 30, 32), torch.ones(1, 1, 30, 32))
    with pytest.raises(ValueError, match="fusion"):
        DGFNetConfig(fusion="both")
    with pytest.raises(ValueError, match="width"):
        DGFNetConfig(width=0.01)


def test_weights_round_trip(tmp_path, network, image, known):
    model.save(network, tmp_path / "w.safetensors", {"step": "7"})
    info = model.load_info(tmp_path / "w.safetensors")
    assert info.config == network.config
    assert info.notes == {"step": "7"}
    assert len(info.sha256) == 64
    loaded = model.load(tmp_path / "w.safetensors")
    with torch.no_grad():
        assert torch.equal(loaded(image, known).fused, network(image, known).fused)


def test_bad_weights_get_a_sentence(tmp_path):
    with pytest.raises(WeightsError, match="no weights called 'nothing'"):
        model.load("nothing")
    (tmp_path / "garbage.safetensors").write_bytes(b"garbage")
    with pytest.raises(WeightsError, match="damaged"):
        model.load(tmp_path / "garbage.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "other.safetensors")
    with pytest.raises(WeightsError, match="not a DGFNet weights file"):
        model.load(tmp_path / "other.safetensors")
    save_file({"x": torch.zeros(1)}, tmp_path / "empty.safetensors", {"config": "{}"})
    with pytest.raises(WeightsError, match="does not fit"):
        model.load(tmp_path / "empty.safetensors")
