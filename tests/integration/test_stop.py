# SPDX-License-Identifier: LGPL-2.1-or-later
"""The end: asked for under load, forced in the middle, and the chain over both."""
import json
import os
import signal

from daemon import Daemon, run_client
from lib.broker import Broker
from lib.harness import same
from lib.minibus import BusError
from lib.waiting import wait_until
from lib.wire import Socket
from peers import Peer, wait_end
from suite import main

PAGE = 4096


def load(channel, path, address):
    """Asks and releases until the daemon is gone."""
    channel.send('ready')
    try:
        socket, bus = Socket(path), Broker(address)
        while True:
            for client in socket, bus:
                answer = client.request('scratch', PAGE * 3).close()
                if answer.grants:
                    client.release(answer.grants[0])
                client.request('nosuch', PAGE)
            socket.request('scratch', 2 << 20, count=4).close()
    except (AssertionError, ConnectionError, BusError):
        pass
    wait_end(channel)


def accounted(daemon):
    """Every grant of the trail has one end at most."""
    ended = [b['grant'] for r in daemon.records() if r['event'] in ('release', 'undelivered')
             for b in r['buffers']]
    same('ends of a grant', len(ended), len(set(ended)))


def under_load(number):
    daemon = Daemon()
    with daemon:
        peers = [Peer(load, str(daemon.socket), daemon.address) for _ in range(4)]
        for peer in peers:
            peer.receive()
        wait_until(lambda: len(daemon.records('grant')) > 50, 'grants')
        daemon.signal(number)
        code = daemon.wait_exit()
        for peer in peers:
            peer.kill()
            peer.wait()
        same('exit', code, 0)
        records = daemon.verify()
        same('last', records[-1]['event'], 'stop')
        accounted(daemon)
        same('silent', [line for line in daemon.stderr().splitlines() if 'assert' in line], [])
        assert not os.path.exists(daemon.socket) or os.stat(daemon.socket)
        daemon.start()
        same('again', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')


def test_terminate_under_load():
    under_load(signal.SIGTERM)


def test_interrupt_under_load():
    under_load(signal.SIGINT)


def test_stop_with_requests_under_way():
    """Large ones wait for their thread when the stop comes: each is answered or undone."""
    with Daemon() as daemon:
        client = daemon.connect()
        for _ in range(16):
            client.ask('scratch', 8 << 20)
        daemon.signal(signal.SIGTERM)
        answers = client.wait_closed()
        same('exit', daemon.wait_exit(), 0)
        same('last', daemon.verify()[-1]['event'], 'stop')
        accounted(daemon)
        granted = {g for a in answers for g in a.grants}
        undone = {b['grant'] for r in daemon.records('undelivered') for b in r['buffers']}
        recorded = {b['grant'] for r in daemon.records('grant') for b in r['buffers']}
        same('granted or undone', granted | undone, recorded)


def test_stop_with_a_slow_reader():
    """Clients that do not read what they asked for do not hold up the end."""
    with Daemon() as daemon:
        client = daemon.connect()
        client.socket.setblocking(False)
        try:
            for _ in range(1000):
                client.ask('scratch', PAGE, count=64)
        except BlockingIOError:
            pass
        daemon.signal(signal.SIGTERM)
        same('exit', daemon.wait_exit(), 0)
        same('last', daemon.verify()[-1]['event'], 'stop')


def test_stop_with_a_slow_reader_of_the_bus():
    with Daemon() as daemon:
        bus = daemon.connect_bus()
        for _ in range(1000):
            bus.ask('scratch', PAGE)
        daemon.wait_records('grant', 50)
        daemon.signal(signal.SIGTERM)
        same('exit', daemon.wait_exit(), 0)
        same('last', daemon.verify()[-1]['event'], 'stop')


def test_killed_in_the_middle():
    with Daemon() as daemon:
        for _ in range(4):
            with Peer(load, str(daemon.socket), daemon.address) as peer:
                peer.receive()
                count = len(daemon.records('grant'))
                wait_until(lambda: len(daemon.records('grant')) > count + 20, 'grants')
                daemon.kill()
                peer.kill()
                peer.wait()
            daemon.start()
            same('serves', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')
        daemon.stop()
        records = daemon.verify()
        same('starts', len([r for r in records if r['event'] == 'start']), 5)
        grants = [b['grant'] for r in records if r['event'] == 'grant' for b in r['buffers']]
        same('no number twice', len(grants), len(set(grants)))


def test_incomplete_last_record():
    """As a crash in the middle of a write leaves it. One that was whole is missed: test_trail."""
    with Daemon() as daemon:
        daemon.connect().request('scratch', PAGE).close()
        daemon.kill()
        whole = daemon.audit.read_bytes()
        daemon.audit.write_bytes(whole + whole.splitlines()[-1][:-20])
        daemon.start()
        daemon.stop()
        records = daemon.verify()
        assert any('incomplete last record' in r.get('reason', '') for r in records), records


def test_tampered_trail():
    """Where a record was changed the client says so; the daemon goes on all the same."""
    with Daemon() as daemon:
        daemon.connect().request('scratch', PAGE).close()
        daemon.stop()
        lines = daemon.audit.read_bytes().split(b'\n')
        daemon.audit.write_bytes(b'\n'.join(
            line.replace(b'"use":"scratch"', b'"use":"scratcx"') for line in lines))
        result = run_client('audit', 'verify', '--json', daemon.audit)
        same('exit', result.returncode, 1)
        same('whole', json.loads(result.stdout)['whole'], False)
        daemon.start()
        same('serves', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')
        daemon.kill()


def test_damaged_end_is_set_aside():
    with Daemon() as daemon:
        daemon.stop()
        with open(daemon.audit, 'ab') as file:
            file.write(b'not a record\n')
        daemon.start()
        same('serves', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')
        aside = [n for n in os.listdir(daemon.audit_dir) if 'damaged' in n]
        same('aside', len(aside), 1)
        # The state says where the chain stood.
        records = daemon.records()
        same('what is missing', records[1]['missing'], [{'first': 1, 'last': 3}])
        same('numbers go on', records[0]['seq'], 4)
        assert aside[0] in records[0]['reason'], records
        same('the auditor sees', run_client('audit', 'verify', daemon.audit).returncode, 1)
        daemon.kill()


def test_continues_over_restarts():
    with Daemon() as daemon:
        for _ in range(3):
            daemon.connect().request('scratch', PAGE).close()
            daemon.restart()
        records = daemon.verify()
        same('starts', len([r for r in records if r['event'] == 'start']), 4)
        same('numbers', [r['seq'] for r in records], list(range(1, len(records) + 1)))


if __name__ == '__main__':
    main(globals())
