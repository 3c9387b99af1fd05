# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that ask too much or do not listen: they stop themselves, and nobody else."""
import signal
import time

from daemon import Daemon, options, policy, rule
from lib.broker import Broker
from lib.harness import need_root, same
from lib.waiting import wait_readable, wait_until
from lib.wire import IN_FLIGHT_MAX, Socket, pack_request
from peers import Peer, wait_end
from suite import OTHER, main

PAGE = 4096


def room(mebibytes):
    """Bytes; a sanitizer keeps what is freed for a while, and more beside everything."""
    return mebibytes * (8 if options.sanitize else 1) << 20


def others_served(daemon):
    for client in daemon.doors():
        answer = client.request('scratch', PAGE).close()
        same(f'another client ({client.transport})', answer.verdict, 'granted')
        same('release', client.release(answer.grants[0]).verdict, 'released')


def send_without_reading(client, packet, most):
    """As many as the socket takes; returns their number."""
    client.socket.setblocking(False)
    for sent in range(most):
        try:
            client.socket.send(packet)
        except BlockingIOError:
            break
    else:
        sent = most
    client.socket.settimeout(30)
    return sent


def slow_reader(channel, path, packet, most):
    client = Socket(path)
    channel.send(send_without_reading(client, packet, most))
    wait_end(channel)
    channel_answers = 0
    while not client.quiet():
        channel_answers += client.receive().close().verdict == 'granted'
    assert channel_answers > 0


def test_slow_readers():
    with Daemon(policy(rule('all', buffers=100000))) as daemon:
        others_served(daemon)
        memory, fds = daemon.rss(), len(daemon.fds())
        packet = pack_request('scratch', PAGE, count=64)
        peers = [Peer(slow_reader, str(daemon.socket), packet, 1000) for _ in range(4)]
        for peer in peers:
            peer.receive()
        for _ in range(20):
            others_served(daemon)
        # Of each only what its socket takes is under way.
        assert daemon.rss() - memory < room(8), (memory, daemon.rss())
        grown = len(daemon.fds()) - fds
        # replies under way, and buffers of those that its socket has taken
        assert grown <= len(peers) * (4 + (IN_FLIGHT_MAX + 6) * 64), grown
        daemon.close_clients()
        for peer in peers:
            peer.kill()
            peer.wait()
        daemon.wait_totals(0, 0)


def test_slow_reader_of_refusals():
    with Daemon() as daemon:
        others_served(daemon)
        memory = daemon.rss()
        client = daemon.connect()
        sent = send_without_reading(client, pack_request('nosuch', PAGE), 5000)
        others_served(daemon)
        assert daemon.rss() - memory < room(4), (memory, daemon.rss())
        same('answers', [client.receive().verdict for _ in range(sent)], ['unknown-use'] * sent)
        same('alive', client.request('scratch', PAGE).close().verdict, 'granted')


def test_slow_reader_of_the_bus():
    """A client of the bus that never reads its replies. dbus-daemon reads nothing more from a
    service when as many fds of its replies wait as it may have on the way, so that others on that
    bus wait until the client goes; those on the socket do not."""
    with Daemon(policy(rule('all', buffers=100000))) as daemon:
        others_served(daemon)
        memory = daemon.rss()
        bus = daemon.connect_bus()
        for _ in range(1000):
            bus.ask('scratch', PAGE)
        client = daemon.connect()
        for _ in range(20):
            same('socket', client.request('scratch', PAGE).close().verdict, 'granted')
        assert daemon.rss() - memory < room(16), (memory, daemon.rss())
        if options.dbus_broker:
            others_served(daemon)
        bus.close()
        others_served(daemon)


def makes_connections(channel, path, address, number):
    """Fills a listing of its user's and hands out bus connections of its own."""
    client = Socket(path)
    for _ in range(16):
        client.request('scratch', PAGE, count=64).close()
    for _ in range(number):
        bus = Broker(address)
        bus.grants()
        channel.send(bus.serial, fds=[bus.socket.fileno()])
    wait_end(channel)


def test_listings_of_another_do_not_come_first():
    """By order: a request is answered before most of the listings that were asked for before."""
    need_root('other users')
    with Daemon(policy(rule('all', buffers=100000))) as daemon:
        witness = daemon.connect_bus()
        same('before', witness.request('scratch', PAGE).close().verdict, 'granted')
        with Peer(makes_connections, str(daemon.socket), daemon.address, 2, uid=OTHER) as peer:
            hostile = [Broker(fd=peer.receive_fd()) for _ in range(2)]
            daemon.signal(signal.SIGSTOP)
            serials = [(bus, bus.send_method('ListGrants')) for bus in hostile for _ in range(20)]
            daemon.signal(signal.SIGCONT)
            same('meanwhile', witness.request('scratch', PAGE).close().verdict, 'granted')
            answered = 0
            for bus in hostile:
                while wait_readable(bus.socket, 0):
                    bus.receive(time.monotonic() + 1)
                answered += len(bus.replies)
            assert answered <= len(serials) // 2, answered
            same('all are whole', {len(bus.reply(serial)[0]) for bus, serial in serials}, {1024})
            for bus in hostile:
                bus.close()
            peer.kill()
            peer.wait()
        daemon.wait_totals(2, 2 * PAGE)


def test_too_many_requests_of_a_bus_connection():
    """Beyond what one connection may have under way: busy, and the others are answered."""
    with Daemon() as daemon:
        bus = daemon.connect_bus()
        serials = [bus.ask('scratch', 1 << 21) for _ in range(100)]
        answers = [bus.answer(serial).close() for serial in serials]
        verdicts = [answer.verdict for answer in answers]
        assert set(verdicts) <= {'granted', 'busy'} and 'granted' in verdicts, verdicts
        for answer in answers:
            if answer.grants:
                same('release', bus.release(answer.grants[0]).verdict, 'released')
            else:
                assert 'too many' in answer.reason, answer
        daemon.wait_totals(0, 0)


def test_connections_per_user():
    """Of both doors together."""
    with Daemon(policy(limits={'connections-per-user': 20})) as daemon:
        buses = [daemon.connect_bus() for _ in range(10)]
        for bus in buses:
            same('bus', bus.request('scratch', PAGE).close().verdict, 'granted')
        clients = [daemon.connect() for _ in range(10)]
        for client in clients:
            same('within', client.request('scratch', PAGE).close().verdict, 'granted')
        for _ in range(3):
            refused = daemon.connect()
            answer = refused.receive()
            same('one more', (answer.verdict, answer.id), ('busy', 0))
            assert 'connections-per-user' in answer.reason, answer
            same('ended', refused.wait_closed(), [])
        buses.append(daemon.connect_bus())
        answer = buses[-1].request('scratch', PAGE).close()
        same('bus', answer.verdict, 'busy')
        assert 'connections-per-user' in answer.reason, answer
        same('recorded', len(daemon.wait_records('deny', 4, verdict='busy')), 4)
        clients[0].close()

        def accepted():
            client = daemon.connect()
            client.ask('scratch', PAGE)
            accepted = client.receive().close().verdict == 'granted'
            client.close()
            return accepted

        wait_until(accepted, 'a connection again')
        buses[0].close()
        wait_until(lambda: buses[-1].request('scratch', PAGE).close().verdict == 'granted',
                   'a bus connection again')


def test_other_users_keep_their_connections():
    need_root('other users')

    def asker(channel, path):
        client = Socket(path)
        channel.send(client.request('scratch', PAGE).close().verdict)

    with Daemon(policy(limits={'connections-per-user': 2})) as daemon:
        for _ in range(2):
            daemon.connect()
        with Peer(asker, str(daemon.socket), uid=OTHER) as peer:
            same('another user', peer.receive(), 'granted')


def test_flood_of_connections():
    with Daemon(policy(limits={'connections-per-user': 20})) as daemon:
        witness = daemon.connect()
        same('before', witness.request('scratch', PAGE).close().verdict, 'granted')
        for _ in range(20):
            for _ in range(50):
                daemon.connect()
            same('meanwhile', witness.request('scratch', PAGE).close().verdict, 'granted')
            for client in daemon.clients[1:]:
                client.close()
            del daemon.clients[1:]
        others_served_later(daemon)


def others_served_later(daemon):
    """Once the daemon has seen the ends of the connections that are gone."""
    def served():
        client = daemon.connect()
        client.ask('scratch', PAGE)
        answer = client.receive()
        client.close()
        return answer.close().verdict == 'granted'

    wait_until(served, 'a connection served')


def test_flood_of_refusals_is_folded():
    with Daemon() as daemon:
        client = daemon.connect()
        for _ in range(500):
            same('refused', client.request('nosuch', PAGE).verdict, 'unknown-use')
        # Names that differ do not help.
        for i in range(500):
            same('refused', client.request(f'no-such-{i}', PAGE).verdict, 'unknown-use')
        bus = daemon.connect_bus()
        for _ in range(200):
            same('refused', bus.request('nosuch', PAGE).verdict, 'unknown-use')
        before = len(daemon.records('deny'))
        assert before < 400, before
        daemon.restart()
        records = daemon.records('deny')
        same('each counted', sum(r.get('repeated', 1) for r in records), 1200)
        assert any(r.get('repeated', 1) > 100 for r in records)


def test_flood_of_unknown_releases():
    with Daemon() as daemon:
        client = daemon.connect()
        for i in range(300):
            same('unknown', client.release(1000000 + i).verdict, 'unknown-grant')
        assert len(daemon.records('deny')) < 100
        daemon.restart()
        same('counted', sum(r.get('repeated', 1) for r in daemon.records('deny')), 300)


def hang_up(channel, path, address, number):
    """Asks and hangs up without waiting; then its process goes on."""
    for i in range(number):
        client = Socket(path)
        for _ in range(i % 20):
            client.ask('scratch', PAGE << (i % 12))
        client.close()
        if i % 5 == 0:
            bus = Broker(address)
            for _ in range(i % 20):
                bus.ask('scratch', PAGE)
            bus.close()
    channel.send('done')
    wait_end(channel)


def test_hang_up_in_the_middle():
    with Daemon(policy(rule('all', buffers=5000))) as daemon:
        with Peer(hang_up, str(daemon.socket), daemon.address, 100) as peer:
            same('done', peer.receive(), 'done')
            others_served(daemon)
            peer.kill()
            peer.wait()
        daemon.wait_totals(0, 0)
        daemon.close_clients()
        # Each buffer that was made is accounted for.
        granted = {b['grant'] for r in daemon.records('grant') for b in r['buffers']}

        def accounted():
            return granted == {b['grant'] for r in daemon.records()
                               if r['event'] in ('release', 'undelivered') for b in r['buffers']}

        wait_until(accounted, 'a release or an undelivered for each grant')


def test_large_requests_do_not_delay_small_ones():
    """By order, not by time: small ones asked for later are answered before the large ones."""
    size = 96 << 20  # so much that a busy machine cannot be done with all at once
    with Daemon(policy(limits={'total': '100%'})) as daemon:
        large, small = daemon.connect(), daemon.connect()
        bus = daemon.connect_bus()
        for _ in range(IN_FLIGHT_MAX):
            large.ask('scratch', size)
        answers, overtaken = [], None
        for i in range(20):
            client = (small, bus)[i % 2]
            answer = client.request('scratch', 2 * PAGE).close()
            same('small', answer.verdict, 'granted')
            client.release(answer.grants[0])
            while not large.quiet():
                answers.append(large.receive().close())
            overtaken = IN_FLIGHT_MAX - len(answers) if overtaken is None else overtaken
        assert overtaken > 0, 'all large requests were answered before the first small one'
        while len(answers) < IN_FLIGHT_MAX:
            answers.append(large.receive().close())
        assert {a.verdict for a in answers} <= {'granted', 'out-of-memory'}, answers
        for grant in [grant for answer in answers for grant in answer.grants]:
            large.release(grant)
        daemon.wait_totals(0, 0)


def test_many_large_requests_of_one_client():
    """They wait their turn; their connection's end takes them back."""
    with Daemon(policy(limits={'total': '100%'})) as daemon:
        for _ in range(3):
            client = daemon.connect()
            for _ in range(16):
                client.ask('scratch', 4 << 20)
            client.close()
        others_served(daemon)
        daemon.release_own()
        wait_until(lambda: not [r for r in daemon.records('grant')
                                if r['buffers'][0]['grant'] not in ended(daemon)], 'all ended')


def ended(daemon):
    daemon.release_own()
    return {b['grant'] for r in daemon.records() if r['event'] in ('release', 'undelivered')
            for b in r['buffers']}


def pipelines(channel, path):
    """Many connections with as much in each as fits, sent while the daemon does not read."""
    clients = [Socket(path) for _ in range(60)]
    for client in clients:
        client.request('scratch', PAGE).close()
    channel.send('connected')
    channel.receive()
    for client in clients:
        for _ in range(IN_FLIGHT_MAX):
            client.ask('scratch', PAGE)
    channel.send('sent')
    wait_end(channel)


def test_turns_go_round_between_users():
    """Of what waits, one user's next comes after one of the other's, not after all of them."""
    need_root('other users')
    with Daemon(policy(rule('all', buffers=100000))) as daemon:
        client = daemon.connect()
        client.request('scratch', PAGE).close()
        with Peer(pipelines, str(daemon.socket), uid=OTHER) as peer:
            same('hostile', peer.receive(), 'connected')
            before = len(daemon.wait_records('grant', 61))
            daemon.signal(signal.SIGSTOP)
            try:
                same('hostile', peer.ask('go'), 'sent')
                for _ in range(5):
                    client.ask('scratch', PAGE)
            finally:
                daemon.signal(signal.SIGCONT)
            for _ in range(5):
                same('quiet', client.receive().close().verdict, 'granted')
            order = [r['peer']['uid'] for r in daemon.records('grant')[before:]]
            last = max(i for i, uid in enumerate(order) if uid != OTHER)
            assert last < 20, f'the fifth request was answered after {last - 4} of another user'
            peer.kill()


if __name__ == '__main__':
    main(globals())
