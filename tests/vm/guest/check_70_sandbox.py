# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon in its sandbox: shut in, and yet at work."""
import os

from guest import check, journal, out, read, run
from lib.harness import expect
from product import NODES, REAL, main_pid, request, restart, rule, set_policy

CAP_SYS_PTRACE = 1 << 19


def _status(pid=None):
    lines = read(f"/proc/{pid or main_pid()}/status").splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


@check
def sandbox_works():
    set_policy(rule("alice", {"user": "alice"}), rule("exe", {"exe": "/usr/bin/ccbuf-client"}))
    restart()
    for transport in ("socket", "dbus"):
        request("alice", transport=transport)
        # another user's /proc/PID/exe is read
        request("bob", transport=transport)


@check
def sandbox_privileges():
    status = _status()
    uid = out("id", "-u", "ccbufd")
    expect(status["Uid"].split() == [uid] * 4, status["Uid"])
    expect(status["NoNewPrivs"] == "1", "new privileges")
    expect(status["Seccomp"] == "2", "no system call filter")
    for key in ("CapEff", "CapPrm", "CapInh", "CapAmb"):
        expect(int(status[key], 16) == 0, f"{key} is {status[key]}")
    expect(int(status["CapBnd"], 16) & ~CAP_SYS_PTRACE == 0, f"CapBnd is {status['CapBnd']}")
    expect(read(f"/proc/{main_pid()}/oom_score_adj").strip() == "-900", "first to go for memory")


@check
def sandbox_processes():
    """Who has the capability, and what else."""
    pids = out("systemctl", "show", "-p", "ControlGroup", "--value", "ccbufd.service")
    found = {}
    for pid in read(f"/sys/fs/cgroup{pids}/cgroup.procs").split():
        status = _status(pid)
        found.setdefault(status["Name"], []).append(status)
    expect(set(found) >= {"ccbufd", "ccbufd-helper", "ccbufd-look"}, f"processes: {set(found)}")
    expect(len(found["ccbufd-look"]) >= 2, "no lookers")
    for name, all_of_it in found.items():
        may = CAP_SYS_PTRACE if name in ("ccbufd-helper", "ccbufd-look") else 0
        for status in all_of_it:
            for key in ("CapEff", "CapPrm"):
                expect(int(status[key], 16) == may, f"{key} of {name} is {status[key]}")
            expect(status["NoNewPrivs"] == "1", f"{name}: new privileges")
    filters = {name: int(all_of_it[0]["Seccomp_filters"]) for name, all_of_it in found.items()}
    expect(filters["ccbufd-look"] > filters["ccbufd-helper"], f"filters: {filters}")


@check
def sandbox_own_filter():
    """The daemon's own filter comes on top of systemd's."""
    pid = main_pid()
    count = int(_status()["Seccomp_filters"])
    run("systemctl", "stop", "ccbufd.service", "ccbufd.socket")
    done = run("systemd-run", "--quiet", "--wait", "--pipe", "-p", "NoNewPrivileges=yes", "-p",
               "User=ccbufd", "-p", "SystemCallFilter=@system-service", "grep", "Seccomp_filters",
               "/proc/self/status")
    restart()
    expect(pid != main_pid(), "not started anew")
    expect(count > int(done.stdout.split()[1]), f"{count} filters")


@check
def sandbox_namespaces():
    pid = main_pid()
    for kind in ("mnt", "net", "ipc"):
        expect(os.readlink(f"/proc/{pid}/ns/{kind}") != os.readlink(f"/proc/1/ns/{kind}"),
               f"the {kind} namespace is the host's")
    for kind in ("user", "pid"):
        expect(os.readlink(f"/proc/{pid}/ns/{kind}") == os.readlink(f"/proc/1/ns/{kind}"),
               f"the {kind} namespace is not the host's, whose processes it is to see")


def _inside(script, ok=True):
    return run("nsenter", "--target", str(main_pid()), "--mount", "sh", "-c", script, ok=ok)


@check
def sandbox_files():
    """Root itself can write nothing in there but the trail."""
    paths = "/etc/x /usr/x /x /var/x /run/x /home/x /root/x /etc/ccbufd/policy.d/x"
    written = _inside(f"for path in {paths}; do (: >$path) && echo $path; done; true").stdout
    expect(not written, f"can write {written}")
    _inside(": >/var/log/ccbufd/x && rm /var/log/ccbufd/x")


@check
def sandbox_devices():
    listed = _inside("ls /dev").stdout.split()
    for name in ("kmsg", "mem", "ttyS0", "rtc0", "port"):
        expect(name not in listed, f"/dev/{name} is there")
    expect("dma_heap" in listed, "/dev/dma_heap is not there")
    if REAL:
        found = _inside(f"ls {NODES}").stdout.split()
        expect("system" in found and set(found) == set(os.listdir(NODES)), f"heaps: {found}")


@check
def sandbox_nothing_was_killed():
    text = journal()
    for word in ("type=1326", "SIGSYS", "status=31/SYS"):
        expect(word not in text, f"{word} in the journal")
