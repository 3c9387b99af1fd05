# SPDX-License-Identifier: LGPL-2.1-or-later
"""Each kind of refusal, its verdict and that its reason helps. Limits are by the ledger's count,
so that what was granted before is back when it is released."""
import contextlib
import os
import shutil

from guest import check, out, run
from lib.broker import NAME, PATH
from lib.harness import Skip, expect, expect_in
from lib.wire import Socket, pack_request
from product import (CONFIDENTIAL, NODES, REAL, SOCKET, Holder, expect_refused, records, refusal,
                     request, rule, set_policy, wait_nothing_granted)

HERE = os.path.dirname(os.path.abspath(__file__))


@check
def refuse_policy():
    set_policy(
        rule("guests", {"group": "guests"}, deny="guests get no memory"),
        rule("host", {"user": "alice"}, use=["host"]),
        rule("small", {"user": "alice"}, use=["real"], buffer="1M", total="2M", buffers=4),
        rule("slow", {"user": "bob"}, use=["memfd"], rate="2/h"),
        rule("hpc", {"group": "hpc"}, buffer="16M"),
        limits={"per-user": "8M"})


@check
def refuse_without_a_rule():
    expect_refused("no-rule", "auditor")


@check
def refuse_by_deny_rule():
    got = expect_refused("denied", "eve", says=["guests get no memory"])
    expect(got["rule"] == "guests", str(got))


@check
def refuse_unknown_use():
    # it names those that the peer may have
    got = expect_refused("unknown-use", "alice", use="rela", says=["real"])
    expect("memfd" not in got["reason"], f"names a use that alice may not have: {got}")


@check
def refuse_large_buffer():
    expect_refused("buffer-limit", "alice", size="1025K", says=["1M"])
    request("alice", size="1M")


@check
def refuse_bytes_of_a_rule():
    with Holder("alice", size="1M", count=2):
        expect_refused("bytes-limit", "alice", size="4K", says=["2M"])
    wait_nothing_granted()
    request("alice", size="1M")


@check
def refuse_number_of_buffers():
    with Holder("alice", size="4K", count=4):
        expect_refused("buffers-limit", "alice", size="4K", says=["4"])
    wait_nothing_granted()


@check
def refuse_bytes_of_a_user():
    with Holder("carol", size="8M"):
        expect_refused("bytes-limit", "carol", size="4K", says=["8M"])
        request("alice")
    wait_nothing_granted()


@check
def refuse_bytes_of_a_kept_buffer():
    """A buffer that its process passed on before it went still counts."""
    if not REAL:
        with Holder("alice", size="1M", count=2):
            expect_refused("bytes-limit", "alice", size="1M")
        return
    holder = Holder("alice", size="1M", count=2)
    fd = holder.take()
    holder.end(signal=9)
    try:
        expect_refused("bytes-limit", "alice", "--count", "2", size="1M")
    finally:
        os.close(fd)
    request("alice", "--count", "2", size="1M")


@check
def refuse_rate():
    request("bob", use="memfd")
    request("bob", use="memfd", transport="dbus")
    expect_refused("rate-limit", "bob", use="memfd", says=["2 requests per hour"])


@check
def refuse_without_consent():
    expect_refused("consent-required", "alice", use="host")


@check
def refuse_missing_heap():
    if os.path.exists(NODES + "/system_cc_shared"):
        raise Skip("the heap is there, by module ccbuf_heap")
    got = expect_refused("heap-unavailable", "alice", "--accept-shared", use="host",
                         says=["system_cc_shared"])
    # what is missing: a confidential guest, or its kernel's heap
    expect_in("CONFIG_DMABUF_HEAPS_SYSTEM_CC_SHARED" if CONFIDENTIAL else "not a confidential VM",
              got["reason"], "the reason")


@check
def refuse_bad_size():
    with contextlib.closing(Socket(SOCKET)) as sock:
        for size, count in ((0, 1), (4096, 0), (4096, 65), (2 ** 64 - 1, 1), (2 ** 62, 64)):
            sock.send(pack_request("real", size, count))
            got = sock.receive()
            expect(got is not None and got.verdict not in ("granted", "malformed"),
                   f"{size} x {count}: {got}")
    done = run("busctl", "call", NAME, PATH, NAME, "Request", "sta{sv}", "real", "0", "0",
               user="alice", ok=False)
    expect_in("a buffer of 0 bytes", done.stderr)


@check
def refuse_malformed():
    """Recorded, the connection ended, and nobody else disturbed."""
    with Holder("alice") as holder:
        for packet in (b"x", b"x" * 4096, pack_request("real", 4096)[:-1],
                       pack_request("real", 4096, version=9), pack_request("real", 4096, flags=64),
                       pack_request("real", 4096, reserved=b"\x01" + bytes(15))):
            with contextlib.closing(Socket(SOCKET)) as sock:
                sock.send(packet)
                got = sock.receive()
                expect(got and got.verdict == "malformed", f"{packet[:20]!r}: {got}")
                expect(sock.receive() is None, "the connection goes on")
        expect(holder.process.poll() is None, "another client was disturbed")
    expect(any(r["verdict"] == "malformed" for r in records("deny")), "not recorded")
    request("alice")


# argv: the folder that lib/ is in, the socket, another program that runs Python, and what for
ASK_AND_BECOME_ANOTHER = """
import os, sys
sys.path.insert(0, sys.argv[1])
from lib.wire import Socket
sock = Socket(sys.argv[2])
assert sock.request("real", 4096).verdict == "granted"
fd = sock.socket.fileno()
os.set_inheritable(fd, True)
os.execv(sys.argv[3], [sys.argv[3], "-B", "-c", sys.argv[4], sys.argv[1], str(fd)])
"""
ASK_AGAIN = """
import sys
sys.path.insert(0, sys.argv[1])
from lib.wire import Socket
print(Socket(fd=int(sys.argv[2])).request("real", 4096).verdict)
"""


@check
def refuse_changed_program():
    """A connection that outlives the program that made it gets nothing any more."""
    other = "/usr/local/bin/other-python"
    shutil.copy(os.path.realpath("/usr/bin/python3"), other)
    got = out("python3", "-B", "-c", ASK_AND_BECOME_ANOTHER, HERE, SOCKET, other, ASK_AGAIN,
              user="alice")
    expect(got == "identity-changed", f"verdict {got}")
    expect(records("undelivered") or records("deny")[-1]["verdict"] == "identity-changed",
           "not recorded")


CALL = """
import sys
sys.path.insert(0, sys.argv[1])
from lib.broker import Broker
from lib.minibus import BusError
try:
    Broker("unix:path=/run/dbus/system_bus_socket").method(
        sys.argv[2], "t" * len(sys.argv[3:]), *map(int, sys.argv[3:]))
except BusError as error:
    print(error.name)
"""


def _error_name(argv):
    """The name of the error, which busctl does not print."""
    return out("python3", "-B", "-c", CALL, HERE, *argv, user="alice")


@check
def refuse_by_the_bus():
    for argv, name in ((("Release", "999999"), "UnknownGrant"), (("Reload",), "NotPermitted")):
        expect_in("org.ccbuf.Broker1.Error." + name, _error_name(argv))


@check
def refuse_explains_itself():
    """What `why` says is what the request gets, and others' requests are the administrator's."""
    done = run("ccbuf-client", "why", "--use", "real", "--size", "2M", user="alice", ok=None)
    expect_in("small", done.stdout + done.stderr)
    expect_in("buffer-limit", done.stdout + done.stderr)
    run("ccbuf-client", "why", "--use", "real", "--size", "64K", "--user", "eve", user="alice",
        ok=False)
    done = run("ccbuf-client", "why", "--use", "real", "--size", "64K", "--user", "eve",
               user="auditor", ok=None)
    expect_in("guests", done.stdout + done.stderr)


@check
def refuse_in_the_trail():
    last = refusal("auditor")
    record = [r for r in records("deny") if r["peer"]["uid"] == int(out("id", "-u", "auditor"))]
    expect(record and record[-1]["verdict"] == last["verdict"], "no record of the refusal")
