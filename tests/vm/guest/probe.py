# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a grantee does with its buffers (fd 3 and on); prints one JSON object of findings."""
import array
import ctypes
import fcntl
import json
import mmap
import os
import socket
import sys

FD = 3
F_GET_SEALS = 1034
TEXT = b"from the one to the other"


class StatFs(ctypes.Structure):
    _fields_ = [("type", ctypes.c_long), ("rest", ctypes.c_char * 256)]


def magic(fd):
    libc = ctypes.CDLL(None, use_errno=True)
    buf = StatFs()
    if libc.fstatfs(fd, ctypes.byref(buf)) < 0:
        raise OSError(ctypes.get_errno(), "fstatfs")
    return buf.type


def fdinfo(fd):
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as f:
        return dict(line.strip().split(":", 1) for line in f if ":" in line)


def describe():
    info = fdinfo(FD)
    try:
        sealed = fcntl.fcntl(FD, F_GET_SEALS) & 7 == 7  # seal, shrink, grow
    except OSError:
        sealed = False
    return {"magic": magic(FD), "size": os.lseek(FD, 0, os.SEEK_END),
            "exp_name": info.get("exp_name", "").strip(), "sealed": sealed,
            "cloexec": bool(fcntl.fcntl(FD, fcntl.F_GETFD) & fcntl.FD_CLOEXEC),
            "listen_fds": os.environ.get("LISTEN_FDS")}


def write():
    size = os.lseek(FD, 0, os.SEEK_END)
    with mmap.mmap(FD, size) as memory:
        zero = memory[:] == bytes(size)
        for at in range(0, size, 4096):
            memory[at:at + 8] = at.to_bytes(8, "little")
    with mmap.mmap(FD, size) as memory:
        kept = all(memory[at:at + 8] == at.to_bytes(8, "little") for at in range(0, size, 4096))
    return {"zero": zero, "kept": kept}


def pass_on():
    """The other process is this one's child, but has the buffer only by the socket."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    child = os.fork()
    if child == 0:
        os.close(FD)
        ours.close()
        fds = array.array("i")
        _, control, _, _ = theirs.recvmsg(1, socket.CMSG_SPACE(4))
        fds.frombytes(control[0][2][:4])
        with mmap.mmap(fds[0], 4096) as memory:
            theirs.send(memory[:len(TEXT)])
        os._exit(0)
    theirs.close()
    with mmap.mmap(FD, 4096) as memory:
        memory[:len(TEXT)] = TEXT
    ours.sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [FD]))])
    os.close(FD)
    got = ours.recv(4096).decode()
    os.waitpid(child, 0)
    return {"read": got}


def read_only():
    try:
        mmap.mmap(FD, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE).close()
        shared = "allowed"
    except (PermissionError, OSError):
        shared = "refused"
    mmap.mmap(FD, 4096, prot=mmap.PROT_READ).close()
    return {"shared_write": shared}


def batch():
    count = int(os.environ["LISTEN_FDS"])
    return {"inodes": len({os.fstat(FD + i).st_ino for i in range(count)}),
            "names": len(os.environ["LISTEN_FDNAMES"].split(":"))}


def main():
    what = {"describe": describe, "write": write, "pass": pass_on, "read-only": read_only,
            "batch": batch}[sys.argv[1]]
    print(json.dumps(what()))


main()
