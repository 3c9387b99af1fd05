# SPDX-License-Identifier: LGPL-2.1-or-later
"""Buffers granted over the socket and the bus: what they are, and how they end."""
import fcntl
import mmap
import os

from daemon import Closing, Daemon, policy, rule
from lib.harness import same
from lib.wire import IN_FLIGHT_MAX, Socket
from peers import Peer, wait_end
from suite import main

PAGE = mmap.PAGESIZE
SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
F_SEAL_WRITE = 8
F_SEAL_EXEC = 32  # of memory that cannot be executed, Linux 6.3


def check_buffer(fd, size, read_only=False):
    same('size', os.fstat(fd).st_size, size)
    seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    same('seals', seals & ~F_SEAL_EXEC, SEALS | (F_SEAL_WRITE if read_only else 0))
    assert not any(os.pread(fd, size, 0)), 'not zero'
    for change in (lambda: os.ftruncate(fd, size * 2), lambda: os.ftruncate(fd, 0),
                   lambda: fcntl.fcntl(fd, fcntl.F_ADD_SEALS, F_SEAL_WRITE)):
        refused(change)
    if read_only:
        refused(lambda: os.pwrite(fd, b'x', 0))
        refused(lambda: mmap.mmap(fd, size))
        refused(lambda: writable_again(fd))
    else:
        with mmap.mmap(fd, size) as memory:
            memory[size - 1] = 7
        same('written', os.pread(fd, 1, size - 1), b'\7')


def writable_again(fd):
    with Closing(open(f'/proc/self/fd/{fd}', 'r+b', buffering=0)) as file:
        file.write(b'x')


def refused(function):
    try:
        function()
    except OSError:
        return
    raise AssertionError('was possible')


def test_one_buffer_each_way():
    with Daemon() as daemon:
        numbers = []
        for client in daemon.doors():
            for size in (1, PAGE, PAGE + 1, 65536, 3 << 20):
                answer = client.request('scratch', size, label='a label')
                same(f'{client.transport} {size}', answer.verdict, 'granted')
                whole = -(-size // PAGE) * PAGE
                same('told size', answer.size, whole)
                check_buffer(answer.fds[0], whole)
                record, = [r for r in daemon.records('grant')
                           if r['buffers'][0]['grant'] == answer.grants[0]]
                same('inode', record['buffers'][0]['inode'], os.fstat(answer.fds[0]).st_ino)
                same('record', [record[k] for k in ('use', 'label', 'transport', 'heap', 'size',
                                                    'rule', 'verdict')],
                     ['scratch', 'a label', client.transport, 'emulated', whole, 'all', 'granted'])
                same('peer', [record['peer'][k] for k in ('uid', 'pid')],
                     [os.getuid(), os.getpid()])
                numbers += answer.grants
                answer.close()
        same('different numbers', len(set(numbers)), len(numbers))


def test_read_only():
    with Daemon() as daemon:
        for client in daemon.doors():
            answer = client.request('scratch', 8192, read_only=True)
            check_buffer(answer.fds[0], 8192, read_only=True)
            answer.close()


def test_batch():
    with Daemon() as daemon:
        client = daemon.connect()
        answer = client.request('scratch', PAGE, count=64)
        same('grants', len(set(answer.grants)), 64)
        same('buffers', len({os.fstat(fd).st_ino for fd in answer.fds}), 64)
        for fd in answer.fds:
            check_buffer(fd, PAGE)
        record, = daemon.records('grant')
        same('in the record', [b['grant'] for b in record['buffers']], answer.grants)
        same('inodes', [b['inode'] for b in record['buffers']],
             [os.fstat(fd).st_ino for fd in answer.fds])
        daemon.wait_totals(64, 64 * PAGE)
        for grant, fd in zip(answer.grants, answer.fds):
            same('release', client.release(grant).verdict, 'released')
            os.close(fd)
        daemon.wait_totals(0, 0)


def test_many_in_flight():
    with Daemon() as daemon:
        client = daemon.connect()
        ids = [client.ask('scratch', PAGE * (i + 1)) for i in range(IN_FLIGHT_MAX * 2)]
        answers = {}
        for _ in ids:
            answer = client.receive()
            answers[answer.id] = answer.size
            answer.close()
        same('each answered', answers, {id: PAGE * (i + 1) for i, id in enumerate(ids)})
        bus = daemon.connect_bus()
        serials = [bus.ask('scratch', PAGE * (i + 1)) for i in range(40)]
        same('bus', [bus.answer(s).close().size for s in serials],
             [PAGE * (i + 1) for i in range(40)])


def test_release():
    with Daemon() as daemon:
        for client in daemon.doors():
            answer = client.request('scratch', 65536).close()
            daemon.wait_totals(1, 65536)
            released = client.release(answer.grants[0])
            same('release', (released.verdict, released.held), ('released', False))
            daemon.wait_totals(0, 0)
            same('again', client.release(answer.grants[0]).verdict, 'unknown-grant')
            daemon.wait_records('release', use='scratch')


def test_release_of_others():
    """A number that another process holds is no grant of ours."""
    def holder(channel, path):
        client = Socket(path)
        channel.send(client.request('scratch', PAGE).close().grants[0])
        wait_end(channel)

    with Daemon() as daemon, Peer(holder, str(daemon.socket)) as peer:
        number = peer.receive()
        for client in daemon.doors():
            same(client.transport, client.release(number).verdict, 'unknown-grant')
            same('0', client.release(0).verdict, 'unknown-grant')
            same('large', client.release((1 << 64) - 1).verdict, 'unknown-grant')
        daemon.wait_totals(1, PAGE)
        peer.kill()
        daemon.wait_totals(0, 0)
        record, = daemon.wait_records('release')
        assert record['reason'] in ('the peer is gone', 'no longer held'), record


def test_released_across_connections():
    """A grant is the process's: got over one transport, given back over the other."""
    with Daemon() as daemon:
        socket, bus = daemon.doors()
        one, two = socket.request('scratch', PAGE).close(), bus.request('scratch', PAGE).close()
        socket.close()
        same('over the bus', bus.release(one.grants[0]).verdict, 'released')
        same('over a new socket', daemon.connect().release(two.grants[0]).verdict, 'released')
        daemon.wait_totals(0, 0)


def test_fds_close_on_exec():
    with Daemon() as daemon:
        clients = daemon.doors()
        answers = [client.request('scratch', PAGE) for client in clients]
        for fd in daemon.fds():
            if int(fd) < 3:
                continue
            try:
                text = open(f'/proc/{daemon.pid}/fdinfo/{fd}', encoding='utf-8').read()
            except FileNotFoundError:
                continue  # closed meanwhile
            flags = int(text.split('flags:')[1].split()[0], 8)
            assert flags & os.O_CLOEXEC, (fd, daemon.describe_fds())
        for answer in answers:
            answer.close()


def test_durability():
    for durability in 'written', 'synced':
        with Daemon(policy(rule('all'), audit={'durability': durability})) as daemon:
            for client in daemon.doors():
                serials = [client.ask('scratch', PAGE) for _ in range(10)]
                for serial in serials:
                    answer = client.answer(serial) if client.transport == 'dbus' else \
                        client.receive()
                    same(durability, answer.verdict, 'granted')
                    # The record is there before the reply is.
                    assert any(answer.grants[0] == b['grant'] for r in daemon.records('grant')
                               for b in r['buffers'])
                    answer.close()


if __name__ == '__main__':
    main(globals())
