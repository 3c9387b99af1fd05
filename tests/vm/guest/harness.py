# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the checks stand on: how they are named, run, timed and reported, and a few tools.

A check is a function with the @check decorator; it returns when all is well, raises Skip with a
reason, or anything else, which is a failure. Checks run in the order in which they are defined,
files in the order of their names. No check sleeps for a fixed time: wait_for() polls, up to a
deadline, where there is no event to wait for.
"""
import fnmatch
import os
import select
import signal
import subprocess
import time
import traceback
import tty

CHECK_SECONDS = 120
CHECKS = []


class Skip(Exception):
    pass


class Failure(Exception):
    pass


class TimedOut(BaseException):
    """Not an Exception, so that no check can swallow it."""


def check(function):
    CHECKS.append((function.__name__.replace("_", "-"), function))
    return function


# for checks that speak with the host
the_report = None


class Report:
    def __init__(self, path):
        fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        self.file = open(fd, "r+b", buffering=0)
        self.results = []

    def line(self, text):
        self.file.write(text.encode("utf-8", "replace") + b"\n")

    def result(self, kind, name, why=""):
        self.results.append(kind)
        # one line, whatever it is made of
        self.line(" ".join(f"{kind} {name} {why}".split()))

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

    def remark(self, text):
        for line in text.splitlines():
            self.line("# " + line)


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


def wait_for(what, predicate, seconds=30):
    """Waits until predicate() is true (and returns that); `what` is for the message."""
    deadline = time.monotonic() + seconds
    pause = 0.01
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure(f"waited {seconds} s for {what}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def expect(condition, why):
    if not condition:
        raise Failure(why)


def expect_in(needle, haystack, what="the output"):
    if needle not in haystack:
        raise Failure(f"{what} lacks {needle!r}: {haystack!r}")


def journal(*match, since=None):
    argv = ["journalctl", "-b", "--no-pager", "-o", "cat", *match]
    if since:
        argv.append("--since=" + since)
    run("journalctl", "--sync")
    return run(*argv, ok=None).stdout


def journal_now():
    """From when on, for journal(). Not a cursor: systemd 252 loses the first match after one."""
    return f"@{time.time():.6f}"


def _alarm(*_):
    raise TimedOut()


def _run_one(report, name, function):
    start = time.monotonic()
    # again and again: what cleans up may wait, too
    signal.setitimer(signal.ITIMER_REAL, CHECK_SECONDS, CHECK_SECONDS / 10)
    try:
        function()
        report.result("ok", name, f"({time.monotonic() - start:.1f} s)")
    except Skip as e:
        report.result("skip", name, str(e))
    except TimedOut:
        report.result("not ok", name, f"no end after {CHECK_SECONDS} s")
        report.remark(traceback.format_exc())
    except Exception as e:
        report.result("not ok", name, str(e).splitlines()[0] if str(e) else repr(e))
        report.remark(traceback.format_exc())
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def run_all(report, pattern):
    global the_report  # pylint: disable=global-statement
    the_report = report
    signal.signal(signal.SIGALRM, _alarm)
    for name, function in CHECKS:
        if fnmatch.fnmatch(name, pattern):
            with open("/dev/kmsg", "w", encoding="ascii") as f:
                f.write(f"ccbuf-test: {name}\n")
            _run_one(report, name, function)
    if "not ok" in report.results:
        with open("/dev/ttyS0", "wb") as f:
            subprocess.run(["journalctl", "-b", "--no-pager", "-o", "short-monotonic"],
                           stdout=f, check=False)
