# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files on a file system whose server can stop to answer: FUSE, spoken by a process of ours. It
must never outlive its test: when that process ends, whoever waits for it hears an error."""
import ctypes
import errno
import os
import select
import signal
import struct

from lib.harness import Skip, need_root
from lib.waiting import die_with_parent, wait_readable

LIBC = ctypes.CDLL(None, use_errno=True)
MNT_DETACH = 2
LOOKUP, FORGET, GETATTR, OPEN, READ, STATFS, RELEASE = 1, 2, 3, 14, 15, 17, 18
FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, ACCESS, BATCH_FORGET = 25, 26, 27, 28, 29, 34, 42
ROOT = 1


def mount(source, target, kind, flags=0, data=None):
    if LIBC.mount(source.encode(), str(target).encode(), kind and kind.encode(), flags,
                  data.encode() if data else None):
        raise OSError(ctypes.get_errno(), f'mount {kind}: {os.strerror(ctypes.get_errno())}')


class HangingFiles:
    """with HangingFiles(folder, {name: bytes}) as files: mounted on folder, owned by uid. Answers
    are not remembered by the kernel, so that each look asks anew. files.hang(): from now on
    nothing is answered. files.asked(): what was asked since, or would be (a count)."""

    def __init__(self, folder, contents, uid=0, allow_other=True, keep=0):
        need_root('mounting')
        self.folder, self.contents, self.uid, self.keep = str(folder), contents, uid, keep
        self.names = [''] + list(contents)  # the root's number is 1
        try:
            self.fd = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise Skip(f'no FUSE here: {error}') from None
        others = ',allow_other' if allow_other else ''
        try:
            mount('hanging', folder, 'fuse', 0,
                  f'fd={self.fd},rootmode=40000,user_id={uid},group_id={uid}{others}')
        except OSError as error:
            os.close(self.fd)
            raise Skip(str(error)) from None
        self.read_count, self.write_count = os.pipe()
        self.read_word, self.write_word = os.pipe()
        self.read_command, self.write_command = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.read_count)
            os.close(self.read_word)
            os.close(self.write_command)
            die_with_parent()
            self.hanging = False
            try:
                self._serve()
            finally:
                os._exit(0)
        os.close(self.write_count)
        os.close(self.write_word)
        os.close(self.read_command)
        os.close(self.fd)
        os.set_blocking(self.read_count, False)

    def hang(self):
        os.write(self.write_command, b'h')
        assert wait_readable(self.read_word), 'the server of the files does not hang'
        os.read(self.read_word, 1)

    def asked(self):
        try:
            return len(os.read(self.read_count, 65536))
        except BlockingIOError:
            return 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        LIBC.umount2(self.folder.encode(), MNT_DETACH)
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            os.close(self.read_count)
            os.close(self.read_word)
            os.close(self.write_command)
            self.pid = None

    # --- the server ---

    def _attributes(self, node):
        mode, size = 0o40755, 0
        if node != ROOT:
            mode, size = 0o100755, len(self.contents[self.names[node - 1]])
        return struct.pack('<QQQQQQIIIIIIIIII', node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0,
                           mode, 1, self.uid, self.uid, 0, 4096, 0)

    def _entries(self, offset):
        listed = b''
        for i, name in enumerate(self.names[1:], 1):
            if i > offset:
                raw = name.encode()
                entry = struct.pack('<QQII', i + 1, i, len(raw), 8) + raw
                listed += entry.ljust((len(entry) + 7) // 8 * 8, b'\0')
        return listed

    def _answer(self, op, node, body):
        """The bytes, or the negative number of an error, or None where no answer is due."""
        if op == INIT:
            return struct.pack('<IIIIHHIIHHIIHHII', 7, 31, 65536, 0, 12, 9, 131072, 1, 0, 0, 0, 0,
                               0, 0, 0, 0).ljust(64, b'\0')
        if op in (FORGET, BATCH_FORGET):
            return None
        if op == LOOKUP:
            name = body.rstrip(b'\0').decode()
            if name not in self.names[1:]:
                return -errno.ENOENT
            found = self.names.index(name) + 1
            return struct.pack('<QQQQII', found, 0, self.keep, self.keep, 0, 0) + \
                self._attributes(found)
        if op == GETATTR:
            return struct.pack('<QII', self.keep, 0, 0) + self._attributes(node)
        if op in (OPEN, OPENDIR):
            return struct.pack('<QII', 1, 0, 0)
        if op in (READ, READDIR):
            _, offset, size = struct.unpack_from('<QQI', body)
            if op == READDIR:
                return self._entries(offset)
            return self.contents[self.names[node - 1]][offset:offset + size]
        if op == STATFS:
            return struct.pack('<QQQQQIII', 0, 0, 0, 0, 0, 4096, 255, 0).ljust(80, b'\0')
        if op in (RELEASE, RELEASEDIR, FLUSH, ACCESS):
            return b''
        return -errno.ENOSYS

    def _serve(self):
        while True:
            if self.read_command in select.select([self.fd, self.read_command], [], [])[0]:
                self.hanging = bool(os.read(self.read_command, 1))
                os.write(self.write_word, b'h')
                continue
            request = os.read(self.fd, 1 << 20)
            _, op, unique, node, _, _, _, _ = struct.unpack_from('<IIQQIIII', request)
            # What the kernel sends by itself does not count.
            if self.hanging and op not in (INIT, FORGET, BATCH_FORGET):
                os.write(self.write_count, b'.')
                continue
            answer = self._answer(op, node, request[40:])
            if answer is None:
                continue
            error, data = (answer, b'') if isinstance(answer, int) else (0, answer)
            os.write(self.fd, struct.pack('<IiQ', 16 + len(data), error, unique) + data)
