#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs ccbuf-bench --quick --json and looks at the form of what it prints, never at a time."""
import json
import subprocess
import sys

out = subprocess.run(sys.argv[1:] + ['--quick', '--json'], check=True, timeout=600,
                     stdout=subprocess.PIPE).stdout
figures = json.loads(out)
assert len(figures) > 10, figures
assert len({f['name'] for f in figures}) == len(figures), 'a name twice'
for f in figures:
    assert list(f) == ['name', 'value', 'unit', 'ratio', 'goal', 'met'], f
    assert isinstance(f['name'], str) and isinstance(f['unit'], str), f
    assert isinstance(f['value'], (int, float)), f
    assert f['ratio'] is None or f['ratio'] > 0, f
    assert (f['goal'] is None) == (f['met'] is None), f
