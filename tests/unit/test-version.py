#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The version of meson.build is that of everything that names one. Arguments: the root of the
sources, the version."""
import pathlib
import re
import sys

root, version = pathlib.Path(sys.argv[1]), sys.argv[2]
mistakes = []


def named(path, pattern, least=1):
    """Each version in the file that the pattern finds is the one; there are at least so many."""
    found = re.findall(pattern, (root / path).read_text(encoding='utf-8'), re.M)
    if len(found) < least:
        mistakes.append(f'{path} does not name the version ({pattern})')
    for other in found:
        if other != version:
            mistakes.append(f'{path} names version {other}')


pages = sorted(page.relative_to(root) for page in root.glob('man/*.[1-8]'))
assert len(pages) >= 5, pages
for page in pages:
    named(page, r'^\.Os(?: ccbuf)? *(.*)$')
# The module has its version from there, and DKMS its folder.
named('kmod/dkms.conf', r'^PACKAGE_VERSION="(.*)"$')
for name, text in (('kmod/Kbuild', '/dkms.conf)'), ('kmod/heap.c', '(CCBUF_MODULE_VERSION)')):
    lines = [line for line in (root / name).read_text(encoding='utf-8').splitlines()
             if 'MODULE_VERSION' in line]
    if len(lines) != 1 or text not in lines[0]:
        mistakes.append(f'{name} does not take the version of the module from kmod/dkms.conf')
named('README.md', r'ccbuf-heap/([0-9][^\s`]*)')
named('kmod/README.md', r'ccbuf-heap/([0-9][^\s`]*)', 2)
# The newest version in it is the one.
news = re.findall(r'^## (\S+)', (root / 'NEWS.md').read_text(encoding='utf-8'), re.M)
if news[:1] != [version]:
    mistakes.append(f'NEWS.md begins with {news[:1]}')

if mistakes:
    sys.exit('\n'.join([f'meson.build says {version}', *mistakes]))
print(f'{len(pages)} man pages, the module, README.md and NEWS.md are of version {version}')
