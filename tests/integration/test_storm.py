# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients that do anything, in an order that a seed fixes, for a bounded number of steps.
Afterwards nothing is granted, nothing is left open, and the trail tells all of it."""
import fcntl
import mmap
import os
import random
import signal
import socket

from daemon import Daemon, policy, rule
from lib.broker import Broker
from lib.harness import same
from lib.minibus import BusError
from lib.wire import Socket, pack_release, pack_request
from peers import Peer, become
from suite import OTHER, USER, main

PAGE = 4096
CLIENTS, STEPS = 16, 100
SIZES = (0, 1, PAGE, 3 * PAGE, 65536, 1 << 20, 3 << 20, (1 << 64) - 1)
USES = ('scratch', 'scratch', 'scratch', 'few', 'slow', 'denied', 'nosuch')


class Client:
    """One process of the storm."""

    def __init__(self, seed, path, address):
        self.random = random.Random(seed)
        self.path, self.address = path, address
        self.socket, self.bus = Socket(path), None
        self.held = []  # of (grant, fd)
        self.maps = []

    def keep(self, answer):
        self.held += zip(answer.grants, answer.fds)
        answer.fds = []

    def step(self):
        names = [name for name in dir(self) if name.startswith('do_')]
        name = self.random.choice(names)
        try:
            getattr(self, name)()
        except (ConnectionError, AssertionError):
            # Ended by the daemon, for our manners or our number.
            self.socket.close()
            self.socket = Socket(self.path)
        except BusError:
            pass

    def do_request(self):
        self.keep(self.socket.request(self.random.choice(USES), self.random.choice(SIZES),
                                      read_only=self.random.random() < 0.2))

    def do_batch(self):
        self.keep(self.socket.request('scratch', PAGE, count=self.random.randint(0, 65)))

    def do_flight(self):
        for _ in range(self.random.randint(1, 20)):
            self.socket.ask('scratch', self.random.choice(SIZES))
        self.reconnect_reading()

    def reconnect_reading(self):
        """Takes what has come and hangs up on the rest."""
        while not self.socket.quiet():
            answer = self.socket.receive()
            if answer is None:
                break
            self.keep(answer)
        self.socket.close()
        self.socket = Socket(self.path)

    def do_bus(self):
        if not self.bus:
            self.bus = Broker(self.address)
        self.keep(self.bus.request(self.random.choice(USES), self.random.choice(SIZES)))

    def do_bus_and_leave(self):
        bus = Broker(self.address)
        for _ in range(self.random.randint(1, 10)):
            bus.ask('scratch', PAGE)
        bus.close()

    def do_list(self):
        if self.bus:
            self.bus.grants()
            self.bus.why('scratch', self.random.choice(SIZES))

    def do_release(self):
        if self.held:
            grant, fd = self.held.pop(self.random.randrange(len(self.held)))
            os.close(fd)
            door = self.bus if self.bus and self.random.random() < 0.5 else self.socket
            door.release(grant)

    def do_release_twice(self):
        if self.held:
            grant, fd = self.held.pop()
            os.close(fd)
            self.socket.release(grant)
            self.socket.release(grant)

    def do_forget(self):
        """Closes a buffer without a word."""
        if self.held:
            os.close(self.held.pop()[1])

    def do_dup(self):
        if self.held:
            grant, fd = self.held[-1]
            self.held.append((grant, fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 3)))

    def do_map(self):
        if self.held:
            self.maps.append(mmap.mmap(self.held[-1][1], PAGE, prot=mmap.PROT_READ))

    def do_pass_on(self):
        """Into a message that nobody ever reads."""
        if self.held:
            one, two = socket.socketpair()
            socket.send_fds(one, [b'x'], [self.held[-1][1]])
            one.close()
            two.close()

    def do_fork(self):
        """A child holds all of it for a moment, and uses the connection too."""
        pid = os.fork()
        if pid == 0:
            try:
                self.socket.send(pack_request('scratch', PAGE))
            finally:
                os._exit(0)
        os.waitpid(pid, 0)
        self.reconnect_reading()

    def do_garbage(self):
        data = self.random.randbytes(self.random.randint(1, 700))
        if self.random.random() < 0.5:
            data = bytearray(pack_request('scratch', PAGE))
            data[self.random.randrange(len(data))] ^= 1 << self.random.randrange(8)
        self.socket.send(bytes(data))
        self.reconnect_reading()

    def do_fds(self):
        try:
            self.socket.send(pack_release(1), fds=[0] * self.random.randint(1, 50))
        except PermissionError:  # the kernel lets none out (Linux 6.16)
            return
        self.reconnect_reading()

    def do_hang_up(self):
        self.socket.ask('scratch', self.random.choice(SIZES))
        self.socket.close()
        self.socket = Socket(self.path)

    def do_leave_bus(self):
        if self.bus:
            self.bus.close()
            self.bus = None


def storm(channel, seed, path, address):
    client = Client(seed, path, address)
    channel.receive()
    for _ in range(STEPS):
        client.step()
        if client.random.random() < 0.01:
            os.kill(os.getpid(), signal.SIGKILL)
        if client.random.random() < 0.01 and os.geteuid() == 0:
            become(client.random.choice((USER, OTHER)))


def test_storm():
    content = policy(
        rule('few', use='few', buffers=5, total='1M', per='process'),
        rule('slow', use='slow', rate='20/s', per='user'),
        rule('denied', use='denied', deny='no'),
        rule('all', buffer='4M', total='64M'),
        uses={name: {'heap': 'emulated'} for name in ('scratch', 'few', 'slow', 'denied')},
        limits={'connections-per-user': 40, 'total': '80M'})
    with Daemon(content) as daemon:
        peers = []
        for seed in range(CLIENTS):
            uid = (None, USER, OTHER)[seed % 3] if os.geteuid() == 0 else None
            peers.append(Peer(storm, seed, str(daemon.socket), daemon.address, uid=uid))
        for peer in peers:
            peer.send()
        for i, peer in enumerate(peers):
            if i % 4 == 0:
                daemon.signal(signal.SIGHUP)
                daemon.wait_message('READY=1')
            same('a client', peer.wait() in (0, -signal.SIGKILL), True)
        daemon.wait_totals(0, 0)
        daemon.wait_idle()
        daemon.restart()
        check_ends(daemon)
        assert len(daemon.records('grant')) > CLIENTS


def check_ends(daemon):
    """Each buffer that was granted ended once, in one of the two ways."""
    granted, ended = [], []
    for record in daemon.records():
        numbers = [b['grant'] for b in record.get('buffers', ())]
        if record['event'] == 'grant':
            granted += numbers
        elif record['event'] in ('release', 'undelivered'):
            ended += numbers
    same('no number twice', len(set(granted)), len(granted))
    same('no end twice', len(set(ended)), len(ended))
    same('each ended', sorted(ended), sorted(granted))


if __name__ == '__main__':
    main(globals())
