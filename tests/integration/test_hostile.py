# SPDX-License-Identifier: LGPL-2.1-or-later
"""Peers and circumstances that mean harm, and operators who err."""
from broker import Broker
from harness import OTHER, Daemon, main, need_root, policy, rule, same, wait_until
from peers import Peer, become, wait_end
from wire import Socket

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


def takes_many(channel, path, number):
    client = Socket(path)
    for _ in range(number // 64):
        client.request('scratch', PAGE, count=64).close()
    channel.send('taken')
    wait_end(channel)


def test_end_of_a_process_with_many_grants():
    """More than records may wait: they are released one after another, and nobody else notices."""
    with Daemon(policy(audit={'durability': 'synced'})) as daemon:
        client = daemon.connect()
        with Peer(takes_many, str(daemon.socket), 20032) as peer:
            same('all', peer.receive(), 'taken')
            peer.kill()

        def all_gone():
            answer = client.request('scratch', PAGE).close()
            same('another', answer.verdict, 'granted')
            client.release(answer.grants[0])
            return bus.get('GrantCount') == 0

        bus = daemon.connect_bus()
        wait_until(all_gone, 'all released')
        wait_until(lambda: sum(r['reason'] == 'the peer is gone'
                               for r in daemon.records('release')) == 20032, 'each recorded')
        same('no alarm', daemon.stderr(), '')


if __name__ == '__main__':
    main(globals())
