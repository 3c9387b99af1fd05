# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host, asked by the guest to look at its memory: outside, host_side.py answers. A request is a
line of the report, the answer comes by a page of shared memory."""
import json
import struct

import kernel
from harness import Failure, Skip, wait_for
from heap import PLAIN

state = {"report": None, "mailbox": 0, "number": 0}


def begin(report):
    if PLAIN:
        return
    state["report"] = report
    state["mailbox"] = kernel.mailbox()
    ask("hello", mailbox=state["mailbox"])


def ask(what, **more):
    if PLAIN:
        raise Skip("a guest that is not confidential hides nothing from its host")
    state["number"] += 1
    number = state["number"]
    state["report"].line("# host " + json.dumps({"number": number, "what": what, **more}))

    def answer():
        got, size = struct.unpack("<II", kernel.peek(kernel.SHARED, state["mailbox"], 8))
        return got == number and kernel.peek(kernel.SHARED, state["mailbox"] + 8, size)

    reply = json.loads(wait_for("the host's answer", answer, seconds=60))
    if "problem" in reply:
        raise Failure("the host: " + reply["problem"])
    return reply


def read(address, size):
    return bytes.fromhex(ask("read", at=address, size=size)["data"])


def digest(ranges):
    """SHA-256 of what the host sees there."""
    return ask("digest", ranges=ranges)["digest"]


def write(ranges, pattern):
    """Fills memory, as the host can."""
    ask("write", ranges=ranges, pattern=pattern.hex())


def find(masked, mask, private=False):
    """Where the host sees the word whose exclusive or with `mask` is `masked`, in all of the
    guest's memory that it can see, or -1. On demand in the private half, where no real host could
    look."""
    return ask("find", masked=masked.hex(), mask=mask.hex(), private=private)["at"]
