# SPDX-License-Identifier: LGPL-2.1-or-later
"""The trail is on a file system that stops to answer, as one over a network may: grants fail and
say why, everything else goes on, and a stop ends."""
import signal

from daemon import Daemon, policy, rule
from lib.harness import same
from lib.waiting import DEADLINE, wait_until
from lib.wire import Socket
from remote import RemoteFolder
from suite import USER, main

PAGE = 4096


def ask(daemon, label):
    client = Socket(str(daemon.socket))
    same(label, client.request('scratch', PAGE, label=label).close().verdict, 'granted')
    client.close()

def remote_trail(name):
    """The file system stops in the middle of requests, comes back, and stops at the end."""
    # At its end the leak sanitizer would wait for the thread that waits for the disk.
    with Daemon(policy(rule('all'), audit={'durability': name}), start=False, user=USER,
                environment={'ASAN_OPTIONS': 'detect_leaks=0'}) as daemon:
        behind = daemon.folder / 'behind'
        behind.mkdir()
        with RemoteFolder(daemon.audit_dir, behind) as remote:
            daemon.start()
            bus, waiting, late = daemon.connect_bus(), daemon.connect(), daemon.connect()
            ask(daemon, 'before')
            remote.stop()
            waiting.ask('scratch', PAGE, label='waiting')
            # The loop serves others meanwhile.
            for _ in range(3):
                same('served', bus.get('GrantCount') >= 0, True)
            answer = waiting.receive()
            same('waiting', answer.verdict, 'audit-failed')
            assert 'does not answer' in answer.reason, answer
            # From now on nobody waits.
            for use, verdict in (('scratch', 'audit-failed'), ('nosuch', 'unknown-use')):
                for _ in range(10):
                    same(use, late.request(use, PAGE).verdict, verdict)
            assert 'does not answer' in daemon.stderr(), daemon.stderr()
            remote.go_on()
            wait_until(lambda: late.request('scratch', PAGE).close().verdict == 'granted',
                       'grants again')
            ask(daemon, 'after')
            records = daemon.records()
            for record in records:
                if record.get('label') == 'waiting' and record['event'] == 'grant':
                    numbers = [b['grant'] for b in record['buffers']]
                    assert any(r['event'] == 'undelivered' and r['label'] == 'waiting' and
                               [b['grant'] for b in r['buffers']] == numbers for r in records), \
                        records
            refused = [r for r in records if r['event'] == 'deny']
            assert sum(r.get('repeated', 1) for r in refused if r['use'] == 'nosuch') >= 8, refused
            daemon.close_clients()
            remote.stop()
            client = daemon.connect()
            client.ask('scratch', PAGE, label='the last')
            daemon.signal(signal.SIGTERM)
            same('exit', daemon.wait_exit(2 * DEADLINE), 0)
            assert 'does not answer' in daemon.stderr().splitlines()[-1], daemon.stderr()
            remote.go_on()
            client.close()
            daemon.clients.clear()
            daemon.start()
            ask(daemon, 'a new start')
            assert not any(r.get('missing') for r in daemon.records()), daemon.records()
            daemon.stop()


def test_remote_trail_written():
    remote_trail('written')


def test_remote_trail_synced():
    remote_trail('synced')



if __name__ == '__main__':
    main(globals())
