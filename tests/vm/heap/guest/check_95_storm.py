# SPDX-License-Identifier: LGPL-2.1-or-later
"""Everything at once on all processors, and then: nothing is left, nothing was wrong."""
import os
import random
import re
import select
import signal
import time

import heap
import kernel
from guest import check, out
from heap import MIB, PAGE, PLAIN, QUICK, Heap, slow
from kernel import DEVICE, DYNAMIC, OBEY, WIDE, Importer
from lib.harness import expect
from lib.waiting import wait_until

WORKERS = 4 if QUICK else 6
ROUNDS = 12 if QUICK else 40  # of each worker
VICTIMS = 5 if QUICK else 16  # workers that are killed, whatever they do
BAD = re.compile(r"WARNING:|BUG:|BUG |Oops|possible (circular|recursive) locking|inconsistent lock|"
                 r"general protection|list_(add|del) corruption|Bad page|refcount_t|rcu.*stall|"
                 r"hung_task|blocked for more than|use-after-free|Poison overwritten|"
                 r"pagealloc: memory corruption|KFENCE")
SIZES = (PAGE, PAGE, 3 * PAGE, 64 << 10, 65 << 10, 512 << 10, 2 * MIB, 3 * MIB)


class Wrong(Exception):
    pass


def need(condition, what):
    if not condition:
        raise Wrong(what)


def touch(mapping, word):
    """What is empty gets a word, and keeps it."""
    step = max(PAGE, mapping.size // 16 & -PAGE)
    places = range(0, mapping.size, step)
    for at in places:
        need(mapping.read(at, 16) == bytes(16), f"not empty at {at:#x} of {mapping.size:#x}")
        mapping.write(word, at)
    for at in places:
        need(mapping.read(at, len(word)) == word, f"not what was written at {at:#x}")


def child_that_reads(mapping):
    pid = os.fork()
    if pid == 0:
        for _ in range(50):
            mapping.read(random.randrange(mapping.size), 1)
        os._exit(0)
    return pid


def one_round(node, rng, word):
    pids = []
    with node.alloc(rng.choice(SIZES)) as buffer:
        number = node.watch(buffer) if rng.random() < 0.6 else 0
        with buffer.map() as mapping:
            touch(mapping, word)
            if rng.random() < 0.5:
                pids.append(child_that_reads(mapping))
            if rng.random() < 0.3:
                mapping.move()
            importers = []
            for _ in range(rng.randrange(3)):
                importer = Importer(buffer, WIDE, rng.choice((0, DYNAMIC | OBEY)))
                importer.map()
                need(importer.read(DEVICE, 0, len(word)) == word, "the device sees something else")
                if rng.random() < 0.3:
                    importer.vmap()
                importers.append(importer)
            if number and rng.random() < 0.6:
                if rng.random() < 0.5 and pids:
                    os.kill(pids[-1], signal.SIGKILL)
                node.revoke(number)
                status = heap.child(lambda: mapping.read(0, 1))
                need(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS,
                     f"after a revoke a read ends with {status:#x}")
            elif not importers:
                need(mapping.read(0, len(word)) == word, "another one wrote into it")
            for importer in importers:
                importer.close()
    for pid in pids:
        os.waitpid(pid, 0)
    if number:
        while node.event(60)[1] != number:
            pass


def worker(number, seed):
    rng = random.Random(seed)
    with Heap() as node:
        for i in range(ROUNDS):
            one_round(node, rng, b"worker %4d %4d " % (number, i))


def start(number, seed, pipe):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(0)
            worker(number, seed)
            code = 0
        except BaseException as e:
            os.write(pipe, f"worker {number}: {e!r}\n".encode())
        finally:
            os._exit(code)
    os.setpgid(pid, pid)
    return pid


@check
def heap_storm():
    if heap.loaded():
        heap.unload()
    before, counted = heap.memory_free(), kernel.counts()
    heap.load(pool=4, pool_low=2, pool_high=12)
    rng = random.Random(20261121)
    said, tell = os.pipe()
    workers = {start(i, i, tell): True for i in range(WORKERS)}
    started, killed = WORKERS, 0
    while workers or killed < VICTIMS:
        if not workers:  # all were done before enough were killed
            workers[start(started, started, tell)] = True
            started += 1
        select.select([], [], [], 0.05)
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid in workers:
            del workers[pid]
            if not os.WIFSIGNALED(status) and status:
                break
        if killed < VICTIMS and workers and rng.random() < 0.3:
            victim = rng.choice(list(workers))
            os.killpg(victim, signal.SIGKILL)
            os.waitpid(victim, 0)
            del workers[victim]
            killed += 1
            workers[start(started, started, tell)] = True
            started += 1
        if rng.random() < 0.05:
            heap.set_parameters(pool=rng.choice((0, 2, 4, 8)))
        if rng.random() < 0.05:
            with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
                f.write("2")
    for pid in workers:
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    os.close(tell)
    words = os.read(said, 4096).decode()
    os.close(said)
    expect(not words and not workers, f"{words or 'a worker failed'}")
    expect(not heap.open_dmabufs(), "an fd is left")
    expect(killed == VICTIMS, f"only {killed} were killed")

    with Heap() as node:
        wait_until(lambda: node.stats().live_buffers == 0, "all buffers to go")
        stats = node.stats()
        expect(stats.live_bytes == stats.leaked_bytes == stats.failed == 0, f"{stats}")
        expect(stats.revoked_buffers > ROUNDS // 2, f"hardly any was revoked: {stats}")
    counts = kernel.counts()
    expect(counts.again == counted.again, f"converted twice: {counts.again} pages")
    expect(counts.unclean == counted.unclean, f"converted with content: {counts.unclean} pages")
    heap.unload()
    counts = kernel.counts()
    expect(counts.shared == counted.shared, "something is still shared")
    if not PLAIN:
        expect(counts.pages[0] - counted.pages[0] == counts.pages[1] - counted.pages[1] > 0,
               f"conversions do not balance: {counted} {counts}")
    missing = before - heap.memory_free()
    expect(missing < 12 * MIB, f"{missing >> 10} KiB of memory are gone")


@check
@slow
def heap_storm_of_loading():
    """The module comes and goes while others try to use it."""
    heap.reload()
    end = time.monotonic() + 300
    stop, stopped = os.pipe()
    pids = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            try:
                os.close(stopped)
                rng = random.Random(os.getpid())
                while not select.select([stop], [], [], 0)[0]:
                    try:
                        with Heap.__new__(Heap) as node:
                            node.fd = -1
                            node.fd = os.open(heap.NODE, os.O_RDWR)
                            node.alloc(PAGE).close()
                    except OSError:
                        pass
                    time.sleep(rng.random() / 20)  # or it is in use all the time
                    if time.monotonic() > end:
                        os._exit(2)
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
    done = 0
    while done < 8:
        expect(time.monotonic() < end, f"unloaded {done} times only")
        if heap.run("modprobe", "-r", "ccbuf_heap", ok=None).returncode == 0:
            done += 1
        heap.load()
    os.close(stopped)
    for pid in pids:
        expect(os.waitpid(pid, 0)[1] == 0, "one of the others failed")
    os.close(stop)


@check
def heap_unharmed_kernel():
    """After all of that, the kernel has nothing to say; but that a hypervisor refused a conversion,
    that an exporter refused a vmap, of which dma-buf's core warns whatever the reason, and that a
    display is slow."""
    text = out("dmesg", "--notime")
    lines = [line for line in text.splitlines() if BAD.search(line)]
    own = re.compile(r"WARNING: .*(set_memory|cpa_|enc_dec|coco|tdx|enc_status|dma_buf_vmap|"
                     r"drm_crtc_wait_one_vblank)")
    lines = [line for line in lines if not own.search(line)]
    expect(not lines, f"{lines}")
    expect(not int(heap.read("/proc/sys/kernel/tainted")) & (1 << 7 | 1 << 5),
           "the kernel is tainted by an oops or a bad page")
