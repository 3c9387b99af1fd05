# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest as root: the checks of ccbuf_heap, by the harness of the others."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import harness
import heap
import host
import kernel


def main():
    harness.CHECK_SECONDS = 300
    report = harness.Report("/dev/ttyS1")
    kernel.load()
    host.begin(report)
    for name in sorted(os.listdir(HERE)):
        if name.startswith("check_") and name.endswith(".py"):
            __import__(name[:-3])
    if heap.NATIVE:
        harness.CHECKS[:] = [one for one in harness.CHECKS if hasattr(one[1], "native")]
    if heap.QUICK:
        harness.CHECKS[:] = [one for one in harness.CHECKS if not hasattr(one[1], "slow")]
    harness.run_all(report, sys.argv[1] if len(sys.argv) > 1 else "*")
    return 1 if "not ok" in report.results else 0


sys.exit(main())
