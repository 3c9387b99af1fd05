# SPDX-License-Identifier: LGPL-2.1-or-later
"""ccbuf_heap as programs and administrators see it: the module, its node, buffers, mappings."""
import ctypes
import errno
import fcntl
import glob
import os
import re
import select
import signal
import struct
from collections import namedtuple

import kernel
from guest import out, read, run
from lib.harness import expect
from lib.waiting import wait_until

PAGE = 4096
MIB = 1 << 20
REGION = 2 * MIB
OPTIONS = read("/proc/cmdline").split()
PLAIN = "ccbuf.plain" in OPTIONS  # no confidential guest
NATIVE = "ccbuf.native" in OPTIONS  # a kernel that has the heap itself
QUICK = "ccbuf.quick" in OPTIONS  # less of what takes long
NAME = "ccbuf_unshared" if PLAIN else "system_cc_shared"
NODE = "/dev/dma_heap/" + NAME
SYSFS = f"/sys/class/misc/{NAME}/"
PARAMETERS = "/sys/module/ccbuf_heap/parameters/"

ALLOC = 0xc0184800
STATS, WATCH, REVOKE = 0x8080cc40, 0xc010cc41, 0xc058cc42
SYNC = 0x40086200
EXPORT_SYNC_FILE, IMPORT_SYNC_FILE = 0xc0086202, 0x40086203
SYNC_READ, SYNC_WRITE, SYNC_START, SYNC_END = 1, 2, 0, 4
STATS_FORMAT = "<II9Q6Q"
EVENT = struct.Struct("<IIQQ")
REVOCATION = struct.Struct("<QIIII64s")
RELEASED, LEAKED = 1, 2
UNSHARED, STOPPED = 1, 2  # flags of stats

COUNTERS = ("live_bytes live_buffers peak_bytes pool_bytes leaked_bytes to_shared to_private "
            "failed revoked_buffers").split()
Stats = namedtuple("Stats", ["version", "flags"] + COUNTERS)
Holders = namedtuple("Holders", "mappings vmaps busy device")

PROT_READ, PROT_WRITE = 1, 2
MAP_SHARED, MAP_PRIVATE = 1, 2
MREMAP_MAYMOVE, MREMAP_FIXED = 1, 2
FAILED = ctypes.c_void_p(-1).value

libc = ctypes.CDLL(None, use_errno=True)
libc.mallopt(-3, 1 << 17)  # what is freed goes back to the kernel at once: MemFree is looked at
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.mremap.restype = ctypes.c_void_p
libc.mremap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int,
                        ctypes.c_void_p]


def slow(function):
    """A check that is left out when it shall be quick."""
    function.slow = True
    return function


def native(function):
    """A check of what the kernel's own heap has as well; with that these are the only ones."""
    function.native = True
    return function


def error(function, *args, **more):
    """The name of the errno that a call fails with, None when it does not."""
    try:
        function(*args, **more)
    except OSError as e:
        return "EOPNOTSUPP" if e.errno == errno.EOPNOTSUPP else errno.errorcode[e.errno]
    return None


def expect_error(name, function, *args, **more):
    got = error(function, *args, **more)
    expect(got == name, f"{name} expected, got {got}")


# --- the module ---

def loaded():
    return os.path.exists("/sys/module/ccbuf_heap")


lost = 0  # pages that are shared though no heap is loaded: what was leaked before


def shared():
    """Pages that are shared by the heap that is loaded."""
    return kernel.counts().shared - lost


def load(**parameters):
    global lost  # pylint: disable=global-statement
    if not loaded() and os.path.exists(kernel.NODE):
        lost = kernel.counts().shared
    if PLAIN:
        parameters["unshared"] = 1
    run("modprobe", "ccbuf_heap", *[f"{name}={value}" for name, value in parameters.items()])
    wait_until(lambda: os.path.exists(NODE), NODE)


def unload():
    run("modprobe", "-r", "ccbuf_heap")
    expect(not loaded(), "the module is still there")


def set_parameters(**parameters):
    for name, value in parameters.items():
        with open(PARAMETERS + name, "w", encoding="ascii") as f:
            f.write(str(value))


def parameter(name):
    return read(PARAMETERS + name).strip()


def reload(**parameters):
    if loaded():
        unload()
    load(**parameters)


def kernel_log():
    return out("dmesg", "--notime") if os.path.exists("/bin/dmesg") else read("/dev/kmsg")


# --- the node ---

class Heap:
    """An open file of the node; the module is loaded for it if need be."""

    def __init__(self, flags=os.O_RDWR, path=NODE):
        if path == NODE and not loaded() and not NATIVE:
            load()
        self.fd = os.open(path, flags | os.O_CLOEXEC)

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def alloc(self, size, fd_flags=os.O_RDWR | os.O_CLOEXEC, heap_flags=0, fd=0):
        data = struct.pack("<QIIQ", size, fd, fd_flags, heap_flags)
        reply = fcntl.ioctl(self.fd, ALLOC, data)
        return Buffer(struct.unpack_from("<QI", reply)[1])

    def stats(self):
        reply = fcntl.ioctl(self.fd, STATS, bytes(struct.calcsize(STATS_FORMAT)))
        values = struct.unpack(STATS_FORMAT, reply)
        expect(not any(values[-6:]), "reserved fields are not zero")
        return Stats(*values[:-6])

    def watch(self, fd, flags=0):
        if isinstance(fd, Buffer):
            fd = fd.fd
        reply = fcntl.ioctl(self.fd, WATCH, struct.pack("<iIQ", fd, flags, 0))
        return struct.unpack("<iIQ", reply)[2]

    def revoke_once(self, number):
        """As revoke(), but a signal is an error; Python's ioctl() would ask again."""
        data = ctypes.create_string_buffer(REVOCATION.pack(number, 0, 0, 0, 0, b""))
        check_call(libc.ioctl(self.fd, ctypes.c_ulong(REVOKE), data))

    def revoke(self, number, flags=0):
        reply = fcntl.ioctl(self.fd, REVOKE, REVOCATION.pack(number, flags, 0, 0, 0, b""))
        got, _, mappings, vmaps, busy, device = REVOCATION.unpack(reply)
        expect(got == number and device[-1] == 0, "the reply to REVOKE is not right")
        return Holders(mappings, vmaps, busy, device.rstrip(b"\0").decode())

    def poll(self, seconds=0.0):
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def event(self, seconds=20.0):
        """The next one as (type, id, bytes); waits for it."""
        expect(self.poll(seconds), f"no event in {seconds} s")
        kind, reserved, number, size = EVENT.unpack(os.read(self.fd, EVENT.size))
        expect(reserved == 0, "a reserved field of an event is not zero")
        return kind, number, size


class Buffer:
    """A dma-buf; closed when it is forgotten."""

    def __init__(self, fd):
        self.fd = fd
        self.bytes = os.fstat(fd).st_size

    def close(self):
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    __del__ = close

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def map(self, **more):
        return Mapping(self.fd, more.pop("size", self.bytes), **more)

    def sync(self, flags):
        fcntl.ioctl(self.fd, SYNC, struct.pack("<Q", flags))

    def export_sync_file(self):
        """A file of what devices are at in it."""
        data = struct.pack("<Ii", SYNC_READ | SYNC_WRITE, -1)
        reply = fcntl.ioctl(self.fd, EXPORT_SYNC_FILE, data)
        return struct.unpack("<Ii", reply)[1]

    def import_sync_file(self, fd):
        fcntl.ioctl(self.fd, IMPORT_SYNC_FILE, struct.pack("<Ii", SYNC_WRITE, fd))

    def fdinfo(self):
        return read(f"/proc/self/fdinfo/{self.fd}")


def check_call(result):
    if result in (-1, FAILED):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


class Mapping:
    """Of a buffer into this process; unmapped when it is forgotten."""

    def __init__(self, fd, size, offset=0, prot=PROT_READ | PROT_WRITE, flags=MAP_SHARED):
        self.size = 0
        self.at = check_call(libc.mmap(None, size, prot, flags, fd, offset))
        self.size = size

    def unmap(self):
        if self.size:
            check_call(libc.munmap(self.at, self.size))
            self.size = 0

    __del__ = unmap

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.unmap()

    def protect(self, prot):
        check_call(libc.mprotect(self.at, self.size, prot))

    def move(self, size=None):
        """To another address; which takes one that is free."""
        size = size or self.size
        target = check_call(libc.mmap(None, size, 0, MAP_PRIVATE | 0x20, -1, 0))
        self.at = check_call(libc.mremap(self.at, self.size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
                                         target))
        self.size = size

    def read(self, at=0, size=None):
        size = self.size - at if size is None else size
        assert at + size <= self.size
        return ctypes.string_at(self.at + at, size)

    def write(self, data, at=0):
        assert at + len(data) <= self.size
        ctypes.memmove(self.at + at, data, len(data))

    def fill(self, pattern):
        self.write(pattern * (self.size // len(pattern)))


# --- looking ---

def live():
    """Bytes and number of the buffers that there are."""
    if not NATIVE:
        now = stats()
        return now.live_bytes, now.live_buffers
    # those of others are among them
    total = re.search(r"^Total (\d+) objects, (\d+) bytes",
                      read("/sys/kernel/debug/dma_buf/bufinfo"), re.M)
    return int(total[2]), int(total[1])


def sysfs():
    return Stats(0, 0, *(int(read(SYSFS + name)) for name in COUNTERS))


def stats():
    with Heap() as heap:
        return heap.stats()


def difference(before, after):
    """What has changed, as a dictionary."""
    return {name: getattr(after, name) - getattr(before, name)
            for name in after._fields if getattr(after, name) != getattr(before, name)}


def expect_change(before, after, what, **wanted):
    got = difference(before, after)
    expect(got == wanted, f"{what}: changes of {got} instead of {wanted}")


def memory_free():
    """Bytes that are free, also on the lists of processors, with the page cache dropped."""
    with open("/proc/sys/vm/drop_caches", "w", encoding="ascii") as f:
        f.write("1")  # 2 would run the heap's shrinker, too
    text_of = read("/proc/zoneinfo")
    counts = re.findall(r"^ *(?:nr_free_pages|count:) +(\d+)$", text_of, re.M)
    expect(counts, "no free pages in /proc/zoneinfo")
    return sum(map(int, counts)) * PAGE


def empty(data):
    """Whether it is all zeros."""
    return data == bytes(len(data))


def text(word, size):
    """Bytes of which each page is told from all others, and of words of up to 8 letters."""
    return b"".join(b"%-8s%08x" % (word, at) * (PAGE // 16) for at in range(0, size, PAGE))


def child(function):
    """Runs a function in a process of its own; what it ended with, as from wait()."""
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            signal.alarm(0)
            function()
            code = 0
        finally:
            os._exit(code)
    return os.waitpid(pid, 0)[1]


def expect_sigbus(what, function):
    status = child(function)
    expect(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGBUS,
           f"{what}: wait status {status:#x} instead of SIGBUS")


def expect_works(what, function):
    status = child(function)
    expect(status == 0, f"{what}: wait status {status:#x}")


def open_dmabufs():
    """Paths of all fds of dma-bufs of this process."""
    found = []
    for path in glob.glob("/proc/self/fd/*"):
        try:
            if os.readlink(path).startswith("/dmabuf:"):
                found.append(path)
        except FileNotFoundError:
            pass
    return found
