# SPDX-License-Identifier: LGPL-2.1-or-later
"""Watching a buffer to its end, and taking its memory back from all who have it."""
import os
import select
import signal
import socket
import struct

import heap
import host
import kernel
from guest import check
from heap import (EVENT, MIB, PAGE, PLAIN, RELEASED, Heap, Holders, error, expect_error,
                  expect_sigbus, slow)
from kernel import DEVICE, DYNAMIC, OBEY, VMAP, WIDE, Importer
from lib.harness import expect
from lib.waiting import wait_until

SIZE = 3 * MIB
NOBODY = Holders(0, 0, 0, "")


def expect_private(places, what="the memory"):
    """It is private already, and what the host writes there now is nobody's."""
    if PLAIN:
        return
    host.write(places, b"TOO LATE")
    for at, size in places:
        expect(b"TOO LATE" not in kernel.peek(kernel.DIRECT, at, size),
               f"{what} is still shared at {at:x}")


@check
def heap_watch_tells_of_the_end():
    """When the last of fd, duplicate, message, mapping and importer has let go, and not before."""
    heap.reload()
    with Heap() as node:
        buffer = node.alloc(SIZE)
        number = node.watch(buffer)
        expect(number > 0, "no number")
        expect(not node.poll(), "told too early")
        holders = [lambda fd=os.dup(buffer.fd): os.close(fd)]
        mapping = buffer.map()
        holders.append(mapping.unmap)
        importer = Importer(buffer)
        importer.map()
        holders.append(importer.close)
        left, right = socket.socketpair()
        socket.send_fds(left, [b"x"], [buffer.fd])
        holders.append(lambda: (left.close(), right.close()))
        buffer.close()
        for let_go in holders:
            expect(not node.poll(0.2), "told while something holds it")
            let_go()
        expect(node.event() == (RELEASED, number, SIZE), "the event is not right")
        expect(not node.poll(), "told twice")
        expect_error("ENOENT", node.revoke, number)


@check
def heap_watch_errors():
    with Heap() as node, Heap() as other, node.alloc(PAGE) as buffer:
        expect_error("EBADF", node.watch, 999)
        expect_error("EBADF", node.watch, -1)
        expect_error("EINVAL", node.watch, node.fd)
        expect_error("EINVAL", node.watch, buffer, flags=1)
        number = node.watch(buffer)
        expect_error("EBUSY", node.watch, buffer)
        expect_error("EBUSY", other.watch, buffer)
        expect_error("ENOENT", other.revoke, number)
        expect_error("ENOENT", node.revoke, number + 1)
        expect_error("ENOENT", node.revoke, 0)
        expect_error("EINVAL", node.revoke, number, flags=1)
        with node.alloc(PAGE) as second:
            expect(node.watch(second) != number, "two buffers, one number")
        kind, got, size = node.event()
        expect(kind == RELEASED and got != number and size == PAGE, "the event of the other")
    with Heap() as node:
        if os.path.exists("/dev/dma_heap/system"):
            with Heap(path="/dev/dma_heap/system") as system, system.alloc(PAGE) as foreign:
                expect_error("EINVAL", node.watch, foreign)


@check
def heap_watch_ends_with_the_file():
    with Heap() as node, node.alloc(PAGE) as buffer:
        with Heap() as watcher:
            watcher.watch(buffer)
        with buffer.map() as mapping:
            mapping.write(b"unharmed")
            expect(mapping.read(0, 8) == b"unharmed", "the buffer is gone with its watch")
        with Heap() as watcher:
            number = watcher.watch(buffer)
            buffer.close()
            expect(watcher.event() == (RELEASED, number, PAGE), "the event is not right")


@check
def heap_watch_reading():
    with Heap() as node:
        os.set_blocking(node.fd, False)
        expect_error("EAGAIN", os.read, node.fd, 4096)
        expect_error("EINVAL", os.read, node.fd, EVENT.size - 1)
        buffers = [node.alloc(PAGE * (i + 1)) for i in range(5)]
        numbers = [node.watch(buffer) for buffer in buffers]
        expect(len(set(numbers)) == 5, "numbers are not unique")
        for buffer in reversed(buffers):
            buffer.close()
            wait_until(node.poll, "the event")
        data = os.read(node.fd, 2 * EVENT.size + 5)
        expect(len(data) == 2 * EVENT.size, f"{len(data)} bytes for two events and a bit")
        data += os.read(node.fd, 4096)
        events = [event[2] for event in struct.iter_unpack("<IIQQ", data)]
        wanted = [EVENT.unpack_from(data, i * EVENT.size)[3] for i in range(len(events))]
        expect(events == numbers[::-1], f"events {events} of {numbers}, not in order of the ends")
        expect(wanted == [PAGE * i for i in (5, 4, 3, 2, 1)], f"sizes {wanted}")
        expect_error("EAGAIN", os.read, node.fd, 4096)
        with node.alloc(PAGE) as buffer:
            number = node.watch(buffer)
        expect(error(lambda: heap.check_call(heap.libc.read(
            node.fd, heap.ctypes.c_void_p(1), heap.ctypes.c_size_t(100)))) == "EFAULT", "EFAULT")
        expect(node.event() == (RELEASED, number, PAGE), "the event is lost with EFAULT")


@check
def heap_watch_read_waits():
    """A reader sleeps until there is something, and a signal wakes it."""
    with Heap() as node:
        buffer = node.alloc(PAGE)
        node.watch(buffer)

        def reader():
            buffer.close()  # the parent's is the last one
            assert len(os.read(node.fd, 100)) == EVENT.size

        pid = os.fork()
        if pid == 0:
            try:
                reader()
                os._exit(0)
            finally:
                os._exit(1)
        wait_until(lambda: "\nState:\tS" in heap.read(f"/proc/{pid}/status"), "the reader to sleep")
        buffer.close()
        expect(os.waitpid(pid, 0)[1] == 0, "the reader did not get it")
        pid = os.fork()
        if pid == 0:
            os.read(node.fd, 100)
            os._exit(0)
        wait_until(lambda: "\nState:\tS" in heap.read(f"/proc/{pid}/status"), "the reader to sleep")
        os.kill(pid, signal.SIGTERM)
        expect(os.WIFSIGNALED(os.waitpid(pid, 0)[1]), "the reader was not woken")


@check
def heap_revoke_takes_it_from_processes():
    """All mappings, however they came to be, in whatever process; and no way leads back."""
    heap.reload(pool_high=0)
    with Heap() as node, node.alloc(SIZE) as buffer:
        number = node.watch(buffer)
        places = kernel.ranges(buffer)
        mapping, part, moved = buffer.map(), buffer.map(size=PAGE, offset=MIB), buffer.map()
        untouched = buffer.map()
        moved.write(b"m")
        moved.move()
        mapping.fill(b"content!")
        part.write(b"p")
        # a child that has it mapped, and is told by a pipe to look again
        wake, ready = os.pipe(), os.pipe()
        pid = os.fork()
        if pid == 0:
            mapping.read()
            os.write(ready[1], b"x")
            os.read(wake[0], 1)
            mapping.read(0, 1)
            os._exit(0)
        os.read(ready[0], 1)

        before = node.stats()
        expect(node.revoke(number) == NOBODY, "held by someone")
        after = node.stats()
        expect(after.revoked_buffers - before.revoked_buffers == 1, "it is not counted")
        expect(before.live_bytes - after.live_bytes == SIZE, "its memory counts as live")
        expect(after.pool_bytes == 0 and after.to_private == after.to_shared,
               f"its memory is not private at once: {after}")
        expect(PLAIN or heap.shared() == 0, "something is shared")
        expect_private(places)

        os.write(wake[1], b"x")
        status = os.waitpid(pid, 0)[1]
        expect(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS,
               f"the child that had it: {status:#x} instead of SIGBUS")
        expect_sigbus("the mapping", lambda: mapping.read(0, 1))
        expect_sigbus("a write", lambda: mapping.write(b"x", SIZE - 1))
        expect_sigbus("the part", lambda: part.read(0, 1))
        expect_sigbus("the moved one", lambda: moved.read(0, 1))
        expect_sigbus("one that was never touched", lambda: untouched.read(0, 1))
        moved.move()
        expect_sigbus("the one that is moved again", lambda: moved.read(0, 1))
        mapping.protect(heap.PROT_READ)
        expect_sigbus("the one with another protection", lambda: mapping.read(0, 1))
        expect_error("ENODEV", buffer.map)
        expect_error("ENODEV", buffer.sync, heap.SYNC_READ)
        with Importer() as importer:
            expect(error(importer.attach, buffer) or error(importer.map), "it can be imported")
        with Importer() as importer:
            expect(error(importer.attach, buffer) or error(importer.vmap), "vmap works")
        expect(node.event() == (RELEASED, number, SIZE), "the event is not right")
        expect_error("ENOENT", node.revoke, number)
        expect(buffer.bytes == SIZE and "size:" in buffer.fdinfo(), "the dma-buf is gone")
        expect(not node.poll(), "told twice")
        for one in (mapping, part, moved, untouched):
            one.unmap()
        buffer.close()
        expect(not node.poll(0.2), "told of the end once more")
    expect(heap.stats().live_buffers == 0, f"it is counted twice: {heap.stats()}")


@check
def heap_revoke_names_who_holds():
    """Who cannot be told keeps it, is named, and the memory goes when it lets go."""
    heap.reload(pool_high=0)
    with Heap() as node, node.alloc(SIZE) as buffer:
        number = node.watch(buffer)
        places = kernel.ranges(buffer)
        device, other = Importer(buffer, WIDE), Importer(buffer, WIDE)
        device.map()
        other.vmap()
        # up to 6.12 being attached is to have it mapped, for one that cannot be told
        other.detach()
        device.write(DEVICE, 0, b"by the device")
        before = node.stats()
        holders = node.revoke(number)
        expect(holders == Holders(1, 1, 0, f"ccbuf-importer {kernel.NAMES[WIDE]}"), f"{holders}")
        expect(node.stats().live_bytes == before.live_bytes, "it is counted as gone")
        expect(not node.poll(), "told too early")
        # what still holds it still works, on the same memory
        expect(other.read(VMAP, 0, 13) == b"by the device", "a device's memory was taken")
        other.write(VMAP, 5, b"x")
        expect(device.read(DEVICE, 5, 1) == b"x", "a device's memory was taken")
        expect_error("ENODEV", buffer.map)
        with Importer() as late:
            expect(error(late.attach, buffer) or error(late.map), "it can be imported")

        device.detach()
        expect(node.revoke(number) == Holders(0, 1, 0, ""), "the one that let go is named")
        expect(not node.poll(), "told too early")
        other.vunmap()
        expect(node.event() == (RELEASED, number, SIZE), "not released with the last holder")
        stats = node.stats()
        expect(stats.live_bytes == 0 and stats.to_private == stats.to_shared,
               f"not private: {stats}")
        expect_private(places)
        expect_error("ENOENT", node.revoke, number)
        expect(stats.revoked_buffers == 1, "counted more than once")


@check
def heap_revoke_tells_importers():
    heap.reload(pool_high=0)
    with Heap() as node, node.alloc(SIZE) as buffer:
        number = node.watch(buffer)
        places = kernel.ranges(buffer)
        importers = [Importer(buffer, WIDE, DYNAMIC | OBEY) for _ in range(3)]
        for importer in importers:
            importer.map()
        stubborn = Importer(buffer, WIDE, DYNAMIC)
        stubborn.map()
        holders = node.revoke(number)
        expect(holders == Holders(1, 0, 0, f"ccbuf-importer {kernel.NAMES[WIDE]}"), f"{holders}")
        for importer in importers:
            state = importer.state()
            expect(state.told == 1 and state.obeyed == 1, f"an importer that obeys: {state}")
            expect(error(importer.map), "it gets the memory again")
        expect(stubborn.state().told == 1, f"one that does not: {stubborn.state()}")
        stubborn.unmap()
        expect(node.event() == (RELEASED, number, SIZE), "the event is not right")
        expect_private(places)
        del importers, stubborn


@check
def heap_revoke_waits_for_devices():
    """An importer may unmap while its device is still at work: its fence says until when."""
    heap.reload(pool_high=0)
    with Heap() as node, node.alloc(SIZE) as buffer:
        number = node.watch(buffer)
        places = kernel.ranges(buffer)
        with Importer(buffer, WIDE, DYNAMIC | OBEY) as importer:
            importer.map()
            importer.begin()
            holders = node.revoke(number)
            expect(holders.busy == 1 and holders.mappings == 0, f"{holders}")
            stats = node.stats()
            expect(stats.live_bytes == SIZE and stats.to_private == 0,
                   f"the memory was taken while a device is at work: {stats}")
            expect(not node.poll(), "told too early")
            expect_error("ENODEV", buffer.map)
            expect(node.revoke(number).busy == 1, "no longer busy")
            importer.end()
            expect(node.revoke(number) == NOBODY, "still held")
            expect(node.event() == (RELEASED, number, SIZE), "the event is not right")
            expect_private(places)
    expect(heap.stats().revoked_buffers == 1, "counted more than once")


@check
def heap_revoke_is_not_held_up():
    """Whoever has an fd can say that some device is at work in the buffer (DMA_BUF_IOCTL_IMPORT_
    SYNC_FILE): that is waited for if it was said before, and not if it is said later."""
    heap.reload(pool_high=0)
    with Heap() as node, node.alloc(PAGE) as other, Importer(other) as endless:
        endless.write_work()
        sync = other.export_sync_file()
        with node.alloc(SIZE) as buffer, Importer(buffer, WIDE, DYNAMIC | OBEY) as importer:
            number = node.watch(buffer)
            importer.map()
            importer.begin()
            expect(node.revoke(number).busy == 1, "its device is not waited for")
            buffer.import_sync_file(sync)
            importer.end()
            expect(node.revoke(number) == NOBODY, "held up by what came later")
            expect(node.event() == (RELEASED, number, SIZE), "the event is not right")
        with node.alloc(SIZE) as buffer:
            number = node.watch(buffer)
            buffer.import_sync_file(sync)
            expect(node.revoke(number).busy == 1, "what came before is not waited for")
            endless.end()
            expect(node.revoke(number) == NOBODY, "still busy")
            expect(node.event() == (RELEASED, number, SIZE), "the event is not right")
        os.close(sync)


@check
def heap_revoke_and_close_while_busy():
    """What was revoked goes to nobody else, even if it is closed before a device was done."""
    heap.reload(pool_high=64)
    with Heap() as node:
        buffer = node.alloc(4 * MIB)
        number = node.watch(buffer)
        with Importer(buffer) as importer:
            importer.begin()
            expect(node.revoke(number).busy == 1, "not busy")
            buffer.close()
            importer.detach()
            expect(node.event()[:2] == (RELEASED, number), "not released with the last holder")
            stats = node.stats()
            expect(stats.pool_bytes == 0 and stats.to_private == stats.to_shared,
                   f"it went to the pool: {stats}")


@check
def heap_revoke_can_be_interrupted():
    """A signal ends the wait for a device, is no answer, and takes nothing back."""
    with Heap() as node, node.alloc(SIZE) as buffer, \
            Importer(buffer, WIDE, DYNAMIC | OBEY) as importer:
        number = node.watch(buffer)
        importer.begin()
        seen = []
        before = signal.signal(signal.SIGALRM, lambda *_: seen.append(1))
        left = signal.alarm(0)
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        got = error(node.revoke_once, number)
        signal.signal(signal.SIGALRM, before)
        signal.alarm(left)
        expect(got == "EINTR" and seen, f"{got} instead of EINTR")
        importer.end()
        expect(node.revoke(number) == NOBODY, "still held")
        expect(node.event() == (RELEASED, number, SIZE), "the event is not right")


@check
def heap_revoke_goes_on_without_the_watcher():
    """What was revoked stays so when who revoked it has gone."""
    heap.reload(pool_high=0)
    with Heap() as keeper, keeper.alloc(SIZE) as buffer, Importer(buffer) as importer:
        importer.map()
        with Heap() as node:
            expect(node.revoke(node.watch(buffer)).mappings == 1, "no holder")
        expect_error("ENODEV", buffer.map)
        importer.detach()
        stats = wait_until(lambda: (s := keeper.stats()).live_buffers == 0 and s, "its end")
        expect(stats.to_private == stats.to_shared, f"not private: {stats}")


@check
def heap_revoke_in_a_shared_region():
    """A neighbour keeps what it has; the page that was revoked is empty for all. The region becomes
    private with the neighbour's end, where the pool would keep it otherwise."""
    heap.reload(pool_high=64)
    with Heap() as node, node.alloc(PAGE) as one, node.alloc(PAGE) as two:
        number = node.watch(one)
        places = kernel.ranges(one)
        with one.map() as mapping, two.map() as neighbour:
            mapping.write(b"content")
            neighbour.write(b"neighbour")
            expect(node.revoke(number) == NOBODY, "held by someone")
            expect(neighbour.read(0, 9) == b"neighbour", "the neighbour has lost its memory")
            expect_sigbus("the mapping", lambda: mapping.read(0, 1))
            if not PLAIN:
                expect(heap.empty(host.read(places[0][0], 1024)), "the host sees it")
            expect(kernel.peek(kernel.DIRECT, places[0][0], 16) == bytes(16), "it is not scrubbed")
            expect(node.event() == (RELEASED, number, PAGE), "the event is not right")
            two.close()
        stats = wait_until(lambda: (s := node.stats()).live_buffers == 0 and s,
                           "the neighbour's end")
        expect(stats.to_private == stats.to_shared == 1, f"the region is not private: {stats}")


@check
def heap_revoke_with_a_pool():
    """At once private, even where the pool would keep it."""
    heap.reload(pool=4, pool_high=64)
    with Heap() as node:
        wait_until(lambda: node.stats().pool_bytes == 4 * MIB, "the pool")
        with node.alloc(16 * MIB) as buffer:
            number = node.watch(buffer)
            places = kernel.ranges(buffer)
            node.revoke(number)
            stats = wait_until(lambda: (s := node.stats()).pool_bytes == 4 * MIB and s, "less")
            expect(stats.to_shared - stats.to_private == 2, f"it does not add up: {stats}")
            shared = heap.shared()
            expect(PLAIN or shared * PAGE == 4 * MIB, f"{shared} pages are shared")
            del places


@check
def heap_revoke_leaves_the_pool_its_size():
    """What is free in a region that goes is no part of the pool, which is filled up again."""
    heap.reload(pool=8, pool_low=8, pool_high=8)
    with Heap() as node:
        wait_until(lambda: node.stats().pool_bytes == 8 * MIB, "the pool")
        kept, gone = [], []
        for _ in range(8):  # two in each region of the pool, and of those that come instead
            kept.append(node.alloc(PAGE))
            gone.append(node.alloc(MIB + PAGE))
        for buffer in gone:
            node.revoke(node.watch(buffer))
        # all of those regions are doomed: the pool needs others
        node.alloc(PAGE).close()
        doomed = len({at >> 21 for buffer in kept for at, _ in kernel.ranges(buffer)})
        stats = wait_until(lambda: (s := node.stats()).pool_bytes >=
                           (8 + 2 * doomed) * MIB - 16 * PAGE and s,
                           "a pool without them")
        heap.set_parameters(pool=0, pool_high=32)  # no more is added
        for _ in range(3):
            node.alloc(2 * MIB).close()
        expect(node.stats().to_shared == stats.to_shared, "what is in the pool is not to be had")
        del gone, kept, buffer


@check
@slow
def heap_revoke_against_faults():
    """Processes that touch all of it all the time see its content, or die of SIGBUS; never anything
    else."""
    heap.reload(pool_high=0)
    for _ in range(5):
        with Heap() as node, node.alloc(SIZE) as buffer:
            number = node.watch(buffer)
            with buffer.map() as mapping:
                mapping.fill(b"\x55")
            pids, ready = [], os.pipe()
            for _ in range(4):
                pid = os.fork()
                if pid == 0:
                    try:
                        first = True
                        while True:
                            with buffer.map() as mapping:
                                for at in range(0, SIZE, PAGE):
                                    if mapping.read(at, 1) != b"\x55":
                                        os._exit(7)
                            if first:
                                os.write(ready[1], b"x")
                                first = False
                    except OSError:
                        os._exit(3)  # ENODEV of mmap
                    finally:
                        os._exit(9)
                pids.append(pid)
            for _ in pids:
                select.select([ready[0]], [], [], 60)
                os.read(ready[0], 1)
            node.revoke(number)
            for pid in pids:
                status = os.waitpid(pid, 0)[1]
                expect(status == 3 << 8 or os.WIFSIGNALED(status) and
                       os.WTERMSIG(status) == signal.SIGBUS,
                       f"a process ended with {status:#x} instead of SIGBUS or ENODEV")
            for fd in ready:
                os.close(fd)
            expect(node.event() == (RELEASED, number, SIZE), "the event is not right")
    expect(PLAIN or heap.shared() == 0, "something is shared")
