import torch

from dgfnet.network import layers
from dgfnet.network.layers import ConsistentAttention, Memory, PartialConv2d, composite


def test_composite_takes_the_prediction_in_the_hole_only():
    prediction, image = torch.full((1, 1, 1, 2), 5.0), torch.full((1, 1, 1, 2), float("nan"))
    image[..., 0] = 1.0
    known = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2)
    assert composite(prediction, image, known).flatten().tolist() == [1.0, 5.0]


def test_partial_convolution_of_a_constant_is_constant_where_anything_is_known():
    """A window half unknown is scaled up to a full one; the paper's equation (1) of partial convolutions."""
    conv = PartialConv2d(2, 1, 3)
    torch.nn.init.ones_(conv.weight)
    known = torch.ones(1, 1, 6, 6)
    known[..., 3:, :] = 0
    out, mask = conv((torch.full((1, 2, 6, 6), 0.5), known))
    assert torch.allclose(out[..., :4, :], torch.full((1, 1, 4, 6), 9.0))
    assert (out[..., 4:, :] == 0).all()
    assert torch.allclose(mask[..., :4, :], torch.ones(1, 1, 4, 6))
    assert (mask[..., 4:, :] == 0).all()


def test_groups_of_channels_have_masks_of_their_own():
    conv = PartialConv2d(3, 1, 1)
    torch.nn.init.ones_(conv.weight)
    one, none = torch.ones(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)
    out, mask = conv((torch.ones(1, 1, 2, 2), one), (torch.ones(1, 2, 2, 2), none))
    assert torch.allclose(out, torch.full((1, 1, 2, 2), 3.0))
    assert torch.equal(mask, one)


def _recurrences(attention, frames, known):
    memory, outputs = Memory(), []
    for x in frames:
        out, memory = attention(x, known, memory)
        outputs.append(out)
    return torch.stack(outputs)


def test_attention_in_blocks_equals_attention_at_once(monkeypatch):
    torch.manual_seed(0)
    attention = ConsistentAttention(8)
    frames, known = torch.randn(3, 2, 8, 12, 10), (torch.rand(2, 1, 24, 20) > 0.5).float()
    whole = _recurrences(attention, frames, known)
    monkeypatch.setattr(layers, "ATTENTION_BYTES", 2 * 120 * 4 * 7)
    assert torch.allclose(_recurrences(attention, frames, known), whole, atol=1e-5)


def test_score_maps_are_never_larger_than_the_budget(monkeypatch):
    """A 1024 x 1024 picture has 16384 positions at an eighth of its size: one whole map would take 1 GiB."""
    sizes = []
    softmax = torch.softmax

    def spy(scores, dim):
        sizes.append(scores.numel() * scores.element_size())
        return softmax(scores, dim)

    monkeypatch.setattr(torch, "softmax", spy)
    with torch.no_grad():
        ConsistentAttention(1)(torch.rand(1, 1, 128, 128), torch.ones(1, 1, 128, 128), Memory())
    assert sum(sizes) == 16384**2 * 4
    assert max(sizes) <= layers.ATTENTION_BYTES


def test_attention_keeps_nothing_between_calls():
    attention = ConsistentAttention(4).eval()
    x, known = torch.rand(1, 4, 6, 6), torch.ones(1, 1, 6, 6)
    first, _ = attention(x, known, Memory())
    attention(torch.rand(1, 4, 6, 6), known, Memory())
    assert torch.equal(attention(x, known, Memory())[0], first)
