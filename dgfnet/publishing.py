"""From a training run to weights that ship: half the bytes, and a model card written from the run's own records."""

from __future__ import annotations

import argparse
import collections
import csv
import io
import json
import pathlib
import sys
from typing import Any

from dgfnet import model
from dgfnet.errors import UserError
from dgfnet.evaluation.judgement import SETTINGS, TABLE
from dgfnet.files import make_folder
from dgfnet.network.coarse import reach

_NONE = "none"
"""In the notes of weights, of features that were not used."""
_OF_FEATURES = "perceptual", "feature loss"
"""Words of those deviations from the paper that are about the losses by features."""
_CREDIT_COLUMNS = ("file", "licence", "credit", "url")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `dgfnet publish`."""
    parser.add_argument("folder", type=pathlib.Path, metavar="RUN", help="folder of a training run")
    parser.add_argument("--name", default=model.DEFAULT, help="name of the weights (default: %(default)s)")
    parser.add_argument("--storage", choices=("float16", "int8"), default="float16", help="of the kernels")
    parser.add_argument(
        "--credits",
        type=pathlib.Path,
        required=True,
        help=f"table of the photographs; its columns, tab separated: {', '.join(_CREDIT_COLUMNS)}",
    )
    parser.add_argument("--features", help="where the VGG weights came from, in words; for a run that used them")
    parser.add_argument("--evaluation", type=pathlib.Path, help="folder that `dgfnet evaluate` wrote")
    parser.add_argument("--pictures", default="", help="the evaluation's photographs, in words")
    parser.add_argument(
        "--failure", action="append", default=[], help="a kind of picture filled badly; may be repeated"
    )
    parser.add_argument("--interim", action="store_true", help="say that better weights will follow")
    parser.add_argument("--out", type=pathlib.Path, help="folder to write to; else RUN/published")
    parser.add_argument("--overwrite", action="store_true", help="replace weights, card and credits that are there")


def run(arguments: argparse.Namespace) -> int:
    """`dgfnet publish`: weights, MODEL_CARD.md and CREDITS.tsv, as far as the run's records bear them out.

    Raises:
        UserError: the text is for the user.
    """
    source = arguments.folder / "weights.safetensors"
    if not source.is_file():
        raise UserError(f"'{arguments.folder}' is not the folder of a training run; name one with {source.name} in it.")
    info = model.load_info(source)
    recipe = _json(arguments.folder / "recipe.json")
    rows = _credits(arguments.credits)
    if len(rows) < max(int(info.notes.get("photographs", 1)), 1):
        photographs = info.notes.get("photographs", "more")
        raise UserError(f"'{arguments.credits}' credits {len(rows)} photographs, the run saw {photographs}.")
    features = _features(info.notes, arguments.features)
    out: pathlib.Path = arguments.out or arguments.folder / "published"
    targets = out / f"{arguments.name}.safetensors", out / "MODEL_CARD.md", out / "CREDITS.tsv"
    there = [f"'{target}'" for target in targets if target.exists()]
    if there and not arguments.overwrite:
        raise UserError(f"There is {' and '.join(there)} already; add --overwrite, or choose another --out.")
    target, card, credits = targets
    make_folder(out)
    partial = out / "weights.partial"
    try:
        model.save(model.load(source), partial, info.notes, arguments.storage)
        shipped = model.load_info(partial)
        table = _table(arguments.evaluation, info, shipped) if arguments.evaluation else ""
        try:
            text = model_card(
                shipped._replace(name=arguments.name),
                recipe,
                rows,
                features=features,
                table=table,
                pictures=arguments.pictures,
                failures=arguments.failure,
                interim=arguments.interim,
            )
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(f"'{arguments.folder / 'recipe.json'}' is not a run's recipe; copy that there.") from error
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    card.write_text(text, encoding="utf-8")
    with open(credits, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, _CREDIT_COLUMNS, delimiter="\t", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{target} ({target.stat().st_size / 1e6:.1f} MB), MODEL_CARD.md and CREDITS.tsv", file=sys.stderr)
    return 0


def _features(notes: dict[str, str], given: str | None) -> str:
    """Where the VGG weights came from, in words; `none` where there were none."""
    said = given or _NONE
    if notes.get("features") == "used" and said == _NONE:
        raise UserError(
            "The run used perceptual and style losses; say where the VGG weights came from with --features."
        )
    return _NONE if notes.get("features") == _NONE else said


def _credits(file: pathlib.Path) -> list[dict[str, str]]:
    """The table of the photographs, a row each."""
    table = csv.DictReader(io.StringIO(_read(file)), delimiter="\t")
    missing = [column for column in _CREDIT_COLUMNS if column not in (table.fieldnames or ())]
    if missing:
        raise UserError(f"'{file}' has no column {' and '.join(missing)}; it needs {', '.join(_CREDIT_COLUMNS)}.")
    return list(table)


def _table(folder: pathlib.Path, trained: model.WeightsInfo, shipped: model.WeightsInfo) -> str:
    """The table of an evaluation of these weights, in either form."""
    weights = _json(folder / SETTINGS).get("weights", "")
    if not any(info.sha256[:16] in weights for info in (trained, shipped)):
        command = f"dgfnet evaluate PICTURES --weights {trained.path} --out {folder}"
        raise UserError(f"'{folder}' judges other weights, {weights}; judge these with `{command}`.")
    return _read(folder / TABLE)


def model_card(
    info: model.WeightsInfo,
    recipe: dict[str, Any],
    credits: list[dict[str, str]],
    features: str,
    table: str,
    pictures: str,
    failures: list[str],
    interim: bool,
) -> str:
    """Markdown: what the weights are, how they came to be, what they can and cannot do."""
    notes, config = info.notes, info.config
    licences = collections.Counter(row["licence"] for row in credits).most_common()
    shares = ", ".join(f"{count} under {licence}" for licence, count in licences)
    photographs = notes.get("photographs", str(len(credits)))
    seen = "" if photographs == str(len(credits)) else f" This run saw {photographs} of them."
    state = "**Interim weights**: trained briefly, to be replaced by better ones.\n\n" if interim else ""
    stages = "\n".join(
        f"| {stage['share']:.0%} | {stage['size']} px | {stage['batch']} | {_rate(stage)} "
        f"| {'running statistics' if stage['frozen_norm'] else 'batch statistics'} "
        f"| {'yes' if stage['features'] and features != _NONE else 'no'} | {'yes' if stage['adversarial'] else 'no'} |"
        for stage in recipe["stages"]
    )
    without = set() if any(stage["adversarial"] for stage in recipe["stages"]) else {"adversarial"}
    deviations = recipe["deviations"]
    if features == _NONE:
        without |= {"perceptual", "style"}
        told = (said for said in deviations if not any(word in said for word in _OF_FEATURES))
        deviations = [*told, "no perceptual and style losses"]
    weights = "\n".join(
        f"| {branch} | "
        + " | ".join(f"{0 if term in without else recipe[branch][term]:g}" for term in recipe["coarse"])
        + " |"
        for branch in ("coarse", "texture", "fused")
    )
    judged = f"## Measured\n`dgfnet evaluate`, {pictures}.\n\n{table}\n" if table else ""
    return f"""# {info.name}

{state}The network of "DGFNet" (Yang and Shi): RFR coarse branch, texture branch and DPFM fusion. Written by
`dgfnet publish` from the records of the training run.

| | |
|---|---|
| channels | coarse branch x {config.width:g}, texture branch and fusion x {config.detail_width:g} of the full network |
| coarse branch | predicts {"what is added to a membrane over the hole" if config.membrane else "the picture"} |
| fusion | {config.fusion} |
| recurrences | up to {config.recurrences} |
| refinement of deep holes | {"trained" if config.finer else "not trained: their fill is enlarged"} |
| training | {_length(notes)}, {notes.get("hours", "?")} hours |
| begun with | {notes.get("origin", "random weights")} |
| device | {notes.get("device", "?")} |
| recipe | {recipe["name"]}, seed {recipe["seed"]} |
| sha256 | `{info.sha256}` |

## Data
{len(credits)} photographs: {shares}. Every one is credited in CREDITS.tsv.{seen}
Crops come from each picture at {recipe["scales"]} scale(s) with a short side of {_span(recipe["short_sides"])} px;
holes are {", ".join(recipe["mask_kinds"])} over {_span(recipe["hole_share"])} of a crop.

## Training
| share of steps | crop | batch | learning rate | BatchNorm | feature losses | discriminator |
|---|---|---|---|---|---|---|
{stages}

| losses | {" | ".join(recipe["coarse"])} |
|{"---|" * (1 + len(recipe["coarse"]))}
{weights}

Adam; {_span(recipe["recurrences"])} recurrences, drawn at each step; moving average of the
weights with decay {recipe["average"]:g}; bfloat16 convolutions. {_losses(features)}

Deviations from the paper: {"; ".join(deviations) or "none"}.

{judged}## Limits
- The network fills at most {reach(config.recurrences)} px inwards from a hole's border, and sees at most 512 px of a
  crop: larger holes are filled at a lower scale first, and get detail from refinement and from patches of the picture.
- It continues what surrounds a hole. It does not invent objects, faces or text.
{"".join(f"- {failure}{chr(10)}" for failure in failures)}
How the weights came about is in docs/training-log.md; how to go on from them with pictures of one's own, in
docs/training.md.

## Licence
The weights are under the project's MIT licence. The photographs keep theirs.
"""


def _length(notes: dict[str, str]) -> str:
    """Steps made, and planned unless it was hours that were."""
    made = notes.get("step", "?")
    return f"{made} of {notes['steps']} steps" if "steps" in notes else f"{made} steps"


def _losses(features: str) -> str:
    if features == _NONE:
        return "No perceptual and style losses."
    return f"Perceptual and style losses use VGG features:\n{features}."


def _rate(stage: dict[str, Any]) -> str:
    final = stage.get("final_rate")
    return f"{stage['rate']:g}" if final is None else f"{stage['rate']:g} falling to {final:g}"


def _span(limits: list[float]) -> str:
    return f"{limits[0]:g} to {limits[1]:g}"


def _json(file: pathlib.Path) -> dict[str, Any]:
    text = _read(file)
    try:
        return dict(json.loads(text))
    except (ValueError, TypeError) as error:
        raise UserError(f"'{file}' is damaged; copy it again.") from error


def _read(file: pathlib.Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", "not UTF-8")
        raise UserError(f"'{file}' cannot be read ({reason}).") from error
