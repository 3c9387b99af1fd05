# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host's eye: it sees buffers, exactly, and nothing else; and it can change nothing else."""
import hashlib
import mmap
import os
import struct

import heap
import host
import kernel
from guest import check
from heap import MIB, PAGE, Heap, slow, text
from lib.harness import expect
from lib.waiting import wait_until


class Secret:
    """Private memory full of a word that is nowhere else. It is never written down in one piece,
    as the words that a program works with end in buffers of all kinds, and those of drivers are
    shared by right."""

    def __init__(self, size):
        self.mask = bytes([0x55]) * 16
        self.masked = os.urandom(16)
        self.memory = bytearray(self.word() * (size // 16))

    def word(self):
        return bytes(a ^ b for a, b in zip(self.masked, self.mask))

    def expect_hidden(self, when):
        at = host.find(self.masked, self.mask)
        expect(at < 0, f"{when}: the host sees a secret of private memory at {at:x}")


@check
def heap_host_sees_the_buffer():
    heap.reload(pool_high=0)
    with Heap() as node:
        for size in (PAGE, 64 << 10, 5 * MIB + 3 * PAGE):
            buffer = node.alloc(size)
            places = kernel.ranges(buffer)
            with buffer.map() as mapping:
                zero = hashlib.sha256(bytes(size)).hexdigest()
                expect(host.digest(places) == zero, f"{size}: new and not empty for the host")
                data = text(b"guest", size)
                mapping.write(data)
                expect(host.digest(places) == hashlib.sha256(data).hexdigest(),
                       f"{size}: the host does not see what is in the buffer")
                host.write(places, b"from host")
                want = b"".join((b"from host" * (n // 9 + 1))[:n] for _, n in places)
                expect(mapping.read() == want, f"{size}: what the host writes is not in the buffer")


@check
def heap_host_sees_nothing_else():
    heap.reload(pool_high=0)
    secret = Secret(32 * MIB)
    expect(host.find(secret.masked, secret.mask, private=True) >= 0,
           "the secret is not there to be found")
    with Heap() as node:
        secret.expect_hidden("before")
        buffers = [node.alloc(size) for size in (PAGE, 64 << 10, MIB, 5 * MIB) for _ in range(4)]
        for buffer in buffers:
            with buffer.map() as mapping:
                mapping.fill(b"public  ")
        secret.expect_hidden("with buffers")
        del buffer, mapping
        del buffers
        wait_until(lambda: node.stats().live_buffers == 0, "the ends")
        secret.expect_hidden("after")


def frames_of(memory):
    """The page frames of a mapping of this process."""
    address = heap.ctypes.addressof(heap.ctypes.c_char.from_buffer(memory))
    with open("/proc/self/pagemap", "rb", buffering=0) as f:
        f.seek(address // PAGE * 8)
        entries = f.read(len(memory) // PAGE * 8)
    return {entry & (1 << 55) - 1 for entry, in struct.iter_unpack("<Q", entries)} - {0}


@check
@slow
def heap_host_sees_no_past():
    """What was in memory before it became a buffer."""
    heap.reload(pool_high=0)
    secret = Secret(PAGE)
    unit = 64 * MIB
    free = heap.memory_free() // unit  # so much that some of it must be taken again
    expect(free >= 4, f"only {free} times 64 MiB are free")
    memory = mmap.mmap(-1, free * 3 // 4 * unit)
    for at in range(0, len(memory), unit):
        memory[at:at + unit] = secret.word() * (unit // 16)
    was_there = frames_of(memory)
    memory.close()
    before = kernel.counts()
    with Heap() as node:
        buffers = [node.alloc(unit) for _ in range(free // 2)]
        secret.expect_hidden("with buffers where it was")
        reused = 0
        for buffer in buffers:
            for at, size in kernel.ranges(buffer):
                reused += len(was_there.intersection(range(at // PAGE, (at + size) // PAGE)))
        with buffers[0].map() as mapping:
            expect(heap.empty(mapping.read()), "a buffer is not empty")
        del buffer, mapping
        del buffers
    expect(reused > 1000, f"only {reused} pages are in the buffers: the test is none")
    after = kernel.counts()
    expect(after.unclean == before.unclean,
           f"pages had content when they were converted: {after.unclean}")
    secret.expect_hidden("after")


@check
def heap_host_loses_sight():
    """Of what was a buffer, once it is private again: it is empty, and the host's no more."""
    heap.reload(pool_high=0)
    with Heap() as node:
        buffer = node.alloc(8 * MIB)
        places = kernel.ranges(buffer)
        with buffer.map() as mapping:
            mapping.write(text(b"content", buffer.bytes))
        expect(host.read(places[0][0], 7) == b"content", "the host does not see the buffer")
        buffer.close()
        wait_until(lambda: node.stats().live_buffers == 0, "its end")
    expect(heap.shared() == 0, "it is still shared")
    host.write(places, b"HOST'S HAND ")
    empty = pages = 0
    for at, size in places:
        memory = kernel.peek(kernel.DIRECT, at, size)
        expect(b"HOST'S HAND" not in memory, f"what the host writes is in private memory at {at:x}")
        expect(b"content 0000" not in memory, f"the buffer's content is still there at {at:x}")
        for first in range(0, size, PAGE):
            page = memory[first:first + PAGE]
            pages += 1
            # a few may be in use by others already; Linux itself may poison what is free
            empty += page in (bytes(PAGE), b"\xaa" * PAGE)
    expect(empty > pages * 3 // 4, f"only {empty} of {pages} pages are empty")


@check
def heap_host_finds_the_pool_empty():
    """The host can write into the pool at any time, as into any buffer; but it finds nothing there
    of who had it, and no more does the next one."""
    heap.reload(pool=8, pool_high=8)
    with Heap() as node:
        wait_until(lambda: node.stats().pool_bytes == 8 * MIB, "the pool")
        heap.set_parameters(pool=0)  # what is there is kept, and no more is added
        buffer = node.alloc(8 * MIB)
        places = kernel.ranges(buffer)
        with buffer.map() as mapping:
            mapping.write(text(b"first", buffer.bytes))
        buffer.close()
        wait_until(lambda: node.stats().live_buffers == 0, "its end")
        expect(node.stats().pool_bytes == 8 * MIB, "it is not in the pool")
        for at, size in places:
            expect(heap.empty(host.read(at, min(size, 1024))), "the host sees what was there")
        expect(host.digest(places) == hashlib.sha256(bytes(8 * MIB)).hexdigest(),
               "the host sees what was there")
        buffer = node.alloc(8 * MIB)
        expect(sorted(kernel.ranges(buffer)) == sorted(places), "not the same memory")
        with buffer.map() as mapping:
            expect(heap.empty(mapping.read()), "the next owner sees what was there")
            mapping.write(text(b"second", buffer.bytes))
            places = kernel.ranges(buffer)
            expect(host.digest(places) == hashlib.sha256(text(b"second", 8 * MIB)).hexdigest(),
                   "the host does not see the second one")


@check
def heap_host_sees_what_is_written_after_mprotect():
    """A protection that forgets that memory is shared would show the guest another page."""
    with Heap() as node, node.alloc(MIB) as buffer:
        places = kernel.ranges(buffer)
        with buffer.map(prot=heap.PROT_READ) as mapping:
            mapping.read()
            mapping.protect(heap.PROT_READ | heap.PROT_WRITE)
            mapping.write(text(b"after", MIB))
            expect(host.digest(places) == hashlib.sha256(text(b"after", MIB)).hexdigest(),
                   "the host does not see it")
            mapping.move()
            mapping.write(text(b"moved", MIB))
            expect(host.digest(places) == hashlib.sha256(text(b"moved", MIB)).hexdigest(),
                   "the host does not see what is written after mremap")
            heap.expect_works("a child", lambda: mapping.write(text(b"child", MIB)))
            expect(host.digest(places) == hashlib.sha256(text(b"child", MIB)).hexdigest(),
                   "the host does not see what a child writes")


@check
def heap_host_and_vmap():
    with Heap() as node, node.alloc(3 * MIB) as buffer, kernel.Importer(buffer) as importer:
        places = kernel.ranges(buffer)
        importer.vmap()
        importer.write(kernel.VMAP, 0, text(b"vmap", 3 * MIB))
        expect(host.digest(places) == hashlib.sha256(text(b"vmap", 3 * MIB)).hexdigest(),
               "the host does not see what the kernel writes")
        host.write(places[:1], b"host")
        expect(importer.read(kernel.VMAP, 0, 8) == b"hosthost", "the kernel sees something else")
