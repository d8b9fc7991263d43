"""Krita itself, without this plug-in, crashes where a document is closed just after a change to its layers.

    python tests/editors/krita/krita_crash.py [--suite trixie|sid] [--rounds 60]

opens documents, selects a rectangle and closes them again, some at once and some a moment later, and says after how
many Krita was gone. In 5.1.5 the crash is in `KisNodeModel::processUpdateQueue`: the layer list remembers which of its
rows to show anew in a tenth of a second and does not forget them when the document goes. The tests therefore keep calm
before they close a document, and start Krita once more where it has crashed all the same.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[2]), str(HERE)]
SECONDS = 300
DESKTOP = """[Desktop Entry]
Type=Service
ServiceTypes=Krita/PythonPlugin
X-KDE-Library=closing
X-Python-2-Compatible=false
Name=Closing
Comment=Opens and closes documents
"""
PLUGIN = """
from krita import Extension, Krita, Selection
from PyQt5.QtCore import QTimer

WAITS_MS = (0, 10, 50, 100, 200)


class Closing(Extension):
    def setup(self):
        self.rounds = 0

    def createActions(self, window):
        QTimer.singleShot(1500, self.open)

    def open(self):
        if self.rounds == ROUNDS:
            print("FINISHED", flush=True)
            Krita.instance().activeWindow().qwindow().close()
            return
        self.rounds += 1
        print("ROUND", self.rounds, flush=True)
        self.document = Krita.instance().createDocument(320, 240, "document", "RGBA", "U8", "", 300.0)
        Krita.instance().activeWindow().addView(self.document)
        selection = Selection()
        selection.select(20, 20, 50, 50, 255)
        self.document.setSelection(selection)
        self.document.waitForDone()
        QTimer.singleShot(WAITS_MS[self.rounds % len(WAITS_MS)], self.close)

    def close(self):
        self.document.setModified(False)
        self.document.close()
        QTimer.singleShot(100, self.open)


Krita.instance().addExtension(Closing(Krita.instance()))
"""


def main() -> None:
    """Run and say."""
    import krita_harness as harness
    import krita_root

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", choices=("trixie", "sid"))
    parser.add_argument("--rounds", type=int, default=60)
    options = parser.parse_args()
    root = krita_root.krita_root(options.suite) if options.suite else None
    with tempfile.TemporaryDirectory() as name, harness.display() as shown:
        setup = harness.Setup(Path(name), Path(), Path(), root)
        module = setup.resources / "pykrita" / "closing"
        module.mkdir(parents=True)
        (module / "__init__.py").write_text(f"ROUNDS = {options.rounds}\n{PLUGIN}")
        module.with_suffix(".desktop").write_text(DESKTOP)
        config = setup.home / ".config"
        config.mkdir()
        (config / "kritarc").write_text("[python]\nenable_closing=true\n\n[hideSplash]\nHideSplashScreen=true\n")
        (config / "kritadisplayrc").write_text("[General]\nEnableSingleApplication=false\n")
        variables = {**harness.environment(setup, Path()), "DISPLAY": shown}
        command = [*harness.entry(setup), "krita", "--nosplash"]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, errors="replace", timeout=SECONDS)
    rounds = done.stdout.count("ROUND ")
    word = "all went well" if "FINISHED" in done.stdout else f"Krita ended with {done.returncode} in the last one"
    print(f"{rounds} documents opened and closed: {word}.")


if __name__ == "__main__":
    main()
