"""LPIPS 0.1 with AlexNet (Zhang et al. 2018)."""

from __future__ import annotations

import pathlib

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgfnet.errors import UserError
from dgfnet.evaluation.perception import Comparison, feature_distance, read_state

_CONVOLUTIONS = {0: (3, 64, 11, 4, 2), 3: (64, 192, 5, 1, 2), 6: (192, 384, 3, 1, 1), 8: (384, 256, 3, 1, 1)}
_CONVOLUTIONS |= {10: (256, 256, 3, 1, 1)}  # torchvision's index: inputs, outputs, kernel, stride, padding
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)  # R, G, B, of -1 to 1


class LPIPS(nn.Module):
    """AlexNet's five convolutions and a learned weight per channel."""

    frechet = ""
    distance = "LPIPS"

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.ModuleDict({str(index): nn.Conv2d(*shape) for index, shape in _CONVOLUTIONS.items()})
        self.weights = nn.ParameterList(torch.zeros(shape[1]) for shape in _CONVOLUTIONS.values())
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(_SCALE).view(1, 3, 1, 1))
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """[B, 3, H, W], 0 to 1 -> the answers of the five convolutions."""
        x = (pictures * 2 - 1 - self.get_buffer("shift")) / self.get_buffer("scale")
        answers: list[Tensor] = []
        for convolution in self.features.values():
            if len(answers) in (1, 2):
                x = F.max_pool2d(x, 3, 2)
            x = F.relu(convolution(x))
            answers.append(x)
        return answers

    @torch.no_grad()
    def compare(self, pictures: Tensor) -> Comparison:
        """As `Perception.compare`."""
        return Comparison(None, feature_distance(self(pictures), list(self.weights)))


def load_lpips(alexnet: str | pathlib.Path, linear: str | pathlib.Path) -> LPIPS:
    """LPIPS from torchvision's AlexNet (alexnet-owt-*.pth) and the authors' weights per channel (v0.1/alex.pth).

    Raises:
        UserError: a file does not hold these weights.
    """
    network = LPIPS()
    trunk, learned = read_state(pathlib.Path(alexnet)), read_state(pathlib.Path(linear))
    try:
        for index, convolution in network.features.items():
            convolution.load_state_dict({part: trunk[f"features.{index}.{part}"] for part in ("weight", "bias")})
        for number, weight in enumerate(network.weights):
            weight.copy_(learned[f"lin{number}.model.1.weight"].view(weight.shape))
    except (KeyError, RuntimeError) as error:
        raise UserError(f"'{alexnet}' and '{linear}' are not AlexNet and the weights of LPIPS for it.") from error
    return network
