# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every refusal: the same verdict over the socket and the bus, with words that help, recorded, and
nothing handed out or charged. Those of identity, limits and audit have files of their own."""
import os
import resource
import stat

from daemon import Daemon, policy, rule
from lib.broker import ERROR, INTERFACE, NAME, PATH, Variant, variants
from lib.harness import Skip, need_root, same
from lib.minibus import NO_REPLY_EXPECTED, BusError
from suite import main

PAGE = 4096
USES = {name: {'heap': heap} for name, heap in {
    'scratch': 'emulated', 'small': 'emulated', 'video': 'emulated', 'nobodys': 'emulated',
    'rdma': 'system_cc_shared', 'private': 'system', 'odd': 'mystery'}.items()}
RULES = [
    rule('no-video', use='video', deny='no cameras here'),
    rule('small', use='small', buffer='64K'),
    rule('open', use=['scratch', 'rdma', 'private', 'odd']),
]
POLICY = policy(*RULES, uses=USES)
# verdict, rule, words of the reason, use, size, more
CASES = [
    ('unknown-use', '', 'odd, private, rdma, scratch, small', 'nosuch', PAGE, {}),
    ('denied', 'no-video', 'no cameras here', 'video', PAGE, {}),
    ('no-rule', '', 'nobodys', 'nobodys', PAGE, {}),
    ('consent-required', 'open', 'accept-shared', 'rdma', PAGE, {}),
    ('heap-unavailable', 'open', 'system_cc_shared', 'rdma', PAGE, {'accept_shared': True}),
    ('heap-unavailable', 'open', 'no heap system', 'private', PAGE, {}),
    ('heap-unavailable', 'open', 'declare its exposure', 'odd', PAGE, {'accept_shared': True}),
    ('bad-size', '', '0 bytes', 'scratch', 0, {}),
    ('bad-size', '', 'at most', 'scratch', (1 << 64) - 1, {}),
    ('bad-size', '', 'at most', 'scratch', (1 << 62) + 1, {}),
    ('buffer-limit', 'small', '64K', 'small', 65537, {}),
    ('buffer-limit', 'small', '64K', 'small', 1 << 62, {}),
    ('bytes-limit', 'open', 'limits.total', 'scratch', 1 << 62, {}),
]


def test_each_refusal():
    with Daemon(POLICY) as daemon:
        for client in daemon.doors():
            for verdict, name, words, use, size, more in CASES:
                what = f'{client.transport} {use} {size}'
                answer = client.request(use, size, **more)
                same(what, answer.verdict, verdict)
                same(what, answer.rule, name)
                assert words in answer.reason, (what, answer.reason)
                record = daemon.wait_records('deny', use=use, transport=client.transport)[-1]
                same(what, (record['verdict'], record.get('rule', '')), (verdict, name))
                same(what, record['reason'], answer.reason)
                assert 'buffers' not in record, record
        daemon.wait_totals(0, 0)


def test_why_says_the_same():
    with Daemon(POLICY) as daemon:
        bus = daemon.connect_bus()
        for verdict, name, words, use, size, more in CASES:
            before = len(daemon.records())
            told = bus.why(use, size, **more)
            same(use, (told['verdict'], told.get('rule', '')), (verdict, name))
            assert words in told['reason'], told
            same('nothing is recorded', len(daemon.records()), before)
        same('granted', bus.why('scratch', PAGE)['verdict'], 'granted')


def test_bad_counts():
    with Daemon(POLICY) as daemon:
        client = daemon.connect()
        for count in (0, 65, 1 << 31, (1 << 32) - 1):
            same(str(count), client.request('scratch', PAGE, count=count).verdict, 'bad-size')
        same('sum', client.request('scratch', 1 << 60, count=64).verdict, 'bad-size')
        same('alive', client.request('scratch', PAGE, count=64).close().verdict, 'granted')


def test_malformed_calls():
    """What is malformed over the bus; of packets see test_malformed.py."""
    with Daemon(POLICY) as daemon:
        bus = daemon.connect_bus()
        for use in ('', 'a b', '-x', '.x', 'x' * 64, 'ü', 'a/b', 'a\nb'):
            same(repr(use), bus.request(use, PAGE).verdict, 'malformed')
        for label in ('x' * 32, 'tab\t', 'ü', 'line\nline'):
            same(repr(label), bus.request('scratch', PAGE, label=label).verdict, 'malformed')
        for options in ({'no-such': Variant('b', True)}, {'accept-shared': Variant('s', 'yes')},
                        {'label': Variant('u', 1)}, {'read-only': Variant('v', Variant('b', 1))}):
            same(str(options), bus.answer(bus.send_method(
                'Request', 'sta{sv}', 'scratch', PAGE, options)).verdict, 'malformed')
        same('recorded', len(daemon.wait_records('deny', 1)) > 0, True)
        for signature, body in (('st', ('scratch', PAGE)), ('sta{ss}', ('scratch', PAGE, {})),
                                ('stas', ('scratch', PAGE, []))):
            try:
                bus.method('Request', signature, *body)
                raise AssertionError(f'{signature} was taken')
            except BusError as error:
                assert 'InvalidArgs' in error.name or error.name.startswith(ERROR), error
        same('a label', bus.request('scratch', PAGE, label='x' * 31).close().verdict, 'granted')
        options = variants({'label': 'one'})
        same('granted', bus.answer(bus.send_method('Request', 'sta{sv}', 'scratch', PAGE,
                                                   options)).close().verdict, 'granted')


def test_fds_in_calls():
    """Fds that a caller sends are closed; the harness counts."""
    with Daemon(POLICY) as daemon:
        bus = daemon.connect_bus()
        for key in ('label', 'no-such', 'accept-shared'):
            same(key, bus.answer(bus.send_method('Request', 'sta{sv}', 'scratch', PAGE,
                                                 {key: Variant('h', 0)})).verdict, 'malformed')
        try:
            bus.method('Release', 'h', 0)
            raise AssertionError('was taken')
        except BusError:
            pass


def test_no_reply_expected():
    """A caller that wants no reply cannot get a buffer."""
    with Daemon(POLICY) as daemon:
        bus = daemon.connect_bus()
        bus.send(NAME, PATH, INTERFACE, 'Request', 'sta{sv}', 'scratch', PAGE, {},
                 flags=NO_REPLY_EXPECTED)
        bus.send(NAME, PATH, INTERFACE, 'Request', 'sta{sv}', 'nosuch', PAGE, {},
                 flags=NO_REPLY_EXPECTED)
        same('alive', bus.request('nosuch', PAGE).verdict, 'unknown-use')
        same('granted', (daemon.records('grant'), bus.get('GrantCount')), ([], 0))
        same('recorded', daemon.wait_records('deny', 3)[0]['verdict'], 'malformed')


def test_out_of_memory():
    """A heap that has no room: here a limit on the size of the daemon's files stands for it."""
    with Daemon(POLICY) as daemon:
        most = resource.RLIM_INFINITY
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (8 << 20, most))
        for client in daemon.doors():
            same('too much', client.request('scratch', 16 << 20).verdict, 'out-of-memory')
            same('less', client.request('scratch', PAGE).close().verdict, 'granted')
        same('batch', daemon.connect().request('scratch', 16 << 20, count=3).verdict,
             'out-of-memory')
        daemon.wait_totals(2, 2 * PAGE)
        resource.prlimit(daemon.pid, resource.RLIMIT_FSIZE, (most, most))


def test_nodes_that_are_no_heaps():
    """A device that does not know the ioctl stands for a heap that fails, and shows that read-only
    shared memory is refused before any is made."""
    need_root('device nodes')
    with Daemon(POLICY) as daemon:
        heaps = daemon.folder / 'heaps'
        heaps.mkdir()
        try:
            os.mknod(heaps / 'system_cc_shared', stat.S_IFCHR | 0o600, os.makedev(1, 3))
            os.mknod(heaps / 'mystery', stat.S_IFCHR | 0o600, os.makedev(1, 3))
        except PermissionError as error:
            raise Skip(f'no device nodes here: {error}') from None
        (heaps / 'system').write_text('a file')
        for client in daemon.doors():
            same('unsupported', client.request('rdma', PAGE, accept_shared=True, read_only=True)
                 .verdict, 'unsupported')
            same('fails', client.request('rdma', PAGE, accept_shared=True).verdict, 'internal')
            same('file', client.request('private', PAGE).verdict, 'heap-unavailable')
            same('consent first', client.request('rdma', PAGE).verdict, 'consent-required')
            same('unknown', client.request('odd', PAGE).verdict, 'heap-unavailable')
        told = {heap['name']: heap for heap in daemon.connect_bus().get('Heaps')}
        same('heaps', {name: (heap['exposure'], heap['available']) for name, heap in told.items()},
             {'emulated': ('emulated', True), 'system_cc_shared': ('shared', True),
              'system': ('private', False), 'mystery': ('unknown', False)})
        daemon.wait_totals(0, 0)
        # The nodes stay open.
        daemon.fds_idle += 2


def test_declared_exposure():
    content = policy(*RULES, uses=USES, heaps={'mystery': {'exposure': 'shared'}})
    with Daemon(content) as daemon:
        for client in daemon.doors():
            same('consent', client.request('odd', PAGE).verdict, 'consent-required')
            answer = client.request('odd', PAGE, accept_shared=True)
            same('not there', answer.verdict, 'heap-unavailable')
            same('never another', daemon.records('grant'), [])


if __name__ == '__main__':
    main(globals())
