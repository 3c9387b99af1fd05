# SPDX-License-Identifier: LGPL-2.1-or-later
"""A folder that can be written, on a file system whose server can be stopped: FUSE, spoken by a
process of ours that passes everything on to another folder. Who waits for it can be killed."""
import errno
import os
import select
import signal
import struct

from hanging import LIBC, MNT_DETACH, mount
from lib.harness import Skip, need_root
from lib.waiting import die_with_parent, wait_until

LOOKUP, FORGET, GETATTR, SETATTR, UNLINK, RENAME, LINK = 1, 2, 3, 4, 10, 12, 13
OPEN, READ, WRITE, STATFS, RELEASE, FSYNC, INIT = 14, 15, 16, 17, 18, 20, 26
OPENDIR, READDIR, RELEASEDIR, FSYNCDIR, ACCESS, CREATE, INTERRUPT = 27, 28, 29, 30, 34, 35, 36
BATCH_FORGET, RENAME2 = 42, 45
SET_MODE, SET_SIZE = 1, 8
ROOT = 1


class RemoteFolder:
    """with RemoteFolder(folder, behind) as remote: what is in behind, mounted on folder. stop():
    from now on nothing is answered; go_on(): it is, what waits too."""

    def __init__(self, folder, behind):
        need_root('mounting')
        self.folder = str(folder)
        try:
            self.fd = os.open('/dev/fuse', os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise Skip(f'no FUSE here: {error}') from None
        try:
            mount('remote', folder, 'fuse', 0,
                  f'fd={self.fd},rootmode=40000,user_id=0,group_id=0,allow_other')
        except OSError as error:
            os.close(self.fd)
            raise Skip(str(error)) from None
        self.stops, self.stop_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.close(self.stop_end)
                die_with_parent()
                os.chdir(behind)
                os.umask(0)
                self.nodes, self.numbers = {ROOT: None}, {}
                self._serve()
            finally:
                os._exit(0)
        os.close(self.fd)
        os.close(self.stops)

    def _state(self):
        with open(f'/proc/{self.pid}/stat', encoding='ascii') as file:
            return file.read().rsplit(')', 1)[1].split()[0]

    def stop(self):
        os.write(self.stop_end, b'.')
        wait_until(lambda: self._state() == 'T', 'the server to be stopped')

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        LIBC.umount2(self.folder.encode(), MNT_DETACH)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.stop_end)

    # --- the server ---

    def _stat(self, node):
        return os.stat('.') if node == ROOT else os.fstat(self.nodes[node])

    def _attributes(self, node):
        st = self._stat(node)
        return struct.pack('<QII', 0, 0, 0) + self._inode(node, st)

    @staticmethod
    def _inode(node, st):
        return struct.pack('<QQQQQQIIIIIIIIII', node, st.st_size, st.st_blocks, 0, 0, 0, 0, 0, 0,
                           st.st_mode, st.st_nlink, st.st_uid, st.st_gid, 0, 4096, 0)

    def _entry(self, name):
        inode = os.lstat(name).st_ino
        node = self.numbers.get(inode)
        if not node:
            node = self.numbers[inode] = len(self.nodes) + 1
            self.nodes[node] = os.open(name, os.O_RDWR | os.O_NOFOLLOW)
        return struct.pack('<QQQQII', node, 0, 0, 0, 0, 0) + self._inode(node, self._stat(node))

    @staticmethod
    def _entries(offset):
        listed = b''
        for i, name in enumerate(sorted(os.listdir(b'.'))):
            if i >= offset:
                entry = struct.pack('<QQII', i + 2, i + 1, len(name), 8) + name
                listed += entry.ljust((len(entry) + 7) // 8 * 8, b'\0')
        return listed

    def _set(self, node, body):
        valid, _, _, size = struct.unpack_from('<IIQQ', body)
        mode, = struct.unpack_from('<I', body, 68)
        if valid & SET_SIZE:
            os.ftruncate(self.nodes[node], size)
        if valid & SET_MODE:
            os.fchmod(self.nodes[node], mode & 0o7777)
        return self._attributes(node)

    @staticmethod
    def _rename(flags, names):
        old, new = names.split(b'\0')[:2]
        if flags and os.path.lexists(new):
            return -errno.EEXIST
        os.rename(old, new)
        return b''

    def _answer(self, op, node, body):
        """The bytes, or the negative number of an error, or None where no answer is due."""
        name = body.rstrip(b'\0')
        if op == INIT:
            return struct.pack('<IIIIHHIIHHIIHHII', 7, 31, 65536, 0, 12, 9, 131072, 1, 0, 0, 0, 0,
                               0, 0, 0, 0).ljust(64, b'\0')
        if op in (FORGET, BATCH_FORGET, INTERRUPT):
            return None
        if op == LOOKUP:
            return self._entry(name)
        if op == GETATTR:
            return self._attributes(node)
        if op == SETATTR:
            return self._set(node, body)
        if op == UNLINK:
            os.unlink(name)
            return b''
        if op == RENAME:
            return self._rename(0, body[8:])
        if op == RENAME2:
            return self._rename(struct.unpack_from('<I', body, 8)[0], body[16:])
        if op == LINK:
            old, = struct.unpack_from('<Q', body)
            name = body[8:].rstrip(b'\0')
            os.link(f'/proc/self/fd/{self.nodes[old]}', name, follow_symlinks=True)
            return self._entry(name)
        if op == CREATE:
            flags, mode = struct.unpack_from('<II', body)
            name = body[16:].rstrip(b'\0')
            os.close(os.open(name, flags & os.O_EXCL | os.O_CREAT | os.O_WRONLY, mode & 0o7777))
            return self._entry(name) + struct.pack('<QII', 1, 0, 0)
        if op in (OPEN, OPENDIR):
            return struct.pack('<QII', 1, 0, 0)
        if op in (READ, READDIR):
            _, offset, size = struct.unpack_from('<QQI', body)
            return self._entries(offset) if op == READDIR else \
                os.pread(self.nodes[node], size, offset)
        if op == WRITE:
            _, offset, size = struct.unpack_from('<QQI', body)
            return struct.pack('<II', os.pwrite(self.nodes[node], body[40:40 + size], offset), 0)
        if op == STATFS:
            return struct.pack('<QQQQQIII', 0, 0, 0, 0, 0, 4096, 255, 0).ljust(80, b'\0')
        if op in (RELEASE, RELEASEDIR, FSYNC, FSYNCDIR, ACCESS):
            return b''
        return -errno.ENOSYS  # a flush too: then a close asks nobody

    def _serve(self):
        while True:
            # It stops between two requests: who waits for one that it took could not be killed.
            if self.stops in select.select([self.fd, self.stops], [], [])[0]:
                os.read(self.stops, 1)
                os.kill(os.getpid(), signal.SIGSTOP)
                continue
            request = os.read(self.fd, 1 << 20)
            _, op, unique, node, _, _, _, _ = struct.unpack_from('<IIQQIIII', request)
            try:
                answer = self._answer(op, node, request[40:])
            except OSError as error:
                answer = -error.errno
            if answer is None:
                continue
            error, data = (answer, b'') if isinstance(answer, int) else (0, answer)
            os.write(self.fd, struct.pack('<IiQ', 16 + len(data), error, unique) + data)
