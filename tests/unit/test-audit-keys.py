#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every key that a record can have, and every event, is in ccbufd(8), section AUDIT TRAIL.
Arguments: daemon/audit/fields.c, daemon/audit/event.c, man/ccbufd.8."""
import pathlib
import re
import sys

fields, events, page = (pathlib.Path(name).read_text(encoding='utf-8') for name in sys.argv[1:])

keys = set(re.findall(r'\b(?:number|boolean|words|name|array|add)\(&?m(?:aker)?, "([a-z-]+)"',
                      fields))
# Those that stand before these, in objects, or beside one of them.
keys |= {'seq', 'prev', 'time', 'boottime', 'boot', 'peer', 'by', 'grant', 'inode', 'first', 'last',
         'gids-cut'}
events = set(re.findall(r'\[AUDIT_[A-Z]+\] = \{ "([a-z]+)"', events))
assert len(keys) > 35 and len(events) == 11, (sorted(keys), sorted(events))

section = page.split('\n.Sh AUDIT TRAIL\n')[1].split('\n.Sh ')[0]
# In bold, as what is a word of the trail is: what follows an Ic, up to the next macro.
bold = set()
for line in section.splitlines():
    if line.startswith('.') and not line.startswith('.\\"'):
        for part in re.split(r'(?:^\.|\s)(?=[A-Z][a-z]\b)', line):
            if part.startswith('Ic '):
                bold |= set(re.findall(r'[a-z][a-z-]*', part))

lacking = sorted((keys | events) - bold)
if lacking:
    sys.exit(f'not in ccbufd(8), AUDIT TRAIL: {", ".join(lacking)}')
print(f'{len(keys)} keys and {len(events)} events are documented')
