# SPDX-License-Identifier: LGPL-2.1-or-later
"""Loading and unloading: only where there is something to share, only while nothing is in use."""
import os
import stat

import heap
import kernel
from guest import check, out, read, run
from heap import MIB, NATIVE, NODE, PLAIN, Heap, native
from lib.harness import Skip, expect
from lib.waiting import wait_until


def said_by(function):
    """What the module has put into the kernel's log meanwhile."""
    mark = "ccbuf-heap-check: " + os.urandom(8).hex()
    with open("/dev/kmsg", "w", encoding="ascii") as f:
        f.write(mark + "\n")
    function()
    lines = out("dmesg", "--notime").split(mark)[-1].splitlines()
    return [line for line in lines if line.startswith("ccbuf_heap:")]


@check
def heap_load_where_it_belongs():
    kernel.load()
    if heap.loaded():  # systemd-modules-load may have done it
        heap.unload()
    if PLAIN:
        lines = said_by(lambda: run("modprobe", "ccbuf_heap", ok=False))
        expect(len(lines) == 1 and "not a confidential guest" in lines[0],
               f"not one clear line: {lines}")
        expect(not heap.loaded(), "it is loaded none the less")
        lines = said_by(heap.load)
        expect(any("unshared=1" in line for line in lines), f"no loud line: {lines}")
        expect(int(read("/proc/sys/kernel/tainted")) & 1 << 6, "the kernel is not tainted")
        expect(not os.path.exists("/dev/dma_heap/system_cc_shared"), "it has the real name")
    else:
        lines = said_by(lambda: run("modprobe", "ccbuf_heap", "unshared=1", ok=False))
        expect(len(lines) == 1, f"not one clear line: {lines}")
        expect(not heap.loaded(), "unshared=1 loads in a confidential guest")
        lines = said_by(heap.load)
        expect(not lines, f"it should load without a word: {lines}")
    with Heap() as node:
        stats = node.stats()
    expect(stats.version == 1, f"version {stats.version} of the interface")
    expect(stats.flags == (heap.UNSHARED if PLAIN else 0), f"flags {stats.flags}")
    expect(all(value == 0 for value in stats[2:]), f"not all zero at first: {stats}")
    expect(heap.sysfs()[2:] == stats[2:], "sysfs does not agree with the ioctl")


@check
@native
def heap_load_not_over_the_kernels():
    """Where the kernel has the heap itself the module is refused, without harm to that."""
    if not NATIVE:
        raise Skip("this kernel does not have the heap")
    expect(os.path.exists(NODE), "the kernel does not have it")
    lines = said_by(lambda: run("modprobe", "ccbuf_heap", ok=False))
    expect(len(lines) == 1 and "this kernel has the heap system_cc_shared itself" in lines[0],
           f"not one clear line: {lines}")
    expect(not heap.loaded(), "it is loaded none the less")
    lines = said_by(lambda: run("modprobe", "ccbuf_heap", "unshared=1", ok=False))
    expect(len(lines) == 1, f"not one clear line: {lines}")
    run("systemctl", "restart", "systemd-modules-load.service")
    with Heap() as node:
        heap.expect_error("EINVAL", node.stats)  # not the module's
        node.alloc(4096).close()


@check
def heap_load_node_is_private():
    mode = os.stat(NODE).st_mode
    expect(stat.S_ISCHR(mode), "not a character device")
    expect(not mode & 0o007, f"others have access: {mode:o}")


@check
def heap_load_again():
    """Each time the node goes and comes back, and the memory of the pool is private in between."""
    for _ in range(3):
        heap.unload()
        expect(not os.path.exists(NODE), "the node is still there")
        expect(heap.shared() == 0, "memory is shared without the module")
        heap.load(pool=4)
        if not PLAIN:
            wait_until(lambda: heap.stats().pool_bytes == 4 * MIB, "the pool")
            expect(heap.shared() == 1024, "the pool is not what the kernel has shared")


@check
def heap_unload_is_refused_while_in_use():
    heap.reload()
    with Heap() as node:
        run("modprobe", "-r", "ccbuf_heap", ok=False)
        buffer = node.alloc(4096)
    run("modprobe", "-r", "ccbuf_heap", ok=False)
    mapping = buffer.map()
    buffer.close()
    run("modprobe", "-r", "ccbuf_heap", ok=False)
    mapping.write(b"still there")
    expect(mapping.read(0, 11) == b"still there", "the mapping has lost what was written")
    mapping.unmap()
    heap.unload()
    heap.load()


@check
def heap_unload_leaves_nothing():
    before = kernel.counts()
    heap.reload(pool=8, pool_high=32)
    with Heap() as node:
        buffers = [node.alloc(size) for size in (4096, 65536, 3 * MIB, 5 * MIB + 4096, 4096)]
        for buffer in buffers:
            with buffer.map() as mapping:
                mapping.fill(b"content!")
        for buffer in buffers:
            buffer.close()
        stats = wait_until(lambda: (s := node.stats()).live_buffers == 0 and s, "all buffers to go")
    expect(stats.pool_bytes == (stats.to_shared - stats.to_private) * heap.REGION,
           f"the pool is not what was converted: {stats}")
    heap.unload()
    after = kernel.counts()
    expect(after.shared == before.shared, "memory stays shared")
    if not PLAIN:
        done = [after.pages[i] - before.pages[i] for i in (0, 1)]
        expect(done[0] == done[1] > 0, f"pages to shared and to private: {done}")
    heap.load()
