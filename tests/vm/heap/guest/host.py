# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host, asked by the guest to look at its memory: outside, ../host.py answers. A request is a
line to it, the answer comes by a page of shared memory."""
import json
import struct

import kernel
from heap import PLAIN
from lib.harness import Failure, Skip
from lib.waiting import wait_until

state = {"report": None, "mailbox": 0, "number": 0}


def begin(report):
    state["report"] = report
    state["mailbox"] = kernel.mailbox()
    ask("hello", mailbox=state["mailbox"])


def ask(what, **more):
    state["number"] += 1
    number = state["number"]
    state["report"].host(json.dumps({"number": number, "what": what, **more}))

    def answer():
        got, size = struct.unpack("<II", kernel.peek(kernel.SHARED, state["mailbox"], 8))
        return got == number and kernel.peek(kernel.SHARED, state["mailbox"] + 8, size)

    reply = json.loads(wait_until(answer, "the host's answer", timeout=60))
    if "problem" in reply:
        raise Failure("the host: " + reply["problem"])
    return reply


def look(what, **more):
    """At, or into, the guest's memory."""
    if PLAIN:
        raise Skip("a guest that is not confidential hides nothing from its host")
    return ask(what, **more)


def read(address, size):
    return bytes.fromhex(look("read", at=address, size=size)["data"])


def digest(ranges):
    """SHA-256 of what the host sees there."""
    return look("digest", ranges=ranges)["digest"]


def write(ranges, pattern):
    """Fills memory, as the host can."""
    look("write", ranges=ranges, pattern=pattern.hex())


def find(masked, mask, private=False):
    """Where the host sees the word whose exclusive or with `mask` is `masked`, in all of the
    guest's memory that it can see, or -1. On demand in the private half, where no real host could
    look."""
    return look("find", masked=masked.hex(), mask=mask.hex(), private=private)["at"]


def screen():
    """What virtio-gpu shows: width, height and SHA-256 of the bytes, three a pixel."""
    got = ask("screen")
    return got["width"], got["height"], got["digest"]
