# SPDX-License-Identifier: LGPL-2.1-or-later
"""Other processes for tests: a function in a child of its own, optionally as another user, with a
channel of JSON lines to its parent. A child has no fds of its parent's but the channel's."""
import json
import os
import select
import signal
import socket
import sys
import traceback

from lib.waiting import DEADLINE, die_with_parent


class Channel:
    """JSON lines, with fds where asked."""

    def __init__(self, end):
        self.socket, self.data, self.fds = end, b'', []

    def send(self, value=None, fds=()):
        data = json.dumps(value).encode() + b'\n'
        sent = socket.send_fds(self.socket, [data], fds) if fds else 0
        self.socket.sendall(data[sent:])

    def receive(self):
        while b'\n' not in self.data:
            data, fds, _, _ = socket.recv_fds(self.socket, 65536, 64)
            self.fds += fds
            if not data:
                raise EOFError('the other side of the channel is gone')
            self.data += data
        line, _, self.data = self.data.partition(b'\n')
        return json.loads(line)

    def receive_fd(self):
        self.receive()
        return self.fds.pop(0)

    def close(self):
        self.socket.close()


def become(uid, groups=()):
    os.setgroups(list(groups))
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


class Peer:
    """with Peer(function, arguments...) as peer: a child runs function(channel, arguments...)."""

    def __init__(self, function, *arguments, uid=None, groups=()):
        ours, theirs = socket.socketpair()
        ours.settimeout(DEADLINE)
        sys.stdout.flush()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(theirs, function, arguments, uid, groups)
        theirs.close()
        self.pidfd = os.pidfd_open(self.pid)
        self.channel = Channel(ours)
        self.code = None

    @staticmethod
    def _run(theirs, function, arguments, uid, groups):
        code = 1
        try:
            keep = theirs.fileno()
            os.closerange(3, keep)
            os.closerange(keep + 1, 8192)
            if uid is not None:
                become(uid, groups)
            die_with_parent()
            function(Channel(theirs), *arguments)
            code = 0
        except BaseException:
            traceback.print_exc(file=sys.stdout)
            sys.stdout.flush()
        finally:
            os._exit(code)

    def send(self, value=None):
        self.channel.send(value)

    def receive(self):
        return self.channel.receive()

    def receive_fd(self):
        return self.channel.receive_fd()

    def ask(self, value=None):
        self.send(value)
        return self.receive()

    def kill(self, number=signal.SIGKILL):
        if self.code is None:
            os.kill(self.pid, number)

    def wait(self, timeout=DEADLINE):
        if self.code is None:
            if not select.select([self.pidfd], [], [], timeout)[0]:
                raise TimeoutError('a peer does not end')
            _, status = os.waitpid(self.pid, 0)
            self.code = os.waitstatus_to_exitcode(status)
            os.close(self.pidfd)
            self.channel.close()
        return self.code

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.code is None:
            if kind is None:
                self.channel.socket.shutdown(socket.SHUT_WR)
            else:
                self.kill()
            self.wait()
        if kind is None:
            assert self.code in (0, -signal.SIGKILL), f'a peer ended with {self.code}'


def wait_end(channel):
    """Until the parent lets go."""
    try:
        while True:
            channel.receive()
    except EOFError:
        pass
