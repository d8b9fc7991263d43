#!/usr/bin/env python3
"""Set up DGFNet Inpaint: `python3 install.py`. Needs Python 3.10 or newer and nothing else.

Makes `.venv` beside this file, installs the packages of requirements.lock, tells the editors how to start the server,
installs the plug-ins, and proves the installation by filling a hole in a real photograph through the server.

This file keeps to the grammar of Python 3.6, so that older Pythons get as far as the sentence below; what it does is
in server/installation.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036
    sys.exit(
        f"DGFNet Inpaint needs Python 3.10 or newer, and this is Python {sys.version_info[0]}.{sys.version_info[1]}. "
        "Install a newer one and run install.py with it, for instance: python3.12 install.py"
    )

from server.installation.commands import main

if __name__ == "__main__":
    sys.exit(main())
