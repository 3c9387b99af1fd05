# SPDX-License-Identifier: LGPL-2.1-or-later
"""The ioctl of Linux's own heaps, each of its errors, and what a dma-buf is to a program."""
import fcntl
import mmap
import os
import re
import resource
import select
import signal
import struct
import time

import heap
import kernel
from guest import check, out
from heap import ALLOC, MIB, NATIVE, PAGE, Heap, error, expect_error, native
from lib.harness import expect
from lib.waiting import wait_until

HUGE = 1 << 62


def nothing_left(before):
    after = heap.live()
    expect(after == before, f"something is left: {before} {after}")
    expect(not heap.open_dmabufs(), "a file descriptor is left")


@check
@native
def heap_abi_errors():
    before = heap.live()
    with Heap() as node:
        for what, name, arguments in (
                ("length 0", "EINVAL", {"size": 0}),
                ("a length that is 0 when rounded", "EINVAL", {"size": (1 << 64) - 1}),
                ("a length that is nothing when rounded", "EINVAL", {"size": (1 << 64) - PAGE + 1}),
                ("more than there is", "ENOMEM", {"size": (1 << 64) - PAGE}),
                ("much more than there is", "ENOMEM", {"size": HUGE}),
                ("twice what there is", "ENOMEM", {"size": 8 << 30}),
                ("an fd", "EINVAL", {"size": PAGE, "fd": 1}),
                ("flags of open", "EINVAL", {"size": PAGE, "fd_flags": os.O_RDWR | os.O_NONBLOCK}),
                ("O_CREAT", "EINVAL", {"size": PAGE, "fd_flags": os.O_RDWR | os.O_CREAT}),
                ("unknown fd_flags", "EINVAL", {"size": PAGE, "fd_flags": 1 << 31}),
                ("heap_flags", "EINVAL", {"size": PAGE, "heap_flags": 1}),
                ("high heap_flags", "EINVAL", {"size": PAGE, "heap_flags": 1 << 63}),
                ("a bad address", "EFAULT", None)):
            if NATIVE and what.endswith("there is"):
                continue  # it takes all that there is, and the kernel kills somebody for it
            if arguments:
                got = error(node.alloc, **arguments)
            else:
                got = error(lambda: heap.check_call(
                    heap.libc.ioctl(node.fd, heap.ctypes.c_ulong(ALLOC), heap.ctypes.c_void_p(1))))
            expect(got == name, f"{what}: {got} instead of {name}")
        for what, request in (("unknown number", 0xc0184801), ("of another heap's", 0x80004812),
                              ("unknown of our own", 0xc010cc43)):
            got = error(fcntl.ioctl, node.fd, request, bytes(64))
            expect(got == "EINVAL", f"{what}: {got} instead of EINVAL")
    nothing_left(before)


@check
@native
def heap_abi_no_fd_for_a_bad_reply():
    """What cannot be told to the caller is not done."""
    before = heap.live()
    page = mmap.mmap(-1, PAGE)
    page[:24] = struct.pack("<QIIQ", PAGE, 0, os.O_RDWR | os.O_CLOEXEC, 0)
    address = heap.ctypes.addressof(heap.ctypes.c_char.from_buffer(page))
    with Heap() as node:
        heap.check_call(heap.libc.mprotect(address, PAGE, heap.PROT_READ))
        got = error(lambda: heap.check_call(heap.libc.ioctl(
            node.fd, heap.ctypes.c_ulong(ALLOC), heap.ctypes.c_void_p(address))))
        heap.check_call(heap.libc.mprotect(address, PAGE, heap.PROT_READ | heap.PROT_WRITE))
    expect(got == "EFAULT", f"{got} instead of EFAULT")
    nothing_left(before)


@check
@native
def heap_abi_no_fd_left():
    before = heap.live()

    def with_few_fds():
        with Heap() as node:
            used = len(os.listdir("/proc/self/fd")) - 1
            resource.setrlimit(resource.RLIMIT_NOFILE, (used, used))
            # the numbers below the limit that are free, if any
            taken = []
            while not error(lambda: taken.append(os.dup(0))):
                pass
            expect_error("EMFILE", node.alloc, PAGE)

    heap.expect_works("EMFILE", with_few_fds)
    nothing_left(before)


@check
@native
def heap_abi_sizes():
    with Heap() as node:
        for size in (1, PAGE - 1, PAGE, PAGE + 1, 65535, 65536, 2 * MIB - 1, 2 * MIB + 1, 5 * MIB):
            with node.alloc(size) as buffer:
                whole = -(-size // PAGE) * PAGE
                expect(buffer.bytes == whole, f"{size}: a buffer of {buffer.bytes}")
                expect(os.lseek(buffer.fd, 0, os.SEEK_END) == whole, f"{size}: lseek")


@check
@native
def heap_abi_read_only_is_enough():
    with Heap(os.O_RDONLY) as node, node.alloc(PAGE) as buffer, buffer.map() as mapping:
        mapping.write(b"written")
        expect(mapping.read(0, 7) == b"written", "it cannot be written")


@check
@native
def heap_abi_flags_of_the_fd():
    with Heap() as node:
        for flags in (os.O_RDONLY, os.O_RDWR, os.O_WRONLY, os.O_CLOEXEC,
                      os.O_RDWR | os.O_CLOEXEC):
            with node.alloc(PAGE, fd_flags=flags) as buffer:
                got = fcntl.fcntl(buffer.fd, fcntl.F_GETFL) & os.O_ACCMODE
                expect(got == flags & os.O_ACCMODE, f"access mode {got} for flags {flags:o}")
                cloexec = fcntl.fcntl(buffer.fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC
                expect(bool(cloexec) == bool(flags & os.O_CLOEXEC), f"CLOEXEC for flags {flags:o}")
        with node.alloc(PAGE, fd_flags=os.O_RDONLY) as buffer:
            expect_error("EACCES", buffer.map)
            with buffer.map(prot=heap.PROT_READ) as mapping:
                # the kernel's heap zeroes before the conversion, not after
                expect(NATIVE or mapping.read() == bytes(PAGE), "not zero")


@check
@native
def heap_abi_shorter_and_longer_structures():
    """The number decides, not the size: what a caller's structure lacks is zero."""
    with Heap() as node:
        short = struct.pack("<QII", PAGE, 0, os.O_RDWR)
        reply = fcntl.ioctl(node.fd, 3 << 30 | 16 << 16 | ord("H") << 8, short)
        heap.Buffer(struct.unpack_from("<QI", reply)[1]).close()
        long = struct.pack("<QIIQQ", PAGE, 0, os.O_RDWR, 0, 0x1234567890)
        reply = fcntl.ioctl(node.fd, 3 << 30 | 32 << 16 | ord("H") << 8, long)
        heap.Buffer(struct.unpack_from("<QI", reply)[1]).close()


@check
@native
def heap_abi_identity():
    with Heap() as node, node.alloc(PAGE) as one, node.alloc(3 * PAGE) as two:
        lines = [line for line in two.fdinfo().splitlines()
                 if re.match(r"(size|count|exp_name|name):", line)]
        expect(lines == [f"size:\t{3 * PAGE}", "count:\t1", f"exp_name:\t{heap.NAME}"],
               f"fdinfo: {lines}")
        expect(os.fstat(one.fd).st_ino != os.fstat(two.fd).st_ino, "two buffers, one inode")
        expect(os.fstatvfs(one.fd).f_bsize == PAGE, "statvfs")
        magic = out("stat", "-f", "-L", "-c", "%t", f"/proc/{os.getpid()}/fd/{one.fd}")
        expect(magic == "444d4142", "not of the file system of dma-bufs")


@check
def heap_abi_zeroed():
    """Also what an owner before has written to, at each size and wherever it comes from."""
    for high in (0, 64):
        heap.reload(pool_high=high)
        with Heap() as node:
            for _ in range(3):
                buffers = [node.alloc(size) for size in (PAGE, 5 * PAGE, 64 << 10, MIB, 5 * MIB)]
                for buffer in buffers:
                    with buffer.map() as mapping:
                        expect(heap.empty(mapping.read()), f"{buffer.bytes} bytes: not zero")
                        mapping.fill(b"secrets ")
                del mapping, buffer, buffers
    heap.reload()


@check
@native
def heap_abi_sync():
    with Heap() as node, node.alloc(PAGE) as buffer:
        for flags in (heap.SYNC_READ, heap.SYNC_WRITE, heap.SYNC_READ | heap.SYNC_WRITE):
            buffer.sync(flags | heap.SYNC_START)
            buffer.sync(flags | heap.SYNC_END)
        expect_error("EINVAL", buffer.sync, 0)
        expect_error("EINVAL", buffer.sync, 8 | heap.SYNC_READ)
        expect_error("ENOTTY", fcntl.ioctl, buffer.fd, 0x6207, 0)


@check
@native
def heap_abi_poll():
    with Heap() as node, node.alloc(PAGE) as buffer:
        poll = select.poll()
        poll.register(buffer.fd, select.POLLIN | select.POLLOUT)
        got = poll.poll(5000)
        expect(got and got[0][1] == select.POLLIN | select.POLLOUT, f"poll: {got}")
        if not NATIVE:  # which always has something to read, though nothing can be
            poll = select.poll()
            poll.register(node.fd, select.POLLIN)
            expect(not poll.poll(0), "the node has an event without a cause")


@check
def heap_abi_killed_while_it_allocates():
    """A fatal signal ends an allocation at once, and leaves nothing of it."""
    before, counted = heap.stats(), kernel.counts()
    pid = os.fork()
    if pid == 0:
        with Heap() as node:
            node.alloc(512 * MIB)
        os._exit(0)
    wait_until(lambda: kernel.counts().calls[0] > counted.calls[0] + 1 or
               heap.stats().to_shared > before.to_shared + 1,
               "it to begin")
    os.kill(pid, signal.SIGKILL)
    start = time.monotonic()
    status = os.waitpid(pid, 0)[1]
    expect(os.WIFSIGNALED(status), "it was not killed")
    after = heap.stats()
    done = after.to_shared - before.to_shared
    expect(done < 250, f"all of it was allocated ({done} conversions), {time.monotonic() - start}")
    nothing_left((before.live_bytes, before.live_buffers))
    expect(after.pool_bytes <= 16 * MIB, f"the pool has {after.pool_bytes} bytes")
