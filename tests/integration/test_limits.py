# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits by rule, user, unit and process and of all: met exactly, given back exactly."""
import mmap
import os
import pathlib

from daemon import Daemon, policy, rule
from lib.broker import Broker
from lib.harness import Skip, need_root, same
from lib.waiting import wait_until
from lib.wire import Socket
from peers import Peer, wait_end
from suite import OTHER, USER, main

PAGE = 4096
MIB = 1 << 20


def test_bytes_to_the_limit_and_back():
    with Daemon(policy(rule('few', total='64K'))) as daemon:
        for client in daemon.doors():
            grants = [client.request('scratch', 4 * PAGE).close().grants[0] for _ in range(4)]
            for _ in range(8):
                answer = client.request('scratch', PAGE)
                same('full', (answer.verdict, answer.rule), ('bytes-limit', 'few'))
                assert '64K' in answer.reason, answer
                same('release', client.release(grants.pop(0)).verdict, 'released')
                same('too much still', client.request('scratch', 5 * PAGE).verdict, 'bytes-limit')
                answer = client.request('scratch', 4 * PAGE).close()
                same('room again', answer.verdict, 'granted')
                grants += answer.grants
            daemon.wait_totals(4, 16 * PAGE)
            for grant in grants:
                client.release(grant)
            daemon.wait_totals(0, 0)


def test_buffers_and_batches():
    with Daemon(policy(rule('few', buffers=10))) as daemon:
        client = daemon.connect()
        same('all or nothing', client.request('scratch', PAGE, count=11).verdict, 'buffers-limit')
        daemon.wait_totals(0, 0)
        first = client.request('scratch', PAGE, count=7).close()
        same('rest', client.request('scratch', PAGE, count=4).verdict, 'buffers-limit')
        second = client.request('scratch', PAGE, count=3).close()
        bus = daemon.connect_bus()
        same('over the bus', bus.request('scratch', PAGE).verdict, 'buffers-limit')
        for grant in first.grants:
            client.release(grant)
        same('room', bus.request('scratch', PAGE).close().verdict, 'granted')
        same('room', client.request('scratch', PAGE, count=6).close().verdict, 'granted')
        same('full', client.request('scratch', PAGE).verdict, 'buffers-limit')
        daemon.wait_totals(10, 10 * PAGE)
        del second


def test_one_buffer_over_the_total():
    """More than could ever be: refused at once, whatever is given back."""
    with Daemon(policy(rule('few', total='64K'), limits={'total': '1M'})) as daemon:
        for client in daemon.doors():
            same('rule', client.request('scratch', 65537).verdict, 'bytes-limit')
    with Daemon(policy(limits={'total': '1M'})) as daemon:
        for client in daemon.doors():
            answer = client.request('scratch', MIB + 1)
            same('total', answer.verdict, 'bytes-limit')
            assert 'limits.total' in answer.reason, answer


def test_rate():
    with Daemon(policy(rule('slow', rate='3/h'), rule('other', use='more'),
                       uses={'scratch': {'heap': 'emulated'}, 'more': {'heap': 'emulated'}})
                ) as daemon:
        socket, bus = daemon.doors()
        verdicts = [client.request('scratch', PAGE).close().verdict
                    for client in (socket, bus, socket, bus, socket)]
        same('verdicts', verdicts, ['granted'] * 3 + ['rate-limit'] * 2)
        answer = bus.request('scratch', PAGE)
        assert '3 requests per hour' in answer.reason, answer
        same('another rule', socket.request('more', PAGE).close().verdict, 'granted')
        daemon.wait_totals(4, 4 * PAGE)


def test_refusals_take_no_token():
    with Daemon(policy(rule('slow', rate='2/h', buffer='64K', buffers=1))) as daemon:
        client = daemon.connect()
        for _ in range(5):
            same('size', client.request('scratch', MIB).verdict, 'buffer-limit')
        grant = client.request('scratch', PAGE).close().grants[0]
        for _ in range(5):
            same('full', client.request('scratch', PAGE).verdict, 'buffers-limit')
        client.release(grant)
        client.release(client.request('scratch', PAGE).close().grants[0])
        same('now', client.request('scratch', PAGE).verdict, 'rate-limit')


def holder(channel, path, address):
    """Asks for buffers of the sizes it is told, over the transport it is told."""
    clients = {'socket': Socket(path), 'dbus': Broker(address) if address else None}
    try:
        while True:
            transport, size = channel.receive()
            channel.send(clients[transport].request('scratch', size).close().verdict)
    except EOFError:
        pass


def holding(daemon, uid=None, bus=True):
    return Peer(holder, str(daemon.socket), daemon.address if bus else None, uid=uid)


def test_per_rule_and_per_process():
    for per, wanted in (('rule', 'bytes-limit'), ('process', 'granted')):
        with Daemon(policy(rule('few', total='64K', per=per))) as daemon:
            with holding(daemon) as one, holding(daemon) as two:
                for transport in 'socket', 'dbus':
                    same('one', one.ask((transport, 32768)), 'granted')
                same('full', one.ask(('socket', PAGE)), 'bytes-limit')
                same('two', two.ask(('dbus', PAGE)), wanted)
                one.kill()
                one.wait()
                for transport in 'socket', 'dbus':
                    same('room', two.ask((transport, 28 << 10)), 'granted')
        # All gave back by ending.
            daemon.wait_totals(0, 0)


def test_per_user():
    need_root('other users')
    content = policy(rule('few', total='64K', per='user'))
    for content, word in ((content, 'per user'),
                          (policy(limits={'per-user': '64K'}), 'limits.per-user')):
        with Daemon(content) as daemon:
            with holding(daemon, USER) as one, holding(daemon, USER) as too, \
                    holding(daemon, OTHER) as other:
                same('one', one.ask(('socket', 65536)), 'granted')
                for transport in 'socket', 'dbus':
                    same('same user', too.ask((transport, PAGE)), 'bytes-limit')
                    same('other', other.ask((transport, 32768)), 'granted')
                same('other', other.ask(('dbus', PAGE)), 'bytes-limit')
                assert word in daemon.wait_records('deny', 3)[-1]['reason']
            daemon.wait_totals(0, 0)


def test_total_of_all():
    need_root('other users')
    with Daemon(policy(limits={'total': '64K'})) as daemon:
        with holding(daemon, USER) as one, holding(daemon, OTHER) as two:
            same('one', one.ask(('socket', 65536)), 'granted')
            same('two', two.ask(('dbus', PAGE)), 'bytes-limit')
            one.kill()
            one.wait()
            same('room', two.ask(('dbus', 65536)), 'granted')
        daemon.wait_totals(0, 0)


def cgroup_root():
    """Where cgroup v2 is mounted and may be written."""
    for line in open('/proc/self/mounts', encoding='utf-8'):
        words = line.split()
        if words[2] == 'cgroup2':
            root = pathlib.Path(words[1])
            own = [w.split(':', 2)[2].strip() for w in open('/proc/self/cgroup', encoding='utf-8')
                   if w.startswith('0::')]
            if own and own[0] == '/' and os.access(root, os.W_OK):
                return root
    raise Skip('cgroup v2 is not mounted here so that one could make a unit')


def in_unit(channel, folder, path):
    (pathlib.Path(folder) / 'cgroup.procs').write_text(str(os.getpid()))
    client = Socket(path)
    try:
        while True:
            channel.send(client.request('scratch', channel.receive()).close().verdict)
    except EOFError:
        pass


def test_per_unit():
    need_root('cgroups')
    root = cgroup_root()
    slice_folder = root / f'ccbuftest{os.getpid()}.slice'
    units = [slice_folder / f'mpi@{i}.service' for i in (1, 2)]
    other = slice_folder / 'other.service'
    try:
        for folder in (slice_folder, *units, other):
            folder.mkdir()
    except OSError as error:
        raise Skip(f'no cgroups here: {error}') from None
    content = policy(rule('mpi', match={'unit': 'mpi@*.service'}, total='64K', per='unit'))
    try:
        with Daemon(content) as daemon:
            peers = [Peer(in_unit, str(folder), str(daemon.socket))
                     for folder in (units[0], units[0], units[1], other)]
            one, too, two, none = peers
            same('one', one.ask(65536), 'granted')
            same('same unit', too.ask(PAGE), 'bytes-limit')
            same('another unit', two.ask(65536), 'granted')
            same('no such unit', none.ask(PAGE), 'no-rule')
            seen = {r['peer']['pid']: (r['peer']['unit'], r['peer']['slice'])
                    for r in daemon.records('grant')}
            same('units', seen, {peer.pid: (folder.name, slice_folder.name)
                                 for peer, folder in ((one, units[0]), (two, units[1]))})
            for peer in peers:
                peer.kill()
                peer.wait()
            daemon.wait_totals(0, 0)
    finally:
        for folder in (*units, other, slice_folder):
            if folder.exists():
                folder.rmdir()


def batch_holder(channel, path):
    client = Socket(path)
    channel.send(client.request('scratch', PAGE, count=64).close().verdict)
    wait_end(channel)


def test_exit_gives_all_back():
    with Daemon(policy(rule('few', buffers=64))) as daemon:
        for _ in range(5):
            with Peer(batch_holder, str(daemon.socket)) as peer:
                same('granted', peer.receive(), 'granted')
                same('full', daemon.connect().request('scratch', PAGE).verdict, 'buffers-limit')
                daemon.close_clients()
                peer.kill()
                peer.wait()
            daemon.wait_totals(0, 0)
        same('each in the trail', len(daemon.wait_records('release', 320)), 320)


def test_emulated_kept_open():
    """What is given back and kept open is charged until it is closed, whoever has it then."""
    content = policy(limits={'emulated-per-user': '64K'})
    with Daemon(content) as daemon:
        for client in daemon.doors():
            kept = []
            for _ in range(16):
                answer = client.request('scratch', PAGE)
                same('within', answer.verdict, 'granted')
                same('kept open', client.release(answer.grants[0]).held, True)
                kept += answer.fds
            refused = client.request('scratch', PAGE)
            same('no more', refused.verdict, 'bytes-limit')
            assert 'emulated-per-user' in refused.reason, refused
            memory = mmap.mmap(kept[0], PAGE)
            for fd in kept:
                os.close(fd)
            wait_until(lambda: client.request('scratch', 15 * PAGE).close().verdict == 'granted',
                       'all but the mapped one')
            memory.close()
            client.close()
            daemon.release_own()
            daemon.wait_totals(0, 0)


if __name__ == '__main__':
    main(globals())
