"""The sentence for each way to fail."""

from __future__ import annotations

import errno
import re
import subprocess

import pytest

from server.installation import problems


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        (
            "WARNING: Retrying ... NewConnectionError ...\nERROR: No matching distribution found for x",
            "not be reached",
        ),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk is full"),
        ("SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "No secure connection"),
        ("ERROR: No matching distribution found for numpy==2.4.6", "has no numpy==2.4.6 for this system"),
        ("ERROR: Could not install: [Errno 13] Permission denied: '/x'", "could not be written"),
        ("ERROR: something unheard of.", r"failed \(something unheard of\)"),
    ],
)
def test_pip_failures_become_one_sentence_with_an_action(output, sentence) -> None:
    problem = problems.explain_pip(output, "the pinned packages")
    assert re.search(sentence, problem.sentence)
    assert problem.sentence.endswith(".")
    assert "install.py" in problem.action


def test_a_read_only_file_system() -> None:
    problem = problems.explain_os_error(OSError(errno.EROFS, "Read-only file system", "/disc/.venv"), "go on")
    assert str(problem).startswith("A file or folder could not be written at /disc/.venv: Read-only file system.")


def test_a_disk_on_which_no_file_is_private() -> None:
    problem = problems.explain_os_error(OSError(errno.ENOTSUP, "the disk lets others touch it", "/stick/x"), "go on")
    assert problem.action == "Set DGFNET_HOME to a folder on a local disk, for the editors too, and go on."


@pytest.mark.parametrize(("code", "line"), [(0, "2.13.0 CPU"), (1, "UserWarning: old driver")])
def test_a_warning_hides_no_answer(code, line) -> None:
    done = subprocess.CompletedProcess([], code, "2.13.0 CPU\n", "UserWarning: old driver\n")
    assert problems.last_line(done) == line
