# SPDX-License-Identifier: LGPL-2.1-or-later
"""What `meson install` put where, and what systemd, udev and dbus-daemon made of it."""
import glob
import os
import re
import stat

from guest import check, out, read, run
from lib.harness import Skip, expect, expect_in
from product import NODES, REAL


@check
def install_files():
    for path in ("/usr/libexec/ccbufd", "/usr/bin/ccbuf-client",
                 "/usr/lib/systemd/system/ccbufd.service", "/usr/lib/systemd/system/ccbufd.socket",
                 "/usr/lib/udev/rules.d/70-ccbufd.rules", "/usr/lib/sysusers.d/ccbufd.conf",
                 "/usr/lib/tmpfiles.d/ccbufd.conf", "/usr/lib/systemd/catalog/ccbuf.catalog",
                 "/usr/share/dbus-1/system-services/org.ccbuf.Broker1.service",
                 "/usr/share/dbus-1/system.d/org.ccbuf.Broker1.conf",
                 "/usr/share/bash-completion/completions/ccbuf-client",
                 "/usr/lib/ccbufd/policy.d/00-default.json", "/usr/include/ccbuf.h"):
        expect(os.path.exists(path), f"{path} is missing")
    expect(glob.glob("/usr/lib/*/libccbuf.so.*"), "libccbuf is missing")
    expect(glob.glob("/usr/lib/*/pkgconfig/libccbuf.pc"), "libccbuf.pc is missing")


@check
def install_man_pages():
    for page in ("man8/ccbufd.8", "man1/ccbuf-client.1", "man5/ccbuf-policy.5",
                 "man3/libccbuf.3"):
        expect(glob.glob(f"/usr/share/man/{page}*"), f"{page} is missing")


def _mode(path):
    s = os.stat(path)
    return stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid


@check
def install_users_and_folders():
    uid = int(out("id", "-u", "ccbufd"))
    gid = int(out("id", "-g", "ccbufd"))
    admin = int(out("getent", "group", "ccbuf-admin").split(":")[2])
    expect(uid < 1000, "ccbufd is no system user")
    got = _mode("/var/log/ccbufd")
    expect(got == (0o2750, uid, admin), f"/var/log/ccbufd is {got}")
    expect(_mode("/etc/ccbufd/policy.d") == (0o755, 0, 0), "/etc/ccbufd/policy.d")
    if REAL:
        got = _mode(NODES + "/system")
        expect(got == (0o440, 0, gid), f"heap node is {got}")


@check
def install_node_closed():
    """Nobody opens the heap past the broker: not users, not administrators of ccbuf."""
    if not REAL:
        raise Skip("Linux 6.1 has no heap nodes")
    for user in ("alice", "carol", "auditor", "nobody"):
        for access in ("<", ">"):
            run("sh", "-c", f": {access}{NODES}/system", user=user, ok=False)
    # and udev keeps it so when the device comes up again
    os.chmod(NODES + "/system", 0o666)
    run("udevadm", "trigger", "--action=change", "--settle", "/sys/class/dma_heap/system")
    expect(_mode(NODES + "/system")[0] == 0o440, "udev does not close the node again")
    # nor does what was there before the rule stay open
    os.chmod(NODES + "/system", 0o666)
    run("systemd-tmpfiles", "--create", "ccbufd.conf")
    expect(_mode(NODES + "/system")[0] == 0o440, "tmpfiles does not close the node")


@check
def install_units_verify():
    done = run("systemd-analyze", "verify", "--man=no", "ccbufd.service", "ccbufd.socket")
    found = [line for line in done.stderr.splitlines() if "ccbufd" in line]
    expect(not found, "; ".join(found))
    run("udevadm", "verify", "/usr/lib/udev/rules.d/70-ccbufd.rules", ok=None)


@check
def install_security_score():
    text = out("systemd-analyze", "security", "--no-pager", "ccbufd.service")
    score = re.search(r"exposure level for ccbufd.service: ([0-9.]+)", text)
    expect(score and float(score.group(1)) <= 1.0, text[-200:])


@check
def install_bus_config():
    # dbus-daemon says so when it cannot use a file
    run("busctl", "call", "org.freedesktop.DBus", "/org/freedesktop/DBus",
        "org.freedesktop.DBus", "ReloadConfig")
    run("journalctl", "--sync")
    text = out("journalctl", "-b", "--no-pager", "-o", "cat", "-u", "dbus.service", ok=None)
    expect("ccbuf" not in text, text)
    expect_in("org.ccbuf.Broker1", out("busctl", "list", "--activatable", "--no-pager"))


@check
def install_no_policy_allows_nothing():
    expect_in('"rules"', read("/usr/lib/ccbufd/policy.d/00-default.json"), "the default policy")
    run("systemctl", "start", "ccbufd.socket")
    done = run("ccbuf-client", "request", "--use", "rdma", "--size", "64K", "--", "true", ok=False)
    expect(done.returncode == 3, f"exit status {done.returncode}: {done.stderr}")
    run("systemctl", "stop", "ccbufd.service", "ccbufd.socket")
