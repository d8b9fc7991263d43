"""What went wrong, in plain words: one sentence for what happened, one for what to do."""

from __future__ import annotations

import errno
import re
import subprocess
from collections.abc import Sequence

from server.client.errors import INSTALL
from server.installation import machine

RUN_AGAIN = "run install.py again"
REMOVE_AGAIN, CHECK_AGAIN = (f"run `{INSTALL} {command}` again" for command in ("uninstall", "doctor"))


class Problem(Exception):
    """A step that failed: one sentence for what happened, one for what to do."""

    def __init__(self, sentence: str, action: str) -> None:
        sentence = sentence.rstrip(".") + "."  # what a program said may have no full stop
        super().__init__(f"{sentence} {action}")
        self.sentence, self.action = sentence, action


def together(problems: Sequence[Problem]) -> Problem:
    """One problem that says what each of several says, and every action once."""
    actions = dict.fromkeys(problem.action for problem in problems)
    return Problem(" ".join(problem.sentence for problem in problems), " ".join(actions))


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """The last line of a command's answer; of a failed one's complaints, where most programs say what went wrong."""
    said = (done.stdout or "") + ((done.stderr or "") if done.returncode else "")
    return said.strip().rsplit("\n", 1)[-1]


def explain_os_error(error: OSError, again: str) -> Problem:
    """The sentence and the action for a file system that refused; `again` is how the user goes on."""
    where = f" at {error.filename}" if error.filename else ""
    reason = error.strerror or str(error)
    remedy = "Make room or make it writable"
    if error.errno == errno.ENOTSUP:  # see `private.write_private`
        remedy = "Set DGFNET_HOME to a folder on a local disk, for the editors too"
    return Problem(f"A file or folder could not be written{where}: {reason}.", f"{remedy}, and {again}.")


NO_NETWORK = re.compile(
    r"NewConnectionError|Failed to establish a new connection|name resolution|Name or service not known|"
    r"getaddrinfo failed|nodename nor servname|Connection refused|Connection to \S+ timed out|Read timed out|"
    r"ProxyError|Network is unreachable|Max retries exceeded|RemoteDisconnected|"
    r"Connection (?:aborted|reset|broken)|IncompleteRead"
)


def explain_pip(output: str, step: str) -> Problem:
    """The sentence and the action for pip output that ended in a failure."""
    if re.search(r"No space left on device|not enough space on the disk|Errno 28", output):
        action = (
            f"Free some gigabytes, also for temporary files (TMPDIR names another folder for them), and {RUN_AGAIN}."
        )
        return Problem(f"The disk is full while installing {step}.", action)
    if re.search(r"CERTIFICATE_VERIFY_FAILED|SSLError|SSL: ", output):
        action = f"Check the computer's clock and its certificates (PIP_CERT names a company's own), and {RUN_AGAIN}."
        return Problem(f"No secure connection to the package index while installing {step}.", action)
    if NO_NETWORK.search(output):
        action = f"Check the connection (a proxy is named by HTTPS_PROXY), and {RUN_AGAIN}."
        return Problem(f"The package index could not be reached while installing {step}.", action)
    if re.search(r"Permission denied|Read-only file system|Access is denied", output):
        return Problem(f"A folder could not be written while installing {step}.", f"Make it writable and {RUN_AGAIN}.")
    missing = re.search(r"No matching distribution found for (\S+)", output)
    if missing:
        systems = "64-bit Linux, Windows or a Mac with Apple silicon"
        action = f"Python 3.10 to 3.14 on {systems} is needed; {RUN_AGAIN} with one."
        return Problem(
            f"The package index has no {missing.group(1).rstrip(';')} for this system and this Python.", action
        )
    errors = re.findall(r"^\s*ERROR: (.+)$", output, re.MULTILINE)
    detail = f" ({errors[-1].strip().rstrip('.')})" if errors else ""
    return Problem(f"Installing {step} failed{detail}.", f"Read {machine.log_path()}, and {RUN_AGAIN}.")
