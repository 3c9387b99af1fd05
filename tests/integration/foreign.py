# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files whose close sleeps for as long as their maker likes."""
import ctypes
import os
import socket
import struct
import tempfile
import threading

from lib.harness import Skip


class Lingering:
    """A TCP socket with something unsent, whose last close waits for its peer."""
    NAME = 'a TCP socket that lingers'

    def __init__(self):
        listener = socket.socket()
        listener.bind(('127.0.0.1', 0))
        listener.listen(1)
        self.ours = socket.create_connection(listener.getsockname())
        self.peer, _ = listener.accept()
        listener.close()
        self.ours.setblocking(False)
        try:
            while True:
                self.ours.send(bytes(65536))
        except BlockingIOError:
            pass
        self.ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 60))
        self.fd = self.ours.fileno()

    def give_up(self):
        """Closes ours, which is not the last reference when it was sent."""
        self.ours.close()

    def end(self):
        """What sleeps wakes up."""
        self.peer.close()
        self.ours.close()


class Fuse:
    """A file on a file system in userspace that answers no flush: every close of it sleeps, not
    the last one only."""
    NAME = 'a file whose server does not answer'
    LOOKUP, GETATTR, OPEN, FLUSH, RELEASE, INIT = 1, 3, 14, 25, 18, 26

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix='ccbuf-fuse-')
        self.libc = ctypes.CDLL(None, use_errno=True)
        try:
            self.server = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            os.rmdir(self.folder)
            raise Skip(f'no FUSE here: {error}') from None
        what = f'fd={self.server},rootmode=40000,user_id=0,group_id=0,allow_other'
        if self.libc.mount(b'fuse', self.folder.encode(), b'fuse', 6, what.encode()):
            error = os.strerror(ctypes.get_errno())
            os.close(self.server)
            os.rmdir(self.folder)
            raise Skip(f'cannot mount: {error}')
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()
        self.opened, self.ended = None, False

    @property
    def fd(self):
        """Opened late: a child that inherits it sleeps when it closes its own."""
        if self.opened is None:
            self.opened = os.open(self.folder + '/file', os.O_RDWR | os.O_CLOEXEC)
        return self.opened

    def _attributes(self, node):
        mode = 0o40755 if node == 1 else 0o100666
        return struct.pack('<6Q10I', node, 0, 0, 0, 0, 0, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def _serve(self):
        while True:
            try:
                data = os.read(self.server, 1 << 17)
            except OSError:
                return
            _, kind, unique, node = struct.unpack_from('<IIQQ', data)
            error, body = 0, b''
            if kind == self.INIT:
                body = struct.pack('<4I2H2I2H8I', 7, 31, 65536, 0, 12, 9, 65536, 1, 0, 0,
                                   *[0] * 8)[:64]
            elif kind == self.LOOKUP:
                body = struct.pack('<4Q2I', 2, 0, 60, 60, 0, 0) + self._attributes(2)
            elif kind == self.GETATTR:
                body = struct.pack('<Q2I', 60, 0, 0) + self._attributes(node)
            elif kind in (self.OPEN, 27):
                body = struct.pack('<Q2I', 1, 0, 0)
            elif kind == self.FLUSH:
                continue
            elif kind in (2, 36, 42):  # FORGET, INTERRUPT and the like want no answer
                continue
            elif kind != self.RELEASE:
                error = -38
            try:
                os.write(self.server, struct.pack('<IiQ', 16 + len(body), error, unique) + body)
            except OSError:
                return

    def give_up(self):
        """Ours stays open: closing it would have us sleep."""

    def end(self):
        """Whoever waits for the server gets an error instead."""
        if self.ended:
            return
        self.ended = True
        self.libc.umount2(self.folder.encode(), 1)  # MNT_FORCE
        self.libc.umount2(self.folder.encode(), 2)  # MNT_DETACH
        os.close(self.server)
        try:
            if self.opened is not None:
                os.close(self.opened)
        except OSError:
            pass  # the server is gone
        os.rmdir(self.folder)
