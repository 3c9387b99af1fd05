# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a user can name is any bytes. Each of the hostile texts is the path of a program, a cgroup,
a policy file, a heap, an argument: everything that ccbuf says of it is one line of text that can be
seen, and says which of them it is."""
import contextlib
import json
import os
import shutil
import subprocess
import unicodedata

from daemon import Daemon, client_environment, options, policy, rule, run_client
from hostile import TEXTS, check_line, check_lines, read_back
from lib.broker import ERROR, INTERFACE, NAME, PATH
from lib.harness import Skip, need_root, same
from lib.minibus import BusError, Variant
from lib.waiting import DEADLINE, wait_until
from suite import main

PAGE = 4096


def decoded(texts):
    """Those that are UTF-8."""
    valid = {}
    for key, raw in texts.items():
        with contextlib.suppress(UnicodeDecodeError):
            valid[key] = raw.decode()
    return valid


VALID = decoded(TEXTS)
NONCHARACTERS = [key for key, text in VALID.items()
                 if any(ord(c) & 0xfffe == 0xfffe or 0xfdd0 <= ord(c) <= 0xfdef for c in text)]


def run(daemon, *arguments, codes=(0,), environment=None):
    """Runs the client: what it says can be seen. The lines of both streams."""
    made = client_environment(daemon) if daemon else dict(os.environ)
    result = subprocess.run([options.client, *arguments], env={**made, **(environment or {})},
                            stdin=subprocess.DEVNULL, capture_output=True, timeout=DEADLINE * 2,
                            check=False)
    assert result.returncode in codes, (arguments, result)
    out, err = check_lines(result.stdout), check_lines(result.stderr)
    for line in err:
        assert line.startswith('ccbuf-client: '), line
    return out, err


def run_json(daemon, *arguments, codes=(0,)):
    return json.loads('\n'.join(run(daemon, *arguments, codes=codes)[0]))


def check_stderr(daemon):
    for line in check_lines(daemon.log.read_bytes()):
        assert line.startswith('ccbufd: '), line


class Programs:
    """The client at hostile paths (or elsewhere, prepared), each with a grant that it holds."""

    def __init__(self, daemon, folder):
        self.daemon, self.folder = daemon, os.fsencode(str(folder))
        self.processes = {}
        os.mkdir(self.folder)
        self.program = self.folder + b'/program'
        shutil.copy(options.client, self.program)
        os.chmod(self.program, 0o755)

    def start(self, key, path=None, prepare=None):
        libraries = os.path.dirname(options.client)
        self.processes[key] = subprocess.Popen(
            [path or self.program, 'request', '--use', 'scratch', '--size', '4K', '--json'],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, preexec_fn=prepare,
            env={**client_environment(self.daemon), 'LD_LIBRARY_PATH': libraries})

    def start_at(self, key, raw):
        path = self.folder + b'/at ' + raw
        os.link(self.program, path)
        self.start(key, path)
        return path

    def wait(self):
        """{pid: key} of all, once they have their grants."""
        for process in self.processes.values():
            line = process.stdout.readline()
            assert json.loads(line)['pid'] == process.pid, line
        return {process.pid: key for key, process in self.processes.items()}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.communicate(timeout=DEADLINE)


def check_trail(daemon, key, wanted):
    """The records of the grants have these bytes; so has what the client makes of them. wanted:
    {pid: bytes}"""
    records = {r['peer']['pid']: r['peer'][key] for r in daemon.records('grant')
               if r['peer']['pid'] in wanted}
    same('recorded', {pid: read_back(text) for pid, text in records.items()}, wanted)
    same('each its own', len(set(records.values())), len(set(wanted.values())))
    lines = check_lines(daemon.audit.read_bytes())
    shown = run(daemon, 'audit', 'show', str(daemon.audit))[0]
    same('a line each', len(shown), len(lines))
    printed = run(daemon, 'audit', 'show', '--json', str(daemon.audit))[0]
    same('the same', [json.loads(line) for line in printed], [json.loads(line) for line in lines])
    return lines, shown


def test_programs():
    """Programs at hostile paths: everything can be listed, is heard of and recorded."""
    with Daemon() as daemon, Programs(daemon, daemon.folder / 'programs') as programs:
        bus = daemon.connect_bus()
        bus.subscribe()
        paths = {key: programs.start_at(key, raw) for key, raw in TEXTS.items()}
        wanted = {pid: paths[key] for pid, key in programs.wait().items()}
        n = len(wanted)
        listed = {grant['pid']: grant['exe'] for grant in bus.grants()}
        same('listed', {pid: read_back(text) for pid, text in listed.items()}, wanted)
        heard = [bus.signal('GrantAdded').body[1] for _ in range(n)]
        same('heard', {grant['pid']: grant['exe'] for grant in heard}, listed)
        printed = run_json(daemon, 'list', '--all', '--json')
        same('printed', {grant['pid']: grant['exe'] for grant in printed}, listed)
        for words in ('list', '--all'), ('list',):
            same('rows', len(run(daemon, *words)[0]), n + 2)
        _, shown = check_trail(daemon, 'exe', wanted)
        # Shown as well is which it is.
        for pid, path in wanted.items():
            line, = [line for line in shown if f' pid {pid} ' in line]
            assert path in read_back(line), (path, line)
        status = run_json(daemon, 'status', '--json')
        same('count', status['GrantCount'], n)
        check_stderr(daemon)
        programs.__exit__()
        daemon.wait_totals(0, 0)
        check_lines(daemon.audit.read_bytes())


def test_long_paths():
    """Longer than a record has room for once they are escaped, and different at the end only."""
    with Daemon() as daemon, Programs(daemon, daemon.folder / 'programs') as programs:
        here = os.open('.', os.O_RDONLY)
        try:
            os.chdir(programs.folder)
            for _ in range(14):
                os.mkdir(b'\xff' * 250)
                os.chdir(b'\xff' * 250)
            for name in b'one', b'other':
                os.link(programs.program, name)
                programs.start(name, b'./' + name)
            pids = programs.wait()
        finally:
            os.fchdir(here)
            os.close(here)
        bus = daemon.connect_bus()
        listed = {pids[grant['pid']]: read_back(grant['exe']) for grant in bus.grants()}
        for name in b'one', b'other':
            assert listed[name].endswith(b'\xff/' + name), listed
        recorded = {r['peer']['exe'] for r in daemon.records('grant')}
        same('not alike', len(recorded), 2)
        for text in recorded:
            assert '…sha256:' in text, text
        run(daemon, 'audit', 'show', str(daemon.audit))
        run(daemon, 'list')


def find_cgroup():
    """A folder of the cgroup v2 hierarchy that this process is in, or could be."""
    with open('/proc/mounts', 'rb') as mounts:
        points = [line.split()[1].decode() for line in mounts if line.split()[2] == b'cgroup2']
    if not points:
        raise Skip('there is no cgroup v2 here')
    with open('/proc/self/cgroup', encoding='utf-8', errors='surrogateescape') as groups:
        own = [line.rstrip('\n')[3:] for line in groups if line.startswith('0::')]
    return os.fsencode(points[0] + (own[0] if own else '/').rstrip('/'))


def test_cgroups():
    """Cgroups of hostile names, which a user who was given a folder there may make; units too."""
    need_root('cgroups')
    mine = find_cgroup() + b'/ccbuf-test-%d' % os.getpid()
    try:
        os.mkdir(mine)
    except OSError as error:
        raise Skip(f'cgroups cannot be made here: {error}') from None
    made = [mine]

    def enter(folder):
        def prepare():
            with open(folder + b'/cgroup.procs', 'wb') as procs:
                procs.write(b'%d' % os.getpid())
        return prepare

    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [os.rmdir(folder) for folder in reversed(made)])
        daemon = stack.enter_context(Daemon())
        programs = stack.enter_context(Programs(daemon, daemon.folder / 'programs'))
        for key, raw in TEXTS.items():
            if b'\n' in raw:  # the kernel allows none
                continue
            folder = mine + b'/' + raw[:200] + b'.service'
            os.mkdir(folder)
            made.append(folder)
            programs.start(key, prepare=enter(folder))
        wanted = {pid: TEXTS[key][:200] + b'.service' for pid, key in programs.wait().items()}
        recorded = {r['peer']['pid']: read_back(r['peer']['cgroup'])
                    for r in daemon.records('grant')}
        for pid, name in wanted.items():
            assert recorded[pid].endswith(b'/ccbuf-test-%d/' % os.getpid() + name), recorded[pid]
        check_trail(daemon, 'cgroup', recorded)
        run(daemon, 'list')
        run_json(daemon, 'list', '--json')
        check_stderr(daemon)
        programs.__exit__()
        wait_until(lambda: all(b'populated 0' in open(f + b'/cgroup.events', 'rb').read()
                               for f in made), 'empty cgroups')


def test_units():
    """A cgroup at the top whose name ends in .service is a unit's, as far as anybody can tell."""
    need_root('cgroups')
    top = find_cgroup()
    if b'0::/\n' not in open('/proc/self/cgroup', 'rb').read():
        raise Skip('units are cgroups at the top, and this process lives below it')
    made = []

    def enter(folder):
        def prepare():
            with open(folder + b'/cgroup.procs', 'wb') as procs:
                procs.write(b'%d' % os.getpid())
        return prepare

    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [os.rmdir(folder) for folder in reversed(made)])
        daemon = stack.enter_context(Daemon(policy(rule('all', per='unit'))))
        programs = stack.enter_context(Programs(daemon, daemon.folder / 'programs'))
        bus = daemon.connect_bus()
        bus.subscribe()
        for key, raw in TEXTS.items():
            # What begins with _ is read as systemd escapes it.
            if b'\n' in raw or raw[:1] == b'_':
                continue
            folder = top + b'/' + raw[:200] + b'-%d.service' % os.getpid()
            try:
                os.mkdir(folder)
            except OSError as error:
                raise Skip(f'cgroups cannot be made here: {error}') from None
            made.append(folder)
            programs.start(key, prepare=enter(folder))
        wanted = {pid: TEXTS[key][:200] + b'-%d.service' % os.getpid()
                  for pid, key in programs.wait().items()}
        grants = {grant['pid']: grant['unit'] for grant in bus.grants()}
        same('listed', {pid: read_back(text) for pid, text in grants.items()}, wanted)
        heard = [bus.signal('GrantAdded').body[1] for _ in wanted]
        same('heard', {grant['pid']: grant['unit'] for grant in heard}, grants)
        _, shown = check_trail(daemon, 'unit', wanted)
        rows = run(daemon, 'list')[0]
        for pid, name in wanted.items():
            for lines in shown, rows:
                line, = [line for line in lines if f' {pid} ' in line]
                assert name in read_back(line), (name, line)
        # Columns keep their places, whatever stands in them.
        same('rows', len(rows), len(wanted) + 2)
        programs.__exit__()
        wait_until(lambda: all(b'populated 0' in open(f + b'/cgroup.events', 'rb').read()
                               for f in made), 'empty cgroups')


def test_labels():
    """The label of a process, where the kernel lets somebody choose it."""
    need_root('labels')
    with Daemon() as daemon, Programs(daemon, daemon.folder / 'programs') as programs:
        for key, raw in TEXTS.items():
            child = os.fork()
            if child == 0:
                try:
                    with open('/proc/self/attr/current', 'wb') as label:
                        label.write(raw)
                    os._exit(0)
                except OSError:
                    os._exit(1)
            if os.waitpid(child, 0)[1]:
                continue

            def prepare(raw=raw):
                with open('/proc/self/attr/current', 'wb') as label:
                    label.write(raw)
            programs.start(key, prepare=prepare)
        if not programs.processes:
            raise Skip('no security module here lets a process choose its label')
        wanted = {pid: TEXTS[key] for pid, key in programs.wait().items()}
        check_trail(daemon, 'label', wanted)


def reload(daemon):
    """The text of the refusal."""
    try:
        daemon.connect_bus().method('Reload')
    except BusError as error:
        same('error', error.name, ERROR + 'PolicyInvalid')
        return error.text
    return None


def names_of_files(daemon):
    """{path: name} of policy files of hostile names."""
    return {os.fsencode(daemon.policy_dir) + b'/20-' + raw[:200] + b'.json': key
            for key, raw in TEXTS.items()}


def write(path, text):
    with open(path, 'wb') as file:
        file.write(text if isinstance(text, bytes) else
                   json.dumps(text, ensure_ascii=False).encode())
    os.chmod(path, 0o644)


def test_mistakes_in_files():
    """A mistake in each of the files, and a hostile text in each mistake."""
    need_root('reloading a policy')
    with Daemon() as daemon:
        paths = names_of_files(daemon)
        for path, key in paths.items():
            text = TEXTS[key].decode(errors='replace')
            write(path, {'version': 1, 'x' + text: 1, 'uses': {'x ' + text: {'heap': '/' + text}},
                         'rules': [{'name': '-' + text, 'match': {'user': 'x' + text}, 'deny': 1}]})
        mistakes = reload(daemon)
        lines = [check_line(line) for line in mistakes.split('\n')]
        for path in paths:
            # A line for each of the five, which begins with the file.
            found = [line for line in lines if read_back(line).startswith(path + b': /')]
            assert len(found) >= 5, (path, found)
        properties = daemon.connect_bus().properties()
        same('property', properties['PolicyError'], mistakes)
        same('by the client', run_json(daemon, 'status', '--json')['PolicyError'], mistakes)
        assert len(run(daemon, 'status')[0]) > len(lines)
        assert len(run(daemon, 'reload', codes=(1,))[1]) > len(lines)
        assert len(run(daemon, 'policy', 'check', str(daemon.policy_dir), codes=(1,))[1]) > \
            len(lines)
        run(daemon, 'policy', 'show', str(daemon.policy_dir), codes=(1,))
        run(daemon, 'doctor', '--policy', str(daemon.policy_dir), codes=(0, 1))
        run_json(daemon, 'doctor', '--json', '--policy', str(daemon.policy_dir), codes=(0, 1))
        check_lines(daemon.audit.read_bytes())
        run(daemon, 'audit', 'show', str(daemon.audit))
        check_stderr(daemon)


def test_text_that_is_no_json():
    """Hostile bytes outside of strings, within them and in comments."""
    need_root('reloading a policy')
    with Daemon() as daemon:
        paths = names_of_files(daemon)
        frames = [b'%s', b'{ "version": 1, %s }', b'{ "version": %s }', b'{ "%s\n": 1 }',
                  b'{ "version": 1, "limits": { "%s": 1 } }', b'{ // %s\r "version": 1 }',
                  b'{ "version": 1 } // %s', b'/* %s */ { "version": 1, }']
        for frame in frames:
            for path, key in paths.items():
                write(path, frame % TEXTS[key])
            mistakes = reload(daemon)
            for line in (mistakes or '').split('\n'):
                check_line(line)
            _, err = run(daemon, 'policy', 'check', str(daemon.policy_dir), codes=(0, 1))
            same('as many', len(err) - 1 if err else 0,
                 len(mistakes.split('\n')) if mistakes else 0)
        check_lines(daemon.audit.read_bytes())
        check_stderr(daemon)


def test_rules_in_files():
    """Rules in files of hostile names, and reasons that are hostile as far as a policy lets them:
    Why, refusals at both doors, `policy show`."""
    need_root('asking about other processes')
    texts = {key: text for key, text in VALID.items() if key not in NONCHARACTERS and
             all(ord(c) >= 0x20 and ord(c) != 0x7f for c in text)}
    with Daemon(policy(rule('all', use='scratch'))) as daemon:
        paths = names_of_files(daemon)
        for i, (path, key) in enumerate(paths.items()):
            deny = texts.get(key, 'no') + '!'
            write(path, {'version': 1, 'uses': {f'u{i}': {'heap': 'emulated'}},
                         'rules': [{'name': f'r{i}', 'match': {'transport': ['socket', 'dbus']},
                                    'use': [f'u{i}'], 'deny': deny}]})
        same('reloaded', reload(daemon), None)
        bus, client = daemon.connect_bus(), daemon.connect()
        for i, (path, key) in enumerate(paths.items()):
            told = bus.why(f'u{i}', PAGE)
            same('file', read_back(told['file']), path)
            wanted = (texts.get(key, 'no') + '!').encode()
            for reason in (told['reason'], bus.request(f'u{i}', PAGE).reason,
                           client.request(f'u{i}', PAGE).reason):
                check_line(reason)
                assert reason.endswith('...') or read_back(reason).endswith(wanted) or \
                    b'\\' in wanted, (reason, wanted)
            if i % 8 == 0:
                same('by the client', run_json(daemon, 'why', '--use', f'u{i}', '--size', '4K',
                                               '--json', codes=(3,)), told)
                out, _ = run(daemon, 'why', '--use', f'u{i}', '--size', '4K', codes=(3,))
                assert path in read_back(out[1]), out
                for transport in 'socket', 'dbus':
                    run(daemon, 'request', '--use', f'u{i}', '--size', '4K', '--json',
                        '--transport', transport, codes=(3,))
        shown = run_json(daemon, 'policy', 'show', '--json', str(daemon.policy_dir))
        same('from', sorted(read_back(rule['from'].rsplit(': /rules/', 1)[0])
                            for rule in shown['rules'] if rule['name'] != 'all'), sorted(paths))
        run(daemon, 'policy', 'show', str(daemon.policy_dir))
        run(daemon, 'policy', 'check', str(daemon.policy_dir))
        check_lines(daemon.audit.read_bytes())
        check_stderr(daemon)


def test_heaps():
    """Nodes of hostile names: the properties can be read, all of them."""
    with Daemon(start=False) as daemon:
        heaps = os.fsencode(daemon.folder) + b'/heaps'
        os.mkdir(heaps)
        wanted = {b'n' + raw for raw in TEXTS.values()}
        for name in wanted:
            write(heaps + b'/' + name, b'')
        daemon.start()
        listed = daemon.connect_bus().properties()['Heaps']
        same('names', {read_back(heap['name']) for heap in listed} - {b'emulated'}, wanted)
        for heap in listed:
            check_line(heap['reason'])
        same('by the client', run_json(daemon, 'status', '--json')['Heaps'], listed)
        rows = run(daemon, 'status')[0]
        for name in wanted:
            assert any(read_back(row).startswith(name + b'  ') for row in rows), name
        for words in ('doctor', '--heaps', heaps), ('doctor', '--json', '--heaps', heaps):
            out, _ = run(daemon, *words, codes=(0, 1))
            assert len(out) > len(wanted), out


def test_strings_of_d_bus():
    """What a caller puts into a call comes back in the refusal, and is recorded."""
    with Daemon() as daemon:
        bus = daemon.connect_bus()
        for key, text in VALID.items():
            if key in NONCHARACTERS:
                continue
            long = text * (1 + 70 // len(text))
            calls = [('Request', text, {}), ('Request', 'scratch', {long: Variant('b', True)}),
                     ('Request', 'scratch', {'label': Variant('s', 'x' * 40 + text)}),
                     ('Why', 'x ' + text, {}), ('Why', 'scratch', {long: Variant('s', text)}),
                     ('Why', 'scratch', {'identity': Variant('s', text)})]
            for member, use, given in calls:
                serial = bus.send(NAME, PATH, INTERFACE, member, 'sta{sv}', use, PAGE, given)
                try:
                    bus.reply(serial)
                    assert key == 'plain', (key, member, use, given)
                except BusError as error:
                    check_line(error.text)
                    assert error.name.startswith(ERROR), error
        # Cut, but not within a character.
        for shift in range(4):
            try:
                bus.why('scratch', PAGE, **{}) and bus.method(
                    'Why', 'sta{sv}', 'scratch', PAGE, {'x' * shift + '€' * 40: Variant('s', '')})
            except BusError as error:
                assert '€..."' in error.text, error
        daemon.wait_records('deny', 3, verdict='malformed')
        check_lines(daemon.audit.read_bytes())
        run(daemon, 'audit', 'show', str(daemon.audit))
        if os.geteuid() == 0:
            told = daemon.connect_bus().why('scratch', PAGE, exe=VALID['letters'])
            same('verdict', told['verdict'], 'granted')


def test_arguments():
    """What is wrong with an argument is said of the argument, in a line."""
    folder = None
    with Daemon() as daemon:
        folder = os.fsencode(daemon.folder)
        for i, raw in enumerate(TEXTS.values()):
            kinds = [((b'x' + raw,), 2), ((b'list', b'x' + raw), 2), ((b'list', b'--x' + raw), 2),
                     ((b'request', b'--use', b'x ' + raw, b'--size', b'4K'), 2),
                     ((b'request', b'--use', b'scratch', b'--size', b'x' + raw), 2),
                     ((b'audit', b'show', folder + b'/' + raw), 1),
                     ((b'audit', b'verify', folder + b'/' + raw), 1),
                     ((b'audit', b'show', b'--user', b'x' + raw), 2),
                     ((b'policy', b'check', folder + b'/' + raw), 1),
                     ((b'request', b'--use', b'scratch', b'--size', b'4K', b'--',
                       folder + b'/' + raw), 127)]
            # One of them each, all in turns; of some all.
            for k, (arguments, code) in enumerate(kinds):
                if i % len(kinds) != k and i % 9:
                    continue
                _, err = run(daemon, *arguments, codes=(code,))
                assert raw in read_back(err[0]), (arguments, err)
        for raw in list(TEXTS.values())[::5]:
            _, err = run(daemon, 'request', '--use', 'scratch', '--size', '4K', codes=(1,),
                         environment={'CCBUF_SOCKET': folder + b'/' + raw[:40]})
            assert raw[:40] in read_back(err[0]), err
            run(daemon, 'doctor', codes=(0, 1), environment={'CCBUF_SOCKET': b'/x' + raw[:40]})
            run(daemon, 'why', '--use', 'scratch', '--size', '4K', '--exe', b'/' + raw,
                codes=(0, 1, 3))
            run(daemon, 'list', codes=(1,),
                environment={'DBUS_SYSTEM_BUS_ADDRESS': b'unix:path=/x' + raw[:40]})


def test_trails_of_others():
    """A trail that was not written by ccbufd may hold any bytes."""
    with Daemon() as daemon:
        path = os.fsencode(daemon.folder) + b'/other.jsonl'
        with open(path, 'wb') as file:
            for i, raw in enumerate(TEXTS.values()):
                raw = raw.replace(b'\\', b'').replace(b'"', b'').replace(b'\n', b'')
                file.write(b'{"seq":%d,"prev":"%064d","time":"%s","event":"%s","peer":{"exe":"%s"},'
                           b'"reason":"%s"}\n' % (i + 1, 0, raw, raw, raw, raw))
        for words in ('audit', 'show'), ('audit', 'show', '--json'):
            out, err = run(daemon, *words, path)
            same('each', len(out) + len(err), len(TEXTS))
        run(daemon, 'audit', 'verify', path, codes=(1,))
        run_json(daemon, 'audit', 'verify', '--json', path, codes=(1,))


def test_every_character():
    """All that Unicode calls a control, a format, a separator or private is escaped, and nothing is
    lost; nor are noncharacters, which some libraries refuse."""
    characters = [chr(c) for c in range(1, 0x110000) if not 0xd800 <= c < 0xe000]
    texts = [''.join(characters[i:i + 4096]) for i in range(0, len(characters), 4096)]
    with Daemon() as daemon:
        path = daemon.folder / 'other.jsonl'
        with open(path, 'w', encoding='utf-8') as file:
            for i, text in enumerate(texts):
                reason = json.dumps(text, ensure_ascii=False)
                file.write(f'{{"seq":{i + 1},"prev":"{0:064d}","time":"T","event":"error",'
                           f'"reason":{reason}}}\n')
        shown = run_client('audit', 'show', path).stdout.split('\n')[:-1]
        printed = run_client('audit', 'show', '--json', path).stdout.split('\n')[:-1]
        same('lines', (len(shown), len(printed)), (len(texts), len(texts)))
        for line in shown + printed:
            bad = [c for c in set(line) if c != ' ' and
                   unicodedata.category(c) in ('Cc', 'Cf', 'Zs', 'Zl', 'Zp', 'Co', 'Cs')]
            assert not bad, ascii(bad)
        for text, line in zip(texts, printed):
            same('value', read_back(json.loads(line)['reason']), text.encode())


if __name__ == '__main__':
    main(globals())
