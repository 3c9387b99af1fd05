#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tests of tests/lib/harness.py: what is run and reported, and how a failure is named.

Argument: the root of the sources.
"""
import os
import sys
import time

sys.path.insert(0, os.path.join(sys.argv[1], 'tests'))
from lib.harness import Report, Skip, expect_in, run_all, same
from lib.waiting import wait_until

ran = []


def good():
    ran.append('good')


def skips():
    raise Skip('not\nhere')


def compares():
    same('verdict', 'no-rule', 'granted')


def bare():
    assert ran == 'nothing'


def raises():
    raise KeyError('x')


def hangs():
    try:
        time.sleep(60)
    except Exception:  # what an alarm raises is none
        ran.append('swallowed')


def waits():
    wait_until(lambda: False, 'what never comes', 0.05)


class Lines(Report):
    def __init__(self):
        super().__init__()
        self.lines = []

    def line(self, text):
        self.lines.append(text)


def report(*patterns, before=lambda name: None):
    lines = Lines()
    tests = (good, skips, compares, bare, raises, hangs, waits)
    run_all(lines, {f.__name__: f for f in tests}, patterns, 0.5, before)
    return lines


HERE = os.path.basename(__file__)
names = []
whole = report(before=names.append)
same('all', names, ['good', 'skips', 'compares', 'bare', 'raises', 'hangs', 'waits'])
same('counts', [whole.count(kind) for kind in ('ok', 'skip', 'not ok')], [1, 1, 5])
same('nothing swallowed', ran, ['good'])
results = [line for line in whole.lines if not line.startswith('#')]
expect_in('ok good (0.', results[0])
same('skip', results[1], 'skip skips not here')
for line, (name, why) in zip(results[2:], (
        ('compares', "verdict: 'no-rule', not 'granted'"), ('bare', "assert ran == 'nothing'"),
        ('raises', "KeyError: 'x'"), ('hangs', 'no end after 0.5 s'),
        ('waits', 'TimeoutError: waited 0.05 s for: what never comes'))):
    # where it failed in the test, not in what the test called
    assert line.startswith(f'not ok {name} {HERE}:') and line.endswith(f': {why}'), line
same('last', whole.lines[-1], results[-1])

same('some', [r[1] for r in report('g*', 'skips').results], ['good', 'skips'])
nothing = report('goo', 'good')
same('nothing', nothing.lines[0], 'not ok goo matches the name of no test here')
same('and the other', nothing.results[1][:2], ('ok', 'good'))
print('tests are run and named')
