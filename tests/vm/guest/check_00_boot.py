# SPDX-License-Identifier: LGPL-2.1-or-later
"""The guest itself, before anything of ccbuf runs."""
import os

from guest import check, out, read, read_optional, run
from lib.harness import expect


@check
def boot_systemd_is_first():
    expect(read("/proc/1/comm").strip() == "systemd", "the first process is not systemd")
    version = int(out("systemctl", "--version").split()[1])
    suite = read_optional(os.path.join(os.path.dirname(__file__), "suite"))
    expect(version >= {"bookworm": 252, "trixie": 257}[suite], f"systemd {version} on {suite}")


@check
def boot_users_exist():
    for user in ("alice", "bob", "carol", "eve", "auditor"):
        run("id", user)
