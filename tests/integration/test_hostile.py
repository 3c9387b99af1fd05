# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers and circumstances that mean harm, and operators who err."""
import os
import resource
import signal

from daemon import Daemon, policy
from lib.broker import INTERFACE, NAME, PATH, Broker
from lib.harness import need_root, same
from lib.waiting import wait_until
from lib.wire import IN_FLIGHT_MAX, Socket
from peers import Peer, become, wait_end
from suite import OTHER, main

PAGE = 4096


def test_socket_path_of_a_file():
    """A mistyped --socket must not delete what is there."""
    with Daemon(start=False) as daemon:
        daemon.socket.write_text('precious')
        daemon.spawn()
        same('exit code', daemon.wait_exit(), 1)
        assert 'remove the file' in daemon.stderr(), daemon.stderr()
        same('kept', daemon.socket.read_text(), 'precious')
        daemon.socket.unlink()


def takes_many(channel, path, number):
    client = Socket(path)
    for _ in range(number // 64):
        client.request('scratch', PAGE, count=64).close()
    channel.send('taken')
    wait_end(channel)


def becomes_another(channel, path, address):
    first = Socket(path)
    first.request('scratch', PAGE).close()
    become(OTHER)
    second = Socket(path)
    mine = second.request('scratch', 2 * PAGE).close().grants[0]
    channel.send([mine, [grant['grant'] for grant in Broker(address).grants()]])
    wait_end(channel)


def test_a_process_that_becomes_another_user():
    """What it has asked for as another user is that user's, in the list and in the trail."""
    need_root('other users')
    with Daemon() as daemon:
        with Peer(becomes_another, str(daemon.socket), daemon.address) as peer:
            mine, listed = peer.receive()
            same('listed', listed, [mine])
        daemon.wait_totals(0, 0)
        users = {r['peer']['uid'] for r in daemon.wait_records('release', 2)
                 if r['buffers'][0]['grant'] == mine}
        same('released by', users, {OTHER})


def test_end_of_a_process_with_many_grants():
    """More than records may wait: they are released one after another, and nobody else notices."""
    with Daemon(policy(audit={'durability': 'synced'})) as daemon:
        client = daemon.connect()
        with Peer(takes_many, str(daemon.socket), 6400) as peer:
            same('all', peer.receive(), 'taken')
            peer.kill()

        def all_gone():
            answer = client.request('scratch', PAGE).close()
            same('another', answer.verdict, 'granted')
            same('its release', client.release(answer.grants[0]).held, False)
            return bus.get('GrantCount') == 0

        bus = daemon.connect_bus()
        wait_until(all_gone, 'all released')
        # Some by the end, some by the timer.
        wait_until(lambda: sum(r['reason'] != 'released by the peer'
                               for r in daemon.records('release')) == 6400, 'each recorded')
        same('no alarm', [line for line in daemon.stderr().splitlines()
                          if 'ccbuf-admin' not in line], [])


def test_request_without_a_reply():
    """The buffer would be charged, and nobody have it."""
    with Daemon() as daemon:
        bus = daemon.connect_bus()
        no_reply = 1
        bus.send(NAME, PATH, INTERFACE, 'Request', 'sta{sv}', 'scratch', PAGE, {}, flags=no_reply)
        same('afterwards', bus.get('GrantCount'), 0)
        refused, = daemon.wait_records('deny', verdict='malformed')
        assert 'without a reply' in refused['reason'], refused


def lists(channel, address):
    channel.send([len(Broker(address).grants())])
    wait_end(channel)


def test_list_of_very_many():
    """A list is not so long that others wait for it, or that the bus throws the daemon out."""
    need_root('other users')
    with Daemon() as daemon:
        with Peer(takes_many, str(daemon.socket), 3200, uid=OTHER) as taker:
            taker.receive()
            with Peer(lists, daemon.address, uid=OTHER) as peer:
                same('listed', peer.receive(), [1024])
            same('by an administrator', len(daemon.connect_bus().grants()), 3200)
            taker.kill()


def asks_much(channel, path):
    clients = [Socket(path) for _ in range(80)]
    for client in clients:
        for _ in range(IN_FLIGHT_MAX):
            client.ask('scratch', 2 << 20)
    channel.send('asked')
    verdicts = [client.receive().close().verdict for client in clients for _ in
                range(IN_FLIGHT_MAX)]
    channel.send({verdict: verdicts.count(verdict) for verdict in verdicts})


def test_requests_under_way_of_one_user():
    """However many connections ask, so many of one user are under way; another is served."""
    need_root('other users')
    with Daemon(policy(limits={'total': '100%'})) as daemon:
        with Peer(asks_much, str(daemon.socket), uid=OTHER) as peer:
            same('asked', peer.receive(), 'asked')
            client = daemon.connect()
            same('another', client.request('scratch', PAGE).close().verdict, 'granted')
            verdicts = peer.receive()
            assert verdicts['granted'] >= 1024 and verdicts['busy'] >= 1, verdicts
            same('all', sum(verdicts.values()), 80 * IN_FLIGHT_MAX)


def test_connections_of_many_users():
    """A user leaves the daemon fds for those who are connected, for others and for itself."""
    def few_fds():
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 256))

    with Daemon(prepare=few_fds) as daemon:
        witness = daemon.connect()
        same('before', witness.request('scratch', PAGE).close().verdict, 'granted')
        for _ in range(46):  # two fds each, of half of 256 less what the daemon needs itself
            daemon.connect()
        for _ in range(3):
            turned_away = daemon.connect()
            answer = turned_away.receive()
            same('one more', (answer.verdict, answer.id), ('busy', 0))
            assert 'its share' in answer.reason, answer
        records = daemon.wait_records('deny', 3, verdict='busy')
        same('recorded', len(records), 3)
        # nobody has looked at who they are
        same('of them', {key for record in records for key in record['peer']},
             {'uid', 'gids', 'pid'})
        same('witness', witness.request('scratch', PAGE).close().verdict, 'granted')
        daemon.close_clients()
        # Two fds each; what it keeps for the grants is less than for ten of them.
        wait_until(lambda: len(daemon.fds()) <= daemon.fds_idle + 20, 'the connections closed')
        same('policy', daemon.connect_bus().reload(), None)


def opens_again_and_again(channel, path):
    """By a path fd, which no lease counts, so that the daemon takes one."""
    client = Socket(path)
    buffers = [client.request('scratch', PAGE) for _ in range(64)]
    paths = [os.open(f'/proc/self/fd/{buffer.fds[0]}', os.O_PATH) for buffer in buffers]
    for buffer in buffers:
        buffer.close()
    pid = os.fork()
    while True:
        for fd in paths:
            os.close(os.open(f'/proc/self/fd/{fd}', os.O_RDWR))
        if pid == 0:
            continue
        for buffer in buffers:
            client.release(buffer.grants[0])
        if not client.request('scratch', PAGE).close():
            break
        if len(buffers) > 1:
            buffers.pop()
        else:
            break
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    channel.send('done')
    wait_end(channel)


def test_lease_that_is_broken():
    """Whoever opens a buffer while the daemon looks has the kernel send it SIGIO."""
    need_root('other users')
    with Daemon() as daemon:
        daemon.signal(signal.SIGIO)
        with Peer(opens_again_and_again, str(daemon.socket), uid=OTHER) as peer:
            same('peer', peer.receive(), 'done')
            peer.kill()
        same('alive', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')


if __name__ == '__main__':
    main(globals())
