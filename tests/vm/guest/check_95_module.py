# SPDX-License-Identifier: LGPL-2.1-or-later
"""ccbufd with the heap of module ccbuf_heap: grants whose end is an event, revocation, leaks. Needs
the module (--module); in a plain guest it is loaded for development, and its heap has another
name."""
import contextlib
import fcntl
import json
import mmap
import os
import signal
import struct
import time

from guest import check, journal, journal_now, out, run, write
from lib.harness import Skip, expect, expect_in
from lib.waiting import wait_until
from lib.wire import Socket
from product import (CONFIDENTIAL, NODES, SOCKET, TEE, Holder, client, grant_state, grants,
                     main_pid, records, refusal, request, restart, rule, set_policy, start, status,
                     verify, wait_nothing_granted, wait_state)

HEAP = "system_cc_shared" if CONFIDENTIAL else "ccbuf_unshared"
NODE = f"{NODES}/{HEAP}"
PROBE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "probe.py")
SHARED = {"uses": {"host": {"heap": HEAP}, "memfd": {"heap": "emulated"}}}
if not CONFIDENTIAL:
    SHARED["heaps"] = {HEAP: {"exposure": "shared"}}
DROP_IN = "/run/systemd/system/ccbufd.service.d/90-module.conf"
MSR_FAULT = 0x4ccb0001
MIB = 1 << 20


def need_module():
    if run("modinfo", "ccbuf_heap", ok=None).returncode:
        raise Skip("there is no module ccbuf_heap (tests/vm/make-module, --module)")


def need_heap():
    need_module()
    if not os.path.exists(NODE):
        raise Skip("the module is not loaded, see the checks before")


def policy(*rules, **more):
    set_policy(*rules, **SHARED, **more)


def allow(**limits):
    return rule("alice", {"user": "alice"}, use=("host", "memfd"), **limits)


def hold(*options, use="host", **more):
    return Holder("alice", "--accept-shared", *options, use=use, **more)


def ask(*options, **more):
    return request("alice", "--accept-shared", *options, use="host", **more)


def heap():
    found, = [h for h in status()["Heaps"] if h["name"] == HEAP]
    return found


def released(number):
    found = [r for r in records("release") if r["buffers"][0]["grant"] == number]
    expect(len(found) <= 1, f"released twice: {found}")
    return found[0] if found else None


def revoke(number, ok=True, user=None):
    done = client("revoke", "--json", str(number), ok=ok, user=user)
    return json.loads(done.stdout)


def buffers_of_the_daemon():
    """How many descriptors of dma-bufs it has."""
    folder = f"/proc/{main_pid()}/fd"
    return sum("dmabuf" in os.readlink(f"{folder}/{fd}") for fd in os.listdir(folder))


@check
def module_comes_with_the_service():
    """Loaded before the service where it is of use; elsewhere it is refused, and nothing fails."""
    need_module()
    run("systemctl", "stop", "ccbufd.socket", "ccbufd.service")
    run("modprobe", "-r", "ccbuf_heap")
    since = journal_now()
    start()
    expect(out("systemctl", "is-failed", "modprobe@ccbuf_heap.service", ok=None) != "failed",
           "the unit that loads the module failed")
    expect(os.path.exists("/sys/module/ccbuf_heap") == CONFIDENTIAL, "loaded, or not")
    said = journal("-u", "modprobe@ccbuf_heap.service", "-p", "notice", since=since)
    expect("modprobe" not in said, f"noise: {said}")
    if CONFIDENTIAL:
        # and again, when it is there
        restart()
        return
    run("modprobe", "ccbuf_heap", "unshared=1")
    wait_until(lambda: os.path.exists(NODE), NODE)
    write(DROP_IN, f"[Service]\nDeviceAllow={NODE} r\n")
    run("systemctl", "daemon-reload")
    restart()


@check
def module_node_is_the_brokers():
    need_heap()
    wait_until(lambda: os.stat(NODE).st_mode & 0o7777 == 0o440, "udev")
    expect(out("stat", "-c", "%U:%G", NODE) == "root:ccbufd", "the owner")
    policy(allow())
    found = heap()
    expect(found["available"] and found["revocable"], str(found))
    expect(found["leaked"] == 0 and not found["stopped"], str(found))
    expect(found["unshared"] != CONFIDENTIAL, str(found))
    expect_in(HEAP, out("ccbuf-client", "status"))


@check
def module_buffer():
    """Zero, writable, of that heap, over both transports; and without a page of the daemon's."""
    need_heap()
    for transport in ("socket", "dbus"):
        for size in ("4K", "64K", "3M"):
            got = json.loads(ask(size=size, transport=transport,
                                 command=("python3", "-B", PROBE, "write")).stdout)
            expect(got == {"zero": True, "kept": True}, f"{size}, {transport}: {got}")
        got = json.loads(ask(transport=transport,
                             command=("python3", "-B", PROBE, "describe")).stdout)
        expect(got["exp_name"] == HEAP, str(got))
    got = json.loads(ask("--read-only", command=("python3", "-B", PROBE, "read-only")).stdout)
    expect(got["shared_write"] == "refused", str(got))
    wait_nothing_granted()
    expect(heap()["live"] == 0, str(heap()))


@check
def module_without_consent():
    need_heap()
    expect(refusal("alice", use="host")["verdict"] == "consent-required", "no consent was given")


@check
def module_keeps_no_fd():
    """Nor does it look for who holds a buffer: the end of one is told."""
    need_heap()
    with hold(count=16), hold(size="4M") as one:
        expect(len(grants()) == 17, str(grants()))
        wait_until(lambda: buffers_of_the_daemon() == 0, "the daemon to let go")
        number = one.grant
        # whoever has it, it is charged
        fd = one.take()
        one.end()
        wait_state(number, "orphaned")
        memory = mmap.mmap(fd, 4 * MIB)
        os.close(fd)
        time.sleep(0.2)
        expect(grant_state(number) == "orphaned", "a mapping holds it")
        memory.close()
        began = time.monotonic()
        wait_state(number, "released")
        expect(time.monotonic() - began < 2, "that took long")
    wait_nothing_granted()
    wait_until(lambda: released(number), "its record")
    expect(status()["GrantedBytes"] == 0, str(status()))


@check
def module_room_at_once():
    """Who closes a buffer and asks for another finds that there is room, every time."""
    need_heap()
    policy(rule("root", {"user": "root"}, use=("host",), buffers=1))
    with contextlib.closing(Socket(SOCKET)) as sock:
        for number in range(200):
            got = sock.request("host", 65536, accept_shared=True)
            expect(got.verdict == "granted", f"request {number}: {got.reason}")
            got.close()
    wait_nothing_granted()


@check
def module_revoke():
    """From a process that has it mapped, and from one that it was passed to."""
    need_heap()
    policy(allow())
    with hold(size="2M") as one:
        fd = one.take()
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
        child = os.fork()
        if child == 0:
            memory = mmap.mmap(fd, 2 * MIB)
            memory[0] = 1
            signal.sigwait({signal.SIGUSR1})
            memory[0] = 2
            os._exit(0)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
        os.close(fd)
        expect(revoke(one.grant, ok=False, user="alice")["verdict"] == "not-permitted", "for alice")
        expect(grant_state(one.grant) == "live", "taken back for alice")
        got = revoke(one.grant)
        expect(got["released"] and not got["mappings"] and not got["busy"], str(got))
        os.kill(child, signal.SIGUSR1)
        ended = os.waitpid(child, 0)[1]
        expect(os.WIFSIGNALED(ended) and os.WTERMSIG(ended) == signal.SIGBUS,
               f"it has the memory still: {ended:#x}")
        expect(grant_state(one.grant) == "released", "still charged")
        expect(revoke(one.grant, ok=False)["verdict"] == "unknown-grant", "again")
    record, = [r for r in records("revoke") if r["buffers"][0]["grant"] == one.grant]
    expect(record["by"]["uid"] == 0 and record["peer"]["uid"] != 0, str(record))
    wait_until(lambda: released(one.grant), "its release")
    expect(released(one.grant)["reason"] == "revoked", str(released(one.grant)))
    expect(heap()["live"] == 0, str(heap()))


def import_request(direction, number, size):
    return direction << 30 | size << 16 | 0xcd << 8 | number


@check
def module_revoke_from_a_device():
    """It is said which device has it, and the memory stays charged until that lets go."""
    need_heap()
    if run("modprobe", "ccbuf_heap_test", ok=None).returncode:
        raise Skip("there is no module ccbuf_heap_test to import it (tests/vm/heap/importer)")
    wait_until(lambda: os.path.exists("/dev/ccbuf_heap_test"), "its node")
    with hold() as one:
        buffer = one.take()
        device = os.open("/dev/ccbuf_heap_test", os.O_RDWR)
        # as tests/vm/heap/importer/test.h has it: attach to the first device, map
        fcntl.ioctl(device, import_request(1, 1, 16), struct.pack("<iIII", buffer, 0, 0, 0))
        fcntl.ioctl(device, import_request(0, 3, 0))
        os.close(buffer)
        got = revoke(one.grant)
        expect(not got["released"] and got["mappings"] == 1, str(got))
        expect_in("ccbuf-wide", got["device"])
        expect(grant_state(one.grant) == "revoked", grant_state(one.grant))
        expect_in("1 mapping by devices", out("ccbuf-client", "revoke", str(one.grant)))
        expect(len([r for r in records("revoke")
                    if r["buffers"][0]["grant"] == one.grant]) == 2, "each is recorded")
        expect(status()["GrantedBytes"] == 65536, "uncharged while a device has it")
        fcntl.ioctl(device, import_request(0, 4, 0))
        wait_state(one.grant, "released")
        os.close(device)


@check
def module_revoke_of_another_heap():
    need_heap()
    with hold(use="memfd") as one:
        got = revoke(one.grant, ok=False)
        expect(got["verdict"] == "unsupported", str(got))
        expect_in("emulated", got["reason"])


@check
def module_revoke_on_reload():
    """What the new policy does not allow is taken back where it says so, and nothing else."""
    need_heap()
    bob = rule("bob", {"user": "bob"}, use=("host",))
    policy(allow(), bob)
    with hold(count=3) as one, hold() as two, \
            Holder("bob", "--accept-shared", use="host") as other:
        policy(bob)
        expect(grant_state(one.grant) == "live", "taken back without a word of that")
        policy(bob, **{"on-reload": "revoke"})
        for grant in one.grants + two.grants:
            wait_state(grant["grant"], "released")
        expect(grant_state(other.grant) == "live", "of one that may have it")
        found = [r for r in records("revoke") if r.get("verdict") == "no-rule"]
        expect(len(found) == 4 and all("by" not in r for r in found), str(found))
        expect({r["policy"] for r in found} == {status()["PolicyDigest"]}, "another policy")
    wait_nothing_granted()


@check
def module_many():
    """Buffers that come and go: every one is recorded, nothing stays."""
    need_heap()
    policy(allow())
    before = len(records("release"))
    holders = [hold(count=64, size="4K") for _ in range(4)]
    expect(status()["GrantCount"] == 256, str(status()))
    for number, holder in enumerate(holders):
        holder.end(9 if number % 2 else 15)
    wait_nothing_granted()
    wait_until(lambda: len(records("release")) == before + 256, "256 records")
    expect(heap()["live"] == 0, str(heap()))
    verify()


@check
def module_doctor():
    need_heap()
    done = client("doctor", ok=None)
    if CONFIDENTIAL:
        expect_in(f"serves heap {HEAP}", done.stdout)
        expect(not [line for line in done.stdout.splitlines() if line.startswith("problem")],
               done.stdout)
    else:
        expect_in("NOTHING of it is shared", done.stdout)
        expect_in("NOTHING of it is shared", out("ccbuf-client", "status"))


def set_parameter(name, value):
    with open("/sys/module/ccbuf_heap/parameters/" + name, "w", encoding="ascii") as f:
        f.write(str(value))


def fail_to_private(times):
    """The hypervisor refuses to make memory private, so often."""
    run("modprobe", "msr")
    with open("/dev/cpu/0/msr", "r+b", buffering=0) as f:
        f.seek(MSR_FAULT)
        f.write(struct.pack("<Q", times << 16 | 1 << 9 | 1))


@check
def module_leak():
    """Told by the trail, the journal, status and doctor; and what is said when the heap stops."""
    need_heap()
    if TEE != "tdx":
        raise Skip("only here the hypervisor can refuse one page and go on")
    since = journal_now()
    set_parameter("pool_high", 0)
    before = heap()["leaked"]
    with hold(size="2M"):
        fail_to_private(1)
    record = wait_until(lambda: records("leak"), "the record")[-1]
    lost = heap()["leaked"] - before
    expect(lost > 0 and record["size"] == lost and record["heap"] == HEAP, f"{lost}: {record}")
    wait_nothing_granted()
    expect_in("could not be made private again", journal("-u", "ccbufd.service", since=since))
    expect_in("could not be made private again", client("doctor", ok=None).stdout)
    set_parameter("leak_limit", 0)
    got = refusal("alice", "--accept-shared", use="host")
    expect(got["verdict"] == "heap-unavailable" and "restart the machine" in got["reason"],
           str(got))
    found = heap()
    expect(found["stopped"] and not found["available"], str(found))
    expect_in("gives out no memory any more", client("doctor", ok=False).stdout)
    set_parameter("leak_limit", 64)
    ask()


@check
def module_can_go():
    """When the daemon stops nothing is shared any more, and the module can be unloaded."""
    need_heap()
    run("modprobe", "-r", "ccbuf_heap", ok=False)
    run("systemctl", "stop", "ccbufd.socket", "ccbufd.service")
    counters = {name: int(open(f"/sys/class/misc/{HEAP}/{name}", encoding="ascii").read())
                for name in ("live_bytes", "live_buffers")}
    expect(not any(counters.values()), str(counters))
    run("modprobe", "-r", "ccbuf_heap")
    if os.path.exists(DROP_IN):
        os.unlink(DROP_IN)
        run("systemctl", "daemon-reload")
    start()
