# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients of the bus that mean harm, and a bus that does not answer: each is served as far as it
goes, and nobody else notices."""
import signal

from broker import NAME, PATH, Broker
from harness import OTHER, Closing, Daemon, main, need_root, policy, same, stopped, wait_until
from peers import Peer, wait_end

PAGE = 4096
BUS = 'org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus'


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


# --- clients that flood ---

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
        bus, client = daemon.doors()
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
