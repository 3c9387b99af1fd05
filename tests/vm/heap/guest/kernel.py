# SPDX-License-Identifier: LGPL-2.1-or-later
"""ccbuf_heap as the kernel sees it, by the module ccbuf_heap_test: see importer/test.h."""
import ctypes
import fcntl
import os
import struct
from collections import namedtuple

from guest import run
from lib.harness import expect
from lib.waiting import wait_until

NODE = "/dev/ccbuf_heap_test"
WIDE, NARROW, BOUNDARY, OPS, IOMMU = range(5)
NAMES = ("ccbuf-wide", "ccbuf-narrow", "ccbuf-boundary", "ccbuf-ops", "ccbuf-iommu")
DYNAMIC, OBEY = 1, 2
VMAP, DEVICE, SHARED, PRIVATE, DIRECT = range(5)
TO_SHARED, TO_PRIVATE = 0, 1
FAIL, PART, WHOLE = 1, 2, 3

State = namedtuple("State", "attached mapped segments vmapped told obeyed ops_used")
Counts = namedtuple("Counts", "calls pages failed armed again unclean shared")

MSR_IDENTITY, MSR_FAULT = 0x4ccb0000, 0x4ccb0001


def release():
    """The kernel's version, as (7, 2)."""
    return tuple(int(number) for number in os.uname().release.split(".")[:2])


def request(direction, number, size):
    return direction << 30 | size << 16 | 0xcd << 8 | number


def load():
    if not os.path.exists(NODE):
        run("modprobe", "ccbuf_heap_test")
        wait_until(lambda: os.path.exists(NODE), NODE)


class Importer:
    """One importer of one buffer; lets go of it when it is forgotten."""

    def __init__(self, buffer=None, device=WIDE, flags=0):
        self.fd = os.open(NODE, os.O_RDWR | os.O_CLOEXEC)
        if buffer is not None:
            self.attach(buffer, device, flags)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    __del__ = close

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def attach(self, buffer, device=WIDE, flags=0):
        fcntl.ioctl(self.fd, request(1, 1, 16), struct.pack("<iIII", buffer.fd, device, flags, 0))

    def detach(self):
        fcntl.ioctl(self.fd, request(0, 2, 0))

    def map(self):
        fcntl.ioctl(self.fd, request(0, 3, 0))

    def unmap(self):
        fcntl.ioctl(self.fd, request(0, 4, 0))

    def vmap(self):
        fcntl.ioctl(self.fd, request(0, 5, 0))

    def vunmap(self):
        fcntl.ioctl(self.fd, request(0, 6, 0))

    def begin(self):
        fcntl.ioctl(self.fd, request(0, 14, 0))

    def write_work(self):
        """As begin(), and so that DMA_BUF_IOCTL_EXPORT_SYNC_FILE gives it out."""
        fcntl.ioctl(self.fd, request(0, 16, 0))

    def end(self):
        fcntl.ioctl(self.fd, request(0, 15, 0))

    def state(self):
        return State(*struct.unpack("<7I4x", fcntl.ioctl(self.fd, request(2, 7, 32), bytes(32))))

    def segments(self):
        """All that the device was given, as (dma address, physical address, bytes)."""
        return [struct.unpack("<8xQQQ", fcntl.ioctl(self.fd, request(3, 8, 32),
                                                    struct.pack("<II24x", i, 0)))
                for i in range(self.state().segments)]

    def ranges(self):
        """The memory, as (physical address, bytes)."""
        return [(phys, size) for _, phys, size in self.segments()]

    def _copy(self, how, write, offset, buffer):
        fcntl.ioctl(self.fd, request(1, 9, 32),
                    struct.pack("<IIQQQ", how, write, offset, len(buffer),
                                ctypes.addressof(buffer)))

    def read(self, how, offset, size):
        buffer = ctypes.create_string_buffer(size)
        self._copy(how, 0, offset, buffer)
        return buffer.raw

    def write(self, how, offset, data):
        self._copy(how, 1, offset, (ctypes.c_char * len(data)).from_buffer_copy(data))


def ranges(buffer):
    """Where the memory of a buffer is, as (physical address, bytes)."""
    with Importer(buffer) as importer:
        importer.map()
        found = importer.ranges()
    expect(sum(size for _, size in found) == buffer.bytes, "the segments are not the whole buffer")
    return found


def peek(how, address, size):
    with Importer() as any_one:
        return any_one.read(how, address, size)


def poke(how, address, data):
    with Importer() as any_one:
        any_one.write(how, address, data)


def mailbox():
    """The physical address of a page that the host may write to."""
    with Importer() as any_one:
        return struct.unpack("<Q", fcntl.ioctl(any_one.fd, request(2, 13, 8), bytes(8)))[0]


# --- conversions ---

def counts():
    with Importer() as any_one:
        v = struct.unpack("<13Q", fcntl.ioctl(any_one.fd, request(2, 11, 104), bytes(104)))
    return Counts(*(v[i:i + 2] for i in range(0, 12, 2)), v[12])


def arm(side, how=FAIL, skip=0, hits=1):
    """The heap's conversion after `skip` more of them to that side fails."""
    with Importer() as any_one:
        fcntl.ioctl(any_one.fd, request(1, 10, 16), struct.pack("<IIII", side, how, skip, hits))


def disarm():
    arm(TO_SHARED, hits=0)
    arm(TO_PRIVATE, hits=0)


def msr(number, value=None):
    with Importer() as any_one:
        write = value is not None
        reply = fcntl.ioctl(any_one.fd, request(3, 12, 16),
                            struct.pack("<IIQ", number, write, value or 0))
    return struct.unpack("<IIQ", reply)[2]


def arm_bench(side, skip=0, hits=1):
    """As arm(), but it is the hypervisor that refuses: for TDX only, others' guests end of it."""
    msr(MSR_FAULT, skip << 32 | hits << 16 | (1 << side) << 8 | 1)
