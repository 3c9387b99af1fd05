# SPDX-License-Identifier: LGPL-2.1-or-later
"""The kernel's own test of its heaps, from Debian's source of Linux 7.3, on our node."""
import os

import heap
import kernel
from guest import check, run
from heap import NAME, Heap
from lib.harness import expect
from lib.waiting import wait_until

HERE = os.path.dirname(os.path.abspath(__file__))

# It walks all of /dev/dma_heap: in a mount namespace where that has our node only.
ALONE = """
set -e
mount -t tmpfs tmpfs /mnt
cp -a "$1" /mnt/
mount --bind /mnt /dev/dma_heap
exec "$2"
"""


@check
def heap_selftest():
    heap.reload()
    run("modprobe", "vgem")
    wait_until(lambda: os.path.isdir("/dev/dri"), "a card")
    counts = kernel.counts()
    with Heap() as node:
        done = run("unshare", "--mount", "--propagation", "private", "sh", "-c", ALONE, "sh",
                   heap.NODE, os.path.join(HERE, "dmabuf-heap"), ok=None, timeout=250)
        lines = done.stdout.splitlines()
        bad = [line for line in lines if line.startswith("not ok") or "# SKIP" in line]
        good = [line for line in lines if line.startswith("ok ")]
        expect(f"# Testing heap: {NAME}" in lines, f"our heap was not tested: {lines}")
        expect(not bad and len(good) == 12, f"{len(good)} passed; {bad} {done.stderr}")
        expect(done.returncode == 0, f"status {done.returncode}")
        wait_until(lambda: node.stats().live_buffers == 0, "the ends")
    after = kernel.counts()
    expect(after.again == counts.again and after.unclean == counts.unclean, f"{after}")
