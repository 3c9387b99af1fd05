# SPDX-License-Identifier: LGPL-2.1-or-later
"""An unprivileged service with a shared buffer (fd 3): says something to the host, keeps something
from it, and answers what the host says. service.py FOLDER SAID KEPT MASK: the words, in
hexadecimal, masked so that they are nowhere in one piece but where this puts them."""
import mmap
import os
import sys
import time

FD = 3


def unmask(word, mask):
    return bytes(a ^ b for a, b in zip(bytes.fromhex(word), bytes.fromhex(mask)))


def tell(folder, name, text):
    with open(f"{folder}/{name}.tmp", "w", encoding="ascii") as f:
        f.write(text)
    os.rename(f"{folder}/{name}.tmp", f"{folder}/{name}")


def main():
    folder, said, kept, mask = sys.argv[1:]
    size = os.lseek(FD, 0, os.SEEK_END)
    memory = mmap.mmap(FD, size)
    if memory[:] != bytes(size):
        sys.exit("the buffer is not empty")
    private = bytearray(unmask(kept, mask) * (size // 16))
    memory[:size // 2] = unmask(said, mask) * (size // 2 // 16)
    tell(folder, "ready", str(len(private)))
    while memory[size // 2:size // 2 + 8] == bytes(8):
        time.sleep(0.02)
    tell(folder, "heard", memory[size // 2:size // 2 + 16].hex())
    while True:
        time.sleep(60)


if __name__ == "__main__":
    main()
