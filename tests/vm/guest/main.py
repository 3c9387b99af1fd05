# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest as root: every check in turn, or the one command asked for, and reports."""
import os
import subprocess
import sys

import guest

HERE = os.path.dirname(os.path.abspath(__file__))


def run_command(report, text):
    done = subprocess.run(["bash", "-c", text], stdin=subprocess.DEVNULL,
                          stdout=report.file, stderr=report.file, check=False)
    if done.returncode == 0:
        report.line("ok command")
    else:
        report.line(f"not ok command exit status {done.returncode}")


def main():
    report = guest.Report("/dev/ttyS1")
    command = guest.read_optional(os.path.join(HERE, "command"))
    if command:
        run_command(report, command)
    else:
        guest.load_checks(HERE)
        guest.run_checks(report, (guest.read_optional(os.path.join(HERE, "only")) or "").split())
    report.line("done")
    return 0


sys.exit(main())
