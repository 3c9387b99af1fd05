# SPDX-License-Identifier: LGPL-2.1-or-later
"""The policy in force: reloaded whole or not at all, by SIGHUP and over the bus."""
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess

from daemon import BASIC, Closing, Daemon, options, policy, rule, run_client
from lib.broker import INTERFACE, Broker
from lib.harness import Skip, need_root, same
from lib.waiting import wait_until
from lib.wire import Answer
from peers import Peer
from suite import OTHER, USER, main

PAGE = 4096
OLD = policy(rule('old'))
NEW = policy(rule('new'), uses={'scratch': {'heap': 'emulated'}, 'more': {'heap': 'emulated'}})
BAD = '{ "version": 1, "uses": { "scratch": { "heap": "emulated" } },\n' \
      '  "rules": [ { "name": "x", "match": {}, "allow": { "use": "scratch", "bufer": "1M" } } ] }'


def hup(daemon):
    daemon.signal(signal.SIGHUP)
    daemon.wait_message('READY=1')


def reload(daemon):
    """Over the bus, or by signal where we are no administrator: None, or the mistakes."""
    with Closing(Broker(daemon.address)) as bus:
        if os.geteuid() == 0:
            return bus.reload()
        hup(daemon)
        error = bus.get('PolicyError')
        return Answer('PolicyInvalid', reason=error) if error else None


def rule_in_force(daemon):
    daemon.read_messages()  # it waits for room, and this may be asked often
    answers = [client.request('scratch', PAGE).close() for client in daemon.doors()]
    same('verdicts', {a.verdict for a in answers}, {'granted'})
    daemon.close_clients()
    rules = {r['rule'] for r in daemon.records('grant')[-2:]}
    return rules.pop() if len(rules) == 1 else None  # a reload came between


def changed(bus):
    """The PropertiesChanged signal of a reload."""
    message = bus.signal('PropertiesChanged')
    same('interface', message.body[0], INTERFACE)
    return message.body[1]


def subscribed(daemon):
    bus = daemon.connect_bus()
    bus.subscribe("type='signal',interface='org.freedesktop.DBus.Properties'")
    return bus


def test_reload_by_signal():
    with Daemon(OLD) as daemon:
        same('before', rule_in_force(daemon), 'old')
        bus = subscribed(daemon)
        before = bus.get('PolicyDigest')
        daemon.write_policy(NEW)
        hup(daemon)
        values = changed(bus)
        same('digest', values['PolicyDigest'], bus.get('PolicyDigest'))
        same('error', values['PolicyError'], '')
        assert values['PolicyDigest'] != before
        same('in the trail', [r['policy'] for r in daemon.wait_records('policy', 2)],
             [before, values['PolicyDigest']])
        same('after', rule_in_force(daemon), 'new')
        same('of the grants', {r['policy'] for r in daemon.records('grant')[-2:]},
             {values['PolicyDigest']})


def test_bad_policy_keeps_the_old():
    with Daemon(OLD) as daemon:
        bus = subscribed(daemon)
        before = bus.get('PolicyDigest')
        daemon.write_policy(BAD)
        hup(daemon)
        values = changed(bus)
        same('digest', values['PolicyDigest'], before)
        assert '10-test.json' in values['PolicyError'], values
        assert '/rules/0/allow/bufer' in values['PolicyError'], values
        assert 'did you mean "buffer"' in values['PolicyError'], values
        same('property', bus.get('PolicyError'), values['PolicyError'])
        record = daemon.wait_records('policy', 2)[1]
        same('record', (record['verdict'], record['policy']), ('malformed', before))
        assert 'bufer' in record['reason'], record
        assert 'bufer' in daemon.stderr() and 'is kept' in daemon.stderr(), daemon.stderr()
        answer = reload(daemon)
        same('over the bus', answer.verdict, 'PolicyInvalid')
        assert 'bufer' in answer.reason, answer
        same('still', rule_in_force(daemon), 'old')
        bus = subscribed(daemon)
        daemon.write_policy(NEW)
        same('mended', reload(daemon), None)
        same('error', changed(bus)['PolicyError'], '')
        same('after', rule_in_force(daemon), 'new')


def test_all_mistakes_at_once():
    with Daemon(OLD) as daemon:
        daemon.write_policy('{ "version": 1, "uses": { "a b": { "heap": "emulated" } },\n'
                            '"limits": { "total": "much" }, "rules": [ { "name": "r",\n'
                            '"match": { "user": "no-such-user-here" }, "allow": { "use": "z" } }\n'
                            '] }', '20-bad.json')
        daemon.write_policy('{ "version": 1, ', '30-cut.json')
        answer = reload(daemon)
        for word in ('a b', 'much', 'no-such-user-here', '30-cut.json:1:'):
            assert word in answer.reason, (word, answer.reason)
        assert len(answer.reason.splitlines()) >= 4, answer.reason
        same('still', rule_in_force(daemon), 'old')


def test_files_that_others_could_write():
    with Daemon(OLD) as daemon:
        for mode in (0o664, 0o646, 0o666):
            daemon.write_policy(NEW, mode=mode)
            answer = reload(daemon)
            same(oct(mode), answer.verdict, 'PolicyInvalid')
            assert 'may be written by' in answer.reason, answer
        same('still', rule_in_force(daemon), 'old')
        if os.geteuid() == 0:
            daemon.write_policy(NEW)
            os.chown(daemon.policy_dir / '10-test.json', OTHER, OTHER)
            answer = reload(daemon)
            same('owner', answer.verdict, 'PolicyInvalid')
            assert f'belongs to user {OTHER}' in answer.reason, answer
            os.chown(daemon.policy_dir / '10-test.json', 0, 0)
        daemon.policy_dir.chmod(0o777)
        same('folder', reload(daemon).verdict, 'PolicyInvalid')
        daemon.policy_dir.chmod(0o755)
        daemon.write_policy(NEW)
        same('mended', reload(daemon), None)


def test_special_files():
    with Daemon(OLD) as daemon:
        path = daemon.policy_dir / '20-special.json'
        other = daemon.folder / 'elsewhere.json'
        other.write_text('{"version": 1}')
        for make, words in ((lambda: os.mkfifo(path), 'not a regular file'),
                            (lambda: path.symlink_to(other), 'symbolic link'),
                            (lambda: path.symlink_to('/nonexistent'), 'symbolic link')):
            make()
            answer = reload(daemon)
            same('refused', answer.verdict, 'PolicyInvalid')
            assert words in answer.reason, answer
            path.unlink()
        path.mkdir()
        same('folder', reload(daemon).verdict, 'PolicyInvalid')
        path.rmdir()
        path.symlink_to('/dev/null')
        same('a mask', reload(daemon), None)
        same('still', rule_in_force(daemon), 'old')


def test_masks_and_folders():
    """A file in an earlier folder masks one of its name in a later one."""
    with Daemon(start=False) as daemon:
        late = daemon.folder / 'late.d'
        late.mkdir()
        daemon.arguments = ['--policy', str(late)]
        for name in '10-test.json', '05-first.json':
            (late / name).write_text(f'{{"version": 1, "rules": [{{"name": "late-{name[:2]}", '
                                     '"match": {}, "deny": "late"}]}')
            (late / name).chmod(0o644)
        daemon.start()
        for client in daemon.doors():
            answer = client.request('scratch', PAGE)
            same('of the later folder', (answer.verdict, answer.rule), ('denied', 'late-05'))
        (daemon.policy_dir / '05-first.json').symlink_to('/dev/null')
        same('reload', reload(daemon), None)
        same('masked', rule_in_force(daemon), 'all')
        daemon.write_policy('', '10-test.json')
        assert 'is empty' in reload(daemon).reason, 'an empty file'
        same('kept', rule_in_force(daemon), 'all')
        (daemon.policy_dir / '10-test.json').unlink()
        (daemon.policy_dir / '10-test.json').symlink_to('/dev/null')
        same('reload', reload(daemon), None)
        for client in daemon.doors():
            same('nothing left', client.request('scratch', PAGE).verdict, 'unknown-use')


def test_reload_is_for_admins():
    need_root('an ordinary user')
    def asker(channel, address):
        with_bus = Broker(address)
        channel.receive()
        channel.send(with_bus.reload().verdict)

    with Daemon(OLD) as daemon, Peer(asker, daemon.address, uid=OTHER) as peer:
        daemon.write_policy(NEW)
        same('refused', peer.ask(), 'not-permitted')
        same('still', rule_in_force(daemon), 'old')
        same('recorded', daemon.wait_records('deny')[0]['verdict'], 'not-permitted')


def test_grants_outlive_their_rule():
    """What is out stays charged and can be given back when nothing allows it any more."""
    with Daemon(policy(rule('few', total='64K'))) as daemon:
        client = daemon.connect()
        grants = client.request('scratch', 4 * PAGE, count=4).close().grants
        daemon.write_policy(policy(rule('none', deny='no more')))
        hup(daemon)
        same('denied', client.request('scratch', PAGE).verdict, 'denied')
        daemon.wait_totals(4, 16 * PAGE)
        daemon.write_policy(policy(rule('few', total='32K')))
        hup(daemon)
        same('over a lower limit', client.request('scratch', PAGE).verdict, 'bytes-limit')
        for grant in grants[:3]:
            same('back', client.release(grant).verdict, 'released')
        same('room', client.request('scratch', PAGE).close().verdict, 'granted')


def test_grants_that_cannot_be_taken_back():
    """Where the policy says so but the heap cannot: they stay, and the journal says why."""
    with Daemon(policy(rule('few'))) as daemon:
        client = daemon.connect()
        grant = client.request('scratch', PAGE).close().grants[0]
        daemon.write_policy(policy(rule('none', deny='no more')) | {'on-reload': 'revoke'})
        hup(daemon)
        daemon.wait_stderr('of heaps that cannot take buffers back')
        daemon.wait_totals(1, PAGE)
        same('not recorded', daemon.records('revoke'), [])
        same('back', client.release(grant).held, False)


def test_requests_under_way():
    """A request is decided by the policy that it met."""
    with Daemon(OLD) as daemon:
        client = daemon.connect()
        for i in range(5):
            daemon.write_policy((NEW, OLD)[i % 2])
            for _ in range(8):
                client.ask('scratch', 2 << 20)
            hup(daemon)
            for _ in range(8):
                answer = client.receive().close()
                same('granted', answer.verdict, 'granted')
        digests = {r['policy'] for r in daemon.records('policy')}
        same('two', len(digests), 2)
        assert {r['policy'] for r in daemon.records('grant')} <= digests


def test_a_storm_of_reloads():
    """Many signals while one reload goes on are one more reload, and one more word to systemd."""
    with Daemon(OLD) as daemon:
        client = daemon.connect()
        for i in range(60):
            daemon.write_policy((NEW, BAD, OLD)[i % 3])
            daemon.signal(signal.SIGHUP)
            daemon.read_messages()
            same('served', client.request('scratch', PAGE).close().verdict, 'granted')
        daemon.write_policy(BASIC)
        daemon.signal(signal.SIGHUP)
        wait_until(lambda: daemon.read_messages() or daemon.records('policy')[-1]['verdict'] ==
                   'granted', 'the last reload')
        wait_until(lambda: rule_in_force(daemon) == 'all', 'the last policy')


class DefaultFolders(Daemon):
    """Reads /etc/ccbufd/policy.d and its like, with an /etc of the test's own (self.etc)."""

    def __init__(self, **more):
        need_root('mounts')
        if b'/etc/ccbufd/policy.d\0' not in pathlib.Path(options.ccbufd).read_bytes():
            raise Skip('ccbufd was built for another /etc')
        if subprocess.run(['unshare', '--mount', 'true'], check=False).returncode != 0:
            raise Skip('no mount namespace can be made here')
        super().__init__(start=False, prepare=self.mount, **more)
        self.etc = self.folder / 'etc'
        shutil.copytree('/etc', self.etc, symlinks=True, ignore=shutil.ignore_patterns('ccbufd'))
        self.policy_dir.rename(self.etc / 'ccbufd.d')
        (self.etc / 'ccbufd').mkdir()
        self.policy_dir = self.etc / 'ccbufd/policy.d'
        (self.etc / 'ccbufd.d').rename(self.policy_dir)
        self.start()

    def mount(self):
        libc = ctypes.CDLL(None, use_errno=True)
        private, bind = 1 << 18 | 1 << 14, 1 << 12
        etc = str(self.etc).encode()
        if libc.unshare(0x20000) < 0 or libc.mount(None, b'/', None, private, None) < 0 or \
                libc.mount(etc, b'/etc', None, bind, None) < 0:
            raise OSError(ctypes.get_errno(), 'mount')

    def command(self):
        words = super().command()
        at = words.index('--policy')
        return words[:at] + words[at + 2:]


def test_a_folder_that_vanished_is_no_empty_policy():
    with DefaultFolders(policy=OLD) as daemon:
        same('before', rule_in_force(daemon), 'old')
        away = daemon.etc / 'away'
        for place in (daemon.policy_dir, daemon.policy_dir.parent):
            place.rename(away)
            why = reload(daemon)
            assert why and 'policy.d: existed when' in why.reason, why
            same('kept', rule_in_force(daemon), 'old')
            away.rename(place)
            same('back', reload(daemon), None)
        # An empty one is meant.
        (daemon.policy_dir / '10-test.json').unlink()
        same('empty', reload(daemon), None)
        same('nothing', daemon.connect().request('scratch', PAGE).close().verdict, 'unknown-use')
        # At a start it need not be there, and then not at a reload either.
        daemon.close_clients()
        daemon.policy_dir.rename(away)
        daemon.restart()
        same('never there', reload(daemon), None)
        away.rename(daemon.policy_dir)
        daemon.write_policy(NEW)
        same('there', reload(daemon), None)
        same('after', rule_in_force(daemon), 'new')


def checked(daemon, *paths):
    """What policy check says where the daemon's /etc is."""
    return run_client('policy', 'check', *paths, daemon=daemon, preexec_fn=daemon.mount)


def test_check_has_the_eyes_of_the_daemon():
    """Root can read what the daemon's user cannot."""
    with DefaultFolders(policy=OLD, user=USER) as daemon:
        file, folder = daemon.policy_dir / '10-test.json', daemon.policy_dir
        done = checked(daemon)
        same('good', done.returncode, 0)
        assert 'who runs ccbufd' in done.stdout, done
        for place, mode, words in ((file, 0o600, 'Permission denied'),
                                   (folder, 0o700, 'Permission denied'),
                                   (folder.parent, 0o700, 'Permission denied'),
                                   (folder.parent, 0o777, 'leads through /etc/ccbufd, which may'),
                                   (folder, 0o775, 'may be written by its group'),
                                   (file, 0o664, 'may be written by its group')):
            before = os.stat(place).st_mode & 0o7777
            place.chmod(mode)
            for paths in ((), ('/etc/ccbufd/policy.d',), ('/etc/ccbufd/policy.d/10-test.json',)):
                # of one file the folder's own mode is not asked
                if paths and paths[0].endswith('.json') and (place, mode) == (folder, 0o775):
                    words = 'the way to'
                done = checked(daemon, *paths)
                assert (done.returncode, words in done.stderr) == (1, True), \
                    (place, oct(mode), done)
            why = reload(daemon)
            assert why, f'{place} {mode:o}: the daemon has it'
            place.chmod(before)
            same('again', (reload(daemon), checked(daemon).returncode), (None, 0))
        # What is not in place yet is only warned of.
        draft = daemon.folder / 'draft.json'
        draft.write_text('{ "version": 1 }')
        draft.chmod(0o600)
        done = checked(daemon, draft)
        assert done.returncode == 0 and 'draft.json cannot be read' in done.stderr, done


NO_TRUE = [rule('no-true', match={'exe': '/usr/bin/true'}, deny='no'),
           rule('few', match={'not': {'exe': '/usr/bin/false'}}),
           rule('seen', match={'not': {'user': 54321}})]


def test_a_rule_by_what_cannot_be_known_is_told():
    """Nobody but CAP_SYS_PTRACE sees what others run: a rule that denies by it lets all pass."""
    user = None if os.geteuid() else USER
    with Daemon(policy(*NO_TRUE), user=user) as daemon:
        said = daemon.stderr()
        for name, what in (('no-true', 'denies nobody'), ('few', 'allows more than it says')):
            assert f'rule "{name}" {what} here, as "exe" is not known: ccbufd may not' in said, said
        assert 'rule "seen"' not in said, said
        daemon.write_policy(OLD)
        same('reload', reload(daemon), None)
        daemon.write_policy(policy(*NO_TRUE))
        same('again', reload(daemon), None)
        same('each time', daemon.stderr().count('denies nobody'), 2)


def test_a_rule_by_what_can_be_known_is_not():
    need_root('a daemon that may look at others')
    with Daemon(policy(*NO_TRUE)) as daemon:
        assert '"exe" is not known' not in daemon.stderr(), daemon.stderr()
        # The daemon itself has given the right to a child.
        said = run_client('doctor', '--policy', daemon.policy_dir, daemon=daemon).stdout
        assert '"exe" is not known:' not in said and 'no-true' not in said, said


def test_why_tells_of_rules_that_were_passed_over():
    need_root('only administrators may ask about others')
    with Daemon(policy(*NO_TRUE)) as daemon, Closing(Broker(daemon.address)) as bus:
        said = bus.why('scratch', PAGE, uid=USER)
        same('rule', said['rule'], 'few')
        assert '/rules/0: rule "no-true" denies, but was passed over, as "exe" is not known' in \
            said['passed-over'], said
        said = run_client('why', '--use', 'scratch', '--size', '4K', '--user', USER, daemon=daemon)
        assert 'remark   ' in said.stdout and 'rule "no-true" denies, but' in said.stdout, said
        said = bus.why('scratch', PAGE, uid=USER, exe='/usr/bin/x')
        assert 'passed-over' not in said, said


if __name__ == '__main__':
    main(globals())
