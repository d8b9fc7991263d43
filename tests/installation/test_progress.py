"""The lines that tell of pip's work."""

from __future__ import annotations

import pytest

from server.installation.progress import Progress, pip_event


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("  Downloading numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl (16.9 MB)", "numpy 2.4.6 (16.9 MB)"),
        ("  Using cached safetensors-0.8.0-cp38-abi3-linux.whl (516 kB)", "safetensors 0.8.0 (516 kB), cached"),
        (
            "Downloading https://host/whl/cpu/torch-2.13.0%2Bcpu-cp311-cp311-linux_x86_64.whl (191.8 MB)",
            "torch 2.13.0+cpu (191.8 MB)",
        ),
        ("Processing /w/torch-2.13.0+cpu-cp311-cp311-linux_x86_64.whl", "torch 2.13.0+cpu, from disk"),
        ("  Downloading x-1.0-py3-none-any.whl.metadata (5 kB)", None),
        ("Installing collected packages: a, b", "unpacking 2 packages"),
        ("Collecting numpy==2.4.6", None),
    ],
)
def test_one_line_per_package(line, text) -> None:
    assert pip_event(line) == text


def test_plain_lines_where_there_is_no_terminal(capsys) -> None:
    with Progress() as progress:
        progress.start("one")
        progress.start("two")
    assert capsys.readouterr().out == "  one\n  two\n"
