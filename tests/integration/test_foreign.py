# SPDX-License-Identifier: LGPL-2.1-or-later
"""What clients send along, and what they do not read: it costs them, and nobody else waits. With a
kernel that lets no fds in (Linux 6.16), and with one that does."""
import resource
import signal
import socket

from foreign import Fuse, Lingering
from harness import OTHER, Daemon, Skip, main, need_root, options, policy, rule, same, \
    stopped, wait_readable, wait_until
from peers import Peer, wait_end
from wire import Socket, pack_request

PAGE = 4096
KINDS = [Lingering, Fuse]


def made(kind):
    try:
        return kind()
    except Skip as skip:
        print(f'without {kind.NAME}: {skip}')
        return None


def each_foreign(function):
    done = 0
    for kind in KINDS:
        thing = made(kind)
        if not thing:
            continue
        try:
            function(thing)
            done += 1
        finally:
            thing.end()
    if not done:
        raise Skip('no file whose close sleeps')


def send_fd(client, packet, thing):
    """False where the kernel lets it not out."""
    try:
        socket.send_fds(client, [packet], [thing.fd])
    except PermissionError:
        assert not options.preload, 'a kernel that is said to let fds in'
        return False
    thing.give_up()
    return True


def check_served(daemon, witness):
    """Old and new clients, on both doors, several turns of the loop long."""
    for _ in range(3):
        same('witness', witness.request('scratch', PAGE).close().verdict, 'granted')
        for client in daemon.doors():
            same('new', client.request('scratch', PAGE).close().verdict, 'granted')
            client.close()


def test_fd_in_a_packet():
    def check(thing):
        with Daemon() as daemon:
            witness = daemon.connect()
            witness.request('scratch', PAGE).close()
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.connect(str(daemon.socket))
                if send_fd(client, pack_request('scratch', PAGE), thing):
                    daemon.wait_records('deny', verdict='malformed')
                check_served(daemon, witness)
            check_served(daemon, witness)
            thing.end()

    each_foreign(check)


def test_fd_behind_packets():
    """In a queue that is not read any more: behind a mistake, behind the last of too many."""
    def check(thing):
        with Daemon() as daemon:
            witness = daemon.connect()
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.connect(str(daemon.socket))
                with stopped(daemon.pid):
                    client.send(b'a mistake')
                    send_fd(client, b'x', thing)
                check_served(daemon, witness)
            thing.end()

    each_foreign(check)


def test_fd_behind_empty_packets():
    """They look like the end of the connection."""
    def check(thing):
        with Daemon() as daemon:
            witness = daemon.connect()
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                client.connect(str(daemon.socket))
                with stopped(daemon.pid):
                    for _ in range(4):
                        client.send(b'')
                    send_fd(client, b'x', thing)
                check_served(daemon, witness)
            thing.end()

    each_foreign(check)


def test_fd_of_one_who_is_turned_away():
    def check(thing):
        with Daemon(policy(limits={'connections-per-user': 1})) as daemon:
            witness = daemon.connect()
            same('first', witness.request('scratch', PAGE).close().verdict, 'granted')
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as client:
                with stopped(daemon.pid):
                    client.connect(str(daemon.socket))
                    send_fd(client, b'x', thing)
                daemon.wait_records('deny', verdict='busy')
                for _ in range(3):
                    same('first', witness.request('scratch', PAGE).close().verdict, 'granted')
            thing.end()

    each_foreign(check)


def test_fd_of_one_who_leaves():
    def check(thing):
        with Daemon() as daemon:
            witness = daemon.connect()
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.connect(str(daemon.socket))
            with stopped(daemon.pid):
                send_fd(client, pack_request('scratch', PAGE), thing)
                client.close()
            check_served(daemon, witness)
            thing.end()

    each_foreign(check)


def test_stop_with_fds_of_one_who_waits():
    """In the queue of those who have not been accepted."""
    def check(thing):
        daemon = Daemon()
        try:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with stopped(daemon.pid):
                daemon.signal(signal.SIGTERM)
                client.connect(str(daemon.socket))
                send_fd(client, b'x', thing)
            same('exit code', daemon.wait_exit(15), 0)
            same('last', daemon.records()[-1]['event'], 'stop')
            client.close()
        finally:
            thing.end()
            daemon.clean_up()

    each_foreign(check)


def test_stop_with_a_close_that_sleeps():
    """The daemon ends, with its last record, whatever still sleeps."""
    def check(thing):
        daemon = Daemon()
        try:
            client = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            client.connect(str(daemon.socket))
            if send_fd(client, pack_request('scratch', PAGE), thing):
                daemon.wait_records('deny', verdict='malformed')
            daemon.signal(signal.SIGTERM)
            same('exit code', daemon.wait_exit(), 0)
            same('last', daemon.records()[-1]['event'], 'stop')
            client.close()
        finally:
            thing.end()
            daemon.clean_up()

    each_foreign(check)


# --- what nobody reads ---

def hoards(channel, path, connections):
    """Replies with fds that are not read, over connections that the daemon is made to close."""
    held = []
    for _ in range(connections):
        client = Socket(path)
        client.socket.setblocking(False)
        try:
            for _ in range(3):
                client.socket.send(pack_request('scratch', PAGE, count=64))
            wait_readable(client.socket.fileno())
            client.socket.send(b'a mistake')
        except OSError:
            pass
        held.append(client)
    channel.send('held')
    wait_end(channel)


def test_replies_that_nobody_reads():
    """The kernel counts fds in flight by the daemon's user: one client's must leave some."""
    need_root('other users')

    def few_files():
        resource.setrlimit(resource.RLIMIT_NOFILE, (2048, 2048))

    with Daemon(user=65534, prepare=few_files) as daemon:
        bus = daemon.connect_bus()
        with Peer(hoards, str(daemon.socket), 40, uid=OTHER) as peer:
            same('hoarder', peer.receive(), 'held')
            for _ in range(5):
                same('another', bus.request('scratch', PAGE).close().verdict, 'granted')
                client = daemon.connect()
                same('another', client.request('scratch', PAGE).close().verdict, 'granted')
                client.close()
            peer.kill()
        wait_until(lambda: bus.get('GrantCount') <= 10, 'all back')


def test_unread_connections_count():
    """Also those that the daemon has closed."""
    need_root('other users')
    with Daemon(policy(limits={'connections-per-user': 4})) as daemon:
        with Peer(hoards, str(daemon.socket), 4, uid=OTHER) as peer:
            same('hoarder', peer.receive(), 'held')
            daemon.wait_records('deny', 4, verdict='malformed')
            with Peer(asks_once, str(daemon.socket), uid=OTHER) as other:
                same('one more', other.receive(), 'busy')
            peer.kill()
            peer.wait()

        def again():
            with Peer(asks_once, str(daemon.socket), uid=OTHER) as other:
                return other.receive() == 'granted'

        wait_until(again, 'a connection again')


def asks_once(channel, path):
    client = Socket(path)
    try:
        client.ask('scratch', PAGE)
    except BrokenPipeError:
        pass  # turned away before it asked; the refusal is there
    channel.send(client.receive().close().verdict)
    wait_end(channel)


if __name__ == '__main__':
    main(globals())
