# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who asks: rules by what the kernel says of the peer, and peers that are not any more who they
were when they connected."""
import ctypes
import grp
import os
import pwd
import shutil
import subprocess
import sys

from daemon import Closing, Daemon, policy, rule
from lib.broker import Broker
from lib.harness import Skip, need_root, same
from lib.waiting import DEADLINE, wait_until
from lib.wire import Socket
from peers import Peer, become, wait_end
from suite import HERE, OTHER, USER, main

PAGE = 4096
PYTHON = os.path.realpath(sys.executable)


def connect(transport, daemon_socket, address):
    if transport == 'socket':
        return Socket(daemon_socket)
    bus = Broker(address)
    bus.why('scratch', PAGE)  # the daemon asks who a connection is at its first call
    return bus


def adopt(transport, fd):
    return Socket(fd=fd) if transport == 'socket' else Broker(fd=fd)


def lender(channel, transport, path, address, then):
    """Connects, lends its connection to the parent, then changes."""
    client = connect(transport, path, address)
    channel.send('connected', fds=[client.socket.fileno()])
    channel.receive()
    if then == 'exec':
        os.dup2(channel.socket.fileno(), 0)
        os.dup2(channel.socket.fileno(), 1)
        os.execv('/bin/cat', ['cat'])
    if then == 'setuid':
        become(USER)
    if then == 'seteuid':
        os.seteuid(USER)
    if then == 'exit':
        return
    channel.send('changed')
    wait_end(channel)


def lend(daemon, transport, then):
    return Peer(lender, transport, str(daemon.socket), daemon.address, then)


def check_change(then, wait):
    for transport in 'socket', 'dbus':
        with Daemon() as daemon, lend(daemon, transport, then) as peer:
            with Closing(adopt(transport, peer.receive_fd())) as client:
                answer = client.request('scratch', PAGE).close()
                same('before', answer.verdict, 'granted')
                peer.send('change')
                wait(peer)
                answer = client.request('scratch', PAGE)
                same(f'{transport} after {then}', answer.verdict, 'identity-changed')
                same('no fds', answer.fds, [])
                same('recorded', daemon.wait_records('undelivered')[0]['verdict'],
                     'identity-changed')
                if then != 'exit':
                    same('again', client.request('scratch', 2 << 20).verdict, 'identity-changed')
            # Others are not disturbed.
            for client in daemon.doors():
                same('others', client.request('scratch', PAGE).close().verdict, 'granted')
                same('free', client.release(daemon.records('grant')[-1]['buffers'][0]['grant'])
                     .verdict, 'released')
            if then != 'exit':
                peer.kill()
            peer.wait()
            daemon.wait_totals(0, 0)


def test_exec_after_connect():
    def wait(peer):
        wait_until(lambda: os.readlink(f'/proc/{peer.pid}/exe') != PYTHON, 'the exec')

    check_change('exec', wait)


def test_setuid_after_connect():
    need_root('changing the user')
    for then in 'setuid', 'seteuid':
        check_change(then, lambda peer: same('says', peer.receive(), 'changed'))


def test_connection_of_a_dead_process():
    check_change('exit', lambda peer: same('ends', peer.wait(), 0))


def asker(channel, path, address):
    """Asks for what it is told, both ways; tells the verdicts."""
    clients = [Socket(path)] + ([Broker(address)] if address else [])
    try:
        while True:
            use = channel.receive()
            channel.send([client.request(use, PAGE).close().verdict for client in clients])
    except EOFError:
        pass


def asking(daemon, uid=None, groups=(), bus=True):
    return Peer(asker, str(daemon.socket), daemon.address if bus else None, uid=uid, groups=groups)


def uses(*names):
    return {name: {'heap': 'emulated'} for name in names}


def test_rules_by_user_and_group():
    need_root('other users')
    user, group = pwd.getpwuid(USER).pw_name, grp.getgrgid(os.getgid()).gr_name
    content = policy(
        rule('by-name', match={'user': user}, use='name'),
        rule('by-number', match={'user': [OTHER]}, use='number'),
        rule('by-group', match={'group': 4711}, use='group'),
        rule('own-group', match={'group': group}, use='own'),
        rule('not-root', match={'not': {'user': 'root'}}, use='others'),
        rule('no', match={'user': 'root'}, use='open', deny='not root'),
        rule('yes', use='open'),
        uses=uses('name', 'number', 'group', 'own', 'others', 'open'))
    table = {  # use: root, USER, OTHER with group 4711
        'name': ('no-rule', 'granted', 'no-rule'),
        'number': ('no-rule', 'no-rule', 'granted'),
        'group': ('no-rule', 'no-rule', 'granted'),
        'own': ('granted', 'no-rule', 'no-rule'),
        'others': ('no-rule', 'granted', 'granted'),
        'open': ('denied', 'granted', 'granted'),
    }
    with Daemon(content) as daemon:
        with asking(daemon) as root, asking(daemon, USER) as one, \
                asking(daemon, OTHER, [4711], bus=False) as two:
            for use, wanted in table.items():
                for peer, verdict in zip((root, one, two), wanted):
                    told = peer.ask(use)
                    same(use, told, [verdict] * len(told))


def test_a_number_without_a_name():
    need_root('other users')
    with Daemon(policy(rule('made', match={'user': 12345}))) as daemon:
        with asking(daemon, 12345, bus=False) as peer, asking(daemon) as root:
            same('12345', peer.ask('scratch'), ['granted'])
            same('root', root.ask('scratch'), ['no-rule'] * 2)


def test_daemon_without_privilege():
    """Run as an ordinary user it cannot look into the processes of others: rules that need that
    do not match, the rest holds."""
    need_root('other users')
    content = policy(
        rule('user', match={'user': OTHER}, use='user'),
        rule('exe', match={'exe': PYTHON}, use='exe'),
        rule('host', match={'container': False}, use='host'),
        rule('any', use='any'), uses=uses('user', 'exe', 'host', 'any'))
    with Daemon(content, user=USER) as daemon:
        with asking(daemon, OTHER) as other, asking(daemon) as root:
            for use, wanted in (('user', 'granted'), ('exe', 'no-rule'), ('host', 'no-rule'),
                                ('any', 'granted')):
                same(use, other.ask(use), [wanted] * 2)
            same('root', root.ask('any'), ['granted'] * 2)
            same('root', root.ask('user'), ['no-rule'] * 2)
        daemon.wait_totals(0, 0)
    with Daemon(user=USER) as daemon, lend(daemon, 'socket', 'setuid') as peer:
        with Closing(adopt('socket', peer.receive_fd())) as client:
            same('before', client.request('scratch', PAGE).close().verdict, 'granted')
            peer.ask()
            same('after', client.request('scratch', PAGE).verdict, 'identity-changed')


def test_rules_by_exe_and_transport():
    content = policy(
        rule('exe', match={'exe': PYTHON}, use='exe'),
        rule('glob', match={'exe': os.path.dirname(PYTHON) + '/*'}, use='glob'),
        rule('cat', match={'exe': '/bin/cat'}, use='cat'),
        rule('socket', match={'transport': 'socket'}, use='socket'),
        rule('dbus', match={'transport': 'dbus'}, use='dbus'),
        rule('host', match={'container': False}, use='host'),
        rule('strong', match={'identity': 'strong'}, use='strong'),
        rule('any', use='any'),
        uses=uses('exe', 'glob', 'cat', 'socket', 'dbus', 'host', 'strong', 'any'))
    table = {'exe': ('granted', 'granted'), 'glob': ('granted', 'granted'),
             'cat': ('no-rule', 'no-rule'), 'socket': ('granted', 'no-rule'),
             'dbus': ('no-rule', 'granted')}
    with Daemon(content) as daemon, asking(daemon) as peer:
        for use, wanted in table.items():
            same(use, tuple(peer.ask(use)), wanted)
        peer.ask('any')
        seen = {r['transport']: r['peer'] for r in daemon.records('grant', use='any')}
        same('exe', {p['exe'] for p in seen.values()}, {PYTHON})
        for use, key, value in (('strong', 'identity', 'strong'), ('host', 'container', False)):
            wanted = ['granted' if seen[t][key] == value else 'no-rule' for t in ('socket', 'dbus')]
            same(use, peer.ask(use), wanted)


def in_own_mounts(channel, path):
    if ctypes.CDLL(None, use_errno=True).unshare(0x00020000):  # CLONE_NEWNS
        channel.send(os.strerror(ctypes.get_errno()))
        return
    channel.send(Socket(path).request('scratch', PAGE).close().verdict)
    wait_end(channel)


def test_exe_in_another_mount_namespace():
    """A container names its files as it likes: its exe counts for nothing."""
    need_root('a mount namespace')
    with Daemon(policy(rule('exe', match={'exe': PYTHON}))) as daemon:
        with Peer(in_own_mounts, str(daemon.socket)) as peer:
            told = peer.receive()
            if told not in ('granted', 'no-rule'):
                raise Skip(f'no mount namespace here: {told}')
            same('verdict', told, 'no-rule')
            assert 'exe' not in daemon.wait_records('deny')[0]['peer']
        same('outside', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')


PROGRAM = """
import os, sys
from lib.wire import Socket
verdicts = []
for i in range(2):
    verdicts.append(Socket(sys.argv[1]).request('scratch', 4096).close().verdict)
    if i == 0:
        os.unlink(sys.executable)
print(*verdicts, flush=True)
"""


def test_deleted_program():
    """A program whose file is gone has no path that means anything."""
    with Daemon(None, start=False) as daemon:
        copy = daemon.folder / 'python-copy'
        shutil.copy(PYTHON, copy)
        daemon.write_policy(policy(rule('exe', match={'exe': str(copy)})))
        daemon.start()
        result = subprocess.run(
            [copy, '-c', PROGRAM, daemon.socket], capture_output=True, text=True, check=False,
            timeout=DEADLINE, env={'PYTHONHOME': sys.base_prefix, 'PYTHONPATH': str(HERE)})
        same('verdicts', (result.stdout, result.stderr), ('granted no-rule\n', ''))


if __name__ == '__main__':
    main(globals())
