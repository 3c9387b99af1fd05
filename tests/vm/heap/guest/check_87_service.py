# SPDX-License-Identifier: LGPL-2.1-or-later
"""From end to end: ccbufd with this heap, or with the kernel's own; an unprivileged service that
has host-shared memory by policy over D-Bus, and the host that reads and writes just that; another
service gets nothing; all of it is in the trail; and in the end nothing is shared any more."""
import hashlib
import os

import product
from guest import check, out, read, run, write
from heap import MIB, NATIVE, PLAIN, native
from lib.harness import Skip, expect, expect_in
from lib.waiting import wait_until
import heap
import host
import kernel
import service

UNITS = "/run/systemd/system/"
FOLDER = "/run/ccbuf-ring"
MASK = bytes([0x55]) * 16
SIZE = MIB


def unit(name, user, *options):
    """A service that is given the buffer over D-Bus and becomes service.py; see ccbuf-client(1)."""
    write(UNITS + name,
          f"[Service]\nType=exec\nUser={user}\nRuntimeDirectory={os.path.basename(FOLDER)}\n"
          "ExecStart=/usr/bin/ccbuf-client request --transport dbus --use ring --size 1M "
          f"{' '.join(options)} -- /usr/bin/python3 -B {service.__file__} {FOLDER} $WORDS\n"
          "EnvironmentFile=/run/ccbuf-ring.words\n")
    run("systemctl", "daemon-reload")


def refused(name):
    """Starts a service that must end with the refusal; what it said."""
    run("systemctl", "start", name, ok=None)
    wait_until(lambda: out("systemctl", "is-active", name, ok=None) in ("failed", "inactive"),
               f"{name} to end")
    expect(out("systemctl", "show", "-p", "ExecMainStatus", "--value", name) == "3",
           f"{name} was not refused: " + out("systemctl", "status", name, ok=None))
    run("systemctl", "reset-failed", name, ok=None)
    return product.records("deny")[-1]


def buffer_of(name):
    """A duplicate of the service's fd of its buffer."""
    pid = int(out("systemctl", "show", "-p", "MainPID", "--value", name))
    return heap.Buffer(product.take_fd(pid, service.FD))


def host_and_service(name, said, kept):
    """What the host sees of a service at work, and the service of the host. Returns where the
    memory is, and the inode of the buffer."""
    wait_until(lambda: os.path.exists(FOLDER + "/ready"), "the service to say something", 60)
    with buffer_of(name) as buffer:
        places, inode = kernel.ranges(buffer), os.fstat(buffer.fd).st_ino
    want = service.unmask(said.hex(), MASK.hex()) * (SIZE // 2 // 16) + bytes(SIZE // 2)
    expect(host.digest(places) == hashlib.sha256(want).hexdigest(),
           "the host does not see what the service wrote")
    at = host.find(said, MASK)
    expect(any(first <= at < first + size for first, size in places),
           f"the host sees the word at {at:x}, which is not in the buffer")
    expect(host.find(kept, MASK, private=True) >= 0, "the secret is not there to be found")
    expect(host.find(kept, MASK) < 0, "the host sees what the service keeps to itself")

    skip = SIZE // 2
    for first, size in places:
        if skip < size:
            host.write([(first + skip, 16)], b"HOST SAYS HELLO!")
            break
        skip -= size
    wait_until(lambda: os.path.exists(FOLDER + "/heard"), "the service to hear the host", 60)
    expect(bytes.fromhex(read(FOLDER + "/heard")) == b"HOST SAYS HELLO!",
           "the service hears something else than the host says")
    return places, inode


@check
@native
def heap_service_end_to_end():
    if PLAIN:
        raise Skip("a guest that is not confidential hides nothing from its host")
    if heap.loaded():
        heap.unload()
    before = kernel.counts()
    said, kept = os.urandom(16), os.urandom(16)
    write("/run/ccbuf-ring.words", f"WORDS={said.hex()} {kept.hex()} {MASK.hex()}\n")
    unit("ccbuf-ring.service", "alice", "--accept-shared", "--label", "ring")
    unit("ccbuf-other.service", "alice", "--accept-shared")
    unit("ccbuf-bob.service", "bob", "--accept-shared")
    product.set_policy(
        product.rule("not-bob", {"user": "bob"}, deny="bob shows nothing to the host"),
        product.rule("ring", {"unit": "ccbuf-ring.service", "user": "alice"}, use=("ring",),
                    buffer="1M", buffers=1, per="unit"),
        uses={"ring": {"heap": heap.NAME}}, load=False)
    product.start()
    expect(heap.loaded() != NATIVE,
           "the service ccbufd did not load the module, or over the kernel's")

    # who may, does; all others do not, nor the one who may without consent
    run("systemctl", "start", "ccbuf-ring.service")
    try:
        places, inode = host_and_service("ccbuf-ring.service", said, kept)
        denied = [refused("ccbuf-bob.service"), refused("ccbuf-other.service")]
        listed, = product.grants().values()
        expect(listed["unit"] == "ccbuf-ring.service" and listed["exposure"] == "shared" and
               listed["inode"] == inode, str(listed))
    finally:
        run("systemctl", "stop", "ccbuf-ring.service")
    product.wait_nothing_granted()
    unit("ccbuf-ring.service", "alice")
    denied.append(refused("ccbuf-ring.service"))

    # the trail
    grant, = product.records("grant")
    expect(grant["heap"] == heap.NAME and grant["exposure"] == "shared" and
           grant["rule"] == "ring" and grant["transport"] == "dbus" and
           grant["buffers"][0]["inode"] == inode, str(grant))
    expect(grant["peer"]["unit"] == "ccbuf-ring.service" and
           grant["peer"]["uid"] == int(out("id", "-u", "alice")), str(grant))
    expect([(r["verdict"], r["peer"]["unit"]) for r in denied] ==
           [("denied", "ccbuf-bob.service"), ("no-rule", "ccbuf-other.service"),
            ("consent-required", "ccbuf-ring.service")], str(denied))
    expect_in("bob shows nothing to the host", denied[0]["reason"])
    release = wait_until(lambda: product.records("release"), "the record of the release")[-1]
    expect(release["buffers"][0]["grant"] == grant["buffers"][0]["grant"], str(release))
    product.verify()

    # and nothing stays
    run("systemctl", "stop", "ccbufd.socket", "ccbufd.service")
    if not NATIVE:  # which does not scrub, and has no counters
        expect(host.find(said, MASK) < 0, "the host sees what was in the buffer")
        heap.unload()
        after = kernel.counts()
        expect(after.shared == before.shared, "memory stays shared")
        done = [after.pages[i] - before.pages[i] for i in (0, 1)]
        expect(done[0] == done[1] >= SIZE // heap.PAGE, f"pages to shared and to private: {done}")
    host.write(places, b"HOST'S HAND ")
    for at, size in places:
        expect(b"HOST'S HAND" not in kernel.peek(kernel.DIRECT, at, size),
               f"what the host writes is in private memory at {at:x}")
    product.verify()
