# SPDX-License-Identifier: LGPL-2.1-or-later
"""The audit trail as a test sees it: records of all its files in order, and the chain checked on
its own, without the product's code."""
import glob
import hashlib
import json
import os


def files(path):
    """Rotated files by their number, then the current one."""
    older = filter(os.path.isfile, glob.glob(glob.escape(path) + '.' + '[0-9]' * 20))
    return sorted(older) + [path]


def lines(path):
    for name in files(path):
        with open(name, 'rb') as file:
            yield from file


def records_in(name):
    """Whole records of a file; a last line that is being written is left out, and what is none."""
    with open(name, 'rb') as file:
        return [json.loads(line) for line in file if line.startswith(b'{') and
                line.endswith(b'}\n')]


def records(path):
    return [record for name in files(path) for record in records_in(name)]


def check(path):
    """The records, after a look at each link of the chain."""
    last, expected = None, None
    found = []
    for line in lines(path):
        assert line.endswith(b'\n'), f'incomplete record: {line!r}'
        record = json.loads(line)
        if last is not None:
            assert record['seq'] == expected, f'record {record["seq"]}, not {expected}'
            assert record['prev'] == last, f'record {record["seq"]} does not follow its former'
        last, expected = hashlib.sha256(line.rstrip(b'\n')).hexdigest(), record['seq'] + 1
        found.append(record)
    return found


def size(path):
    return sum(os.path.getsize(name) for name in files(path))
