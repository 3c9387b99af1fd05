# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an administrator can watch: tracepoints, and the list of buffers in debugfs."""
import os
import re

import heap
import kernel
from guest import check, read, run
from heap import MIB, PAGE, Heap
from lib.harness import expect
from lib.waiting import wait_until

TRACING = "/sys/kernel/tracing/"
BUFFERS = "/sys/kernel/debug/ccbuf_heap/buffers"


def mount(kind, path):
    if not os.path.ismount(path):
        run("mount", "-t", kind, kind, path)


def put(name, text):
    with open(TRACING + name, "w", encoding="ascii") as f:
        f.write(text)


@check
def heap_traces():
    mount("tracefs", TRACING)
    heap.reload(pool_high=0)
    put("trace", "")
    put("events/ccbuf_heap/enable", "1")
    with Heap() as node:
        with node.alloc(4 * MIB) as buffer:
            number = node.watch(buffer)
            node.revoke(number)
        with node.alloc(PAGE):
            kernel.arm(kernel.TO_PRIVATE)
        wait_until(lambda: node.stats().live_buffers == 0, "the ends")
    kernel.disarm()
    put("events/ccbuf_heap/enable", "0")
    seen = re.findall(r": (alloc|free|convert|leak|revoke): (.*)", read(TRACING + "trace"))
    names = [name for name, _ in seen]
    wanted = ["convert", "convert", "alloc", "free", "convert", "convert", "revoke", "convert",
              "alloc", "free", "convert", "leak"]
    expect(names == wanted, f"{seen}")
    allocs = [text for name, text in seen if name == "alloc"]
    expect(allocs[0] == f"id={number} bytes={4 * MIB} runs=2", f"{allocs}")
    expect("ret=-5" in [text for name, text in seen if name == "convert"][-1], f"{seen}")


@check
def heap_traces_list_of_buffers():
    mount("debugfs", "/sys/kernel/debug")
    heap.reload()
    with Heap() as node, node.alloc(PAGE) as one, node.alloc(2 * MIB) as two:
        with kernel.Importer(two) as importer:
            importer.map()
            importer.vmap()
            node.revoke(node.watch(one))
            lines = [line.split() for line in read(BUFFERS).splitlines()]
            expect(lines[0] == "# id inode bytes runs state vmaps devices".split(), f"{lines[0]}")
            inode = [str(os.fstat(buffer.fd).st_ino) for buffer in (one, two)]
            expect(lines[1][1:] == [inode[0], "4096", "0", "gone", "0"], f"{lines[1]}")
            expect(lines[2][1:] == [inode[1], str(2 * MIB), "1", "live", "1",
                                    kernel.NAMES[kernel.WIDE]], f"{lines[2]}")
    wait_until(lambda: len(read(BUFFERS).splitlines()) == 1, "an empty list")
