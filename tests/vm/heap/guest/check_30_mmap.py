# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mappings of processes: what is there is the buffer, wherever, however and by whom it is mapped.
"""
import os
import re
import signal

import heap
from guest import check, read
from heap import MIB, PAGE, PROT_READ, PROT_WRITE, Heap, Mapping, expect_error, expect_works
from lib.harness import expect
from lib.waiting import wait_until

SIZE = 3 * MIB + 5 * PAGE


def stamp(mapping, word):
    """Writes to each page what tells it from all others."""
    for at in range(0, mapping.size, PAGE):
        mapping.write(b"%s %08x" % (word, at), at)


def expect_stamped(mapping, word, first=0):
    for at in range(0, mapping.size, PAGE):
        got = mapping.read(at, len(word) + 9)
        expect(got == b"%s %08x" % (word, first + at), f"{got} at {at:#x}, not {word} {first:#x}")


@check
def heap_mmap_is_the_buffer():
    with Heap() as node, node.alloc(SIZE) as buffer, buffer.map() as one, buffer.map() as two:
        stamp(one, b"one")
        expect_stamped(two, b"one")
        for first in (PAGE, MIB, 2 * MIB - PAGE, 2 * MIB, SIZE - PAGE):
            with buffer.map(size=SIZE - first, offset=first) as part:
                expect_stamped(part, b"one", first)
        with buffer.map(size=PAGE, offset=MIB) as part:
            part.write(b"part")
        expect(two.read(MIB, 4) == b"part", "what a part wrote is not there")


@check
def heap_mmap_last_page_first():
    """Faults in any order find the same."""
    with Heap() as node, node.alloc(SIZE) as buffer, buffer.map() as mapping:
        for at in range(SIZE - PAGE, -1, -PAGE):
            mapping.write(b"back %08x" % at, at)
        with buffer.map() as other:
            expect_stamped(other, b"back")


@check
def heap_mmap_bounds():
    with Heap() as node, node.alloc(SIZE) as buffer:
        expect_error("EINVAL", buffer.map, size=SIZE + PAGE)
        expect_error("EINVAL", buffer.map, size=PAGE, offset=SIZE)
        expect_error("EINVAL", buffer.map, size=2 * PAGE, offset=SIZE - PAGE)
        expect_error("EINVAL", buffer.map, size=PAGE, offset=1 << 40)


@check
def heap_mmap_private_is_refused():
    """A copy of shared memory is not shared: nobody may get one unasked."""
    with Heap() as node, node.alloc(PAGE) as buffer:
        expect_error("EINVAL", buffer.map, flags=heap.MAP_PRIVATE)


@check
def heap_mmap_nature():
    """Nothing that pins, copies or dumps pages may get at it."""
    with Heap() as node, node.alloc(PAGE) as buffer, buffer.map() as mapping:
        mapping.write(b"x")
        entry = re.search(rf"^{mapping.at:x}-.*?^VmFlags:([^\n]*)", read("/proc/self/smaps"),
                          re.M | re.S)
        flags = entry[1].split()
        expect({"pf", "io", "de", "dd", "sh"} <= set(flags), f"VmFlags: {flags}")


@check
def heap_mmap_protection():
    with Heap() as node, node.alloc(SIZE) as buffer, buffer.map() as mapping:
        stamp(mapping, b"rw")
        mapping.protect(PROT_READ)
        expect_stamped(mapping, b"rw")
        status = heap.child(lambda: mapping.write(b"x"))
        expect(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV,
               f"a write to memory that is read-only: status {status:#x}")
        mapping.protect(0)
        status = heap.child(lambda: mapping.read(0, 1))
        expect(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV,
               f"a read of memory that has no access: status {status:#x}")
        mapping.protect(PROT_READ | PROT_WRITE)
        expect_stamped(mapping, b"rw")
        stamp(mapping, b"wr")
        with buffer.map() as other:
            expect_stamped(other, b"wr")


@check
def heap_mmap_protection_before_the_first_fault():
    """What mprotect does to the protection that faults use must not make the memory private."""
    with Heap() as node, node.alloc(SIZE) as buffer:
        with buffer.map(prot=0) as mapping:
            mapping.protect(PROT_READ)
            expect(heap.empty(mapping.read()), "not zero")
            mapping.protect(PROT_READ | PROT_WRITE)
            stamp(mapping, b"late")
            with buffer.map() as other:
                expect_stamped(other, b"late")
        with buffer.map(prot=PROT_READ) as mapping:
            mapping.protect(PROT_READ | PROT_WRITE)
            stamp(mapping, b"more")
            with buffer.map() as other:
                expect_stamped(other, b"more")


@check
def heap_mmap_fork():
    with Heap() as node, node.alloc(SIZE) as buffer, buffer.map() as mapping:
        mapping.write(b"parent", PAGE)

        def child():
            assert mapping.read(PAGE, 6) == b"parent"
            assert mapping.read(0, 6) == bytes(6)  # a page that the parent had not touched
            stamp(mapping, b"child")

        expect_works("a child with the mapping", child)
        expect_stamped(mapping, b"child")


@check
def heap_mmap_parts_unmapped():
    with Heap() as node, node.alloc(SIZE) as buffer, buffer.map() as mapping:
        stamp(mapping, b"kept")
        heap.check_call(heap.libc.munmap(mapping.at + MIB, PAGE))

        def hole():
            mapping.read(MIB, 1)

        status = heap.child(hole)
        expect(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSEGV,
               f"what was unmapped: status {status:#x}")
        expect(mapping.read(MIB - PAGE, 4) == b"kept" and mapping.read(MIB + PAGE, 4) == b"kept",
               "what is next to it is not as it was")


@check
def heap_mmap_moved():
    with Heap() as node, node.alloc(SIZE) as buffer, buffer.map() as mapping:
        stamp(mapping, b"moved")
        mapping.move()
        expect_stamped(mapping, b"moved")
        with buffer.map(size=MIB, offset=MIB) as part:
            part.move()
            expect_stamped(part, b"moved", MIB)
            expect_error("EFAULT", part.move, size=2 * MIB)


@check
def heap_mmap_outlives_the_fd():
    before = heap.stats()
    with Heap() as node:
        buffer = node.alloc(SIZE)
        with buffer.map() as mapping:
            buffer.close()
            node.close()
            stamp(mapping, b"alive")
            expect_stamped(mapping, b"alive")
            expect(heap.stats().live_bytes - before.live_bytes == SIZE, "it does not count")
    wait_until(lambda: heap.stats().live_bytes == before.live_bytes, "its end")


@check
def heap_mmap_other_processes_reach_no_further():
    """ptrace, process_vm_readv and O_DIRECT work on pages that can be pinned; these cannot."""
    with Heap() as node, node.alloc(PAGE) as buffer, Mapping(buffer.fd, PAGE) as mapping:
        mapping.write(b"content")
        local = heap.ctypes.create_string_buffer(16)

        class Vector(heap.ctypes.Structure):
            _fields_ = [("base", heap.ctypes.c_void_p), ("size", heap.ctypes.c_size_t)]

        to = Vector(heap.ctypes.addressof(local), 7)
        of = Vector(mapping.at, 7)
        expect_error("EFAULT", lambda: heap.check_call(heap.libc.process_vm_readv(
            os.getpid(), heap.ctypes.byref(to), 1, heap.ctypes.byref(of), 1, 0)))
