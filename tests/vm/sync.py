#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""sync.py FROM TO: makes TO hold the files of FROM that are named on stdin (NUL after each).

A file is written only when its bytes differ, so that its time says when it changed as far as TO
is concerned: a build there is neither stale nor needlessly repeated, whichever checkout was last.
"""
import os
import sys


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read()
    except (FileNotFoundError, IsADirectoryError):
        return None


def main():
    src, dst = sys.argv[1:]
    names = [n for n in sys.stdin.read().split("\0") if n]
    wanted = set()
    for name in names:
        content = read(os.path.join(src, name))
        if content is None:  # deleted in the working tree
            continue
        wanted.add(name)
        path = os.path.join(dst, name)
        if read(path) != content:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as f:
                f.write(content)
        os.chmod(path, os.stat(os.path.join(src, name)).st_mode & 0o777)
    for folder, _, files in os.walk(dst, topdown=False):
        for name in files:
            path = os.path.join(folder, name)
            if os.path.relpath(path, dst) not in wanted:
                os.unlink(path)
        if not os.listdir(folder):
            os.rmdir(folder)


main()
