"""Training steps per second, and their share of the device's measured matrix peak.

    python benchmarks/training_speed.py [--recipe full] [--stage 1] [--features VGG] [--batch N] [--steps N] [--compile]
        [--no-graphs]

Trains on noise, so that nothing but the step itself is measured. Prints a Markdown table and a profile: the operators
that take the most time of their own. Operations are counted by torch's flop counter on one step of its own
(convolutions and matrix products, forward and backward; RTV and other elementwise work count as nothing).
The peak is that of bfloat16 matrix products of 8192 (on a CPU 1024) squared, measured here.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import torch
from torch.profiler import ProfilerActivity, profile

from dgfnet.devices import default_device
from dgfnet.training.checkpoints import device_name
from dgfnet.training.data import PictureBank
from dgfnet.training.features import VGGFeatures, load_features
from dgfnet.training.recipes import RECIPES
from dgfnet.training.throughput import matrix_peak, operations, seconds, wait
from dgfnet.training.trainer import Trainer, fast_arithmetic

_WARM_UP = 3


def noise(size: int, device: torch.device) -> PictureBank:
    """Eight pictures of four times the crop's area."""
    shape = (3, 2 * size, 2 * size)
    images = [torch.randint(0, 256, shape, dtype=torch.uint8) for _ in range(8)]
    return PictureBank(images, [torch.randint(-40, 41, shape, dtype=torch.int8) for _ in range(8)], device)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="full")
    parser.add_argument("--stage", type=int, default=1, help="number of the recipe's stage, from 0")
    parser.add_argument("--features", help="VGG weights; random ones, which cost the same, unless given")
    parser.add_argument("--batch", type=int)
    parser.add_argument("--size", type=int, help="of the crops, in pixels")
    parser.add_argument("--recurrences", type=int, help="the most that the network has unless given")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--no-graphs", action="store_true", help="ask a GPU for every operation by itself")
    parser.add_argument("--device", default=default_device())
    given = parser.parse_args()

    fast_arithmetic()
    recipe, device = RECIPES[given.recipe], torch.device(given.device)
    stage = recipe.stages[given.stage]
    stage = replace(stage, share=1.0, batch=given.batch or stage.batch, size=given.size or stage.size)
    recurrences = given.recurrences or recipe.network.recurrences
    recipe = replace(recipe, stages=(stage,), recurrences=(recurrences, recurrences))
    features = load_features(given.features) if given.features else VGGFeatures()
    bank, graphs = noise(stage.size, device), not given.no_graphs
    trainer = Trainer(recipe, bank, features, device, compiled=given.compile, graphs=graphs)

    steps = trainer.run(10**9)
    work = operations(trainer)
    for _ in range(_WARM_UP):
        next(steps)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    per_step = seconds(lambda: next(steps), given.steps, device)
    peak = matrix_peak(device)

    print("| device | recipe, crop, batch, recurrences | s/step | images/s | TFLOP/step | TFLOP/s | peak | share |")
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| {device_name(device)} | {recipe.name}, {stage.size} px, {stage.batch}, {recurrences} | {per_step:.3f} "
        f"| {stage.batch / per_step:.1f} | {work / 1e12:.3f} | {work / per_step / 1e12:.2f} "
        f"| {peak / 1e12:.1f} | {work / per_step / peak:.1%} |"
    )
    if device.type == "cuda":
        print(f"\nPeak memory: {torch.cuda.max_memory_allocated(device) / 2**30:.1f} GiB")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device.type == "cuda" else [])]
    with profile(activities=activities) as profiler:
        next(steps)
        wait(device)
    order = "self_cuda_time_total" if device.type == "cuda" else "self_cpu_time_total"
    print(profiler.key_averages().table(sort_by=order, row_limit=20, max_name_column_width=60))


if __name__ == "__main__":
    main()
