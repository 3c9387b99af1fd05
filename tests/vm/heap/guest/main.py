# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest as root: the checks of ccbuf_heap, by the harness of the others."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import guest
import heap
import host
import kernel
from lib.harness import Skip


def leave_out(wanted, why, patterns):
    """Checks that are not wanted here are not run; where they may have been asked for, they say
    why."""
    def skipped():
        raise Skip(why)

    for name, function in list(guest.CHECKS.items()):
        if not wanted(function):
            if patterns:
                guest.CHECKS[name] = skipped
            else:
                del guest.CHECKS[name]


def main():
    patterns = sys.argv[1:]
    report = guest.Report("/dev/ttyS1")
    kernel.load()
    host.begin(report)
    guest.load_checks(HERE)
    if heap.NATIVE:
        leave_out(lambda f: hasattr(f, "native"), "not for the kernel's own heap", patterns)
    if heap.QUICK:
        leave_out(lambda f: not hasattr(f, "slow"), "slow, see --slow", patterns)
    return 0 if guest.run_checks(report, patterns, seconds=300) else 1


sys.exit(main())
