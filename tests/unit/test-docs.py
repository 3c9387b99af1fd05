#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the documents name is there, and each test is named. Argument: the root of the sources."""
import fnmatch
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
top = {path.name for path in root.iterdir() if path.is_dir()}
mistakes = []


def words_of(document):
    return re.findall(r'`([^`\n]+)`', (root / document).read_text(encoding='utf-8'))


for document in ('README.md', 'SECURITY.md', 'HACKING.md', 'tests/README.md'):
    if not (root / document).exists():
        continue
    for word in words_of(document):
        path = word.split()[0]
        # What has no suffix is made by the build.
        source = '/' in path and (path.endswith('/') or '.' in path.rsplit('/', 1)[1])
        if source and path.split('/')[0] in top and not list(root.glob(path.rstrip('/'))):
            mistakes.append(f'{document} names {word}, which is not there')

sources = {path: path.read_text(encoding='utf-8', errors='replace') for path in
           [*root.glob('tests/integration/test_*.py'), *root.glob('tests/unit/test-*')]
           if path.suffix in ('.c', '.py')}
named = words_of('tests/README.md')
for path in sources:
    name = re.sub('^test[-_]', '', path.stem)
    if name not in named:
        mistakes.append(f'tests/README.md does not name {path.relative_to(root)}')
functions = {function for text in sources.values()
             for function in re.findall(r'^def (test_\w+)', text, re.M)}
for word in named:
    if word.startswith('test_') and not fnmatch.filter(functions, word):
        mistakes.append(f'tests/README.md names {word}, which is not there')

assert len(sources) > 60 and len(functions) > 150, (len(sources), len(functions))
if mistakes:
    sys.exit('\n'.join(mistakes))
print(f'{len(sources)} tests are named')
