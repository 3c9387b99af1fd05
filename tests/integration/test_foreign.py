# SPDX-License-Identifier: LGPL-2.1-or-later
"""What clients send along, and what they do not read: it costs them, and nobody else waits. With a
kernel that lets no fds in (Linux 6.16), and with one that does."""
import os
import resource
import signal
import socket

from buses import make_bus, shipped_policy
from daemon import Daemon, options, policy
from foreign import Fuse, Lingering
from lib.broker import NAME, PATH
from lib.harness import Skip, need_root, same
from lib.minibus import Variant
from lib.waiting import stopped, wait_readable, wait_until
from lib.wire import Socket, pack_request
from peers import Peer, wait_end
from suite import OTHER, USER, main

PAGE = 4096
BUS = 'org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus'
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


# --- over the bus, where it is not kept out ---

def each_over_the_bus(send, check):
    """What send() sends is the daemon's alone before it reads it. A bus daemon that is the last to
    close it, or closes a file whose every close sleeps, sleeps itself: then only the socket can be
    served. dbus-broker keeps what it sent until it was read."""
    def one(thing):
        with Daemon() as daemon:
            witness = daemon.connect()
            bus = daemon.connect_bus()
            for client in witness, bus:
                same('before', client.request('scratch', PAGE).close().verdict, 'granted')
            bus_goes_on = isinstance(thing, Lingering) and not options.dbus_broker
            with stopped(daemon.pid):
                sent = send(daemon, bus, thing.fd)
                if bus_goes_on:
                    bus.call(*BUS, 'GetId')
                thing.give_up()
            if bus_goes_on:
                check(daemon, bus, sent)
                check_served(daemon, witness)
                same('itself', bus.request('scratch', PAGE).close().verdict, 'granted')
            for _ in range(3):
                same('witness', witness.request('scratch', PAGE).close().verdict, 'granted')
            thing.end()

    each_foreign(one)


def test_fd_over_the_bus():
    def send(_, bus, fd):
        return [bus.send_method('Request', 'sta{sv}', 'scratch', PAGE,
                                {'label': Variant('h', fd)}) for _ in range(3)]

    def check(daemon, bus, serials):
        for serial in serials:
            answer = bus.answer(serial)
            same('refused', answer.verdict, 'malformed')
            assert 'file descriptors' in answer.reason, answer
        record, *_ = daemon.wait_records('deny', verdict='malformed')
        same('whose', record['peer']['pid'], os.getpid())

    each_over_the_bus(send, check)


def test_fd_over_the_bus_to_nobody():
    """In a call that is none of ours, and in a signal, with a long message behind."""
    def send(_, bus, fd):
        owner, = bus.call(*BUS, 'GetNameOwner', 's', NAME)
        bus.send(NAME, '/nowhere', 'no.such', 'Call', 'ah', [fd] * 5, flags=1)
        bus.send(owner, '/nowhere', 'no.such', 'Signal', 'hay', fd, bytes(20000), kind=4)

    each_over_the_bus(send, lambda daemon, *_: daemon.wait_records('deny', 2,
                                                                    verdict='malformed'))


def test_long_message_with_fds_over_the_bus():
    """Of which the bus has written a part only when it is looked at; in between those of others."""
    with Daemon() as daemon:
        bus, other = daemon.connect_bus(), daemon.connect_bus()
        with open('/dev/null', encoding='ascii') as null:
            for length in (0, 7, 8100, 300000, 1 << 20):
                serial = bus.send_method('Why', 'ayah', bytes(length), [null.fileno()] * 3)
                same('another', other.request('scratch', PAGE).close().verdict, 'granted')
                same('refused', bus.answer(serial).verdict, 'malformed')
        same('itself', bus.request('scratch', PAGE).close().verdict, 'granted')


def on_shipped_bus(more=''):
    """On a bus with the policy that is installed."""
    daemon = Daemon(user=USER, start=False, bus=False)
    daemon.bus = make_bus(daemon.folder, options.dbus_broker, shipped_policy(USER) + more)
    daemon.own_bus, daemon.address = True, daemon.bus.address
    return daemon.start()


def test_fd_in_an_answer():
    """The daemon asks a client of dbus-broker by a call whether it takes fds: no policy of that bus
    holds back what comes in the answer."""
    need_root('a daemon of another user than the bus')
    if not options.dbus_broker:
        raise Skip('dbus-daemon is not asked by a call')

    def check(thing):
        with on_shipped_bus() as daemon:
            witness, bus = daemon.connect(), daemon.connect_bus()
            same('before', bus.request('scratch', PAGE).close().verdict, 'granted')
            call, = bus.calls
            with stopped(daemon.pid):
                bus.send(call.sender, None, None, None, 'h', thing.fd, kind=2,
                         reply_serial=call.serial)
                if isinstance(thing, Lingering):
                    bus.call(*BUS, 'GetId')
                thing.give_up()
            for _ in range(3):
                same('witness', witness.request('scratch', PAGE).close().verdict, 'granted')
            if isinstance(thing, Lingering):
                daemon.wait_records('deny', verdict='malformed')
            thing.end()

    each_foreign(check)


def test_bus_policy_lets_no_fds_in_without_the_name():
    """Which it may not have here, and has given back at a stop: signals may be sent to anybody."""
    need_root('a daemon of another user than the bus')
    no_name = f'<policy context="mandatory"><deny own="{NAME}"/></policy>'
    with on_shipped_bus(no_name) as daemon, open('/dev/null', encoding='ascii') as null:
        bus = daemon.connect_bus()
        there, = (name for name in bus.call(*BUS, 'ListNames')[0] if name[0] == ':' and
                  bus.call(*BUS, 'GetConnectionUnixProcessID', 's', name) == [daemon.pid])
        bus.send(there, '/nowhere', 'no.such', 'Signal', 'h', null.fileno(), kind=4)
        serial = bus.send(there, PATH, NAME, 'Request', 'sta{sv}', 'nosuch', PAGE, {})
        same('last', bus.answer(serial).verdict, 'unknown-use')
        daemon.wait_records('deny', verdict='unknown-use')
        same('let in', daemon.records('deny', verdict='malformed'), [])


def test_stop_with_an_fd_over_the_bus():
    """Unread when the stop comes."""
    def check(thing):
        daemon = Daemon()
        try:
            bus = daemon.connect_bus()
            same('before', bus.request('scratch', PAGE).close().verdict, 'granted')
            with stopped(daemon.pid):
                for _ in range(3):
                    bus.send_method('ListGrants', 'h', thing.fd)
                if isinstance(thing, Lingering):
                    bus.call(*BUS, 'GetId')
                thing.give_up()
                daemon.signal(signal.SIGTERM)
            same('exit code', daemon.wait_exit(), 0)
            same('last', daemon.records()[-1]['event'], 'stop')
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
