# SPDX-License-Identifier: LGPL-2.1-or-later
"""The checks in the guest: how they are defined and report to the host, and a few tools.

A check is a function with the @check decorator, run by lib/harness.py. Its name is that of the
function, with - for _. Checks run in the order in which they are defined, files in the order of
their names.
"""
import os
import select
import subprocess
import time
import tty

from lib import harness
from lib.harness import Failure

CHECKS = {}
SECONDS = 120  # for one check


def check(function):
    name = function.__name__.replace("_", "-")
    assert name not in CHECKS, name
    CHECKS[name] = function
    return function


class Report(harness.Report):
    """To the host, by a serial port."""

    def __init__(self, path):
        super().__init__()
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        self.file = open(fd, "r+b", buffering=0)

    def line(self, text):
        self.file.write(text.encode("utf-8", "replace") + b"\n")

    def host(self, text):
        """Asks the host that boots this guest for something, see boot.py."""
        self.line("host: " + text)

    def answer(self, seconds=30):
        """A line from the host."""
        text = b""
        while not text.endswith(b"\n"):
            if not select.select([self.file], [], [], seconds)[0]:
                raise Failure(f"no answer of the host in {seconds} s, but {text!r}")
            text += self.file.read(1)
        return text.decode().strip()


# for checks that speak with the host
the_report = None


def read_optional(path):
    try:
        with open(path, encoding="utf-8") as f:
            return f.read().strip()
    except FileNotFoundError:
        return None


def read(path):
    with open(path, encoding="utf-8", errors="replace") as f:
        return f.read()


def write(path, text, mode=0o644):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    tmp = path + ".tmp"
    with open(tmp, "w", encoding="utf-8") as f:
        f.write(text)
    os.chmod(tmp, mode)
    os.rename(tmp, path)


def run(*argv, user=None, ok=True, timeout=60, env=None):
    """Runs a command to its end. With ok=True any status but 0 is a failure, with ok=False status
    0 is, with ok=None every status is fine."""
    if user:
        argv = ("setpriv", "--reuid", user, "--regid", user, "--init-groups", "--", *argv)
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env,
                          stderr=subprocess.PIPE, encoding="utf-8", errors="replace",
                          timeout=timeout, check=False)
    if ok is not None and (done.returncode == 0) != ok:
        raise Failure(f"{' '.join(argv)}: exit status {done.returncode}\n"
                      f"{done.stdout}{done.stderr}")
    return done


def out(*argv, **more):
    return run(*argv, **more).stdout.strip()


def journal(*match, since=None):
    argv = ["journalctl", "-b", "--no-pager", "-o", "cat", *match]
    if since:
        argv.append("--since=" + since)
    run("journalctl", "--sync")
    return run(*argv, ok=None).stdout


def journal_now():
    """From when on, for journal(). Not a cursor: systemd 252 loses the first match after one."""
    return f"@{time.time():.6f}"


def note(name):
    """For the console: which check the kernel's messages belong to."""
    with open("/dev/kmsg", "w", encoding="ascii") as f:
        f.write(f"ccbuf-test: {name}\n")


def load_checks(folder):
    for name in sorted(os.listdir(folder)):
        if name.startswith("check_") and name.endswith(".py"):
            __import__(name[:-3])


def run_checks(report, patterns=(), seconds=SECONDS):
    """Those of CHECKS that match a pattern, or all. Whether none failed."""
    global the_report  # pylint: disable=global-statement
    the_report = report
    harness.run_all(report, CHECKS, patterns, seconds, note)
    if report.count("not ok"):
        with open("/dev/ttyS0", "wb") as f:
            subprocess.run(["journalctl", "-b", "--no-pager", "-o", "short-monotonic"],
                           stdout=f, check=False)
    return not report.count("not ok")
