#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is installed beside the programs: units and device rules, as the system reads them."""
import os
import pathlib
import subprocess
import tempfile

from lib.harness import Skip, need_program, need_root, same
from lib.waiting import DEADLINE
from suite import HERE, main

UNITS = HERE.parent.parent / 'units'
DEVICE = '/sys/class/mem/null'  # stands in for a heap, which this kernel may not have

# In a mount namespace: a /dev/null, a /run and a group database of the test's own.
UDEV = f"""set -eu
mkdir "$1/dev" && mknod "$1/dev/null" c 1 3 && chmod 600 "$1/dev/null"
cp /etc/group "$1/group" && echo ccbufd:x:4700: >>"$1/group"
mount --bind "$1/group" /etc/group
mount -t tmpfs none /run && mkdir -p /run/udev/rules.d && cp "$1"/rules.d/* /run/udev/rules.d/
for folder in /usr/lib/udev /lib/udev /etc/udev; do
	if [ -d "$folder/rules.d" ]; then mount -t tmpfs none "$folder/rules.d"; fi
done
mount --bind "$1/dev/null" /dev/null
udevadm test --action=add {DEVICE} >"$1/log" 2>&1 || true
stat -c '%a %U %G' /dev/null
"""


def node_after(*rules):
    """Mode, owner and group of the stand-in after ccbuf's rule and files (name, text)."""
    need_root('mounts')
    need_program('udevadm')
    if not os.path.exists(DEVICE):
        raise Skip(f'there is no {DEVICE}')
    own = (UNITS / '70-ccbufd.rules').read_text()
    assert '/dev/dma_heap/*' in own, own
    with tempfile.TemporaryDirectory(prefix='ccbuf-test-') as folder:
        place = pathlib.Path(folder)
        (place / 'rules.d').mkdir()
        for name, text in [('70-ccbufd.rules', own.replace('/dev/dma_heap/*', '/dev/null')),
                           *rules]:
            (place / 'rules.d' / name).write_text(text + '\n')
        result = subprocess.run(['unshare', '--mount', '--propagation', 'private', 'bash', '-c',
                                 UDEV, 'bash', folder], stdin=subprocess.DEVNULL,
                                capture_output=True, text=True, timeout=DEADLINE, check=False)
        if 'mount' in result.stderr:
            raise Skip(f'cannot mount here: {result.stderr.strip()}')
        same(result.stderr, result.returncode, 0)
        return result.stdout.strip()


def test_heap_nodes_are_the_brokers():
    same('alone', node_after(), '440 root ccbufd')


def test_later_device_rules_do_not_open_the_heaps():
    """A site's own file, from before, for the same node."""
    late = 'KERNEL=="null", OWNER="nobody", GROUP="video", MODE="0666", TAG+="uaccess"'
    same('later', node_after(('99-dma-heap.rules', late)), '440 root ccbufd')
    same('earlier', node_after(('10-dma-heap.rules', late)), '440 root ccbufd')


def test_start_waits_for_user_databases():
    """The policy names users, who may come from a service that is started at boot, too."""
    unit = (UNITS / 'ccbufd.service.in').read_text()
    after = [word for line in unit.splitlines() if line.startswith('After=')
             for word in line.split('=', 1)[1].split()]
    assert 'nss-user-lookup.target' in after, after


main(globals())
