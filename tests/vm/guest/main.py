# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest as root: every check in turn, or the one command asked for, and reports."""
import os
import subprocess
import sys

import harness

HERE = os.path.dirname(os.path.abspath(__file__))


def run_command(report, text):
    done = subprocess.run(["bash", "-c", text], stdin=subprocess.DEVNULL,
                          stdout=report.file, stderr=report.file, check=False)
    if done.returncode == 0:
        report.line("ok command")
    else:
        report.line(f"not ok command exit status {done.returncode}")


def main():
    report = harness.Report("/dev/ttyS1")
    command = harness.read_optional(os.path.join(HERE, "command"))
    if command:
        run_command(report, command)
    else:
        for name in sorted(os.listdir(HERE)):
            if name.startswith("check_") and name.endswith(".py"):
                __import__(name[:-3])
        harness.run_all(report, harness.read_optional(os.path.join(HERE, "only")) or "*")
    report.line("done")
    return 0


sys.exit(main())
