"""Put the plug-in into a Krita resource folder, check it there, take it out; make the zip that Krita imports.

Standard library only. `install` and `zip` need the project's own Python, which has msgpack's files; the rest do not:
`python -m plugin_krita.installation install|check|remove FOLDER` or `... zip FILE`.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from server.client.vendored import VendorError, copy_client, wrong_copies

MODULE = "dgfnet_inpaint"
SOURCE = Path(__file__).resolve().parent
CLIENT = "client"  # the folder in the plug-in that holds the copied client


def install(resources: Path) -> None:
    """Copy the plug-in into a resource folder, replacing an older one. Raises `VendorError` or OSError."""
    plugins, actions = resources / "pykrita", resources / "actions"
    plugins.mkdir(parents=True, exist_ok=True)
    actions.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=plugins, prefix=f".{MODULE}.") as scratch:
        fresh = _copy_module(Path(scratch))
        shutil.rmtree(plugins / MODULE, ignore_errors=True)
        fresh.replace(plugins / MODULE)
    shutil.copyfile(SOURCE / f"{MODULE}.desktop", plugins / f"{MODULE}.desktop")
    shutil.copyfile(SOURCE / f"{MODULE}.action", actions / f"{MODULE}.action")


def check(resources: Path) -> list[str]:
    """What is wrong with the plug-in in a resource folder, one sentence each; none where it is as `install` left it."""
    if not (resources / "pykrita" / MODULE).is_dir():
        return [f"{resources} has no plug-in."]
    module = resources / "pykrita" / MODULE
    copies = {module / source.name: source for source in _module_files()}
    copies[resources / "pykrita" / f"{MODULE}.desktop"] = SOURCE / f"{MODULE}.desktop"
    copies[resources / "actions" / f"{MODULE}.action"] = SOURCE / f"{MODULE}.action"
    return wrong_copies(copies, module / CLIENT)


def remove(resources: Path) -> list[Path]:
    """Take the plug-in out of a resource folder; return what was removed."""
    plugins = resources / "pykrita"
    candidates = [plugins / MODULE, plugins / f"{MODULE}.desktop", resources / "actions" / f"{MODULE}.action"]
    removed = [path for path in candidates if path.exists()]
    for path in removed:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    return removed


def write_zip(target: Path) -> None:
    """Write the archive for Tools > Scripts > Import Python Plugin from File."""
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        module = _copy_module(Path(scratch))
        archive.writestr(f"{MODULE}/", b"")  # without it the importer finds no plug-in
        for path in sorted(module.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(module.parent).as_posix())
        archive.write(SOURCE / f"{MODULE}.desktop", f"{MODULE}.desktop")
        archive.write(SOURCE / f"{MODULE}.action", f"actions/{MODULE}.action")


def _copy_module(folder: Path) -> Path:
    """The plug-in's module with the client in it, in `folder`."""
    module = folder / MODULE
    module.mkdir()
    for source in _module_files():
        shutil.copyfile(source, module / source.name)
    copy_client(module / CLIENT)
    return module


def _module_files() -> list[Path]:
    return [path for path in sorted((SOURCE / MODULE).iterdir()) if path.suffix in (".py", ".html")]


# Krita loads only plug-ins that its settings enable.


def settings_file(resources: Path, platform: str, environ: Mapping[str, str], home: Path) -> Path:
    """The kritarc that belongs to a resource folder."""
    if "org.kde.krita" in resources.parts:  # Flatpak: .var/app/org.kde.krita/data/krita
        return resources.parent.parent / "config" / "kritarc"
    if platform == "win32":
        if "LocalCache" in resources.parts:  # Microsoft Store: .../LocalCache/Roaming/krita
            return resources.parent.parent / "Local" / "kritarc"
        return Path(environ.get("LOCALAPPDATA") or home / "AppData" / "Local") / "kritarc"
    if platform == "darwin":
        return home / "Library" / "Preferences" / "kritarc"
    return Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "kritarc"


def with_plugin(text: str, is_enabled: bool | None) -> str:
    """The text of a kritarc in which the plug-in is enabled, disabled, or (None) not mentioned."""
    key, section = f"enable_{MODULE}=", "[python]"
    lines = [line for line in text.splitlines() if not line.startswith(key)]
    if is_enabled is not None:
        if section not in lines:
            lines += ["", section] if lines else [section]
        lines.insert(lines.index(section) + 1, key + ("true" if is_enabled else "false"))
    return "\n".join(lines) + "\n" if lines else ""


def is_enabled(text: str) -> bool | None:
    """Whether a kritarc enables the plug-in; None where it does not say."""
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip()
        elif section == "[python]" and line.startswith(f"enable_{MODULE}="):
            return line.split("=", 1)[1].strip() == "true"
    return None


def change_settings(path: Path, enabled: bool | None) -> None:
    """Enable the plug-in in a kritarc, or forget it (None). What else is in the file stays as it is."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    changed = with_plugin(text, enabled)
    if changed == text:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".dgfnet")
    partial.write_text(changed, encoding="utf-8")
    if path.exists():
        shutil.copymode(path, partial)
    partial.replace(path)


def settings_here(resources: Path) -> Path:
    """The kritarc of a resource folder of this user."""
    return settings_file(resources, sys.platform, os.environ, Path.home())


def set_up(resources: Path) -> None:
    """Install the plug-in for this user and enable it."""
    install(resources)
    change_settings(settings_here(resources), True)


def examine(resources: Path) -> list[str]:
    """What is wrong with this user's plug-in, one sentence each."""
    problems, settings = check(resources), settings_here(resources)
    text = settings.read_text(encoding="utf-8") if settings.is_file() else ""
    if not problems and not is_enabled(text):
        problems.append(f"{settings} does not enable the plug-in (Settings > Configure Krita > Python Plugin Manager).")
    return problems


def take_out(resources: Path) -> list[Path]:
    """Remove this user's plug-in and what Krita's settings say about it; return what was removed."""
    removed, settings = remove(resources), settings_here(resources)
    if settings.is_file():
        change_settings(settings, None)
    return removed


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m plugin_krita.installation", description=__doc__)
    parser.add_argument("command", choices=("install", "check", "remove", "zip"))
    parser.add_argument("path", type=Path, help="Krita's resource folder, or the zip file to write")
    options = parser.parse_args(arguments)
    try:
        if options.command == "install":
            set_up(options.path)
        elif options.command == "check":
            problems = examine(options.path)
            print("\n".join(problems) or "The plug-in is as it was installed.")
            return 1 if problems else 0
        elif options.command == "remove":
            print(*take_out(options.path), sep="\n")
        else:
            write_zip(options.path)
    except (VendorError, OSError) as error:
        done = {"install": "installed", "check": "checked", "remove": "removed", "zip": "packed"}[options.command]
        print(f"The plug-in was not {done}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
