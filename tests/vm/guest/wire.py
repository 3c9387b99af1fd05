# SPDX-License-Identifier: LGPL-2.1-or-later
"""The socket protocol by hand, for what no honest client would send.

As a program, wire.py FD USE SIZE: asks on the connection FD that it inherited and prints the code
of the verdict (0 is granted).
"""
import socket
import struct
import sys

SOCKET = "/run/ccbufd/ccbufd.sock"
VERSION = 1
REQUEST = 1
GRANTED = 128
REFUSED = 129


def connect():
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.settimeout(30)
    sock.connect(SOCKET)
    return sock


def request(use, size, count=1, flags=0, number=1, version=VERSION, reserved=0):
    body = struct.pack("<QII64s32sQQ", size, count, flags, use.encode(), b"", reserved, 0)
    return struct.pack("<HHIQ", version, REQUEST, 16 + len(body), number) + body


def reply(sock):
    """(code, reason); b"" as the reason of a grant; None when the connection has ended."""
    data = sock.recv(4096)
    if not data:
        return None
    kind = struct.unpack_from("<HHIQ", data)[1]
    if kind == GRANTED:
        return 0, ""
    code, _, _, reason = struct.unpack_from("<II64s448s", data, 16)
    return code, reason.rstrip(b"\0").decode()


def main():
    sock = socket.socket(fileno=int(sys.argv[1]))
    sock.setblocking(True)
    sock.send(request(sys.argv[2], int(sys.argv[3])))
    print(reply(sock)[0])


if __name__ == "__main__":
    main()
