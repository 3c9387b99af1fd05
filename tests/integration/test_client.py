# SPDX-License-Identifier: LGPL-2.1-or-later
"""ccbuf-client from its command line to its exit code."""
import json
import os
import signal
import subprocess
import sys

from daemon import Daemon, client_environment, options, policy, rule, run_client
from lib.harness import Skip, need_root, same
from lib.waiting import DEADLINE, Program, wait_until
from suite import OTHER, main

PAGE = 4096
DONE, FAILED, USAGE, REFUSED = 0, 1, 2, 3


def client(daemon, *arguments, code=DONE, **more):
    """Runs it; the code must be this one, and what is said is said as it should be."""
    result = run_client(*arguments, daemon=daemon, **more)
    same(f'{arguments}: {result.stdout} {result.stderr}', result.returncode, code)
    if code and arguments[:1] != ('why',):
        assert result.stderr, arguments
    for line in result.stderr.splitlines():
        assert line.startswith('ccbuf-client'), line
    return result


def hold(daemon, *arguments):
    return Program([options.client, 'request', *arguments], stdin=subprocess.DEVNULL,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                            env=client_environment(daemon))


def test_hold_until_interrupted():
    with Daemon() as daemon:
        for transport in 'socket', 'dbus':
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                with hold(daemon, '--use', 'scratch', '--size', '64K', '--count', '2',
                          '--transport', transport, '--label', 'held') as process:
                    lines = [process.stdout.readline() for _ in range(2)]
                    assert all('64K' in line and 'scratch' in line for line in lines), lines
                    daemon.wait_totals(2, 131072)
                    listed = json.loads(client(daemon, 'list', '--json').stdout)
                    same('listed', [(g['label'], g['pid'], g['transport']) for g in listed],
                         [('held', process.pid, transport)] * 2)
                    process.send_signal(number)
                    out, err = process.communicate(timeout=DEADLINE)
                    same('end', (process.returncode, err), (0, ''))
                    same('given back', out.count('given back'), 2)
                daemon.wait_totals(0, 0)


def test_hold_json():
    with Daemon() as daemon:
        with hold(daemon, '--use', 'scratch', '--size', '5000', '--json') as process:
            grant = json.loads(process.stdout.readline())
            same('grant', (grant['use'], grant['size'], grant['pid'], grant['transport']),
                 ('scratch', 8192, process.pid, 'socket'))
            same('inode', daemon.records('grant')[0]['buffers'],
                 [{'grant': grant['grant'], 'inode': grant['inode']}])
            process.kill()
        daemon.wait_totals(0, 0)


CHECK = '''
import os, sys
count = int(os.environ["LISTEN_FDS"])
assert os.environ["LISTEN_PID"] == str(os.getpid())
names = os.environ["LISTEN_FDNAMES"].split(":")
sizes = [os.fstat(3 + i).st_size for i in range(count)]
for i in range(count):
    os.pwrite(3 + i, b"x", 0)
more = []
for fd in os.listdir("/proc/self/fd"):
    if int(fd) >= 3 + count and os.path.exists(f"/proc/self/fd/{fd}"):
        more.append(os.readlink(f"/proc/self/fd/{fd}"))
print(count, names, sizes, more)
sys.exit(7)
'''


def test_command():
    with Daemon() as daemon:
        for transport in 'socket', 'dbus':
            result = run_client(
                'request', '--use', 'scratch', '--size', '8K', '--count', '3', '--label', 'ring',
                '--transport', transport, '--', sys.executable, '-c', CHECK, daemon=daemon)
            same('exit', (result.returncode, result.stderr), (7, ''))
            same('seen', result.stdout, f"3 {['ring'] * 3} {[8192] * 3} []\n")
        daemon.wait_totals(0, 0)
        result = run_client('request', '--use', 'scratch', '--size', '8K', '--', '/no/such/file',
                            daemon=daemon)
        same('no program', result.returncode, 127)
        assert '/no/such/file' in result.stderr, result
        daemon.wait_totals(0, 0)


def test_command_that_holds():
    """The grants are the command's: charged while it runs, wherever the client went."""
    with Daemon() as daemon:
        reading, writing = os.pipe()
        with Program([options.client, 'request', '--use', 'scratch', '--size', '64K', '--', 'cat'],
                     stdin=reading, env=client_environment(daemon)) as process:
            os.close(reading)
            wait_until(lambda: len(daemon.records('grant')) == 1, 'the grant')
            daemon.wait_totals(1, 65536)
            os.close(writing)
            same('exit', process.wait(DEADLINE), 0)
        daemon.wait_totals(0, 0)


def test_refusals():
    content = policy(rule('small', buffer='64K', buffers=2), rule('no', use='video', deny='never'),
                     rule('cc', use='rdma'),
                     uses={'scratch': {'heap': 'emulated'}, 'video': {'heap': 'emulated'},
                           'rdma': {'heap': 'system_cc_shared'}})
    cases = [(('video', '4K'), 'denied', 'no'), (('scratch', '1M'), 'buffer-limit', 'small'),
             (('nosuch', '4K'), 'unknown-use', None), (('rdma', '4K'), 'consent-required', 'cc'),
             (('rdma', '4K', '--accept-shared'), 'heap-unavailable', 'cc')]
    with Daemon(content) as daemon:
        for transport in 'socket', 'dbus':
            for (use, size, *more), verdict, name in cases:
                result = client(daemon, 'request', '--use', use, '--size', size, '--transport',
                                transport, '--json', *more, code=REFUSED)
                assert verdict in result.stderr, result
                assert name is None or 'rule' in result.stderr and name in result.stderr, result
                told = json.loads(result.stdout)
                same('json', told['verdict'], verdict)
        client(daemon, 'request', '--use', 'scratch', '--size', '4K', '--count', '3', code=REFUSED)
        client(daemon, 'request', '--use', 'scratch', '--size', '4K', '--count', '3', '--transport',
               'dbus', code=REFUSED)
        daemon.wait_totals(0, 0)


def test_usage():
    with Daemon() as daemon:
        for arguments in ((), ('nonsense',), ('request',), ('request', '--use', 'scratch'),
                          ('request', '--use', 'a/b', '--size', '1'),
                          ('request', '--use', 'scratch', '--size', 'many'),
                          ('request', '--use', 'scratch', '--size', '99999999999999999999'),
                          ('request', '--use', 'scratch', '--size', '-1'),
                          ('request', '--use', 'scratch', '--size', '4K', '--count', '0'),
                          ('request', '--use', 'scratch', '--size', '4K', '--count', '65'),
                          ('request', '--use', 'scratch', '--size', '4K', '--transport', 'pigeon'),
                          ('request', '--use', 'scratch', '--size', '4K', '--label', 'ü'),
                          ('list', '--nonsense'), ('list', 'more'), ('policy',), ('audit',),
                          ('why',), ('reload', '--json')):
            client(daemon, *arguments, code=USAGE)
        for arguments in (('--help',), ('request', '--help'), ('list', '--help'),
                          ('why', '--help'), ('audit', 'verify', '--help'), ('--version',)):
            assert client(daemon, *arguments).stdout
        same('none asked', daemon.records('deny'), [])


def test_missing_daemon():
    """One line that says what is missing and what to do."""
    with Daemon(bus=False, start=False) as daemon:
        cases = [(('request', '--use', 'scratch', '--size', '4K'), 'systemctl start'),
                 (('request', '--use', 'scratch', '--size', '4K', '--transport', 'dbus'), 'bus'),
                 (('list',), 'bus'), (('status',), 'bus'), (('reload',), 'bus'),
                 (('why', '--use', 'scratch', '--size', '4K'), 'bus')]
        for arguments, word in cases:
            result = client(daemon, *arguments, code=FAILED)
            assert word in result.stderr, result
            assert len(result.stderr.splitlines()) == 1, result
    with Daemon(start=False) as daemon:  # a bus, but no daemon on it
        for arguments in (('list',), ('status',)):
            result = client(daemon, *arguments, code=FAILED)
            assert 'systemctl start ccbufd' in result.stderr, result


def test_status_list_why():
    with Daemon(policy(rule('small', buffer='64K'))) as daemon:
        status = json.loads(client(daemon, 'status', '--json').stdout)
        same('status', (status['GrantCount'], status['PolicyError']), (0, ''))
        assert status['PolicyDigest'] in client(daemon, 'status').stdout
        assert 'emulated' in client(daemon, 'status').stdout
        same('list', json.loads(client(daemon, 'list', '--json').stdout), [])
        assert '0 grants' in client(daemon, 'list').stdout
        told = json.loads(client(daemon, 'why', '--use', 'scratch', '--size', '4K',
                                 '--json').stdout)
        same('why', (told['verdict'], told['rule']), ('granted', 'small'))
        result = client(daemon, 'why', '--use', 'scratch', '--size', '1M', code=REFUSED)
        assert 'buffer-limit' in result.stdout and '10-test.json' in result.stdout, result
        same('nothing recorded', daemon.records('grant') + daemon.records('deny'), [])
        if os.geteuid() == 0:
            told = client(daemon, 'why', '--use', 'scratch', '--size', '4K', '--user', str(OTHER),
                          '--unit', 'x.service', '--exe', '/bin/x', '--json').stdout
            same('another', json.loads(told)['verdict'], 'granted')
        else:
            client(daemon, 'why', '--use', 'scratch', '--size', '4K', '--user', '0', code=REFUSED)


def test_reload():
    with Daemon() as daemon:
        if os.geteuid() != 0:
            client(daemon, 'reload', code=REFUSED)
            return
        client(daemon, 'reload')
        daemon.write_policy('{ "version": 1, "rulez": [], "usez": {} }', '20-bad.json')
        result = client(daemon, 'reload', code=FAILED)
        assert 'rulez' in result.stderr and 'usez' in result.stderr, result
        assert 'rulez' in client(daemon, 'status').stdout
        daemon.write_policy(None, '20-bad.json')
        client(daemon, 'reload')


def test_revoke():
    """Of a heap that cannot, and by whom it may not; what can is for machines with the module."""
    with Daemon() as daemon:
        grant = str(daemon.connect().request('scratch', PAGE).close().grants[0])
        result = client(daemon, 'revoke', grant, code=REFUSED)
        assert ('only root' if os.geteuid() else 'heap emulated of grant') in result.stderr, result
        told = json.loads(client(daemon, 'revoke', '--json', grant, code=REFUSED).stdout)
        same('verdict', told['verdict'], 'not-permitted' if os.geteuid() else 'unsupported')
        assert grant in client(daemon, 'list').stdout


def test_policy_verbs():
    with Daemon() as daemon:
        assert 'no mistakes' in client(daemon, 'policy', 'check', daemon.policy_dir).stdout
        shown = json.loads(client(daemon, 'policy', 'show', '--json', daemon.policy_dir).stdout)
        same('digest', shown['digest'], json.loads(
            client(daemon, 'status', '--json').stdout)['PolicyDigest'])
        same('rules', [r['name'] for r in shown['rules']], ['all'])
        same('on-reload', shown['on-reload'], {'value': 'keep', 'from': 'default'})
        lines = client(daemon, 'policy', 'show', daemon.policy_dir).stdout.splitlines()
        assert ['on-reload', 'keep', 'default'] in [line.split() for line in lines], lines
        bad = daemon.folder / 'bad.json'
        bad.write_text('{ "version": 1, "limits": { "total": "lots" }, "rulez": [] }')
        result = client(daemon, 'policy', 'check', bad, code=FAILED)
        assert 'lots' in result.stderr and 'rulez' in result.stderr, result


def test_audit_verbs():
    with Daemon() as daemon:
        one = daemon.connect().request('scratch', PAGE, label='mark').close()
        daemon.connect().request('nosuch', PAGE)
        shown = [json.loads(line) for line in client(
            daemon, 'audit', 'show', '--json', daemon.audit).stdout.splitlines()]
        same('all', shown, daemon.records())
        some = client(daemon, 'audit', 'show', '--grant', str(one.grants[0]), daemon.audit).stdout
        assert len(some.splitlines()) == 1 and 'mark' in some, some
        none = client(daemon, 'audit', 'show', '--user', '4242', daemon.audit).stdout
        same('nobody', none, '')
        told = json.loads(client(daemon, 'audit', 'verify', '--json', daemon.audit).stdout)
        same('verify', (told['whole'], told['last']), (True, len(shown)))
        noted = f'{told["last"]}:{told["hash"]}'
        daemon.restart()
        client(daemon, 'audit', 'verify', '--expect-last', noted, daemon.audit)
        with hold_follow(daemon) as follow:
            seen = [follow.stdout.readline() for _ in daemon.records()]
            assert 'start' in seen[0], seen
            daemon.connect().request('scratch', PAGE, label='followed').close()
            assert 'followed' in follow.stdout.readline()
            follow.send_signal(signal.SIGINT)
        lines = daemon.audit.read_bytes().splitlines(keepends=True)
        copy = daemon.folder / 'copy.jsonl'
        for name, content in (('cut', lines[:2] + lines[3:]), ('order', lines[:1] + lines[2:3] +
                                                               lines[1:2] + lines[3:]),
                              ('end', lines[:2])):
            copy.write_bytes(b''.join(content))
            extra = ('--expect-last', noted) if name == 'end' else ()
            result = run_client('audit', 'verify', *extra, copy)
            same(name, result.returncode, FAILED)
        same('no file', run_client('audit', 'verify', daemon.folder / 'none').returncode, FAILED)


def hold_follow(daemon):
    return Program([options.client, 'audit', 'show', '--follow', str(daemon.audit)],
                            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)


def test_doctor():
    with Daemon() as daemon:
        result = run_client('doctor', '--json', daemon=daemon)
        assert result.returncode in (0, 1), result
        findings = json.loads(result.stdout)['findings']
        who = [f['text'] for f in findings if f['topic'] == 'user']
        assert len(who) == 1 and 'who runs ccbufd' in who[0], who


def test_doctor_has_the_eyes_of_the_daemon():
    need_root('a daemon of another user')
    with Daemon(user=OTHER) as daemon:
        policy_file = daemon.folder / 'mine.json'
        policy_file.write_text('{ "version": 1, "uses": { "x": { "heap": "nonesuch" } }, '
                               '"rules": [ { "name": "exe", "match": { "exe": "/usr/bin/x" }, '
                               '"deny": "no" } ] }')
        policy_file.chmod(0o600)
        result = run_client('doctor', '--json', '--policy', policy_file, daemon=daemon)
        said = '\n'.join(f['text'] for f in json.loads(result.stdout)['findings'])
        for words in ('mine.json cannot be read: Permission denied',
                      'rule "exe" denies nobody here, as "exe" is not known: ccbufd may not look',
                      'use "x" is for heap "nonesuch", which is not here'):
            assert words in said, f'{words}: {said}'


def test_other_users_list():
    need_root('other users')
    with Daemon() as daemon:
        if subprocess.run(['test', '-x', options.client], user=OTHER, check=False).returncode:
            raise Skip(f'user {OTHER} may not run {options.client}')
        with hold(daemon, '--use', 'scratch', '--size', '4K') as process:
            process.stdout.readline()
            result = run_client('list', '--all', '--json', daemon=daemon, user=OTHER, group=OTHER,
                                extra_groups=[])
            same('nothing of root', json.loads(result.stdout), [])
            same('all', len(json.loads(client(daemon, 'list', '--all', '--json').stdout)), 1)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=DEADLINE)


if __name__ == '__main__':
    main(globals())
