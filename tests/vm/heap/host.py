# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host of the heap's guests, see boot.py: looks at the guest's memory from outside when the
checks ask (guest/host.py), and at the screen of its virtio-gpu.

The machine's memory is a file that is mapped here too: what is below the guest's size is the shared
half, all that a host can see; from 3 GiB on is the private half, which is looked at only to be sure
that a secret was there to be found.
"""
import hashlib
import json
import os
import re
import socket
import struct
import tempfile

LOW = 3 << 30
ANSWER_MAX = 4096 - 8


class Host:
    def __init__(self, memory, ram, _tee):
        self.memory = memory
        self.ram = ram
        self.mailbox = None
        self.qmp = None  # the path of QEMU's monitor: boot.py

    def line(self, text):
        """A request: JSON. The answer goes to the guest's mailbox, a page of shared memory."""
        ask = json.loads(text)
        try:
            reply = self.answer(ask.pop("what"), ask)
        except (KeyError, ValueError, OSError) as e:
            reply = {"problem": str(e)}
        text = json.dumps(reply).encode()
        if len(text) > ANSWER_MAX:
            text = json.dumps({"problem": "the answer is too long"}).encode()
        if self.mailbox is not None:
            at = self.mailbox
            self.memory[at + 8:at + 8 + len(text)] = text
            # number and length at once, when all else is there
            self.memory[at:at + 8] = struct.pack("<II", ask["number"], len(text))

    def end(self):
        pass

    def inside(self, at, size):
        if at < 0 or size < 0 or at + size > self.ram:
            raise ValueError(f"{at:x}, {size} bytes: not in the guest's memory")

    def read(self, at, size):
        self.inside(at, size)
        return self.memory[at:at + size]

    def answer(self, what, ask):
        if what == "hello":
            self.mailbox = ask["mailbox"]
            return {}
        if what == "read":
            return {"data": self.read(ask["at"], ask["size"]).hex()}
        if what == "digest":
            digest = hashlib.sha256()
            for at, size in ask["ranges"]:
                digest.update(self.read(at, size))
            return {"digest": digest.hexdigest()}
        if what == "write":
            pattern = bytes.fromhex(ask["pattern"])
            for at, size in ask["ranges"]:
                self.inside(at, size)
                self.memory[at:at + size] = (pattern * (size // len(pattern) + 1))[:size]
            return {}
        if what == "find":
            mask = bytes.fromhex(ask["mask"])
            word = bytes(a ^ b for a, b in zip(bytes.fromhex(ask["masked"]), mask))
            first = LOW if ask["private"] else 0
            return {"at": self.memory.find(word, first, first + self.ram)}
        if what == "screen":
            width, height, pixels = screen(self.qmp)
            return {"width": width, "height": height,
                    "digest": hashlib.sha256(pixels).hexdigest()}
        raise ValueError(f"what is {what}?")


def screen(qmp):
    """What virtio-gpu shows: width, height, and red, green and blue of each pixel."""
    with tempfile.NamedTemporaryFile(suffix=".ppm") as f:
        monitor(qmp, "screendump", filename=f.name)
        data = f.read()
    header = re.match(rb"P6\s+(\d+)\s+(\d+)\s+255\s", data)
    if not header:
        raise ValueError(f"no picture, but {data[:32]!r}")
    return int(header[1]), int(header[2]), data[header.end():]


def monitor(qmp, command, **arguments):
    """Has QEMU do something."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(qmp)
        with sock.makefile("rw", encoding="utf-8") as stream:
            stream.readline()  # the greeting
            for execute, more in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": execute, "arguments": more}) + os.linesep)
                stream.flush()
                reply = {}
                while not reply.keys() & {"return", "error"}:  # between them are events
                    reply = json.loads(stream.readline())
                if "error" in reply:
                    raise ValueError(f"{execute}: {reply['error']['desc']}")
