"""Run the Krita tests and write what passed as a table: `python tests/editors/krita/krita_matrix.py`.

`--suite trixie` or `--suite sid` runs them in that Debian's Krita instead of this machine's (krita_root.py makes the
folder). Every run is kept in results/krita; the table has a column for each version found there. `--table`: no run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
KEPT = ROOT / "results" / "krita"
PAGE = ROOT / "docs" / "krita-matrix.md"
HEAD = """# Krita: what was tried

Written by `python tests/editors/krita/krita_matrix.py`. Each line is a test in the real Krita with the installed
plug-in and the real server (a small network with random weights);
the lines of `test_bindings` use a stand-in for Krita.

"""


def run_tests(suite: str | None, arguments: list[str]) -> Path:
    """Run them; the JUnit file."""
    KEPT.mkdir(parents=True, exist_ok=True)
    variables = dict(os.environ)
    if suite:
        sys.path.insert(0, str(HERE))
        import krita_root

        variables["DGFNET_KRITA_ROOT"] = str(krita_root.krita_root(suite))
    path = KEPT / f"{suite or 'here'}.xml"
    with tempfile.TemporaryDirectory(prefix="krita-") as scratch:  # pytest's own place is emptied by later runs
        words = ["-m", "pytest", str(HERE), f"--junitxml={path}", f"--basetemp={scratch}/tests", *arguments]
        subprocess.run([sys.executable, *words], cwd=ROOT, env=variables)
    return path


def read_run(path: Path) -> tuple[str, dict[str, str], int]:
    """Krita's version, the outcome of each test, and the longest that the plug-in kept the window's thread, in ms."""
    version, longest, outcomes = path.stem, 0, {}
    for test in ET.parse(path).getroot().iter("testcase"):
        facts = {item.get("name"): item.get("value") for item in test.iter("property")}
        version = facts.get("krita") or version
        longest = max(longest, int(facts.get("own_turn_ms") or 0))
        bad = test.find("failure") if test.find("failure") is not None else test.find("error")
        word = "**fails**" if bad is not None else "not run" if test.find("skipped") is not None else "passes"
        outcomes[f"{test.get('classname', '').rsplit('.', 1)[-1]}: {test.get('name')}"] = word
    return version, outcomes, longest


def table(runs: list[tuple[str, dict[str, str], int]]) -> str:
    """The page."""
    versions = [f"Krita {version}" for version, _, _ in runs]
    lines = [f"| test | {' | '.join(versions)} |", "|---|" + "---|" * len(runs)]
    counts = [sum(word == "passes" for word in outcomes.values()) for _, outcomes, _ in runs]
    lines.append(
        "| **passed** | " + " | ".join(f"{n} of {len(run[1])}" for n, run in zip(counts, runs, strict=True)) + " |"
    )
    times = " | ".join(f"{longest} ms" for _, _, longest in runs)
    lines.append(f"| longest piece of the plug-in's work on the window's thread (its CPU time) | {times} |")
    for name in dict.fromkeys(name for _, outcomes, _ in runs for name in outcomes):
        lines.append(f"| {name} | " + " | ".join(outcomes.get(name, "not run") for _, outcomes, _ in runs) + " |")
    return HEAD + "\n".join(lines) + "\n"


def main() -> None:
    """Run and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--suite", choices=("trixie", "sid"))
    parser.add_argument("--table", action="store_true", help="only write the table again")
    options, rest = parser.parse_known_args()
    if not options.table:
        run_tests(options.suite, rest)
    runs = sorted(read_run(path) for path in KEPT.glob("*.xml"))
    PAGE.write_text(table(runs), encoding="utf-8")
    print(PAGE)


if __name__ == "__main__":
    main()
