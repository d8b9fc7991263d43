"""Run the case matrix in the real GIMP and print it as Markdown.

    python tests/editors/gimp_matrix.py [--suites trixie,sid] [--out docs/gimp-matrix.md] [--case NAME] [--weights FILE]

trixie is GIMP 3.0, sid GIMP 3.2. Without weights, a small network of random weights stands in: what is compared is that
the pixels in GIMP are those of the engine, whatever it paints.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parent), str(Path(__file__).resolve().parents[2])]
from gimp_cases import CASES  # noqa: E402
from gimp_checks import check, inpainter  # noqa: E402
from gimp_root import NoRoot, gimp_root  # noqa: E402
from gimp_session import run_cases, running  # noqa: E402


def verdicts(suite: str, names: list[str], weights: Path | None, work: Path) -> tuple[str, dict[str, str]]:
    """GIMP's version, and for each case an empty text or what went wrong."""
    with running(gimp_root(suite), work, weights) as session:
        print(run_cases(session, names), file=sys.stderr)
        engine, results, said = inpainter(session.weights), session.results(), {}
        for case in CASES:
            if not names or case.name in names:
                try:
                    check(case, session, results[case.name], engine)
                    said[case.name] = ""
                except (AssertionError, KeyError) as why:
                    said[case.name] = str(why).strip().splitlines()[-1]
        return session.version(), said


def main() -> None:
    """Print the table; exit with 1 where a case failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suites", default="trixie", help="trixie, sid or both with a comma (default: trixie)")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--case", action="append", default=[], help="only this one; may be given again")
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--work", type=Path, help="keep the exchange folders here")
    options = parser.parse_args()
    columns = {}
    with tempfile.TemporaryDirectory() as scratch:
        for suite in options.suites.split(","):
            work = (options.work or Path(scratch)) / suite
            try:
                version, said = verdicts(suite, options.case, options.weights, work)
            except NoRoot as why:
                sys.exit(str(why))
            columns[version] = said
    lines = [
        "# GIMP: case matrix",
        "",
        f"Made by `python tests/editors/gimp_matrix.py --suites {options.suites}` on {time.strftime('%Y-%m-%d')}.",
        "Each case is a call of the installed plug-in in that GIMP; docs/developing.md says what is compared.",
        "",
        f"| case | {' | '.join(f'GIMP {version}' for version in columns)} |",
        f"|---|{'---|' * len(columns)}",
    ]
    for case in CASES:
        if not options.case or case.name in options.case:
            cells = [said.get(case.name, "not run") for said in columns.values()]
            shown = (f"FAILED: {cell}" if cell else "pass" for cell in cells)
            lines.append(f"| {case.name} | {' | '.join(shown)} |")
    text = "\n".join(lines) + "\n"
    if options.out:
        options.out.write_text(text, encoding="utf-8")
    print(text)
    sys.exit(any(any(said.values()) for said in columns.values()))


if __name__ == "__main__":
    main()
