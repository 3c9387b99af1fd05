# SPDX-License-Identifier: LGPL-2.1-or-later
"""Grants to unprivileged users and services: what they get is what it is said to be."""
import json
import os

from guest import check, out, run, write
from lib.broker import NAME, PATH
from lib.harness import Skip, expect, expect_in
from lib.waiting import wait_until
from product import (HEAP, REAL, Holder, grants, records, refusal, request, rule, set_policy,
                     wait_nothing_granted, wait_state)

PROBE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "probe.py")


def _probe(user, *argv, options=(), transport="socket", **more):
    done = request(user, *options, transport=transport,
                   command=("python3", "-B", PROBE, *argv), **more)
    return json.loads(done.stdout)


@check
def grant_policy():
    set_policy(rule("alice", {"user": "alice"}, buffer="64M", buffers=512),
               rule("unit", {"unit": "grantee.service"}, buffer="1M"))


@check
def grant_is_a_dma_buf():
    """A dma-buf of the kernel's system heap, of the size asked for, over both transports."""
    if not REAL:
        raise Skip("Linux 6.1 has no heap; the emulated one is used")
    for transport in ("socket", "dbus"):
        got = _probe("alice", "describe", transport=transport)
        expect(got["magic"] == 0x444d4142, f"{transport}: file system {got['magic']:#x}")
        expect(got["size"] == 65536, f"{transport}: {got}")
        expect(got["exp_name"] == "system", f"{transport}: {got}")
        expect(got["cloexec"] is False and got["listen_fds"] == "1", f"{transport}: {got}")


@check
def grant_emulated():
    for transport in ("socket", "dbus"):
        got = _probe("alice", "describe", use="memfd", transport=transport)
        expect(got["size"] == 65536 and got["sealed"], f"{transport}: {got}")


@check
def grant_is_zero_and_writable():
    for use in ("real", "memfd"):
        for transport in ("socket", "dbus"):
            got = _probe("alice", "write", use=use, size="1M", transport=transport)
            expect(got == {"zero": True, "kept": True}, f"{use}, {transport}: {got}")


@check
def grant_is_passed_on():
    """Written by the grantee, read by another process that it was sent to."""
    for use in ("real", "memfd"):
        got = _probe("alice", "pass", use=use)
        expect(got == {"read": "from the one to the other"}, f"{use}: {got}")


@check
def grant_read_only():
    for use in ("real", "memfd"):
        got = _probe("alice", "read-only", use=use, options=("--read-only",))
        expect(got["shared_write"] == "refused", f"{use}: {got}")


@check
def grant_batch():
    got = _probe("alice", "batch", options=("--count", "64"))
    expect(got["inodes"] == 64 and got["names"] == 64, str(got))
    record = records("grant")[-1]
    expect(record["count"] == 64 and len(record["buffers"]) == 64, str(record)[:200])


@check
def grant_to_a_service():
    """A service of its own user asks as its unit, and the record names the unit."""
    write("/run/systemd/system/grantee.service",
          "[Service]\nType=oneshot\nUser=bob\n"
          "ExecStart=/usr/bin/ccbuf-client request --use real --size 64K -- true\n")
    run("systemctl", "daemon-reload")
    run("systemctl", "start", "grantee.service")
    record = records("grant")[-1]
    expect(record["peer"]["unit"] == "grantee.service" and record["rule"] == "unit" and
           record["peer"]["slice"] == "system.slice", str(record))
    # the same user outside the unit gets nothing
    expect(refusal("bob")["verdict"] == "no-rule", "bob needs no unit")


@check
def grant_large():
    _probe("alice", "describe", size="64M")


@check
def grant_is_listed():
    with Holder("alice", "--label", "ring buffer", count=3) as holder:
        listed = grants("alice")
        expect(set(listed) == {g["grant"] for g in holder.grants}, str(listed))
        one = listed[holder.grant]
        expect(one["heap"] == HEAP and one["state"] == "live" and one["pid"] == holder.pid and
               one["label"] == "ring buffer" and one["rule"] == "alice", str(one))
        expect(one["inode"] == holder.grants[0]["inode"], "another inode than the buffer's")
        # others see nothing of it
        expect(json.loads(out("ccbuf-client", "list", "--json", user="bob")) == [],
               "bob sees grants of alice")
        expect(len(json.loads(out("ccbuf-client", "list", "--all", "--json", user="auditor"))) == 3,
               "an auditor does not see all grants")
    wait_nothing_granted()


@check
def grant_is_orphaned_and_released():
    """Charged after its process is gone for as long as somebody else holds the buffer."""
    if not REAL:
        raise Skip("an emulated buffer has no count")
    holder = Holder("alice")
    # root holds it now too
    fd = holder.take()
    try:
        holder.end(signal=9)
        wait_state(holder.grant, "orphaned")
        expect(records("orphan")[-1]["buffers"][0]["grant"] == holder.grant, "no orphan record")
    finally:
        os.close(fd)
    wait_state(holder.grant, "released")
    wait_until(lambda: records("release")[-1]["buffers"][0]["grant"] == holder.grant,
               "a release record")


@check
def grant_release_by_hand():
    """Release over the bus, of one's own and of another's."""
    with Holder("alice", transport="dbus") as holder:
        done = run("busctl", "call", NAME, PATH, NAME, "Release", "t", str(holder.grant),
                   user="bob", ok=False)
        expect_in("no live grant", done.stderr + done.stdout)
        expect(holder.grant in grants("alice"), "gone by another's release")
    wait_nothing_granted()
