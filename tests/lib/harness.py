# SPDX-License-Identifier: LGPL-2.1-or-later
"""How Python tests are chosen, run, timed and reported.

A test is a function. It returns when all is well, raises Skip when it cannot run here, with the
reason, or anything else, which is a failure. No test sleeps for a fixed time, see waiting.py. The
report is a line a test: `ok NAME (SECONDS s)`, `skip NAME why` or `not ok NAME why`, with remarks
behind `# ` before it. It must never pass when it was asked for a test that is not there.
"""
import fnmatch
import os
import shutil
import signal
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))


class Skip(Exception):
    """The test cannot run here, and why."""


class Failure(AssertionError):
    pass


class TimedOut(BaseException):
    """Not an Exception, so that no test can swallow it."""


def expect(condition, why):
    if not condition:
        raise Failure(why)


def expect_in(needle, haystack, what='the output'):
    expect(needle in haystack, f'{what} lacks {needle!r}: {haystack!r}')


def same(name, got, wanted):
    expect(got == wanted, f'{name}: {got!r}, not {wanted!r}')


def need_root(why):
    if os.geteuid() != 0:
        raise Skip(f'needs root: {why}')


def need_program(name):
    path = shutil.which(name)
    if not path:
        raise Skip(f'{name} is not installed')
    return path


class Report:
    """On standard output; a guest has another way out."""

    def __init__(self):
        self.results = []

    def line(self, text):
        print(text, flush=True)

    def result(self, kind, name, why=''):
        self.results.append((kind, name, why))
        # one line, whatever it is made of
        self.line(' '.join(f'{kind} {name} {why}'.split()))

    def remark(self, text):
        for line in text.splitlines():
            self.line('# ' + line)

    def count(self, kind):
        return sum(result[0] == kind for result in self.results)


def reason(error):
    """Where a test failed, outside of this folder, and why, on one line."""
    frames = traceback.extract_tb(error.__traceback__)
    frames = [f for f in frames if os.path.dirname(os.path.abspath(f.filename)) != HERE] or frames
    text = str(error).strip().splitlines()
    if not isinstance(error, (AssertionError, TimedOut)):
        why = f'{type(error).__name__}: {text[0] if text else ""}'
    elif text:
        why = text[0]
    else:
        why = frames[-1].line
    return f'{os.path.basename(frames[-1].filename)}:{frames[-1].lineno}: {why}'


def chosen(tests, patterns):
    """Those of {name: function} whose names match one of the patterns, or all."""
    return {name: function for name, function in tests.items() if not patterns or
            any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}


def run_one(report, name, function, seconds):
    start = time.monotonic()
    # Again and again: what cleans up may wait, too.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds / 10)
    try:
        function()
        kind, why = 'ok', None
    except Skip as skip:
        kind, why = 'skip', str(skip)
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # pylint: disable=broad-exception-caught
        signal.setitimer(signal.ITIMER_REAL, 0)
        report.remark(traceback.format_exc())
        kind, why = 'not ok', reason(error)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    report.result(kind, name, f'({time.monotonic() - start:.2f} s)' if why is None else why)


def run_all(report, tests, patterns, seconds, before=lambda name: None):
    """Runs the chosen ones of {name: function} in order, none for longer than so many seconds;
    calls before(name) before each."""
    def alarm(*_):
        raise TimedOut(f'no end after {seconds} s')

    signal.signal(signal.SIGALRM, alarm)
    for pattern in patterns:
        if not chosen(tests, [pattern]):
            report.result('not ok', pattern, 'matches the name of no test here')
    for name, function in chosen(tests, patterns).items():
        before(name)
        run_one(report, name, function, seconds)
