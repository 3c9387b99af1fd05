# SPDX-License-Identifier: LGPL-2.1-or-later
"""Conversions that fail, in either direction, at every chunk of a buffer: what was done is undone,
what cannot be undone is lost, and all of it is counted. After this some memory is lost for good, so
these are among the last checks."""
import os

import heap
import kernel
from guest import check, out
from heap import (LEAKED, MIB, PAGE, PLAIN, REGION, RELEASED, STOPPED, Heap, expect_change,
                  expect_error, slow)
from kernel import FAIL, PART, TO_PRIVATE, TO_SHARED, WHOLE
from lib.harness import Skip, expect
from lib.waiting import wait_until

SIZE = 16 * MIB
CHUNKS = SIZE // REGION
SEV, SNP, TDX = range(3)  # technology()
NOISE = 3 * MIB  # of the kernel's free memory, by what else runs


def technology():
    return kernel.msr(kernel.MSR_IDENTITY) & 0x7f


def strict():
    return bool(kernel.msr(kernel.MSR_IDENTITY) & 0x80)


def expect_lost(free, lost):
    """Of the memory that was free; of what else runs some may have become free meanwhile."""
    gone = free - heap.memory_free()
    least = lost // 2 - NOISE if lost > NOISE else -64 * MIB
    expect(least < gone < lost + NOISE,
           f"{gone >> 10} KiB of memory are gone, {lost >> 10} are said to be lost")


def not_shared():
    """How a conversion to shared memory fails: on SNP the pages are shared by then, and Linux could
    not change its own map; before that it ends the guest rather than to fail."""
    return WHOLE if not PLAIN and technology() == SNP else FAIL


def fresh(**parameters):
    """A heap without a word, and what was lost before."""
    if PLAIN:
        raise Skip("a guest that is not confidential converts nothing")
    heap.reload(pool_high=0, **parameters)
    return kernel.counts().shared


def shared_since(lost):
    return (kernel.counts().shared - lost) * PAGE


def fail_to_shared(arm):
    lost = fresh()
    free, counted = heap.memory_free(), kernel.counts()
    with Heap() as node:
        for chunk in range(CHUNKS):
            before = node.stats()
            arm(chunk)
            expect_error("EIO", node.alloc, SIZE)
            after = node.stats()
            leaked = after.leaked_bytes - before.leaked_bytes
            change = heap.difference(before, after)
            change.pop("leaked_bytes", None)
            expect(leaked in (0, REGION), f"chunk {chunk}: {leaked} bytes are lost")
            done = (after.to_shared - before.to_shared, after.to_private - before.to_private)
            expect(done == (chunk, chunk), f"chunk {chunk}: {change}")
            expect(after.failed - before.failed == (2 if leaked else 1), f"chunk {chunk}: {change}")
            expect(after.live_buffers == after.live_bytes == after.pool_bytes == 0,
                   f"chunk {chunk}: {change}")
            expect(after.peak_bytes == 0, f"chunk {chunk}: what was never there counts: {after}")
            expect(not heap.open_dmabufs(), "an fd is left")
        kernel.disarm()
        stats = node.stats()
        # the next one works, and nothing of it was touched twice
        with node.alloc(SIZE) as buffer, buffer.map() as mapping:
            expect(heap.empty(mapping.read()), "not zero")
        wait_until(lambda: node.stats().live_buffers == 0, "its end")
    counts = kernel.counts()
    expect(counts.again == counted.again, f"converted though it was there already: {counts.again}")
    expect(counts.unclean == counted.unclean, f"converted with content: {counts.unclean}")
    expect_lost(free, stats.leaked_bytes)
    return stats.leaked_bytes, shared_since(lost)


@check
def heap_fail_to_shared():
    """Nothing was done, or all, but the heap cannot know. To undo it is no error on SEV and SNP;
    TDX does not accept memory twice, so there it is lost."""
    how = not_shared()
    lost, shared = fail_to_shared(lambda chunk: kernel.arm(TO_SHARED, how, chunk))
    expect(lost == 0 or technology() == TDX, f"{lost} bytes are lost")
    expect(shared == 0, f"{shared} bytes are shared")


@check
def heap_fail_to_shared_half_way():
    """Half of the chunk is shared when the failure comes; it must not stay so."""
    if not PLAIN and technology() == SNP:
        raise Skip("SNP does all of it or ends the guest")
    lost, shared = fail_to_shared(lambda chunk: kernel.arm(TO_SHARED, PART, chunk))
    expect(lost == 0 or technology() == TDX, f"{lost} bytes are lost")
    expect(shared <= lost, f"{shared} bytes are shared, {lost} said to be lost")


@check
def heap_fail_to_shared_by_the_hypervisor():
    """The kernel's own failure: its map of the memory is shared then, and the memory is not, so it
    can neither be used nor, if that is held against it, be accepted again."""
    fresh()
    if technology() != TDX:
        raise Skip("SEV ignores it, SNP ends the guest")
    lost, shared = fail_to_shared(lambda chunk: kernel.arm_bench(TO_SHARED, chunk))
    expect(lost == (CHUNKS * REGION if strict() else 0), f"{lost} bytes lost")
    expect(shared == 0, f"{shared} bytes are shared")


@check
def heap_fail_to_shared_and_back():
    """What cannot be shared nor be made private again is lost; the rest is not."""
    lost = fresh()
    free = heap.memory_free()
    with Heap() as node:
        before = node.stats()
        how = not_shared()
        kernel.arm(TO_SHARED, PART if how == FAIL else how, 3)
        kernel.arm(TO_PRIVATE, FAIL, 0)  # the failed chunk is the first to be undone
        expect_error("EIO", node.alloc, SIZE)
        kernel.disarm()
        expect_change(before, node.stats(), "both ways", to_shared=3, to_private=3, failed=2,
                      leaked_bytes=REGION)
    stays = REGION // 2 if how == FAIL else REGION
    expect(shared_since(lost) == stays, "what was shared when it failed is shared for ever")
    expect_lost(free, REGION)


def fail_to_private(arm, shared_each):
    lost = fresh()
    free = heap.memory_free()
    with Heap() as node:
        for chunk in range(CHUNKS):
            buffer = node.alloc(SIZE)
            before = node.stats()
            arm(chunk)
            buffer.close()
            wait_until(lambda: node.stats().live_buffers == 0, "its end")
            expect_change(before, node.stats(), f"chunk {chunk}", to_private=CHUNKS - 1, failed=1,
                          leaked_bytes=REGION, live_bytes=-SIZE, live_buffers=-1)
            expect(shared_since(lost) == shared_each * (chunk + 1),
                   f"chunk {chunk}: {shared_since(lost)} bytes are shared")
        kernel.disarm()
        stats = node.stats()
    expect_lost(free, CHUNKS * REGION)
    expect(stats.leaked_bytes == CHUNKS * REGION, f"{stats}")
    heap.unload()
    expect(shared_since(lost) == shared_each * CHUNKS, "unloading has changed what is lost")


@check
def heap_fail_to_private():
    """What stays shared is lost, exactly that, and once."""
    fail_to_private(lambda chunk: kernel.arm(TO_PRIVATE, FAIL, chunk), REGION)


@check
@slow
def heap_fail_to_private_half_way():
    fail_to_private(lambda chunk: kernel.arm(TO_PRIVATE, PART, chunk), REGION // 2)


@check
def heap_fail_to_private_by_the_hypervisor():
    fresh()
    if technology() != TDX:
        raise Skip("SEV ignores it, SNP ends the guest")
    fail_to_private(lambda chunk: kernel.arm_bench(TO_PRIVATE, chunk), REGION)


def log_of(function):
    mark = "ccbuf-heap-check: " + os.urandom(8).hex()
    with open("/dev/kmsg", "w", encoding="ascii") as f:
        f.write(mark + "\n")
    function()
    return [line for line in out("dmesg", "--notime").split(mark)[-1].splitlines()
            if line.startswith("ccbuf_heap:")]


@check
def heap_fail_is_said_once():
    fresh()

    def lose():
        with Heap() as node:
            for _ in range(3):
                kernel.arm(TO_PRIVATE, FAIL)
                node.alloc(PAGE).close()
                wait_until(lambda: node.stats().live_buffers == 0, "its end")
            expect(node.stats().leaked_bytes == 3 * REGION, f"{node.stats()}")

    lines = log_of(lose)
    expect(len(lines) == 1 and "lost" in lines[0], f"not one line: {lines}")


@check
def heap_fail_until_the_limit():
    """More than the limit is lost: no memory is given out any more, until the limit is raised."""
    lost = fresh(leak_limit=4)
    with Heap() as node, node.alloc(2 * MIB) as kept:
        for number in range(1, 4):
            buffer = node.alloc(2 * MIB)
            kernel.arm(TO_PRIVATE, FAIL)
            buffer.close()
            wait_until(lambda: node.stats().live_buffers == 1, "its end")
            expect(node.stats().leaked_bytes == number * REGION, f"{node.stats()}")
            expect(bool(node.stats().flags & STOPPED) == (number > 2), f"flags: {node.stats()}")
        before = node.stats()
        for size in (PAGE, SIZE):
            expect_error("EIO", node.alloc, size)
        expect_error("EINVAL", node.alloc, 0)
        expect_change(before, node.stats(), "a refused allocation")
        with kept.map() as mapping:
            mapping.write(b"unharmed")
            expect(mapping.read(0, 8) == b"unharmed", "a buffer that was there is harmed")
        heap.set_parameters(leak_limit=64)
        node.alloc(PAGE).close()
        expect(not node.stats().flags & STOPPED, "it is still said to have stopped")
    expect(shared_since(lost) >= 3 * REGION, "what is lost is not shared any more")


@check
def heap_fail_in_the_pool():
    """Failures while the pool is filled, emptied, shrunk and unloaded."""
    lost = fresh()
    kernel.arm(TO_SHARED, not_shared(), 2)
    heap.set_parameters(pool=8)
    with Heap() as node:
        stats = wait_until(lambda: (s := node.stats()).failed and s, "a failure")
        expect(stats.pool_bytes == 2 * REGION, f"{stats}")
        leaked = stats.leaked_bytes  # see heap_fail_to_shared
        heap.set_parameters(pool=10)
        wait_until(lambda: node.stats().pool_bytes == 10 * MIB, "the pool")
        kernel.arm(TO_PRIVATE, FAIL, 1)
        heap.set_parameters(pool=4)
        stats = wait_until(lambda: (s := node.stats()).pool_bytes == 4 * MIB and s, "less")
        expect(stats.leaked_bytes - leaked == REGION, f"{stats}")
    kernel.arm(TO_PRIVATE, FAIL, 1)
    heap.unload()
    kernel.disarm()
    expect(shared_since(lost) == 2 * REGION, f"{shared_since(lost)} bytes are still shared")
    heap.load()


@check
def heap_fail_on_revoke():
    """What cannot be made private is gone from all who had it nevertheless, and said to be lost."""
    lost = fresh()
    with Heap() as node, node.alloc(3 * REGION) as buffer, buffer.map() as mapping:
        number = node.watch(buffer)
        kernel.arm(TO_PRIVATE, FAIL, 1)
        node.revoke(number)
        kernel.disarm()
        stats = node.stats()
        expect(stats.leaked_bytes == REGION and stats.to_private == 2, f"{stats}")
        heap.expect_sigbus("the mapping", lambda: mapping.read(REGION, 1))
        events = sorted(node.event()[0] for _ in (1, 2))
        expect(events == [RELEASED, LEAKED], f"events {events}")
    expect(shared_since(lost) == REGION, f"{shared_since(lost)} bytes are shared")


@check
def heap_fail_tells_of_a_leak():
    """Once, to each file that watches or has read."""
    lost = fresh()
    with Heap() as node, Heap() as other:
        buffer = node.alloc(2 * MIB)
        number = node.watch(buffer)
        with node.alloc(PAGE) as small:
            other.watch(small)
            kernel.arm(TO_PRIVATE)
            buffer.close()
            events = sorted(node.event() for _ in (1, 2))
            expect(events == [(RELEASED, number, 2 * MIB), (LEAKED, 0, 2 * MIB)], f"{events}")
            expect(other.event() == (LEAKED, 0, 2 * MIB), "the other is not told")
            expect(not node.poll() and not other.poll(), "told twice")
        kernel.disarm()
        expect(node.stats().leaked_bytes == 2 * MIB, f"{node.stats()}")
    expect(shared_since(lost) == 2 * MIB, "what was leaked is not what is still shared")
