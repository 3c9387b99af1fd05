# SPDX-License-Identifier: LGPL-2.1-or-later
"""A small D-Bus client: enough to ask, to ask many times without waiting, to receive file
descriptors and signals, and to send what a library would not. It must never hide what the other
side said."""
import os
import select
import socket
import struct
import time

CALL, RETURN, ERROR, SIGNAL = 1, 2, 3, 4
NO_REPLY_EXPECTED = 1
HEADER = {'path': (1, 'o'), 'interface': (2, 's'), 'member': (3, 's'), 'error': (4, 's'),
          'reply_serial': (5, 'u'), 'destination': (6, 's'), 'sender': (7, 's'),
          'signature': (8, 'g'), 'n_fds': (9, 'u')}
NAMES = {code: name for name, (code, _) in HEADER.items()}
FIXED = {'y': ('B', 1), 'n': ('h', 2), 'q': ('H', 2), 'i': ('i', 4), 'u': ('I', 4), 'b': ('I', 4),
         'h': ('I', 4), 'x': ('q', 8), 't': ('Q', 8), 'd': ('d', 8)}


class BusError(Exception):
    """The reply was an error: name and text."""

    def __init__(self, name, text):
        super().__init__(f'{name}: {text}')
        self.name, self.text = name, text


class Variant:
    def __init__(self, signature, value):
        self.signature, self.value = signature, value


def split(signature):
    """The complete types of a signature."""
    types = []
    while signature:
        end = 0
        while signature[end] == 'a':
            end += 1
        if signature[end] in '({':
            depth = 0
            while True:
                depth += {'(': 1, '{': 1, ')': -1, '}': -1}.get(signature[end], 0)
                if not depth:
                    break
                end += 1
        types.append(signature[:end + 1])
        signature = signature[end + 1:]
    return types


def alignment(kind):
    if kind in FIXED:
        return FIXED[kind][1]
    return {'s': 4, 'o': 4, 'a': 4, 'g': 1, 'v': 1, '(': 8, '{': 8}[kind[0]]


class Writer:
    def __init__(self):
        self.data, self.fds = bytearray(), []

    def align(self, size):
        self.data += bytes(-len(self.data) % size)

    def put(self, kind, value):
        self.align(alignment(kind))
        if kind == 'h':
            self.fds.append(value)
            value = len(self.fds) - 1
        if kind in FIXED:
            self.data += struct.pack('<' + FIXED[kind][0], value)
        elif kind in 'so':
            raw = value if isinstance(value, bytes) else value.encode()
            self.data += struct.pack('<I', len(raw)) + raw + b'\0'
        elif kind == 'g':
            self.data += bytes([len(value)]) + value.encode() + b'\0'
        elif kind == 'v':
            self.put('g', value.signature)
            self.put(value.signature, value.value)
        elif kind[0] == 'a':
            self.array(kind[1:], value)
        else:
            for part, item in zip(split(kind[1:-1]), value):
                self.put(part, item)

    def array(self, kind, values):
        at = len(self.data)
        self.data += bytes(4)
        self.align(alignment(kind))
        start = len(self.data)
        for item in values.items() if isinstance(values, dict) else values:
            self.put(kind, item)
        struct.pack_into('<I', self.data, at, len(self.data) - start)


class Reader:
    def __init__(self, data, fds, order='<'):
        self.data, self.fds, self.order, self.at = data, fds, order, 0

    def align(self, size):
        self.at += -self.at % size

    def take(self, kind):
        self.align(alignment(kind))
        if kind in FIXED:
            code, size = FIXED[kind]
            value, = struct.unpack_from(self.order + code, self.data, self.at)
            self.at += size
            return self.fds[value] if kind == 'h' else bool(value) if kind == 'b' else value
        if kind in 'sog':
            length = self.data[self.at] if kind == 'g' else self.take('u')
            self.at += kind == 'g'
            raw = bytes(self.data[self.at:self.at + length])
            self.at += length + 1
            return raw.decode()
        if kind == 'v':
            return self.take(self.take('g'))
        if kind[0] == 'a':
            return self.array(kind[1:])
        return tuple(self.take(part) for part in split(kind[1:-1]))

    def array(self, kind):
        length = self.take('u')
        self.align(alignment(kind))
        end, items = self.at + length, []
        while self.at < end:
            items.append(self.take(kind))
        return dict(items) if kind[0] == '{' else items


def pack(serial, destination, path, interface, member, signature='', *body, kind=CALL, flags=0,
         reply_serial=None, sender=None):
    """The bytes of a message and its fds."""
    content = Writer()
    for part, value in zip(split(signature), body):
        content.put(part, value)
    fields = {'path': path, 'interface': interface, 'member': member, 'reply_serial': reply_serial,
              'destination': destination, 'sender': sender, 'signature': signature or None,
              'n_fds': len(content.fds) or None}
    head = Writer()
    fixed = (ord('l'), kind, flags, 1, len(content.data), serial)
    for part, value in zip('yyyyuu', fixed):
        head.put(part, value)
    head.put('a(yv)', [(HEADER[name][0], Variant(HEADER[name][1], value))
                       for name, value in fields.items() if value is not None])
    head.align(8)
    return bytes(head.data + content.data), content.fds


class Message:
    def __init__(self, kind, serial, fields, body):
        self.kind, self.serial, self.body = kind, serial, body
        self.reply_serial = None
        for name in HEADER:
            setattr(self, name, fields.get(name))


class Bus:
    """A connection. Replies, signals and calls are kept until somebody asks for them."""

    def __init__(self, address=None, timeout=30, fd=None, takes_fds=True, uid=None):
        """Connects, or takes over the connection fd that another process made. uid: as which the
        bus sees us."""
        self.timeout, self.serial, self.takes_fds = timeout, 0, takes_fds
        self.replies, self.signals, self.fds, self.data = {}, [], [], bytearray()
        self.calls = []
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM, fileno=fd)
        self.socket.settimeout(timeout)
        if fd is None:
            self._connect(address, os.geteuid() if uid is None else uid)
        else:
            self.serial = 1 << 20

    def _connect(self, address, uid):
        path = dict(item.split('=', 1) for item in address.split(':', 1)[1].split(','))['path']
        self.socket.connect(path)
        self.socket.sendall(b'\0AUTH EXTERNAL ' + str(uid).encode().hex().encode() + b'\r\n' +
                            b'NEGOTIATE_UNIX_FD\r\n' * self.takes_fds)
        answer = b''
        while answer.count(b'\r\n') < 1 + self.takes_fds:
            part = self.socket.recv(1024)
            if not part:
                raise ConnectionError(f'the bus refused us: {answer!r}')
            answer += part
        if not answer.startswith(b'OK ') or (b'AGREE_UNIX_FD' in answer) != self.takes_fds:
            raise ConnectionError(f'the bus refused us: {answer!r}')
        self.socket.sendall(b'BEGIN\r\n')
        self.name, = self.call('org.freedesktop.DBus', '/org/freedesktop/DBus',
                               'org.freedesktop.DBus', 'Hello')

    def close(self):
        for reply in self.replies.values():
            self._close_fds(reply)
        for fd in self.fds:
            os.close(fd)
        self.replies, self.fds = {}, []
        self.socket.close()

    @staticmethod
    def _close_fds(message):
        for kind, value in zip(split(message.signature or ''), message.body):
            if kind == 'h':
                os.close(value)

    def send(self, destination, path, interface, member, signature='', *body, kind=CALL,
             flags=0, reply_serial=None):
        self.serial += 1
        data, fds = pack(self.serial, destination, path, interface, member, signature, *body,
                         kind=kind, flags=flags, reply_serial=reply_serial)
        if fds:
            sent = socket.send_fds(self.socket, [data], fds)
            data = data[sent:]
        self.socket.sendall(data)
        return self.serial

    def reply(self, serial):
        """Waits for the reply to a call; returns the body or raises BusError."""
        end = time.monotonic() + self.timeout
        while serial not in self.replies:
            self.receive(end)
        message = self.replies.pop(serial)
        if message.kind == ERROR:
            raise BusError(message.error, message.body[0] if message.body else '')
        return message.body

    def call(self, *arguments):
        return self.reply(self.send(*arguments))

    def signal(self, member, timeout=None):
        """The next signal of that name; what came before it stays."""
        end = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            for i, message in enumerate(self.signals):
                if message.member == member:
                    return self.signals.pop(i)
            self.receive(end)

    def next_signal(self):
        """The next one of any name."""
        end = time.monotonic() + self.timeout
        while not self.signals:
            self.receive(end)
        return self.signals.pop(0)

    def receive(self, end):
        """Takes what has come; until then it waits."""
        if not select.select([self.socket], [], [], max(0, end - time.monotonic()))[0]:
            raise TimeoutError('no message from the bus in time')
        data, control, _, _ = self.socket.recvmsg(
            65536, socket.CMSG_SPACE(4 * 253), socket.MSG_CMSG_CLOEXEC)
        if not data:
            raise ConnectionError('the bus ended the connection')
        for level, kind, raw in control:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                self.fds += struct.unpack(f'{len(raw) // 4}i', raw[:len(raw) // 4 * 4])
        self.data += data
        while self._message():
            pass

    def _message(self):
        if len(self.data) < 16:
            return False
        order = '<' if self.data[0] == ord('l') else '>'
        length, serial, fields = struct.unpack_from(order + 'III', self.data, 4)
        start = 16 + fields + -fields % 8
        if len(self.data) < start + length:
            return False
        head = Reader(self.data[:start], [], order)
        head.at = 12
        header = {NAMES.get(code, code): value for code, value in head.take('a(yv)')}
        n_fds = header.get('n_fds') or 0
        taken, self.fds = self.fds[:n_fds], self.fds[n_fds:]
        body = Reader(self.data[start:start + length], taken, order)
        values = [body.take(part) for part in split(header.get('signature') or '')]
        message = Message(self.data[1], serial, header, values)
        del self.data[:start + length]
        if message.kind == SIGNAL:
            self.signals.append(message)
        elif message.kind == CALL:
            self.calls.append(message)
        elif message.reply_serial is not None:
            self.replies[message.reply_serial] = message
        return True
