# SPDX-License-Identifier: LGPL-2.1-or-later
"""Importers in the kernel: devices see the same bytes, or are refused; never anything else."""
import fcntl
import hashlib
import os
import struct

import heap
import host
import kernel
from guest import check, out
from heap import MIB, PAGE, Heap, error, slow
from kernel import (BOUNDARY, DEVICE, DIRECT, DYNAMIC, IOMMU, NAMES, NARROW, OPS, VMAP, WIDE,
                    Importer)
from lib.harness import expect
from lib.waiting import wait_until

SIZE = 2 * MIB + 3 * PAGE


def text(word, size=SIZE):
    return heap.text(word, size)


def kernel_says(function):
    """Lines of the kernel's log meanwhile."""
    mark = "ccbuf-heap-check: " + os.urandom(8).hex()
    with open("/dev/kmsg", "w", encoding="ascii") as f:
        f.write(mark + "\n")
    function()
    return out("dmesg", "--notime").split(mark)[-1]


def try_map(buffer, device, flags=0):
    """The errno of attaching and mapping, or None, and the importer."""
    importer = Importer()
    got = error(importer.attach, buffer, device, flags) or error(importer.map)
    return got, importer


@check
def heap_import_same_bytes():
    """Device, kernel, process and the kernel's direct map: all look at the same memory."""
    heap.reload(pool_high=0)
    with Heap() as node, node.alloc(SIZE) as buffer, buffer.map() as mapping:
        for flags in (0, DYNAMIC):
            with Importer(buffer, WIDE, flags) as importer:
                importer.map()
                segments = importer.segments()
                expect(sum(size for _, _, size in segments) == SIZE, f"not all of it: {segments}")
                for dma, phys, size in segments:
                    expect(dma == phys, f"the device gets {dma:x} for shared memory at {phys:x}")
                    expect(not dma % PAGE and not size % PAGE, f"not whole pages: {dma:x}, {size}")
                mapping.write(text(b"process"))
                expect(importer.read(DEVICE, 0, SIZE) == text(b"process"),
                       "the device does not see what a process writes")
                importer.write(DEVICE, 0, text(b"device"))
                expect(mapping.read() == text(b"device"),
                       "a process does not see what the device writes")
                importer.vmap()
                expect(importer.read(VMAP, 0, SIZE) == text(b"device"),
                       "the kernel does not see what the device writes")
                importer.write(VMAP, 0, text(b"kernel"))
                expect(mapping.read() == text(b"kernel"),
                       "a process does not see what the kernel writes")
                got = b"".join(importer.read(DIRECT, phys, size) for _, phys, size in segments)
                expect(got == text(b"kernel"), "the direct map is another memory")
                importer.vunmap()
                importer.unmap()
        expect(node.stats().live_bytes == SIZE, f"an importer costs memory: {node.stats()}")


@check
def heap_import_from_the_pool():
    """Runs of several buffers in one region."""
    heap.reload(pool=4, pool_high=8)
    with Heap() as node:
        buffers = [node.alloc(size * PAGE) for size in (1, 3, 16, 5, 17, 1, 100, 2)]
        for buffer in buffers[::2]:
            buffer.close()
        wait_until(lambda: node.stats().live_buffers == 4, "the ends")
        buffers += [node.alloc(size * PAGE) for size in (64, 2, 7, 300)]
        everything = []
        for number, buffer in enumerate(buffers):
            if buffer.fd < 0:
                continue
            everything += kernel.ranges(buffer)
            with buffer.map() as mapping, Importer(buffer) as importer:
                importer.map()
                data = text(b"no %d" % number, buffer.bytes)
                mapping.write(data)
                expect(importer.read(DEVICE, 0, buffer.bytes) == data,
                       f"buffer {number} is not what it is")
        everything.sort()
        for (one, size), (two, _) in zip(everything, everything[1:]):
            expect(one + size <= two, f"two buffers share {two:x}")
        for number, buffer in enumerate(buffers):
            if buffer.fd >= 0:
                with buffer.map() as mapping:
                    expect(mapping.read() == text(b"no %d" % number, buffer.bytes),
                           f"buffer {number} was overwritten")


@check
def heap_import_narrow_mask():
    """A device that does not reach that high is refused, and not given a bounce buffer."""
    with Heap() as node, node.alloc(SIZE) as buffer:
        highest = max(phys + size for phys, size in kernel.ranges(buffer))
        expect(highest > 1 << 24, "the buffer is so low that the test is none")
        for flags in (0, DYNAMIC):
            got = []
            said = kernel_says(lambda f=flags: got.append(try_map(buffer, NARROW, f)))
            expect(got[0][0] == "EOPNOTSUPP", f"{got[0][0]} instead of EOPNOTSUPP")
            expect(f"{NAMES[NARROW]}:" in said, f"the log does not name the device: {said}")


@check
def heap_import_boundary():
    """What the device cannot take as one segment is cut for it."""
    for size in (SIZE, 64 << 10, PAGE):
        with Heap() as node, node.alloc(size) as buffer, buffer.map() as mapping, \
                Importer(buffer, BOUNDARY) as importer:
            importer.map()
            for dma, _, length in importer.segments():
                expect(dma >> 16 == (dma + length - 1) >> 16, f"{dma:x}, {length} bytes: across")
                expect(length <= 40 << 10, f"{length} bytes: more than the device takes")
                expect(length % PAGE == 0, f"{length} bytes: no whole pages")
            mapping.write(text(b"cut", size))
            expect(importer.read(DEVICE, 0, size) == text(b"cut", size), "not the same bytes")
            importer.write(DEVICE, 0, text(b"back", size))
            expect(mapping.read() == text(b"back", size), "a process sees something else")


@check
def heap_import_not_direct():
    """Whoever translates addresses would map the memory as private."""
    with Heap() as node, node.alloc(SIZE) as buffer:
        for device in (OPS, IOMMU):
            got = []
            said = kernel_says(lambda d=device: got.append(try_map(buffer, d)))
            if got[0][0] == "ENODEV":
                continue  # 6.1 can only tell of the former
            expect(got[0][0] == "EOPNOTSUPP", f"{NAMES[device]}: {got[0][0]} instead of EOPNOTSUPP")
            expect(f"{NAMES[device]}:" in said, f"the log does not name the device: {said}")
            expect(got[0][1].state().ops_used == 0, f"{NAMES[device]} was asked to map it")
        with Importer(buffer) as importer:
            importer.map()  # a refusal harms nobody else


@check
def heap_import_outlives_the_fd():
    before = heap.stats()
    with Heap() as node:
        buffer = node.alloc(SIZE)
        with buffer.map() as mapping:
            mapping.write(text(b"kept"))
        with Importer(buffer) as importer:
            importer.map()
            importer.vmap()
            buffer.close()
            node.close()
            expect(importer.read(DEVICE, 0, SIZE) == text(b"kept"), "the device has lost it")
            expect(importer.read(VMAP, 0, SIZE) == text(b"kept"), "the kernel has lost it")
            expect(heap.stats().live_buffers - before.live_buffers == 1, "it does not count")
    wait_until(lambda: heap.stats().live_bytes == before.live_bytes, "its end")


@check
@slow
def heap_import_many():
    """Several importers and kernel mappings of one buffer, which go in any order."""
    with Heap() as node, node.alloc(MIB) as buffer, buffer.map() as mapping:
        importers = [Importer(buffer, WIDE, DYNAMIC if i % 2 else 0) for i in range(6)]
        for importer in importers:
            importer.map()
            importer.vmap()
        mapping.write(text(b"many", MIB))
        while importers:
            expect(all(i.read(DEVICE, 0, MIB) == i.read(VMAP, 0, MIB) == text(b"many", MIB)
                       for i in importers), "not all see the same")
            importers.pop(len(importers) // 2).close()
        buffer.sync(heap.SYNC_READ | heap.SYNC_START)
        buffer.sync(heap.SYNC_READ | heap.SYNC_END)


# --- the kernel's own importers ---

DRM_VERSION, DRM_CLOSE, DRM_EXPORT, DRM_IMPORT = 0xc0406400, 0x40086409, 0xc00c642d, 0xc00c642e
MODE_RESOURCES, MODE_CONNECTOR, MODE_SET_CRTC = 0xc04064a0, 0xc05064a7, 0xc06864a2
MODE_ADD_FB, MODE_REMOVE_FB = 0xc06864b8, 0xc00464af
MODE_INFO = struct.Struct("<I10HIII32s")
XRGB = 0x34325258  # bytes of a pixel: blue, green, red, none


def open_drm(name):
    """The card of a driver."""
    out("modprobe", "-a", name)

    def find():
        for card in sorted(os.listdir("/dev/dri")) if os.path.isdir("/dev/dri") else ():
            if not card.startswith("card"):
                continue
            fd = os.open("/dev/dri/" + card, os.O_RDWR | os.O_CLOEXEC)
            if drm_name(fd) == name.replace("-", "_"):
                return fd
            os.close(fd)
        return None

    return wait_until(find, f"a card of {name}", 20)


def drm_name(fd):
    text_of = heap.ctypes.create_string_buffer(32)
    request = struct.pack("<iii4xQQQQQQ", 0, 0, 0, 31, heap.ctypes.addressof(text_of), 0, 0, 0, 0)
    fcntl.ioctl(fd, DRM_VERSION, request)
    return text_of.value.decode()


def drm_import(card, buffer):
    reply = fcntl.ioctl(card, DRM_IMPORT, struct.pack("<IIi", 0, 0, buffer.fd))
    return struct.unpack("<IIi", reply)[0]


def drm_close(card, handle):
    fcntl.ioctl(card, DRM_CLOSE, struct.pack("<II", handle, 0))


@check
def heap_import_vgem():
    """Which keeps a buffer of another as it is, and gives it out again."""
    card = open_drm("vgem")
    with Heap() as node:
        buffer = node.alloc(SIZE)
        inode = os.fstat(buffer.fd).st_ino
        handle = drm_import(card, buffer)
        with buffer.map() as mapping:
            mapping.write(text(b"before"))
        buffer.close()
        expect(node.stats().live_buffers == 1, "the import does not hold the buffer")
        reply = fcntl.ioctl(card, DRM_EXPORT, struct.pack("<IIi", handle, os.O_RDWR, -1))
        again = heap.Buffer(struct.unpack("<IIi", reply)[2])
        expect(os.fstat(again.fd).st_ino == inode, "what comes back is another buffer")
        with again.map() as mapping, Importer(again) as importer:
            expect(mapping.read() == text(b"before"), "it does not have the same bytes")
            importer.map()
            expect(importer.read(DEVICE, 0, SIZE) == text(b"before"), "nor for another device")
        again.close()
        drm_close(card, handle)
        os.close(card)
        wait_until(lambda: node.stats().live_buffers == 0, "its end")


class Screen:
    """The screen of a card, in the one mode that it likes best."""

    def __init__(self, card):
        self.card = card
        self.crtc, self.connector = self._resources()
        self.mode = self._mode()
        self.width, self.height = self.mode[1], self.mode[6]

    def _resources(self):
        """The first CRTC and the first connector."""
        arrays = [(heap.ctypes.c_uint32 * 16)() for _ in range(4)]
        at = [heap.ctypes.addressof(array) for array in arrays]
        reply = fcntl.ioctl(self.card, MODE_RESOURCES, struct.pack("<4Q4I16x", *at, *[16] * 4))
        expect(all(struct.unpack_from("<2I", reply, 36)), "no CRTC or no connector")
        return arrays[1][0], arrays[2][0]

    def _mode(self):
        modes = heap.ctypes.create_string_buffer(MODE_INFO.size * 64)

        def ask(count):
            fields = (0, heap.ctypes.addressof(modes) if count else 0, 0, 0, count, 0, 0, 0,
                      self.connector)
            reply = fcntl.ioctl(self.card, MODE_CONNECTOR, struct.pack("<4Q5I28x", *fields))
            return struct.unpack_from("<I", reply, 32)[0]

        count = ask(0)
        expect(0 < count <= 64, f"{count} modes")
        ask(count)
        return MODE_INFO.unpack_from(modes.raw)

    def frame(self, handle):
        """A framebuffer of a buffer that the card has."""
        four = [0, 0, 0]
        reply = fcntl.ioctl(self.card, MODE_ADD_FB, struct.pack(
            "<5I4I4I4I4x4Q", 0, self.width, self.height, XRGB, 0, handle, *four,
            self.width * 4, *four, 0, *four, 0, *four))
        return struct.unpack_from("<I", reply)[0]

    def remove(self, frame):
        fcntl.ioctl(self.card, MODE_REMOVE_FB, struct.pack("<I", frame))

    def show(self, frame):
        """Shows it; 0 is nothing."""
        connector = heap.ctypes.c_uint32(self.connector)
        at, count, mode = heap.ctypes.addressof(connector), 1, MODE_INFO.pack(*self.mode)
        if not frame:
            at, count, mode = 0, 0, bytes(MODE_INFO.size)
        fcntl.ioctl(self.card, MODE_SET_CRTC, struct.pack(
            "<Q7I", at, count, self.crtc, frame, 0, 0, 0, count) + mode)


def as_seen(data):
    """Digest of the pixels, red, green and blue, that these bytes are."""
    seen = bytearray(len(data) // 4 * 3)
    for i in range(3):
        seen[i::3] = data[2 - i::4]
    return hashlib.sha256(seen).hexdigest()


@check
def heap_import_virtio_gpu():
    """A device outside of the guest shows what is in the buffer, and does not when it is revoked.
    Its driver takes buffers of others from 6.14 on, before it refuses."""
    card = open_drm("virtio-gpu")
    with Heap() as node:
        if kernel.release() < (6, 14):
            with node.alloc(SIZE) as buffer:
                got = error(lambda: drm_import(card, buffer))
                expect(got in ("ENODEV", "EINVAL"), f"refused with {got}")
            os.close(card)
            wait_until(lambda: node.stats().live_buffers == 0, "its end")
            return
        screen = Screen(card)
        size = screen.width * screen.height * 4
        buffer = node.alloc(size)
        number = node.watch(buffer)
        handle = drm_import(card, buffer)
        frame = screen.frame(handle)
        with buffer.map() as mapping:
            for word in (b"first", b"second"):
                data = heap.text(word, buffer.bytes)
                mapping.write(data)
                if word == b"first":
                    screen.show(frame)
                width, height, digest = host.screen()
                expect((width, height) == (screen.width, screen.height),
                       f"the screen is {width} to {height}")
                expect(digest == as_seen(data[:size]), f"{word}: it shows something else")
        screen.show(0)
        buffer.close()
        got = node.revoke(number)
        expect(not got.busy and not got.mappings, f"the device was not told: {got}")
        kind, which, _ = node.event()
        expect((kind, which) == (heap.RELEASED, number), "it is not released")
        expect(node.stats().live_bytes == 0, "its memory is not given back")
        screen.remove(frame)
        drm_close(card, handle)
        os.close(card)
        wait_until(lambda: node.stats().live_buffers == 0, "its end")
