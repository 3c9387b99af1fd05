# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs in the guest: what an allocation costs, from the pool, with conversions, and of the kernel's
heap `system`. The three take turns, so that only ratios matter; the emulator's times mean nothing
by themselves."""
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]

import heap
from guest import read
from heap import MIB, Heap
from lib.waiting import wait_until

SYSTEM = "/dev/dma_heap/system"
SIZES = (("4 KiB", 4096, 400), ("64 KiB", 64 << 10, 300), ("2 MiB", 2 * MIB, 60),
         ("64 MiB", 64 * MIB, 8))
ROUNDS = 5
POOL = 160  # MiB
GOAL = 1.2


def splits():
    values = dict(line.split() for line in read("/proc/vmstat").splitlines())
    return [int(values.get(f"direct_map_level{level}_splits", 0)) for level in (2, 3)]


def measure(node, size, times):
    """Medians of the nanoseconds of an allocation, and of one with its release."""
    alloc, both = [], []
    for _ in range(times):
        start = time.perf_counter_ns()
        buffer = node.alloc(size)
        middle = time.perf_counter_ns()
        buffer.close()
        alloc.append(middle - start)
        both.append(time.perf_counter_ns() - start)
    return statistics.median(alloc), statistics.median(both)


class Way:
    """One of the three."""

    def __init__(self, name, path, **parameters):
        self.name, self.path, self.parameters = name, path, parameters
        self.alloc, self.both = [], []
        self.conversions = self.allocations = 0
        self.splits = [0, 0]

    def go(self, size, times):
        if self.parameters:
            heap.set_parameters(**self.parameters)
            want = self.parameters["pool"] * MIB
            wait_until(lambda: heap.stats().pool_bytes == want, "the pool", 120)
        with Heap(path=self.path) as node:
            before, split = heap.stats().to_shared, splits()
            alloc, both = measure(node, size, times)
            self.conversions += heap.stats().to_shared - before
            self.splits = [a + b - c for a, b, c in zip(self.splits, splits(), split)]
        self.allocations += times
        self.alloc.append(alloc)
        self.both.append(both)


def main():
    heap.load(pool_low=0)
    good = True
    print(f"{'':17}{'alloc':>10}{'+ release':>11}{'of system':>11}{'conversions':>13}{'splits':>9}")
    for label, size, times in SIZES:
        ways = [Way("pooled", heap.NODE, pool=POOL, pool_high=POOL),
                Way("converted", heap.NODE, pool=0, pool_high=0)]
        if os.path.exists(SYSTEM):
            ways.append(Way("system", SYSTEM))
        for _ in range(ROUNDS):
            for way in ways:
                way.go(size, times)
        for way in ways:
            ratio = ""
            if len(ways) == 3:
                # of the same round each, as the machine does other things, too
                ratio = statistics.median(a / b for a, b in zip(way.both, ways[2].both))
                if way is ways[0]:
                    good = good and ratio <= GOAL
                ratio = f"{ratio:.2f}"
            print(f"{label:8}{way.name:9}{statistics.median(way.alloc) / 1000:8.0f}us"
                  f"{statistics.median(way.both) / 1000:9.0f}us{ratio:>11}"
                  f"{way.conversions / way.allocations:13.2f}{sum(way.splits):9}")
    print(f"# a pooled one is {'at most' if good else 'MORE THAN'} {GOAL} times one of system")
    return 0 if good else 1


sys.exit(main())
