# SPDX-License-Identifier: LGPL-2.1-or-later
"""Packets that are not in order: refused as malformed, recorded, the connection ended, nobody else
disturbed."""
import os
import socket
import struct
import tempfile

from daemon import Daemon, options
from lib.harness import same
from lib.waiting import wait_until
from lib.wire import GRANTED, RELEASE, REQUEST, pack_release, pack_request
from suite import main

PAGE = 4096
GOOD = pack_request('scratch', PAGE, id=77)
RELEASE_GOOD = pack_release(1, id=77)
# name, packet, id of the reply
CASES = [
    ('one byte', b'\1', 0),
    ('fifteen bytes', GOOD[:15], 0),
    ('header only', struct.pack('=HHIQ', 1, REQUEST, 16, 77), 77),
    ('short', GOOD[:143], 77),
    ('short, and says so', pack_request('scratch', PAGE, id=77, length=143)[:143], 77),
    ('long', GOOD + b'\0', 77),
    ('long, and says so', pack_request('scratch', PAGE, id=77, length=145) + b'\0', 77),
    ('as long as any reply', GOOD + bytes(544 - 144), 77),
    ('longer than any', GOOD + bytes(4096), 77),
    ('64K', GOOD + bytes(65536 - 144), 77),
    ('length 0', pack_request('scratch', PAGE, id=77, length=0), 77),
    ('length too large', pack_request('scratch', PAGE, id=77, length=(1 << 32) - 1), 77),
    ('version 0', pack_request('scratch', PAGE, id=77, version=0), 77),
    ('version 2', pack_request('scratch', PAGE, id=77, version=2), 77),
    ('version swapped', pack_request('scratch', PAGE, id=77, version=256), 77),
    ('type 0', pack_request('scratch', PAGE, id=77, kind=0), 77),
    ('a reply', pack_request('scratch', PAGE, id=77, kind=GRANTED), 77),
    ('type of a release', pack_request('scratch', PAGE, id=77, kind=RELEASE), 77),
    ('flag', pack_request('scratch', PAGE, id=77, flags=4), 77),
    ('flags', pack_request('scratch', PAGE, id=77, flags=(1 << 32) - 1), 77),
    ('reserved', pack_request('scratch', PAGE, id=77, reserved=bytes(15) + b'\1'), 77),
    ('no use', pack_request('', PAGE, id=77), 77),
    ('use not terminated', pack_request('x' * 64, PAGE, id=77), 77),
    ('use after its end', pack_request(b'scratch\0\0x', PAGE, id=77), 77),
    ('use with a slash', pack_request('a/b', PAGE, id=77), 77),
    ('use with a newline', pack_request('a\nb', PAGE, id=77), 77),
    ('use not ASCII', pack_request(b'\xff\xfe', PAGE, id=77), 77),
    ('label not terminated', pack_request('scratch', PAGE, id=77, label='x' * 32), 77),
    ('label after its end', pack_request('scratch', PAGE, id=77, label=b'x\0y'), 77),
    ('label with a newline', pack_request('scratch', PAGE, id=77, label='a\n{"seq":1}'), 77),
    ('label not ASCII', pack_request('scratch', PAGE, id=77, label=b'\x80'), 77),
    ('release, short', RELEASE_GOOD[:31], 77),
    ('release, long', RELEASE_GOOD + b'\0' * 8, 77),
    ('release, reserved', pack_release(1, id=77, reserved=1), 77),
    ('release, version', pack_release(1, id=77, version=3), 77),
    ('release of a request\'s length', pack_release(1, id=77, length=144) + bytes(112), 77),
    ('noise', bytes(range(256)) * 2, 0x0f0e0d0c0b0a0908),
]


def check_ended(name, client, id):
    answers = client.wait_closed()
    same(name, [(a.verdict, a.id) for a in answers], [('malformed', id)])
    assert answers[0].reason, name
    return answers[0].reason


def test_each_packet():
    with Daemon() as daemon:
        witness = daemon.connect()
        for i, (name, packet, id) in enumerate(CASES):
            client = daemon.connect()
            client.send(packet)
            check_ended(name, client, id)
            if i % 4 == 0:
                same('witness', witness.request('scratch', PAGE).close().verdict, 'granted')
        same('grants', len(daemon.records('grant')), (len(CASES) + 3) // 4)
        daemon.restart()
        # Folding sets in after the first few; every one is counted.
        same('recorded', sum(r.get('repeated', 1) for r in daemon.records('deny')), len(CASES))
        same('as', {r['verdict'] for r in daemon.records('deny')}, {'malformed'})


def test_reasons_are_recorded():
    with Daemon() as daemon:
        for i, (name, packet, id) in enumerate(CASES[:8]):
            client = daemon.connect()
            client.send(packet)
            reason = check_ended(name, client, id)
            same(name, daemon.wait_records('deny', i + 1)[i]['reason'], reason)


def test_zero_length():
    """A packet of no bytes looks like the end of the connection."""
    with Daemon() as daemon:
        client = daemon.connect()
        client.socket.send(b'')
        client.wait_closed()
        same('others', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')


def test_fds_sent_along():
    with Daemon() as daemon:
        witness = daemon.connect()
        for packet in (GOOD, RELEASE_GOOD, b'x'):
            for count in (1, 3, 200):
                client = daemon.connect()
                with tempfile.TemporaryFile() as file:
                    try:
                        client.send(packet, fds=[file.fileno()] * count)
                    except PermissionError:  # the kernel lets none out (Linux 6.16)
                        assert not options.preload
                        client.send(b'x')
                        packet = b'x'
                    check_ended(f'{count} fds', client, 77 if len(packet) > 1 else 0)
        same('no fd stays', witness.request('scratch', PAGE).close().verdict, 'granted')
        assert not any('(deleted)' in name and 'memfd' not in name
                       for name in daemon.describe_fds().values())


def buffers(daemon, event):
    return [b['grant'] for r in daemon.records(event) for b in r['buffers']]


def test_requests_before_are_answered():
    """What was asked before the mistake is answered or dropped, never half done; what comes after
    is not looked at."""
    with Daemon() as daemon:
        client = daemon.connect()
        for _ in range(5):
            client.ask('scratch', PAGE)
        client.send(b'rubbish')
        after = client.socket.send
        try:
            after(GOOD)
        except OSError:
            pass  # the daemon was quicker
        answers = client.wait_closed()
        same('mistake', [a.verdict for a in answers].count('malformed'), 1)
        assert {a.verdict for a in answers} <= {'granted', 'malformed'}, answers
        assert len(answers) <= 6, answers
        granted = [g for a in answers for g in a.grants]
        wait_until(lambda: sorted(granted + buffers(daemon, 'undelivered')) ==
                   sorted(buffers(daemon, 'grant')), 'each accounted for')
        daemon.wait_totals(len(granted), len(granted) * PAGE)


def test_shut_down_halves():
    """A client that says it will send no more still gets what it asked for, or is let go."""
    with Daemon() as daemon:
        for _ in range(10):
            client = daemon.connect()
            client.ask('scratch', PAGE)
            client.socket.shutdown(socket.SHUT_WR)
            for answer in client.wait_closed():
                same('granted', answer.verdict, 'granted')
        for _ in range(10):
            client = daemon.connect()
            client.ask('scratch', PAGE)
            client.socket.shutdown(socket.SHUT_RD)
            client.close()
        same('others', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')


def test_other_socket_tricks():
    """Out-of-band data, credentials sent along, and a peek: no harm."""
    with Daemon() as daemon:
        client = daemon.connect()
        made_up = struct.pack('3i', os.getpid(), os.getuid(), os.getgid())
        client.socket.sendmsg([GOOD], [(socket.SOL_SOCKET, socket.SCM_CREDENTIALS, made_up)])
        answers = [client.receive()]
        assert answers[0].close().verdict in ('granted', 'malformed'), answers
        same('others', daemon.connect().request('scratch', PAGE).close().verdict, 'granted')


if __name__ == '__main__':
    main(globals())
