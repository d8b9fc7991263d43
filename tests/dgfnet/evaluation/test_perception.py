import numpy as np
import pytest
import torch

from dgfnet.errors import UserError
from dgfnet.evaluation.inception import Inception, load_inception
from dgfnet.evaluation.lpips import LPIPS, load_lpips
from dgfnet.evaluation.perception import SqueezeNet, feature_distance, load_squeezenet

KERAS_FILE = "weights/squeezenet1_1/squeezenet_weights_tf_dim_ordering_tf_kernels_notop.h5"


@pytest.fixture
def stack(image):
    """A truth, a little noise on it, more noise."""
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0))
    return torch.cat([image, image + 0.02 * noise, image + 0.1 * noise]).clamp(0, 1)


def write_keras(file, network):
    h5py = pytest.importorskip("h5py")
    with h5py.File(file, "w") as data:
        for name, module in network.named_modules():
            if isinstance(module, torch.nn.Conv2d):
                group = data.create_group(f"{name.replace('.', '/')}/{name.replace('.', '/')}")
                group[f"{module.in_channels}_b"] = module.bias.numpy()
                group["kernel"] = module.weight.permute(2, 3, 1, 0).numpy()


def test_feature_distance_of_known_features():
    """Directions at right angles are sqrt(2) apart, whatever their lengths; layers add up; weights count."""
    layer = torch.tensor([[3.0, 0], [0, 7], [5, 0]])[:, :, None, None].expand(3, 2, 4, 4)
    assert feature_distance([layer]).tolist() == pytest.approx([2, 0])
    assert feature_distance([layer, layer]).tolist() == pytest.approx([4, 0])
    assert feature_distance([layer], [torch.tensor([0.5, 0.25])]).tolist() == pytest.approx([0.75, 0])


def test_squeezenet_reads_the_keras_layout(tmp_path, stack):
    torch.manual_seed(1)
    network = SqueezeNet()
    write_keras(tmp_path / "s.h5", network)
    loaded = load_squeezenet(tmp_path / "s.h5")
    for own, expected in zip(loaded.compare(stack), network.compare(stack), strict=True):
        assert torch.equal(own, expected)
    assert [tuple(a.shape[1:3]) for a in network(stack)][::6] == [(64, 31), (512, 3)]


def test_squeezenet_takes_blue_first_and_no_mean():
    network = SqueezeNet()
    torch.nn.init.zeros_(network.conv1.weight)
    torch.nn.init.zeros_(network.conv1.bias)
    network.conv1.weight[0, 0, 1, 1] = 1  # the first channel of the original weights is blue
    blue = torch.tensor([0, 0, 1.0]).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    assert network(blue)[0][0, 0].unique().item() == pytest.approx(255 - 103.939)


def test_squeezenet_sees_more_noise_as_farther(shared, stack):
    pytest.importorskip("h5py")
    if not (shared / KERAS_FILE).is_file():
        pytest.skip("the SqueezeNet weights are not on this machine")
    features, distances = load_squeezenet(shared / KERAS_FILE).compare(stack)
    assert features.shape == (3, 512)
    assert 0 < distances[0] < distances[1]
    assert load_squeezenet(shared / KERAS_FILE).compare(stack[:1].repeat(2, 1, 1, 1)).distances.item() == 0


def test_files_that_are_not_squeezenet_get_a_sentence(tmp_path):
    h5py = pytest.importorskip("h5py")
    (tmp_path / "text.h5").write_text("no")
    with h5py.File(tmp_path / "other.h5", "w") as data:
        data["conv1/kernel"] = np.zeros((7, 7, 3, 64), np.float32)
    for name in ("text.h5", "other.h5", "absent.h5"):
        with pytest.raises(UserError, match="does not hold SqueezeNet"):
            load_squeezenet(tmp_path / name)


def test_only_the_inception_of_fid_is_called_fid(tmp_path, stack):
    network = Inception()
    state = network.state_dict()
    assert len(state) == 94 * 6
    assert sum(v.numel() for v in network.parameters()) == 21_785_568
    names = {
        "Mixed_6b.branch7x7dbl_4.conv.weight",
        "Mixed_7c.branch3x3dbl_3b.bn.running_var",
        "Mixed_6a.branch3x3.bn.bias",
    }
    assert names < state.keys()
    fc = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(state | fc, tmp_path / "fid.pth")
    features = load_inception(tmp_path / "fid.pth").compare(stack[:1]).features
    assert features.shape == (1, 2048)
    assert torch.equal(features, network.compare(stack[:1]).features)
    torch.save(state | {key: value[:1000] for key, value in fc.items()}, tmp_path / "torchvision.pth")
    with pytest.raises(UserError, match="no 1008 classes"):
        load_inception(tmp_path / "torchvision.pth")
    torch.save(state, tmp_path / "without.pth")
    assert torch.equal(load_inception(tmp_path / "without.pth").compare(stack[:1]).features, features)
    state["Mixed_6a.branch3x3.bn.weight"][5] = 0.9
    torch.save(state, tmp_path / "torchvision-without.pth")
    with pytest.raises(UserError, match="BatchNorms do not scale"):
        load_inception(tmp_path / "torchvision-without.pth")
    torch.save({"fc.weight": fc["fc.weight"]}, tmp_path / "empty.pth")
    with pytest.raises(UserError, match="not the Inception of FID"):
        load_inception(tmp_path / "empty.pth")


def test_lpips_reads_both_files(tmp_path, stack):
    torch.manual_seed(2)
    network = LPIPS()
    trunk = {
        f"features.{i}.{part}": value for i, c in network.features.items() for part, value in c.state_dict().items()
    }
    learned = {f"lin{i}.model.1.weight": torch.rand(1, len(w), 1, 1) for i, w in enumerate(network.weights)}
    torch.save(trunk, tmp_path / "alexnet.pth")
    torch.save(learned, tmp_path / "linear.pth")
    loaded = load_lpips(tmp_path / "alexnet.pth", tmp_path / "linear.pth")
    distances = loaded.compare(stack).distances
    expected = feature_distance(network(stack), [w.flatten() for w in learned.values()])
    assert torch.allclose(distances, expected)
    assert 0 < distances[0] < distances[1]
    for files in (("linear.pth", "alexnet.pth"), ("absent.pth", "linear.pth")):
        with pytest.raises(UserError):
            load_lpips(*(tmp_path / file for file in files))
