# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of the bus that mean harm, and a bus that does not answer: each is served as far as it
goes, and nobody else notices."""
import signal
import socket
import struct
import time

from daemon import Closing, Daemon, options, policy
from lib.broker import NAME, PATH, Broker, Variant
from lib.harness import need_root, same
from lib.minibus import pack
from lib.waiting import DEADLINE, stopped, wait_until
from lib.wire import Socket
from peers import Peer, wait_end
from suite import OTHER, main

PAGE = 4096
BUS = 'org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus'


def room(mebibytes):
    """Bytes; a sanitizer keeps what is freed for a while, and more beside everything."""
    return mebibytes * (8 if options.sanitize else 1) << 20


def check_socket(daemon):
    with Closing(daemon.connect()) as client:
        for _ in range(3):
            same('over the socket', client.request('scratch', PAGE).close().verdict, 'granted')


def passed_on(bus):
    """Until the bus has passed on what was sent before."""
    bus.call(*BUS, 'GetId')


# --- a bus that does not answer ---

def test_bus_that_hangs():
    """Calls of clients that were never seen have come, and the bus cannot be asked who they are."""
    with Daemon() as daemon:
        buses = [daemon.connect_bus() for _ in range(4)]
        with stopped(daemon.pid):
            serials = [bus.ask('scratch', PAGE) for bus in buses]
            for bus in buses:
                passed_on(bus)
            with stopped(*daemon.bus.pids()):
                daemon.signal(signal.SIGCONT)
                check_socket(daemon)
        for bus, serial in zip(buses, serials):
            same('in the end', bus.answer(serial).close().verdict, 'granted')


class DeafBus:
    """A bus that lets the daemon in, passes calls on, and reads nothing more."""

    def __init__(self, folder):
        self.path, self.client = folder / 'deaf', None
        self.address = f'unix:path={self.path}'
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(1)
        self.listener.settimeout(DEADLINE)

    def let_in(self):
        self.client, _ = self.listener.accept()
        self.client.settimeout(DEADLINE)
        self.read_until(b'BEGIN')  # sd-bus does not wait for answers
        self.send(b'DATA\r\nOK 0123456789abcdef0123456789abcdef\r\nAGREE_UNIX_FD\r\n')
        self.read_until(b'Hello')  # and what it has to say after it
        self.send(pack(1, ':1.1', None, None, None, 's', ':1.1', kind=2, reply_serial=1,
                       sender=BUS[0])[0])
        for serial in range(2, 9):  # the request for the name is one of these
            self.send(pack(serial, ':1.1', None, None, None, 'u', 1, kind=2, reply_serial=serial,
                           sender=BUS[0])[0])

    def send(self, data):
        self.client.sendall(data)

    def read_until(self, end):
        told = b''
        while end not in told:
            data = self.client.recv(1 << 20)
            assert data, 'hung up'
            told = told[-len(end):] + data

    def stop(self):
        self.client.close()
        self.listener.close()


def string(text):
    """As it is in a message, and in no XML."""
    return struct.pack('<I', len(text)) + text.encode() + b'\0'


def test_answers_that_the_bus_does_not_take():
    """Those to calls that are none of ours, too, which anybody may make; and signals. None of these
    pile up, and once the bus reads again, who watches hears of it."""
    with Daemon(start=False, bus=False) as daemon:
        bus = daemon.bus = DeafBus(daemon.folder)
        daemon.own_bus, daemon.address = True, daemon.bus.address
        daemon.spawn()
        bus.let_in()
        daemon.wait_message('READY=1')
        check_socket(daemon)
        memory = daemon.rss()
        for number in range(10, 10010):
            bus.send(pack(number, ':1.1', PATH, 'org.freedesktop.DBus.Introspectable',
                          'Introspect', sender=':1.2')[0])
        # One that is longer than what is on the way: those before have been read.
        bus.send(pack(10010, ':1.1', '/x', 'x.y', 'Z', 's', 'x' * (1 << 20), flags=1,
                      sender=':1.2')[0])
        end = time.monotonic() + .2  # longer than signals are held back, at least
        while time.monotonic() < end:
            with Closing(Socket(str(daemon.socket))) as client:
                client.request('scratch', 2 * PAGE).close()
        assert daemon.rss() - memory < room(32), (memory, daemon.rss())
        bus.read_until(string('GrantedBytes'))
        daemon.release_own()
        daemon.signal(signal.SIGTERM)
        same('exit', daemon.wait_exit(), 0)


# --- clients that flood ---

def test_long_calls():
    """One that takes long to read, or memory while it waits, is refused at once."""
    with Daemon() as daemon:
        client, bus = daemon.doors()
        same('before', bus.request('scratch', PAGE).close().verdict, 'granted')
        for member, signature, body in (
                ('Request', 'sta{sv}', ('scratch', PAGE, Again('read-only', False, 'b'))),
                ('Why', 'sta{sv}', ('scratch', PAGE, Again('unit', 'x', 's'))),
                ('Request', 'sta{sv}', ('x' * (1 << 20), PAGE, {})),
                ('Request', 'sta{sv}', ('scratch', PAGE, {'label': Variant('ay', bytes(1 << 20))})),
                ('Why', 'sta{sv}', ('scratch', PAGE, {'gids': Variant('au', range(1 << 16))}))):
            answer = bus.answer(bus.send_method(member, signature, *body))
            same(member, (answer.verdict, 'longer' in answer.reason), ('malformed', True))
            same('another', client.request('scratch', PAGE).close().verdict, 'granted')
        serial = bus.send(NAME, PATH, 'org.freedesktop.DBus.Properties', 'Get', 'ss', NAME,
                          'x' * (1 << 20))
        same('Get', bus.answer(serial).verdict, 'malformed')
        same('many groups', bus.why('scratch', PAGE, gids=list(range(8000)))['verdict'], 'granted')


class Again(dict):
    """A dictionary that has one key very often."""

    def __init__(self, key, value, kind):
        super().__init__()
        self.item = key, Variant(kind, value)

    def items(self):
        return [self.item] * 50000



def floods_with_fds(channel, address):
    """On a bus that lets them in."""
    bus = Broker(address)
    owner, = bus.call(*BUS, 'GetNameOwner', 's', NAME)
    channel.send('ready')
    with open('/dev/null', encoding='ascii') as null:
        fds = [null.fileno()] * 16
        for i in range(300):
            bus.send_method('Request', 'sta{sv}ah', 'scratch', PAGE, {}, fds)
            bus.send(owner, '/nowhere', 'no.such', 'Signal', 'ah', fds, kind=4)
            if i % 10 == 9:
                bus.send(NAME, PATH, NAME, 'Request', 'sta{sv}', 'nosuch', PAGE, {}, flags=1)
                bus.call(*BUS, 'GetId')
    channel.send('sent')
    wait_end(channel)


def test_flood_of_fds():
    need_root('other users')
    with Daemon() as daemon:
        client, bus = daemon.doors()
        with Peer(floods_with_fds, daemon.address, uid=OTHER) as peer:
            same('flood', peer.receive(), 'ready')
            for _ in range(50):
                for each in bus, client:
                    same('another', each.request('scratch', PAGE).close().verdict, 'granted')
            same('flood', peer.receive(), 'sent')
            same('and then', bus.request('scratch', PAGE).close().verdict, 'granted')
            records = daemon.wait_records('deny', verdict='malformed')
            same('whose', {r['peer']['uid'] for r in records}, {OTHER})
            peer.kill()


# --- clients that leave ---

def test_leaving_in_each_phase():
    """Before the daemon has read their calls, before it knows who they are, and after: what was
    charged for them comes back."""
    with Daemon(policy(limits={'connections-per-user': 2})) as daemon:
        for phase in ('unread', 'asked about', 'refused', 'served') * 3:
            bus = Broker(daemon.address)
            if phase == 'served':
                same(phase, bus.request('scratch', PAGE).close().verdict, 'granted')
            elif phase == 'refused':
                same(phase, bus.request('no use', PAGE).verdict, 'malformed')
            elif phase == 'unread':
                with stopped(daemon.pid):
                    for _ in range(3):
                        bus.ask('scratch', PAGE)
                    passed_on(bus)
                    bus.close()
            else:
                bus.ask('scratch', PAGE)
            bus.close()

        def again():
            with Closing(Broker(daemon.address)) as bus:
                return bus.request('scratch', PAGE).close().verdict == 'granted'

        for _ in range(3):
            wait_until(again, 'a connection again')


if __name__ == '__main__':
    main(globals())
