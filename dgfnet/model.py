"""DGFNet: coarse branch, texture branch and fusion, assembled; and its weights on disk (paper Fig. 2)."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import pathlib
from typing import Literal, NamedTuple

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as serialize
from torch import Tensor, nn

from dgfnet.errors import UserError
from dgfnet.network.coarse import MAX_RECURRENCES, STRIDE, CoarseBranch, reach
from dgfnet.network.diffusion import blank, harmonic_fill
from dgfnet.network.fusion import FusionNetwork
from dgfnet.network.layers import composite
from dgfnet.network.rtv import masked_texture
from dgfnet.network.texture import TextureBranch
from dgfnet.settings import chosen_weights, overruling_weights

SHIPPED = pathlib.Path(__file__).parent / "weights"
DEFAULT = "dgfnet-narrow"

Storage = Literal["float32", "float16", "int8"]
_SCALE = ".scale"
Fusion = Literal["dpfm", "plain", "none"]
ABLATION: dict[str, Fusion] = {"full": "dpfm", "without-dpfm": "plain", "baseline": "none"}
"""The rows of Table 2, the network to judge first."""


@dataclasses.dataclass(frozen=True)
class DGFNetConfig:
    """What a network is made of.

    `width` multiplies the channels of the coarse branch, `detail_width` those of texture branch and fusion network.
    `fusion` is the ablation of Table 2: `dpfm` the full model, `plain` without DPFM, `none` the coarse branch alone.
    `recurrences` is the most that the network was trained for. With `membrane` the coarse branch predicts what is to be
    added to a membrane over the hole, instead of the picture itself. `finer` says that texture branch and fusion were
    trained in their second role too (`DGFNet.refine`).
    """

    width: float = 1.0
    detail_width: float = 1.0
    fusion: Fusion = "dpfm"
    recurrences: int = MAX_RECURRENCES
    membrane: bool = False
    finer: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.fusion not in ("dpfm", "plain", "none"):
            raise ValueError(f"fusion must be 'dpfm', 'plain' or 'none', not {self.fusion!r}")
        if round(64 * self.width) < 8 or round(32 * self.detail_width) < 4 or self.recurrences < 1:
            raise ValueError("width must be at least 1/8 and recurrences at least 1")


class Output(NamedTuple):
    """Raw predictions for every pixel, [B, 3, H, W] each: not clamped, not composed with the known pixels."""

    coarse: Tensor
    texture: Tensor
    fused: Tensor


class Known(NamedTuple):
    """What both roles of a network need of a picture with a hole; the parts that it has no use for are empty."""

    image: Tensor  # [B, 3, H, W], zero in the hole
    membrane: Tensor  # [B, 3, H, W], stretched over the hole
    texture: Tensor  # [B, 3, H, W], signed, zero in the hole


class DGFNet(nn.Module):
    """The whole network. Pure: a call depends on its arguments and the weights only."""

    def __init__(self, config: DGFNetConfig | None = None) -> None:
        super().__init__()
        self.config = config or DGFNetConfig()
        self.coarse = CoarseBranch(self.config.width)
        if self.config.membrane:
            nn.init.zeros_(self.coarse.out.weight)  # an untrained coarse branch leaves the membrane as it is
        if self.config.fusion != "none":
            self.texture = TextureBranch(self.config.detail_width)
            self.fusion = FusionNetwork(self.config.detail_width, perceive=self.config.fusion == "dpfm")

    def prepare(self, image: Tensor, known: Tensor) -> Known:
        """What `forward` and `refine` begin with, for callers of both: their arguments but the last."""
        image = blank(image, known)
        has_texture = self.config.fusion != "none"
        membrane = harmonic_fill(image.float(), known) if self.config.membrane or has_texture else image[:0]
        texture = masked_texture(membrane, known) if has_texture else image[:0]
        return Known(image, membrane, texture)

    def forward(
        self, image: Tensor, known: Tensor, recurrences: int | None = None, prepared: Known | None = None
    ) -> Output:
        """Predict a picture with a hole.

        Args:
            image: [B, 3, H, W], sRGB, 0 to 1; nothing under the hole is read. H and W multiples of 16.
            known: [B, 1, H, W], 1 = known, 0 = hole.
            recurrences: of the coarse branch; as many as it was trained for unless given.
            prepared: `prepare(image, known)` where the caller has it already.

        Returns:
            Coarse picture, signed texture and final picture. Without a fusion network the final picture is the coarse
            one and the texture zero.
        """
        height, width = image.shape[-2:]
        if height % STRIDE or width % STRIDE:
            raise ValueError(f"height and width must be multiples of {STRIDE}, not {height} x {width}")
        prepared = prepared or self.prepare(image, known)
        structure = self.coarse(prepared.image, known, recurrences or self.config.recurrences)
        if self.config.membrane:
            structure = prepared.membrane + structure
        return self.refine(image, known, structure, prepared)

    def refine(self, image: Tensor, known: Tensor, structure: Tensor, prepared: Known | None = None) -> Output:
        """Texture branch and fusion on a structure: the network's second half, and its second role.

        At network scale the structure is the coarse branch's picture. One scale finer it is the final picture of the
        scale below, enlarged twofold (bilinear): blurred in the hole, where this puts detail in. Networks whose
        config says `finer` were trained in both roles.

        Args:
            image: [B, 3, H, W], sRGB, 0 to 1; nothing under the hole is read. H and W multiples of 16.
            known: [B, 1, H, W], 1 = known, 0 = hole.
            structure: [B, 3, H, W], read in the hole only.
            prepared: `prepare(image, known)` where the caller has it already.

        Returns:
            As `forward`; `coarse` is the structure.
        """
        if self.config.fusion == "none":
            return Output(structure, torch.zeros_like(structure), structure)
        prepared = prepared or self.prepare(image, known)
        texture = self.texture(prepared.texture, known)
        seen = composite(structure, prepared.image, known), composite(texture, prepared.texture, known)
        fused = self.fusion(*seen, known)
        return Output(structure, texture, fused)

    def recurrences_for(self, depth: float) -> int:
        """Recurrences for a hole whose innermost pixel is `depth` px from its border.

        One more than fills it, but not more than the network was trained for.
        """
        needed = math.ceil((depth - reach(0)) / (reach(1) - reach(0)))
        return min(max(needed, 1) + 1, self.config.recurrences)

    @property
    def finer(self) -> bool:
        """Was the network trained in the second role of texture branch and fusion, `refine`?"""
        return self.config.finer

    def reach(self) -> int:
        """How far, in pixels, the network fills from a hole's border."""
        return reach(self.config.recurrences)


class WeightsError(UserError):
    """Weights cannot be used; the text is one sentence that says why."""


class WeightsInfo(NamedTuple):
    """What a weights file says of itself."""

    name: str
    path: pathlib.Path
    sha256: str
    config: DGFNetConfig
    notes: dict[str, str]


def save(
    network: DGFNet, path: str | pathlib.Path, notes: dict[str, str] | None = None, storage: Storage = "float32"
) -> None:
    """Write weights and config as safetensors; `notes` are kept in the file's metadata. Equal ones give equal bytes.

    Args:
        storage: of convolution kernels. `int8` keeps a scale per channel of a kernel's first axis beside it. All else,
            BatchNorm's statistics among it, stays float32.
    """
    metadata = {"config": json.dumps(dataclasses.asdict(network.config)), **(notes or {})}
    stored: dict[str, Tensor] = {}
    for name, value in network.state_dict().items():
        value = value.detach().contiguous().cpu()
        if value.ndim != 4 or storage == "float32":
            stored[name] = value
        elif storage == "float16":
            stored[name] = value.half()
        else:
            scale = value.abs().amax(dim=(1, 2, 3)).clamp_min(1e-12) / 127
            stored[name] = (value / scale.view(-1, 1, 1, 1)).round().to(torch.int8)
            stored[name + _SCALE] = scale
    pathlib.Path(path).write_bytes(_sorted(serialize(stored, metadata)))


def _sorted(file: bytes) -> bytes:
    """A safetensors file with its header in order; the library writes metadata in a random one."""
    length = int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8 : 8 + length]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + file[8 + length :]


def _restored(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """A state dict from what `save` wrote."""
    state = {}
    for name, value in stored.items():
        if name + _SCALE in stored:
            state[name] = value.float() * stored[name + _SCALE].view(-1, 1, 1, 1)
        elif not name.endswith(_SCALE):
            state[name] = value.float() if value.is_floating_point() else value
    return state


def available() -> list[str]:
    """Names of the shipped weights."""
    return sorted(path.stem for path in SHIPPED.glob("*.safetensors"))


def find(weights: str | pathlib.Path | None = None) -> pathlib.Path:
    """Path of a weights file given by path or by shipped name; the default is the user's choice, else the shipped one.

    Raises:
        WeightsError: there is no such file.
    """
    name = str(weights or chosen_weights() or DEFAULT)
    path = pathlib.Path(name)
    for candidate in (path, *([SHIPPED / f"{name}.safetensors"] if path.name == name else [])):
        if candidate.is_file():
            return candidate
    names = ", ".join(available()) or "none"
    hint = ""
    if not weights:
        hint = "; $DGFNET_WEIGHTS names them" if overruling_weights() else "; choose others with `dgfnet weights use`"
    raise WeightsError(f"There are no weights called '{path}'; shipped are: {names}{hint}.")


def label(weights: str | pathlib.Path | None = None) -> str:
    """The name of weights; that of their folder where the file is a training run's `weights.safetensors`.

    Raises:
        WeightsError: there is no such file.
    """
    path = find(weights)
    return path.resolve().parent.name if path.stem == "weights" else path.stem


def load_info(weights: str | pathlib.Path | None = None) -> WeightsInfo:
    """Describe a weights file without loading it.

    Raises:
        WeightsError: it is absent or not one of ours.
    """
    path = find(weights)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = dict(file.metadata() or {})
        config = DGFNetConfig(**json.loads(metadata.pop("config")))
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise WeightsError(f"'{path}' is not a DGFNet weights file, or it is damaged.") from error
    return WeightsInfo(path.stem, path, hashlib.sha256(path.read_bytes()).hexdigest(), config, metadata)


def load(weights: str | pathlib.Path | None = None, device: str | torch.device = "cpu") -> DGFNet:
    """Network with its weights, in eval mode on `device`.

    Raises:
        WeightsError: the weights are absent, damaged, or of another network.
    """
    info = load_info(weights)
    network = DGFNet(info.config)
    try:
        network.load_state_dict(_restored(load_file(info.path)))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise WeightsError(f"'{info.path}' does not fit the network that it describes.") from error
    return network.eval().to(device)
