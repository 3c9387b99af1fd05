# SPDX-License-Identifier: LGPL-2.1-or-later
"""The socket protocol of common/wire.h, written anew from its header, with nothing shared with the
daemon's code. It must never be more forgiving than the header."""
import array
import os
import select
import socket
import struct
import time

from lib.waiting import DEADLINE

REQUEST, RELEASE, GRANTED, REFUSED, RELEASED = 1, 2, 128, 129, 130
ACCEPT_SHARED, READ_ONLY = 1, 2
IN_FLIGHT_MAX = 16
HEADER = struct.Struct('=HHIQ')
REQUEST_BODY = struct.Struct('=QII64s32s16s')
RELEASE_BODY = struct.Struct('=QQ')
GRANTED_BODY = struct.Struct('=QII64Q')
REFUSED_BODY = struct.Struct('=II64s448s')
RELEASED_BODY = struct.Struct('=QII')
EXPOSURES = ['unknown', 'shared', 'private', 'protected', 'emulated']
VERDICTS = ['granted', 'malformed', 'unknown-use', 'denied', 'no-rule', 'consent-required',
            'bad-size', 'buffer-limit', 'bytes-limit', 'buffers-limit', 'rate-limit',
            'heap-unavailable', 'out-of-memory', 'audit-failed', 'identity-changed', 'busy',
            'unsupported', 'unknown-grant', 'not-permitted', 'internal']


class Answer:
    """What came back, from either transport."""

    def __init__(self, verdict, id=0, reason='', rule='', grants=(), fds=(), size=0, exposure=None,
                 held=None):
        self.verdict, self.id, self.reason, self.rule = verdict, id, reason, rule
        self.grants, self.fds, self.size, self.exposure = list(grants), list(fds), size, exposure
        self.held = held

    def __repr__(self):
        return f'<{self.verdict} id={self.id} {self.grants} {self.reason!r} rule={self.rule!r}>'

    def close(self):
        while self.fds:
            os.close(self.fds.pop())
        return self


def text(raw):
    """A text field: terminated, and zero after that."""
    value, _, rest = raw.partition(b'\0')
    assert len(value) < len(raw) and not rest.strip(b'\0'), raw
    return value.decode()


def pack_request(use, size, count=1, flags=0, label=b'', id=1, reserved=bytes(16), version=1,
                 kind=REQUEST, length=144):
    use, label = (x.encode() if isinstance(x, str) else x for x in (use, label))
    return HEADER.pack(version, kind, length, id) + REQUEST_BODY.pack(
        size, count, flags, use, label, reserved)


def pack_release(grant, id=1, reserved=0, version=1, kind=RELEASE, length=32):
    return HEADER.pack(version, kind, length, id) + RELEASE_BODY.pack(grant, reserved)


def parse(data, fds):
    version, kind, length, id = HEADER.unpack_from(data)
    assert version == 1 and length == len(data), (version, length, len(data))
    body = data[HEADER.size:]
    if kind == GRANTED:
        size, count, exposure, *grants = GRANTED_BODY.unpack(body)
        assert len(fds) == count and not any(grants[count:]) and all(grants[:count])
        return Answer('granted', id, grants=grants[:count], fds=fds, size=size,
                      exposure=EXPOSURES[exposure])
    assert not fds, 'fds with something that is no grant'
    if kind == REFUSED:
        verdict, reserved, rule, reason = REFUSED_BODY.unpack(body)
        assert reserved == 0 and verdict != 0
        return Answer(VERDICTS[verdict], id, text(reason), text(rule))
    assert kind == RELEASED, kind
    grant, held, reserved = RELEASED_BODY.unpack(body)
    assert reserved == 0 and held in (0, 1)
    return Answer('released', id, grants=[grant], held=bool(held))


class Socket:
    """A connection to the daemon's socket."""
    transport = 'socket'

    def __init__(self, path=None, fd=None):
        """Connects to path, or takes over the connection fd that another process made."""
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, fileno=fd)
        self.socket.settimeout(DEADLINE)
        if fd is None:
            self.socket.connect(path)
        self.id = 0

    def close(self):
        self.socket.close()

    def send(self, data, fds=()):
        if fds:
            rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', fds))
            return self.socket.sendmsg([data], [rights])
        return self.socket.send(data)

    def ask(self, use, size, accept_shared=False, read_only=False, **more):
        """Sends a request without waiting; returns its id."""
        self.id += 1
        flags = accept_shared * ACCEPT_SHARED | read_only * READ_ONLY
        self.send(pack_request(use, size, flags=flags, id=self.id, **more))
        return self.id

    def receive(self, timeout=DEADLINE):
        """The next answer; None when the connection has ended."""
        if not select.select([self.socket], [], [], timeout)[0]:
            raise TimeoutError('no answer from the daemon in time')
        try:
            data, control, flags, _ = self._receive()
        except ConnectionResetError:
            # The daemon closed with packets of ours unread; what it had sent is still there.
            data, control, flags, _ = self._receive()
        fds = [fd for level, kind, raw in control
               for fd in struct.unpack(f'{len(raw) // 4}i', raw)]
        assert not flags & (socket.MSG_TRUNC | socket.MSG_CTRUNC), 'truncated'
        return parse(data, fds) if data else None

    def _receive(self):
        return self.socket.recvmsg(2048, socket.CMSG_SPACE(4 * 253), socket.MSG_CMSG_CLOEXEC)

    def quiet(self):
        """Whether nothing has come yet."""
        return not select.select([self.socket], [], [], 0)[0]

    def request(self, use, size, **more):
        id = self.ask(use, size, **more)
        answer = self.receive()
        assert answer is not None, 'the daemon ended the connection'
        assert answer.id == id or answer.verdict == 'busy', (answer, id)
        return answer

    def release(self, grant):
        self.id += 1
        self.send(pack_release(grant, id=self.id))
        answer = self.receive()
        assert answer and answer.id == self.id, answer
        return answer

    def wait_closed(self, timeout=DEADLINE):
        """Reads what there is to the end."""
        end, answers = time.monotonic() + timeout, []
        while True:
            answer = self.receive(max(0, end - time.monotonic()))
            if answer is None:
                return answers
            answers.append(answer.close())
