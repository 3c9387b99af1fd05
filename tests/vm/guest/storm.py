# SPDX-License-Identifier: LGPL-2.1-or-later
"""storm.py SEED: a grantee that multiplies its buffers (fds 3 and on) in every way there is.

Rounds of children that dup, map, pass on, fork and exec, and are killed half-way; at the end some
live on that hold some of the buffers. Then it prints their pids and waits for the end of stdin.
"""
import array
import mmap
import os
import random
import signal
import socket
import sys

ROUNDS = 6
CHILDREN = 8
FDS = [3 + i for i in range(int(os.environ["LISTEN_FDS"]))]


def keep_some(rng):
    kept = []
    for fd in FDS:
        if rng.random() < 0.3:
            kept.append(fd)
        else:
            os.close(fd)
    return kept


def child(rng, tell):
    kept = keep_some(rng)
    maps = []
    for fd in list(kept):
        way = rng.randrange(5)
        if way == 0:
            kept += [os.dup(fd) for _ in range(rng.randrange(20))]
        elif way == 1:
            maps.append(mmap.mmap(fd, 4096))
            maps.append(mmap.mmap(fd, 8192, prot=mmap.PROT_READ))
            os.close(fd)
            kept.remove(fd)
        elif way == 2:
            pair = socket.socketpair()
            pair[0].sendmsg([b"x"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS,
                                      array.array("i", [fd] * 5))])
            _, control, _, _ = pair[1].recvmsg(1, socket.CMSG_SPACE(40))
            got = array.array("i")
            got.frombytes(control[0][2][:20])
            kept += got
            for side in pair:
                side.close()
        elif way == 3:
            if os.fork() == 0:
                signal.pause()
        else:
            os.set_inheritable(fd, True)
    if rng.random() < 0.3:
        os.write(tell, b"..")
        for fd in kept:
            os.set_inheritable(fd, True)
        os.execvp("sleep", ["sleep", "1000"])
    os.write(tell, b"..")
    while True:
        signal.pause()


def start(rng):
    """A child in a process group of its own, and the pipe by which it says twice that it is
    ready."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        os.close(ready)
        try:
            child(rng, tell)
        finally:
            os._exit(1)
    os.close(tell)
    return pid, ready


def end(pid):
    for kill in (os.killpg, os.kill):
        try:
            kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    os.waitpid(pid, 0)


def main():
    rng = random.Random(int(sys.argv[1]))
    children = []
    for _ in range(ROUNDS):
        # those of the round before are in the midst of it, or long done
        for pid, ready in children:
            os.close(ready)
            end(pid)
        children = [start(random.Random(rng.randrange(1 << 30))) for _ in range(CHILDREN)]
        for _, ready in rng.sample(children, rng.randrange(CHILDREN)):
            os.read(ready, 1)
    for pid, ready in children:
        if pid not in (children[0][0], children[1][0]):
            end(pid)
        else:
            os.read(ready, 1)
    for fd in FDS[:2]:
        os.close(fd)
    print(children[0][0], children[1][0], flush=True)
    sys.stdin.read()


main()
