# SPDX-License-Identifier: LGPL-2.1-or-later
"""A trail that cannot be written: nothing is handed out, and it heals by itself."""
import ctypes
import os
import resource
import subprocess
import traceback

from daemon import Daemon, policy, rule
from lib.broker import Broker
from lib.harness import Skip, need_root, same
from lib.waiting import wait_until
from lib.wire import Socket, pack_release
from suite import main

PAGE = 4096


def durability(name):
    return policy(rule('all'), audit={'durability': name})


def refused_everywhere(daemon):
    """All the ways to get a buffer, none of which gives one."""
    client = daemon.connect()
    for _ in range(3):
        for count in (1, 64):
            answer = client.request('scratch', PAGE, count=count)
            same('socket', (answer.verdict, answer.fds), ('audit-failed', []))
            assert answer.reason
    ids = [client.ask('scratch', PAGE) for _ in range(10)]
    same('in flight', [client.receive().verdict for _ in ids], ['audit-failed'] * 10)
    bus = daemon.connect_bus()
    serials = [bus.ask('scratch', PAGE) for _ in range(10)]
    same('bus', [bus.answer(s).verdict for s in serials], ['audit-failed'] * 10)
    same('large', client.request('scratch', 2 << 20).verdict, 'audit-failed')
    same('other refusals', client.request('nosuch', PAGE).verdict, 'unknown-use')
    same('nothing charged', bus.get('GrantCount'), daemon.held)


def check_failing(daemon, fill, make_room):
    daemon.held = 0
    before = daemon.connect().request('scratch', PAGE)
    same('before', before.verdict, 'granted')
    daemon.held = 1
    daemon.wait_totals(1, PAGE)
    fill()
    # The last record that still fits may succeed.
    wait_until(lambda: daemon.connect_bus().request('scratch', PAGE).close().verdict ==
               'audit-failed', 'a full disk to be noticed')
    daemon.held = daemon.connect_bus().get('GrantCount')
    daemon.close_clients()
    refused_everywhere(daemon)
    # A shorter record may have fitted in between.
    assert 1 <= daemon.stderr().count('cannot write records') < 10, daemon.stderr()
    # The large one is closed by a thread.
    wait_until(lambda: sum('memfd' in n for n in daemon.describe_fds().values()) <= daemon.held,
               'no other buffer to be kept')
    # Given back meanwhile: recorded when that is possible again.
    same('release', daemon.connect().release(before.grants[0]).verdict, 'released')
    before.close()
    make_room()
    for client in daemon.doors():
        wait_until(lambda c=client: c.request('scratch', PAGE).close().verdict == 'granted',
                   'grants again')
    daemon.wait_stderr('written again')
    records = wait_until(lambda: [r for r in daemon.records('error')
                                  if 'could not be recorded' in r['reason']],
                         'the record of what is missing')
    assert records, daemon.records()
    wait_until(lambda: [r for r in daemon.records('release')
                        if r['buffers'][0]['grant'] == before.grants[0]], 'the late record')


def limited(name):
    with Daemon(durability(name)) as daemon:
        most = resource.RLIM_INFINITY

        def fill():
            size = os.path.getsize(daemon.audit)
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (size, most))

        def make_room():
            resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (most, most))

        # A buffer is a file as well: the trail is made larger than any of them.
        grow(daemon)
        check_failing(daemon, fill, make_room)


def grow(daemon):
    """Until the trail is longer than the buffers that the test asks for."""
    client = daemon.connect()
    while os.path.getsize(daemon.audit) < 3 << 20:
        answer = client.request('scratch', PAGE, count=64).close()
        same('granted', answer.verdict, 'granted')
        for grant in answer.grants:
            client.send(release(grant))
        for _ in answer.grants:
            client.receive()
    daemon.close_clients()


def release(grant):
    return pack_release(grant)


def test_limit_on_files_written():
    limited('written')


def test_limit_on_files_synced():
    limited('synced')


def unshare_mounts():
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x00020000):  # CLONE_NEWNS
        raise Skip(f'no mount namespace here: {os.strerror(ctypes.get_errno())}')
    libc.mount(b'none', b'/', None, 0x44000, None)  # MS_REC | MS_PRIVATE


def full_disk(name):
    need_root('mounting')
    unshare_mounts()
    daemon = Daemon(durability(name), start=False)
    with daemon:
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=256k', 'tmpfs',
                               str(daemon.audit_dir)], capture_output=True, check=False)
        if done.returncode:
            raise Skip(f'no tmpfs here: {done.stderr.decode().strip()}')
        filler = daemon.audit_dir / 'filler'

        def fill():
            with open(filler, 'wb', buffering=0) as file:
                try:
                    while True:
                        file.write(bytes(4096))
                except OSError:
                    pass

        try:
            daemon.start()
            check_failing(daemon, fill, filler.unlink)
            daemon.stop()
            records = daemon.verify()
            same('last', records[-1]['event'], 'stop')
        finally:
            daemon.close_clients()
            if daemon.process:
                daemon.kill()
            subprocess.run(['umount', str(daemon.audit_dir)], check=False)


def in_child(function, *arguments):
    """A mount namespace of its own is for a process of its own."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            function(*arguments)
            code = 0
        except Skip as skip:
            print(f'skipped: {skip}', flush=True)
            code = 77
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if code == 77:
        raise Skip('see above')
    same('exit code', code, 0)


def test_full_disk_written():
    in_child(full_disk, 'written')


def test_full_disk_synced():
    in_child(full_disk, 'synced')


def test_stop_and_start_with_a_full_disk():
    with Daemon() as daemon:
        most = resource.RLIM_INFINITY
        daemon.connect().request('scratch', PAGE).close()
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (PAGE, most))
        client = daemon.connect()
        wait_until(lambda: client.request('scratch', PAGE).close().verdict == 'audit-failed',
                   'a full disk to be noticed')
        daemon.close_clients()
        daemon.signal(15)
        same('exit', daemon.wait_exit(), 0)
        daemon.verify()
        daemon.start()
        same('again', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')


def test_escaping():
    """What a peer chooses cannot make up a record."""
    with Daemon() as daemon:
        client = daemon.connect()
        label = '"},{"seq":1,"x":"\\'
        client.request('scratch', PAGE, label=label).close()
        same('label', daemon.records('grant')[0]['label'], label)


def test_fields():
    with Daemon() as daemon:
        with_bus = Broker(daemon.address)
        with_bus.request('scratch', PAGE, label='l', read_only=True).close()
        with_bus.close()
        Socket(str(daemon.socket)).request('scratch', 5000, count=2).close()
        one, two = daemon.records('grant')
        same('options', (one['read-only'], one['accept-shared'], one['count']), (True, False, 1))
        same('batch', (two['count'], two['size'], len(two['buffers'])), (2, 8192, 2))
        for record in (one, two):
            for key in ('seq', 'prev', 'time', 'boottime', 'boot', 'peer', 'policy', 'heap'):
                assert record[key], (key, record)
            same('boot', record['boot'],
                 open('/proc/sys/kernel/random/boot_id', encoding='ascii').read().strip()
                 .replace('-', ''))
            start = open('/proc/self/stat', encoding='utf-8').read().rsplit(')', 1)[1].split()[19]
            same('start', record['peer']['start'], int(start))
        same('first', [r['event'] for r in daemon.records()[:2]], ['start', 'policy'])


if __name__ == '__main__':
    main(globals())
