# SPDX-License-Identifier: LGPL-2.1-or-later
"""The counters, against each other and against what was seen to be converted."""
import os
import re

import heap
import kernel
from guest import check, out, read, run, write
from heap import MIB, PAGE, PLAIN, REGION, Heap, expect_change, slow
from lib.harness import Skip, expect
from lib.waiting import wait_until


class Watched:
    """Counters of heap and kernel, before and after."""

    def __init__(self, node):
        self.node = node
        self.stats = node.stats()
        self.counts = kernel.counts()

    def expect(self, what, **wanted):
        after, counts = self.node.stats(), kernel.counts()
        expect_change(self.stats, after, what, **wanted)
        if not PLAIN:
            seen = [(counts.calls[i] - counts.failed[i]) -
                    (self.counts.calls[i] - self.counts.failed[i]) for i in (0, 1)]
            told = [wanted.get("to_shared", 0), wanted.get("to_private", 0)]
            expect(seen == told, f"{what}: conversions {told} are told, {seen} were seen")
            expect(counts.again == self.counts.again, f"{what}: converted twice: {counts.again}")
            expect(counts.unclean == self.counts.unclean,
                   f"{what}: {counts.unclean} pages had content when they were converted")
        expect(heap.sysfs()[2:] == after[2:], f"{what}: sysfs does not agree")
        self.stats, self.counts = after, counts


@check
def heap_counters_without_a_pool():
    """With no pool and nothing kept, each buffer is converted when it comes and when it goes."""
    heap.reload(pool_high=0)
    with Heap() as node:
        for size, regions in ((PAGE, 1), (2 * MIB, 1), (2 * MIB + PAGE, 2), (16 * MIB, 8)):
            watched = Watched(node)
            rest = regions * REGION - size
            peak = max(size - watched.stats.peak_bytes, 0)
            buffer = node.alloc(size)
            watched.expect(f"{size} taken", live_bytes=size, live_buffers=1, to_shared=regions,
                           **({"pool_bytes": rest} if rest else {}),
                           **({"peak_bytes": peak} if peak else {}))
            buffer.close()
            wait_until(lambda: node.stats().live_buffers == 0, "its end")
            watched.expect(f"{size} given back", live_bytes=-size, live_buffers=-1,
                           to_private=regions, **({"pool_bytes": -rest} if rest else {}))


@check
def heap_counters_with_a_pool():
    """What is in the pool is not converted again, neither when it is taken nor when it is back."""
    heap.reload(pool=8, pool_low=2, pool_high=32)
    with Heap() as node:
        wait_until(lambda: node.stats().pool_bytes == 8 * MIB, "the pool")
        expect(node.stats().to_shared == 4, f"not by 2 MiB each: {node.stats()}")
        for size in (PAGE, 64 << 10, 2 * MIB, 6 * MIB):
            watched = Watched(node)
            peak = max(size - watched.stats.peak_bytes, 0)
            for i in range(4):
                buffer = node.alloc(size)
                watched.expect(f"{size} taken", live_bytes=size, live_buffers=1, pool_bytes=-size,
                               **({"peak_bytes": peak} if peak and not i else {}))
                buffer.close()
                wait_until(lambda: node.stats().live_buffers == 0, "its end")
                watched.expect(f"{size} given back", live_bytes=-size, live_buffers=-1,
                               pool_bytes=size)


@check
def heap_counters_small_ones_share_a_region():
    heap.reload(pool_high=0)
    with Heap() as node:
        watched = Watched(node)
        buffers = [node.alloc(PAGE) for _ in range(512)]
        watched.expect("512 pages", live_bytes=2 * MIB, live_buffers=512, to_shared=1,
                       peak_bytes=2 * MIB)
        for buffer in buffers[1:]:
            buffer.close()
        wait_until(lambda: node.stats().live_buffers == 1, "511 ends")
        watched.expect("511 of them back", live_bytes=PAGE - 2 * MIB, live_buffers=-511,
                       pool_bytes=2 * MIB - PAGE)
        buffers[0].close()
        wait_until(lambda: node.stats().live_buffers == 0, "the last end")
        watched.expect("and the last", live_bytes=-PAGE, live_buffers=-1, to_private=1,
                       pool_bytes=PAGE - 2 * MIB)


@check
def heap_counters_low_and_high():
    """Below the low mark the pool is filled, above the high one it is made private."""
    heap.reload(pool=16, pool_low=8, pool_high=20)
    with Heap() as node:
        wait_until(lambda: node.stats().pool_bytes == 16 * MIB, "the pool")
        first = node.alloc(8 * MIB)
        expect(node.stats().to_shared == 8, "filled again though it is not below the mark")
        second = node.alloc(PAGE)
        wait_until(lambda: node.stats().pool_bytes >= 16 * MIB, "more")
        stats = node.stats()
        expect(stats.to_shared == 13, f"not filled to 16 MiB and no further: {stats}")
        first.close()
        second.close()
        wait_until(lambda: node.stats().live_buffers == 0, "the ends")
        stats = node.stats()
        expect(stats.pool_bytes == 20 * MIB and stats.to_private == 3,
               f"not down to 20 MiB: {stats}")
        heap.set_parameters(pool=4, pool_high=4)
        wait_until(lambda: node.stats().pool_bytes == 4 * MIB, "less")
        heap.set_parameters(pool=6)
        wait_until(lambda: node.stats().pool_bytes == 6 * MIB, "more again")
        stats = node.stats()
        expect(stats.to_shared - stats.to_private == 3, f"conversions do not add up: {stats}")


def in_a_scope(code):
    """Runs Python code in a cgroup of its own; what it prints."""
    path = "/run/heap-scope.py"
    write(path, "import sys\nsys.path[:0] = " + repr([os.path.dirname(os.path.abspath(__file__)),
          os.path.dirname(os.path.dirname(os.path.abspath(__file__)))]) + "\n" + code)
    return out("systemd-run", "--scope", "--quiet", "-p", "MemoryAccounting=yes", "python3", "-B",
               path)


CHARGE = """
from heap import *
import re
group = re.search(r"^0::(\\S+)", read("/proc/self/cgroup"), re.M)[1]
def used():
    return int(read("/sys/fs/cgroup" + group + "/memory.current"))
with Heap() as node:
    used()
    before = used()
    buffer = node.alloc(32 * MIB)
    with_it = used()
    buffer.close()
    after = used()
print(with_it - before, after - before)
"""


@check
@slow
def heap_counters_cgroup():
    heap.reload(pool=4, account=1)
    grown, left = map(int, in_a_scope(CHARGE).split())
    expect(32 * MIB <= grown < 34 * MIB, f"account=1: the cgroup is charged {grown} bytes")
    expect(left < 2 * MIB, f"account=1: {left} bytes stay charged")
    heap.set_parameters(account=0)
    grown, left = map(int, in_a_scope(CHARGE).split())
    expect(grown < 2 * MIB and left < 2 * MIB, f"account=0: the cgroup is charged {grown}, {left}")


@check
def heap_counters_own_pages():
    """With account=1 no buffer gets pages of the pool, and none keeps what it has not asked for."""
    heap.reload(pool=4, account=1)
    with Heap() as node:
        wait_until(lambda: node.stats().pool_bytes == 4 * MIB, "the pool")
        watched = Watched(node)
        buffer = node.alloc(4 * MIB + 64 * 1024 + PAGE)
        size = buffer.bytes
        watched.expect("taken", live_bytes=size, live_buffers=1, peak_bytes=size, to_shared=4)
        buffer.close()
        wait_until(lambda: node.stats().live_buffers == 0, "its end")
        watched.expect("given back", live_bytes=-size, live_buffers=-1, to_private=4)


@check
def heap_counters_memory_comes_back():
    """All the kernel's memory is the kernel's again."""
    heap.reload(pool_high=0)
    free = heap.memory_free()
    with Heap() as node:
        buffers = [node.alloc(64 * MIB) for _ in range(4)]
        taken = free - heap.memory_free()
        expect(abs(taken - 256 * MIB) < 16 * MIB, f"256 MiB take {taken >> 20}")
        del buffers
        wait_until(lambda: node.stats().live_buffers == 0, "the ends")
        missing = free - heap.memory_free()
        expect(abs(missing) < 8 * MIB, f"{missing >> 10} KiB do not come back")


@check
def heap_counters_shrinker():
    """The pool is what Linux takes first when memory is short."""
    heap.reload(pool=32, pool_high=64)
    with Heap() as node:
        wait_until(lambda: node.stats().pool_bytes == 32 * MIB, "the pool")
        used = node.alloc(PAGE)

        def dropped():
            drop_caches()
            return node.stats().pool_bytes < 4 * MIB

        wait_until(dropped, "the pool to be given back")
        with used.map() as mapping:
            mapping.write(b"unharmed")
            expect(mapping.read(0, 8) == b"unharmed", "a buffer has lost its memory")
        # it is given back in the background
        stats = wait_until(lambda: (s := node.stats()).pool_bytes ==
                           (s.to_shared - s.to_private) * REGION - PAGE and s,
                           "a pool that adds up")
        expect(PLAIN or heap.shared() * PAGE == stats.pool_bytes + PAGE,
               "what is shared is not what the heap says")


def drop_caches():
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("2")


@check
@slow
def heap_counters_direct_map():
    """Buffers of 2 MiB regions do not split the kernel's map of its memory further."""
    heap.reload(pool=64, pool_high=64)
    names = ("direct_map_level2_splits", "direct_map_level3_splits")

    def splits():
        values = dict(line.split() for line in read("/proc/vmstat").splitlines())
        if names[0] not in values:
            raise Skip("this kernel does not count them")
        return [int(values[name]) for name in names]

    with Heap() as node:
        wait_until(lambda: node.stats().pool_bytes == 64 * MIB, "the pool")
        before = splits()
        for _ in range(20):
            buffers = [node.alloc(size) for size in (PAGE, 64 << 10, MIB, 3 * MIB, 16 * MIB)]
            del buffers
        expect(splits() == before, f"{before} became {splits()}")


@check
@slow
def heap_counters_pressure():
    """An allocation of more than is free takes the pool before it fails, and the pool's memory is
    not lost to others."""
    heap.reload(pool=256, pool_high=256)
    with Heap() as node:
        wait_until(lambda: node.stats().pool_bytes == 256 * MIB, "the pool", 60)
        free = heap.memory_free()
        size = (free + 128 * MIB) // MIB
        code = (f"b = bytearray({size} << 20)\n"
                f"for i in range(0, len(b), 4096): b[i] = 1\n")
        run("python3", "-c", code, timeout=200)
        expect(node.stats().pool_bytes < 256 * MIB, "the pool was kept under pressure")
    expect(not re.search(r"oom-kill|Out of memory", out("dmesg")), "the kernel ran out of memory")
