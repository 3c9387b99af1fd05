# SPDX-License-Identifier: LGPL-2.1-or-later
"""Waiting for what happens, with a deadline."""
import contextlib
import ctypes
import os
import select
import signal
import subprocess
import time

DEADLINE = 30


def die_with_parent():
    """For a child: a test that is killed leaves nothing running. After any change of user."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def wait_until(condition, what, timeout=DEADLINE):
    """Asks until the answer is true, where there is no event to wait for; returns it. `what` is for
    the message."""
    end, pause = time.monotonic() + timeout, 0.005
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise TimeoutError(f'waited {timeout} s for: {what}')
        select.select([], [], [], pause)
        pause = min(pause * 1.2, 0.05)


@contextlib.contextmanager
def stopped(*pids):
    """What is sent to them meanwhile waits in their queues."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def wait_readable(fd, timeout=DEADLINE):
    return bool(select.select([fd], [], [], max(0, timeout))[0])


class Program(subprocess.Popen):
    """One that ends with its block: by itself, or where the block did not come to its end by force.
    Popen waits there for ever."""

    def __exit__(self, kind, *_):
        for stream in (self.stdin, self.stdout, self.stderr):
            if stream:
                stream.close()
        if kind is not None:
            self.kill()
        wait_process(self)


def wait_process(process, timeout=DEADLINE):
    """The exit code of a Popen."""
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise TimeoutError(f'process {process.args[0]} does not end') from None
