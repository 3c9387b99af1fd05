# SPDX-License-Identifier: LGPL-2.1-or-later
"""Others have their hands on the audit trail: log rotation, administrators, readers. The file of
that name is the trail or becomes it again, what is missing is said, and grants go on."""
import fcntl
import gzip
import json
import os
import resource
import shutil
import signal
import subprocess

from daemon import Daemon, options, policy, rule, run_client
from lib import trail
from lib.harness import Skip, need_program, need_root, same
from lib.waiting import DEADLINE, wait_until
from lib.wire import Socket
from peers import Peer
from suite import OTHER, USER, main

PAGE = 4096


def durability(name):
    return policy(rule('all'), audit={'durability': name})


def ask(daemon, label=''):
    """A grant, whatever happened."""
    client = daemon.connect()
    answer = client.request('scratch', PAGE, label=label).close()
    same('verdict', answer.verdict, 'granted')
    client.close()
    daemon.clients.remove(client)


def end(daemon):
    """As Daemon.stop(), for a trail that is not whole."""
    daemon.close_clients()
    daemon.signal(signal.SIGTERM)
    same('exit', daemon.wait_exit(), 0)


# --- what is done to the file; None: nothing is missing, else the first that is missing is 1 ---

def rename(path):
    path.rename(str(path) + '.1')


def rename_and_create(path):
    rename(path)
    path.touch(mode=0o640)


def compress(path):
    with gzip.open(str(path) + '.1.gz', 'wb') as out:
        out.write(path.read_bytes())
    path.unlink()


def copy_and_truncate(path):
    shutil.copy(path, str(path) + '.1')
    os.truncate(path, 0)


def cut_in_a_record(path):
    os.truncate(path, path.stat().st_size - 10)


def delete(path):
    path.unlink()


def delete_and_create(path):
    path.unlink()
    path.touch()


def copy_over(path):
    path.write_bytes(b'something else\n' * 100)


def other_file(path):
    rename(path)
    path.write_text('something else\n')


def link(path):
    rename(path)
    path.symlink_to('/dev/null')


def folder(path):
    path.unlink()
    path.mkdir()


def add_words(path):
    with open(path, 'ab') as file:
        file.write(b'words')


def hard_link(path):
    os.link(path, str(path) + '.1')


def take_mode(path):
    path.chmod(0)


def edit(path):
    """As editors and sed -i do: another file with the same records."""
    other = path.with_name('edited')
    shutil.copy(path, other)
    other.rename(path)


def replace_folder(path):
    path.parent.rename(str(path.parent) + '.old')
    path.parent.mkdir()


# What is missing: while the daemon runs, before a start. True: from the first to the last record.
DISTURBANCES = {
    rename: (False, True),
    rename_and_create: (False, True),
    compress: (True, True),
    copy_and_truncate: (True, True),
    cut_in_a_record: (None, None),  # the last one
    delete: (True, True),
    delete_and_create: (True, True),
    copy_over: (True, True),
    other_file: (False, True),
    add_words: (False, True),
    hard_link: (False, False),
    take_mode: (False, False),
    edit: (False, False),
    link: (False, None),
    folder: (True, None),
    replace_folder: (False, None),
}


# Without reading rights there is nothing to see of it while the daemon runs.
RUNNING = [disturb for disturb in DISTURBANCES if disturb is not take_mode]


def missing(records):
    return [(gap['first'], gap['last']) for r in records if r['event'] == 'error'
            for gap in r.get('missing', ())]


def current(daemon):
    """The records in the file of that name."""
    return trail.records_in(daemon.audit)


def granted_in_place(daemon, label):
    """The grant is in the file of that name, though that may need a moment."""
    def found():
        try:
            return [r for r in current(daemon) if r.get('label') == label]
        except OSError:
            return None
    wait_until(found, f'{label} in {daemon.audit}')
    assert daemon.audit.is_file() and not daemon.audit.is_symlink()


def check_said(daemon, name, last, expected):
    """What the trail says is missing, in a record before the next grant."""
    gaps = missing(current(daemon))
    if expected is None:
        same(f'{name}: missing', gaps, [(last, last)])
    elif expected:
        same(f'{name}: missing', gaps, [(1, last)])
        records = current(daemon)
        events = [r['event'] for r in records]
        assert events.index('error') < events.index('grant'), (name, events)
        record = next(r for r in records if r.get('missing'))
        assert f'records 1 to {last}' in record['reason'], (name, record)
    else:
        same(f'{name}: missing', gaps, [])


def check_verdict(daemon, name, broken):
    """verify says of what is missing that it is, and of the rest that it is whole."""
    result = run_client('audit', 'verify', '--json', daemon.audit)
    told = json.loads(result.stdout)
    same(f'{name}: whole', told['whole'], not broken)
    same(f'{name}: exit', result.returncode, 1 if broken else 0)


def last_number(daemon):
    return max(r['seq'] for r in daemon.records())


class Follow:
    """audit show --follow --json, and the numbers that it has shown."""

    def __init__(self, daemon):
        self.out = open(daemon.folder / 'followed', 'w+', encoding='utf-8')
        self.process = subprocess.Popen(
            [options.client, 'audit', 'show', '--follow', '--json', str(daemon.audit)],
            stdout=self.out, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)

    def numbers(self):
        with open(self.out.name, encoding='utf-8') as file:
            return [json.loads(line)['seq'] for line in file if line.endswith('\n')]

    def wait_for(self, number):
        def shown():
            assert self.process.poll() is None, (self.process.returncode,
                                                 self.process.stderr.read())
            return number in self.numbers()
        wait_until(shown, f'record {number} shown')

    def check(self, name):
        """Every record from the first on, once."""
        numbers = self.numbers()
        wrong = [n for n, m in zip(numbers, range(1, len(numbers) + 1)) if n != m]
        assert not wrong, f'{name}: of {len(numbers)} records not in order: {wrong[:10]}'

    def end(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(DEADLINE)
        self.out.close()
        words = self.process.stderr.read()
        self.process.stderr.close()
        return words


def settled(daemon):
    """The last record, once the releases of what was asked for are there."""
    client = Socket(str(daemon.socket))
    daemon.clients.append(client)
    own = [b['grant'] for r in daemon.records('grant') for b in r['buffers']]
    done = {b['grant'] for r in daemon.records('release') for b in r['buffers']}
    for number in own:
        if number not in done:
            client.release(number)
    client.close()
    daemon.clients.remove(client)
    wait_until(lambda: len(daemon.records('release')) == len(daemon.records('grant')),
               'the releases')
    return last_number(daemon)


def disturb_at_once(daemon, disturb):
    """Before the daemon can do anything about a part of it."""
    daemon.signal(signal.SIGSTOP)
    wait_until(lambda: daemon.status('State').startswith('T'), 'the daemon to be stopped')
    try:
        disturb(daemon.audit)
    finally:
        daemon.signal(signal.SIGCONT)


def disturb_while_running(disturb, name, hup):
    with Daemon(durability(name), bus=False) as daemon:
        follow = Follow(daemon)
        ask(daemon, 'before')
        last = settled(daemon)
        follow.wait_for(last)
        disturb_at_once(daemon, disturb)
        if hup:
            daemon.signal(signal.SIGHUP)
        ask(daemon, 'after')
        granted_in_place(daemon, 'after')
        expected = DISTURBANCES[disturb][0]
        check_said(daemon, disturb.__name__, last, expected)
        if disturb is not hard_link:
            assert daemon.records('error'), daemon.records()
        broken = expected is not False or disturb is add_words
        if disturb is not replace_folder:
            check_verdict(daemon, disturb.__name__, broken)
        # Nothing is lost to who follows, nor shown twice.
        follow.wait_for(last_number(daemon))
        follow.check(disturb.__name__)
        follow.end()
        ask(daemon, 'once more')
        end(daemon)
        # A start has nothing to add.
        said = len(daemon.records('error'))
        daemon.start()
        same(f'{disturb.__name__}: after a start', len(daemon.records('error')), said)
        end(daemon)


def test_while_it_runs_written():
    for disturb in RUNNING:
        disturb_while_running(disturb, 'written', False)


def test_while_it_runs_synced():
    for disturb in RUNNING:
        disturb_while_running(disturb, 'synced', False)


def test_while_it_runs_with_a_signal():
    """As a postrotate script sends it."""
    for disturb in RUNNING:
        disturb_while_running(disturb, 'written', True)


def test_before_a_start():
    for disturb, (_, expected) in DISTURBANCES.items():
        name = disturb.__name__
        with Daemon(bus=False) as daemon:
            ask(daemon, 'before')
            settled(daemon)
            end(daemon)
            last = last_number(daemon)
            disturb(daemon.audit)
            if disturb in (link, folder):
                daemon.spawn()
                same('exit', daemon.wait_exit(), 1)
                assert str(daemon.audit) in daemon.stderr(), daemon.stderr()
                continue
            daemon.start()
            ask(daemon, 'after')
            granted_in_place(daemon, 'after')
            if disturb is replace_folder:
                # Nothing that was there before a new folder can know.
                same('a new trail', current(daemon)[0]['seq'], 1)
            else:
                check_said(daemon, name, last, expected)
                check_verdict(daemon, name, expected is not False)
                numbers = [r['seq'] for r in current(daemon)]
                same(f'{name}: numbers go on', numbers[-1] > last and numbers[0] in (1, last + 1),
                     True)
            end(daemon)


def test_nobody_asks():
    """The file is there again though no record comes."""
    with Daemon(bus=False) as daemon:
        ask(daemon, 'before')
        settled(daemon)
        rename(daemon.audit)
        wait_until(lambda: daemon.audit.exists() and daemon.records('error'),
                   'the file to be there again')
        check_verdict(daemon, 'rename', False)
        end(daemon)


def test_all_in_a_row():
    """Whatever comes after whatever, who follows sees each record once."""
    with Daemon(durability('written'), bus=False) as daemon:
        follow = Follow(daemon)
        for i, disturb in enumerate(RUNNING):
            ask(daemon, f'r{i}')
            follow.wait_for(last_number(daemon))
            if disturb is replace_folder:
                continue
            for old in daemon.audit_dir.glob('audit.jsonl.1*'):
                old.unlink()
            disturb_at_once(daemon, disturb)
        ask(daemon, 'the last')
        granted_in_place(daemon, 'the last')
        follow.wait_for(last_number(daemon))
        follow.check('followed')
        follow.end()
        end(daemon)


def test_everything_is_gone():
    """Also the state: numbers begin anew, and who follows sees them."""
    with Daemon(bus=False) as daemon:
        follow = Follow(daemon)
        for i in range(5):
            ask(daemon, f'before {i}')
        follow.wait_for(settled(daemon))
        before = len(follow.numbers())
        end(daemon)
        follow.wait_for(before + 1)  # the stop
        shutil.rmtree(daemon.audit_dir)
        daemon.audit_dir.mkdir()
        daemon.start()
        ask(daemon, 'after')
        last = last_number(daemon)
        wait_until(lambda: follow.numbers()[before + 1:] == list(range(1, last + 1)),
                   'the new records')
        assert 'begins anew with record 1' in follow.end()
        end(daemon)


def test_under_load():
    """As a hasty logrotate: again and again while records come. No grant fails, no record is lost
    to who follows."""
    with Daemon(durability('written'), bus=False) as daemon:
        follow = Follow(daemon)
        follow.wait_for(1)
        client = daemon.connect()
        for i in range(60):
            for _ in range(20):
                same('verdict', client.request('scratch', PAGE).close().verdict, 'granted')
            if daemon.audit.exists():
                (rename, rename_and_create)[i % 2](daemon.audit)
        daemon.close_clients()
        ask(daemon, 'the last')
        granted_in_place(daemon, 'the last')
        last = last_number(daemon)
        follow.wait_for(last)
        follow.check('followed')
        follow.end()
        end(daemon)
        check_verdict(daemon, 'under load', False)


def test_folder_gone_for_a_while():
    """Grants fail only while nothing can be written, and go on by themselves."""
    with Daemon(bus=False) as daemon:
        ask(daemon, 'before')
        away = daemon.folder / 'away'
        # The file is somewhere still: there is a place for records.
        daemon.audit_dir.rename(away)
        ask(daemon, 'away')
        wait_until(lambda: 'away' in (away / 'audit.jsonl').read_text(), 'the record')
        away.rename(daemon.audit_dir)
        ask(daemon, 'back')
        last = last_number(daemon)
        # It is not.
        disturb_at_once(daemon, lambda path: shutil.rmtree(path.parent))
        answer = daemon.connect().request('scratch', PAGE)
        same('no folder', answer.verdict, 'audit-failed')
        wait_until(lambda: 'the folder must exist' in daemon.stderr(), 'words')
        daemon.audit_dir.mkdir()
        ask(daemon, 'after')
        granted_in_place(daemon, 'after')
        records = current(daemon)
        assert missing(records)[0][0] == 1 and missing(records)[0][1] >= last, records
        assert any('1 event could not be recorded' in r['reason'] for r in records
                   if r['event'] == 'error'), records
        end(daemon)


def test_notes_gone():
    """Without its notes a start cannot know what was cut off, and says so, once."""
    for disturb in (lambda state: state.unlink(),
                    lambda state: state.write_bytes(b'{"version":2}')):
        with Daemon(bus=False) as daemon:
            ask(daemon, 'before')
            end(daemon)
            disturb(daemon.audit_dir / '.audit.jsonl.state')
            for _ in range(2):
                daemon.start()
                ask(daemon, 'after')
                end(daemon)
            same('said', sum('notes of the last stop' in r['reason']
                             for r in daemon.records('error')), 1)


def test_folder_with_a_number():
    """What has the name of an older file and is none: nobody trips over it."""
    with Daemon(bus=False) as daemon:
        ask(daemon, 'before')
        last = settled(daemon)
        folder = daemon.audit_dir / f'audit.jsonl.{1:020}'
        folder.mkdir()
        end(daemon)
        result = run_client('audit', 'verify', daemon.audit)
        # It is passed over, and the rest verified.
        assert str(folder) in result.stderr, result
        delete(daemon.audit)
        daemon.start()
        ask(daemon, 'after')
        end(daemon)
        same('missing', missing(daemon.records()), [(1, last + 1)])
        result = run_client('audit', 'show', daemon.audit)
        same(f'show: {result.stderr}', result.returncode, 0)


def test_words_of_an_immutable_file():
    """As chattr +i makes it: what to do is said, and it goes on when that is done."""
    need_root('chattr')
    need_program('chattr')

    def chattr(how, path):
        done = subprocess.run(['chattr', how, path], capture_output=True, check=False)
        if done.returncode:
            raise Skip(f'no chattr here: {done.stderr}')
    with Daemon(bus=False) as daemon:
        ask(daemon, 'before')
        settled(daemon)
        chattr('+i', daemon.audit)
        try:
            answer = daemon.connect().request('scratch', PAGE)
            same('immutable', answer.verdict, 'audit-failed')
            assert 'chattr -i' in daemon.stderr(), daemon.stderr()
        finally:
            chattr('-i', daemon.audit)
        ask(daemon, 'after')
        granted_in_place(daemon, 'after')
        same('missing', missing(current(daemon)), [])
        end(daemon)
        chattr('+i', daemon.audit)
        try:
            daemon.spawn()
            same('exit', daemon.wait_exit(), 1)
            assert 'chattr -i' in daemon.stderr(), daemon.stderr()
        finally:
            chattr('-i', daemon.audit)


# --- readers ---

def test_lock_of_a_reader():
    """Who may read the trail can hold nothing up."""
    with Daemon(bus=False) as daemon:
        ask(daemon, 'before')
        for how in (fcntl.LOCK_SH, fcntl.LOCK_EX):
            with open(daemon.audit, 'rb') as file, open('/dev/null', 'rb') as null:
                fcntl.flock(file, how)
                fd = os.open(daemon.audit_dir, os.O_RDONLY)
                fcntl.flock(fd, how)
                fcntl.lockf(file, fcntl.LOCK_SH)
                ask(daemon, 'locked')
                end(daemon)
                daemon.start()
                ask(daemon, 'locked')
                os.close(fd)
                null.close()
        state = daemon.audit_dir / '.audit.jsonl.state'
        same('mode of what is locked', state.stat().st_mode & 0o777, 0o600)
        second = Daemon(start=False, bus=False)
        second.audit_dir, second.audit = daemon.audit_dir, daemon.audit
        with second:
            second.spawn()
            same('second', second.wait_exit(), 1)
            assert 'in use by another process' in second.stderr(), second.stderr()


# --- leases, as file servers take them ---

def holds_a_lease(channel, path, kind, gives_up):
    """Until it is told to end; SIGIO asks it to give the lease up."""
    with open(path, 'rb') as file:
        told = []
        signal.signal(signal.SIGIO, lambda *_: told.append(1))
        fcntl.fcntl(file, fcntl.F_SETLEASE, kind)
        channel.send('held')
        wait_until(lambda: told, 'somebody who wants the file')
        channel.send('told')
        if gives_up:
            fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
        channel.receive()


def leased(path, kind, gives_up):
    return Peer(holds_a_lease, str(path), kind, gives_up, uid=0)


def test_lease_on_what_a_start_opens():
    """It waits until the holder, or the kernel for it, has given the lease up."""
    need_root('leases on files of others')
    state = '.audit.jsonl.state'
    with Daemon(start=False, bus=False, user=USER) as daemon:
        daemon.start()
        ask(daemon, 'before')
        rename(daemon.audit)
        ask(daemon, 'after')
        settled(daemon)
        end(daemon)
        older = next(p for p in daemon.audit_dir.glob('audit.jsonl.0*'))
        # Read leases are in the way of who writes only.
        for path, kind in ((daemon.audit, fcntl.F_RDLCK), (daemon.audit, fcntl.F_WRLCK),
                           (daemon.audit_dir / state, fcntl.F_RDLCK),
                           (daemon.audit_dir / state, fcntl.F_WRLCK), (older, fcntl.F_WRLCK),
                           (daemon.policy_dir / '10-test.json', fcntl.F_WRLCK)):
            with leased(path, kind, gives_up=True) as holder:
                same('holder', holder.receive(), 'held')
                daemon.start()
                same('holder', holder.receive(), 'told')
                ask(daemon, 'leased')
                end(daemon)
                holder.send('end')
        same('nothing is said to be missing', missing(daemon.records()), [])
        check_verdict(daemon, 'leases', False)


def test_lease_that_is_not_given_up():
    """It is said who has it; a stop is not held up by it; and the kernel ends it."""
    need_root('leases on files of others')
    with Daemon(start=False, bus=False, user=USER) as daemon:
        daemon.start()
        ask(daemon, 'before')
        settled(daemon)
        end(daemon)
        with leased(daemon.audit, fcntl.F_RDLCK, gives_up=False) as holder:
            same('holder', holder.receive(), 'held')
            daemon.spawn()
            same('holder', holder.receive(), 'told')
            wait_until(lambda: f'process {holder.pid} has a lease' in daemon.stderr(), 'words')
            daemon.signal(signal.SIGTERM)
            same('exit', daemon.wait_exit(), 0)
            holder.send('end')
        daemon.start()
        ask(daemon, 'after')
        end(daemon)


def test_lease_on_a_policy_file():
    """A reload says who has it, and the policy in force is kept."""
    need_root('leases on files of others')
    with Daemon(bus=False) as daemon:
        path = daemon.policy_dir / '10-test.json'
        with leased(path, fcntl.F_WRLCK, gives_up=False) as holder:
            same('holder', holder.receive(), 'held')
            daemon.signal(signal.SIGHUP)
            same('holder', holder.receive(), 'told')
            ask(daemon, 'meanwhile')
            wait_until(lambda: f'process {holder.pid} has a lease' in daemon.stderr(), 'words')
            ask(daemon, 'kept')
            holder.send('end')
        end(daemon)


def test_lease_and_readers():
    """The client waits for it, too."""
    need_root('leases on files of others')
    with Daemon(bus=False) as daemon:
        ask(daemon, 'before')
        settled(daemon)
        end(daemon)
        for verb in (('verify',), ('show',)):
            with leased(daemon.audit, fcntl.F_WRLCK, gives_up=True) as holder:
                same('holder', holder.receive(), 'held')
                result = run_client('audit', *verb, daemon.audit)
                same(f'{verb}: {result.stderr}', result.returncode, 0)
                holder.send('end')


# --- words ---

def refused_start(daemon, *words):
    with daemon:
        daemon.spawn()
        same('exit', daemon.wait_exit(), 1)
        line = next((n for n in daemon.stderr().splitlines() if 'audit:' in n), '')
        for word in words:
            assert word in line, (word, daemon.stderr())


def prepared(prepare, user=None):
    daemon = Daemon(start=False, bus=False, user=user)
    prepare(daemon)
    return daemon


def test_words_of_a_start():
    refused_start(prepared(lambda d: d.audit.symlink_to('elsewhere')), 'is a symbolic link',
                  'audit.jsonl', 'remove')
    refused_start(prepared(lambda d: d.audit.mkdir()), 'is a folder', 'remove')
    refused_start(prepared(lambda d: os.mkfifo(d.audit)), 'is no regular file', 'remove')
    refused_start(prepared(lambda d: d.audit_dir.rmdir()), 'folder must exist', str(os.geteuid()),
                  'audit')
    refused_start(prepared(lambda d: (d.audit_dir.rmdir(), d.audit_dir.touch())), 'is no folder',
                  f'user {os.geteuid()}')
    state = '.audit.jsonl.state'
    refused_start(prepared(lambda d: os.mkfifo(d.audit_dir / state)), state, 'no regular file')
    refused_start(prepared(lambda d: (d.audit_dir / state).symlink_to('x')), state)


def test_words_for_another_user():
    need_root('other users')
    refused_start(prepared(lambda d: os.chown(d.audit_dir, 0, 0), USER), f'user {USER} may not',
                  'owner 0')

    def state_of_root(daemon):
        path = daemon.audit_dir / '.audit.jsonl.state'
        path.touch(0o600)
    refused_start(prepared(state_of_root, USER), '.audit.jsonl.state', 'owner 0')


def test_file_of_another():
    """As a rotation with the wrong owner makes it: it is set aside."""
    need_root('other users')
    daemon = Daemon(start=False, bus=False, user=USER)
    with daemon:
        daemon.start()
        ask(daemon, 'before')
        settled(daemon)
        end(daemon)
        last = last_number(daemon)
        rename(daemon.audit)
        daemon.audit.touch(0o600)
        daemon.start()
        ask(daemon, 'after')
        granted_in_place(daemon, 'after')
        same('missing', missing(current(daemon)), [(1, last)])
        end(daemon)
        os.chown(daemon.audit, USER, USER)
        daemon.audit.chmod(0)
        daemon.start()
        ask(daemon, 'once more')
        assert any('mode was 00' in r['reason'] for r in daemon.records('error'))
        end(daemon)


# --- nothing is lost in silence ---

def lose(daemon, peers):
    """Refusals of each peer that cannot be recorded."""
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (PAGE, resource.RLIM_INFINITY))
    for _ in range(3):
        for peer in peers:
            same('refused', peer.ask(), 'unknown-use')


def refused_client(channel, path):
    client = Socket(path)
    while channel.receive() != 'end':
        channel.send(client.request('nosuch', PAGE).verdict)


def losing(then, others=0):
    """Until the disk is full, then what cannot be recorded."""
    need_root('other users')
    with Daemon(bus=False) as daemon:
        ask(daemon, 'before')
        while os.path.getsize(daemon.audit) < PAGE:
            ask(daemon, 'grow')
        settled(daemon)
        with Peer(refused_client, str(daemon.socket), uid=OTHER) as one, \
                Peer(refused_client, str(daemon.socket), uid=USER) as two:
            lose(daemon, (one, two))
            then(daemon)
            for peer in (one, two):
                peer.send('end')
        said = wait_until(lambda: [r for r in daemon.records('error')
                                   if 'could not be recorded' in r['reason']],
                          'the record of what was lost')
        same('once', len(said), 1)
        # The stop is one, too.
        same('words', said[0]['reason'],
             f'{6 + others} events could not be recorded: File too large '
             f'(user {OTHER}: 3, user {USER}: 3' + (f', others: {others})' if others else ')'))
        end(daemon)
        check_verdict(daemon, 'lost', False)


def make_room(daemon):
    most = resource.RLIM_INFINITY
    resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (most, most))


def test_lost_events():
    losing(make_room)


def test_lost_events_over_a_stop():
    def restart(daemon):
        daemon.signal(signal.SIGTERM)
        same('exit', daemon.wait_exit(), 0)
        daemon.start()
    losing(restart, others=1)


def test_lost_events_over_a_kill():
    def restart(daemon):
        # It notes what is lost for the next one, after a moment.
        state = daemon.audit_dir / '.audit.jsonl.state'
        wait_until(lambda: state.read_text().splitlines()[1].startswith('6 '), 'the note')
        daemon.kill()
        daemon.start()
    losing(restart)


if __name__ == '__main__':
    main(globals())
