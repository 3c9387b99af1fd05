# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.ccbuf.Broker1 as others see it: described, asked by clients of other makes, and open to each
for what is theirs."""
import os
import subprocess
import sys
import xml.etree.ElementTree as xml

from buses import make_bus, shipped_policy
from daemon import Daemon, options, policy, rule
from lib.broker import ERROR, INTERFACE, NAME, PATH, Broker, Variant
from lib.harness import Skip, need_program, need_root, same
from lib.minibus import BusError
from lib.waiting import DEADLINE
from peers import Peer
from suite import OTHER, USER, main

PAGE = 4096
METHODS = {
    'Request': [('use', 's', 'in'), ('size', 't', 'in'), ('options', 'a{sv}', 'in'),
                ('fd', 'h', 'out'), ('grant', 't', 'out'), ('size', 't', 'out')],
    'Release': [('grant', 't', 'in'), ('still_held', 'b', 'out')],
    'ListGrants': [('grants', 'aa{sv}', 'out')],
    'Why': [('use', 's', 'in'), ('size', 't', 'in'), ('peer', 'a{sv}', 'in'),
            ('verdict', 'a{sv}', 'out')],
    'Reload': [],
    'Revoke': [('grant', 't', 'in'), ('held', 'a{sv}', 'out')],
}
PROPERTIES = {'Version': 's', 'Platform': 's', 'Heaps': 'aa{sv}', 'PolicyDigest': 's',
              'PolicyError': 's', 'GrantedBytes': 't', 'GrantCount': 't', 'AuditSequence': 't'}
SIGNALS = {'GrantAdded': [('grant', 't'), ('details', 'a{sv}')],
           'GrantRevoked': [('grant', 't')],
           'GrantReleased': [('grant', 't'), ('reason', 's')]}


def run(*command, **more):
    result = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE,
                            stdin=subprocess.DEVNULL, check=False, **more)
    return result.returncode, result.stdout, result.stderr


def test_description():
    with Daemon() as daemon:
        bus = daemon.connect_bus()
        text, = bus.call(NAME, PATH, 'org.freedesktop.DBus.Introspectable', 'Introspect')
        interface, = [i for i in xml.fromstring(text) if i.get('name') == INTERFACE]
        same('methods', {m.get('name'): [(a.get('name'), a.get('type'), a.get('direction'))
                                         for a in m.findall('arg')]
                         for m in interface.findall('method')}, METHODS)
        same('properties', {p.get('name'): p.get('type') for p in interface.findall('property')},
             PROPERTIES)
        same('access', {p.get('access') for p in interface.findall('property')}, {'read'})
        same('signals', {s.get('name'): [(a.get('name'), a.get('type')) for a in s.findall('arg')]
                         for s in interface.findall('signal')}, SIGNALS)


def test_properties():
    with Daemon() as daemon:
        bus = daemon.connect_bus()
        values = bus.properties()
        same('names', set(values), set(PROPERTIES))
        same('error', values['PolicyError'], '')
        heap, = [h for h in values['Heaps'] if h['name'] == 'emulated']
        same('emulated', (heap['available'], heap['revocable'], 'leaked' in heap),
             (True, False, False))
        assert len(values['PolicyDigest']) == 64 and values['Version'], values
        assert values['Platform'] in ('none', 'sev', 'sev-es', 'sev-snp', 'tdx', 'cca'), values
        same('heaps', [(h['name'], h['exposure'], h['available']) for h in values['Heaps']],
             [('emulated', 'emulated', True)])
        answer = bus.request('scratch', 3 * PAGE).close()
        same('totals', (bus.get('GrantCount'), bus.get('GrantedBytes')), (1, 3 * PAGE))
        same('sequence', bus.get('AuditSequence'), daemon.records()[-1]['seq'])
        bus.release(answer.grants[0])
        for name in PROPERTIES:
            try:
                bus.call(NAME, PATH, 'org.freedesktop.DBus.Properties', 'Set', 'ssv', INTERFACE,
                         name, Variant('s', 'x'))
                raise AssertionError(f'{name} was set')
            except BusError as error:
                assert 'ReadOnly' in error.name, error


def test_wrong_calls():
    with Daemon() as daemon:
        bus = daemon.connect_bus()
        for path, interface, member in ((PATH, INTERFACE, 'NoSuch'), ('/', INTERFACE, 'Reload'),
                                        (PATH + '/x', INTERFACE, 'ListGrants'),
                                        (PATH, 'org.example.No', 'ListGrants')):
            try:
                bus.call(NAME, path, interface, member)
                raise AssertionError(f'{path} {interface} {member}')
            except BusError as error:
                assert error.name.startswith('org.freedesktop.DBus.Error.Unknown'), error
        same('alive', bus.request('scratch', PAGE).close().verdict, 'granted')


def test_busctl():
    need_program('busctl')
    with Daemon(policy(rule('no', deny='not today'))) as daemon:
        base = ['busctl', f'--address={daemon.address}']
        code, out, err = run(*base, 'introspect', NAME, PATH)
        same('introspect', (code, err), (0, ''))
        for name in (*METHODS, *PROPERTIES, *SIGNALS):
            assert f'.{name} ' in out, out
        code, out, err = run(*base, 'introspect', '--xml-interface', NAME, PATH)
        assert 'name="options"' in out and 'name="grant"' in out, out
        code, out, err = run(*base, 'call', NAME, PATH, INTERFACE, 'Request', 'sta{sv}', 'scratch',
                             '4096', '1', 'label', 's', 'x')
        assert code != 0 and 'not today' in err and 'rule no' in err, err
        code, out, err = run(*base, 'call', NAME, PATH, INTERFACE, 'Why', 'sta{sv}', 'scratch',
                             '4096', '0')
        assert code == 0 and '"denied"' in out, (out, err)
        code, out, err = run(*base, 'get-property', NAME, PATH, INTERFACE, 'GrantCount')
        same('property', (code, out), (0, 't 0\n'))
        daemon.write_policy(policy())
        daemon.signal(1)
        daemon.wait_message('READY=1')
        code, out, err = run(*base, 'call', NAME, PATH, INTERFACE, 'Request', 'sta{sv}', 'scratch',
                             '4096', '0')
        assert code == 0 and out.startswith('htt '), (out, err)
        daemon.wait_totals(0, 0)


def test_gdbus():
    need_program('gdbus')
    with Daemon() as daemon:
        base = ['--address', daemon.address, '--dest', NAME, '--object-path', PATH]
        code, out, err = run('gdbus', 'introspect', *base)
        same('introspect', (code, err), (0, ''))
        for words in ('in  s use', 'in  a{sv} options', 'out h fd', 'out b still_held',
                      'readonly t GrantedBytes'):
            assert words in ' '.join(out.split()).replace('in s', 'in  s').replace(
                'in a', 'in  a') or words in out, (words, out)
        code, out, err = run('gdbus', 'call', *base, '--method', INTERFACE + '.Request', 'scratch',
                             '4096', "{'label': <'from gdbus'>, 'read-only': <true>}")
        same('request', code, 0)
        record, = daemon.records('grant')
        same('label', (record['label'], record['read-only']), ('from gdbus', True))
        code, out, err = run('gdbus', 'call', *base, '--method', INTERFACE + '.Request', 'nosuch',
                             '4096', '{}')
        assert code != 0 and ERROR + 'UnknownUse' in err and 'scratch' in err, err
        daemon.wait_totals(0, 0)


PYTHON_DBUS = '''
import os, sys, dbus, dbus.bus
bus = dbus.bus.BusConnection(sys.argv[1])
broker = dbus.Interface(bus.get_object('org.ccbuf.Broker1', '/org/ccbuf/Broker1'),
                        'org.ccbuf.Broker1')
handle, grant, size = broker.Request('scratch', dbus.UInt64(65536), {'label': 'from python'})
fd = handle.take()
listed, = broker.ListGrants()
same = (os.fstat(fd).st_size, int(size), int(grant), str(listed['label']), os.read(fd, 65536))
assert same == (65536, 65536, int(listed['grant']), 'from python', bytes(65536)), same
os.close(fd)
held = broker.Release(grant)
assert not held
try:
    broker.Request('nosuch', dbus.UInt64(4096), {})
except dbus.DBusException as error:
    print(error.get_dbus_name(), error.get_dbus_message())
'''


def test_python_dbus():
    if run(sys.executable, '-c', 'import dbus')[0]:
        raise Skip('python3-dbus is not installed')
    with Daemon() as daemon:
        code, out, err = run(sys.executable, '-c', PYTHON_DBUS, daemon.address)
        same('exit', (code, err), (0, ''))
        assert out.startswith(ERROR + 'UnknownUse') and 'scratch' in out, out


def test_why():
    content = policy(rule('big', match={'unit': 'mpi@*.service', 'user': [USER]}, buffer='1M'),
                     rule('dbus', match={'transport': 'dbus'}, buffer='64K'),
                     rule('rest', deny='no'))
    with Daemon(content) as daemon:
        bus = daemon.connect_bus()
        told = bus.why('scratch', 4096)
        same('itself', {k: told[k] for k in ('verdict', 'code', 'rule', 'index', 'heap',
                                             'exposure', 'reason')},
             {'verdict': 'granted', 'code': 0, 'rule': 'dbus', 'index': 1, 'heap': 'emulated',
              'exposure': 'emulated', 'reason': ''})
        assert told['file'].endswith('10-test.json') and told['words'], told
        same('too large', bus.why('scratch', 1 << 20)['verdict'], 'buffer-limit')
        if os.geteuid() == 0:
            same('another', bus.why('scratch', 1 << 20, uid=USER, unit='mpi@3.service')['rule'],
                 'big')
            same('wrong unit', bus.why('scratch', 4096, uid=USER, unit='x.service',
                                       transport='socket')['verdict'], 'denied')
        else:
            try:
                bus.why('scratch', 4096, uid=0)
                raise AssertionError('was told')
            except BusError as error:
                same('refused', error.name, ERROR + 'NotPermitted')
        for peer in ({'no-such': Variant('s', 'x')}, {'uid': Variant('s', 'root')},
                     {'identity': Variant('s', 'medium')}, {'gids': Variant('s', '1')}):
            try:
                bus.why('scratch', 4096, **peer)
                raise AssertionError(f'{peer} was taken')
            except BusError as error:
                same('refused', error.name, ERROR + 'Malformed')
        same('nothing granted', daemon.records('grant'), [])


def visitor(channel, address):
    bus = Broker(address)
    bus.subscribe()
    answer = bus.request('scratch', PAGE, label=f'of {os.getuid()}').close()
    channel.send(answer.grants)
    try:
        while True:
            what = channel.receive()
            if what == 'list':
                channel.send([grant['label'] for grant in bus.grants()])
            elif what == 'why':
                try:
                    bus.why('scratch', PAGE, uid=0)
                except BusError as error:
                    channel.send(error.name)
            elif what == 'release':
                channel.send(bus.release(channel.receive()).verdict)
            else:
                bus.grants()  # whatever was on its way has come before the answer
                channel.send(sorted({s.member for s in bus.signals if s.interface == INTERFACE}))
    except EOFError:
        pass


def test_own_and_others():
    need_root('other users')
    with Daemon() as daemon:
        bus = daemon.connect_bus()
        with Peer(visitor, daemon.address, uid=USER) as one, \
                Peer(visitor, daemon.address, uid=USER) as too, \
                Peer(visitor, daemon.address, uid=OTHER) as other:
            numbers = [peer.receive()[0] for peer in (one, too, other)]
            same('own user', one.ask('list'), [f'of {USER}'] * 2)
            same('other', other.ask('list'), [f'of {OTHER}'])
            same('root', {g['label'] for g in bus.grants()}, {f'of {USER}', f'of {OTHER}'})
            listed = {g['grant']: g for g in bus.grants()}
            same('numbers', set(listed), set(numbers))
            grant = listed[numbers[2]]
            same('details', (grant['uid'], grant['pid'], grant['size'], grant['state'],
                             grant['transport'], grant['rule'], grant['use']),
                 (OTHER, other.pid, PAGE, 'live', 'dbus', 'all', 'scratch'))
            same('why', other.ask('why'), ERROR + 'NotPermitted')
            other.send('release')
            same('of another', other.ask(numbers[0]), 'unknown-grant')
            same('by root', bus.release(numbers[0]).verdict, 'unknown-grant')
        daemon.wait_totals(0, 0)


def revoke(bus, number):
    """How Revoke fails."""
    try:
        bus.method('Revoke', 't', number)
    except BusError as error:
        return error.name, error.text
    raise AssertionError(number)


def revoker(channel, address):
    bus = Broker(address)
    channel.send(revoke(bus, channel.receive()))


def test_revoke_is_refused():
    """To whom, of what, and of a heap that cannot: each is said, and recorded."""
    with Daemon() as daemon:
        client = daemon.connect()
        grant = client.request('scratch', PAGE).close().grants[0]
        bus = daemon.connect_bus()
        cases = [(bus, grant, 'NotPermitted', 'ccbuf-admin')]
        if os.geteuid() == 0:
            cases = [(bus, grant, 'Unsupported', f'heap emulated of grant {grant} cannot'),
                     (bus, grant + 1, 'UnknownGrant', f'there is no grant {grant + 1}'),
                     (bus, 0, 'UnknownGrant', 'there is no grant 0')]
            with Peer(revoker, daemon.address, uid=OTHER) as other:
                name, _ = other.ask(grant)
                same('to another', name, ERROR + 'NotPermitted')
        for bus, number, name, words in cases:
            found, text = revoke(bus, number)
            same(number, found, ERROR + name)
            assert words in text, text
        wanted = ['not-permitted'] + (['unsupported', 'unknown-grant', 'unknown-grant']
                                      if os.geteuid() == 0 else [])
        same('recorded', [r['verdict'] for r in daemon.wait_records('deny', len(wanted))], wanted)
        same('not taken back', [g['state'] for g in bus.grants()], ['live'])
        same('no record', daemon.records('revoke'), [])
        client.release(grant)
        daemon.wait_totals(0, 0)


def listen(daemon, bus):
    bus.subscribe()
    client = daemon.connect()
    grant = client.request('scratch', PAGE, label='seen').close().grants[0]
    client.release(grant)
    details = of_grant(bus, 'GrantAdded', grant)
    same('added', (details['label'], details['size'], details['uid']),
         ('seen', PAGE, os.getuid()))
    same('released', of_grant(bus, 'GrantReleased', grant), 'released by the peer')


def of_grant(bus, member, grant):
    while True:
        number, more = bus.signal(member).body
        if number == grant:
            return more


def test_signals():
    with Daemon() as daemon:
        listen(daemon, daemon.connect_bus())


def test_bus_policy():
    """With the bus policy that is installed: everybody may ask, only root hears of grants."""
    need_root('other users')
    with Daemon(start=False, bus=False) as daemon:
        daemon.bus = make_bus(daemon.folder, options.dbus_broker, shipped_policy('root'))
        daemon.own_bus, daemon.address = True, daemon.bus.address
        daemon.start()
        with Peer(visitor, daemon.address, uid=USER) as peer:
            peer.receive()
            listen(daemon, daemon.connect_bus())
            same('an ordinary user hears', peer.ask('signals'), [])
            peer.kill()
            peer.wait()
        daemon.wait_totals(0, 0)


def test_bus_policy_lets_no_fds_in():
    need_root('a daemon of another user than the bus')
    with Daemon(start=False, bus=False) as daemon:
        daemon.bus = make_bus(daemon.folder, options.dbus_broker, shipped_policy('root'))
        daemon.own_bus, daemon.address = True, daemon.bus.address
        daemon.start()
        bus = daemon.connect_bus()
        try:
            bus.request('scratch', PAGE, label=Variant('h', 0))
        except BusError as error:
            same('refused', error.name, 'org.freedesktop.DBus.Error.AccessDenied')
        else:
            raise AssertionError('let in')
        same('without', bus.request('scratch', PAGE).close().verdict, 'granted')


def test_client_that_takes_no_fds():
    """It hears so, and nothing is charged to it."""
    with Daemon() as daemon:
        witness = daemon.connect_bus()
        bus = Broker(daemon.address, takes_fds=False)
        same('can read', bus.get('GrantCount'), 0)
        for _ in range(2):
            answer = bus.request('scratch', PAGE)
            same('refused', answer.verdict, 'unsupported')
            assert 'file descriptors' in answer.reason, answer
        daemon.wait_records('deny', 2, verdict='unsupported')
        daemon.wait_totals(0, 0)
        same('another', witness.request('scratch', PAGE).close().verdict, 'granted')
        bus.close()


DENY_REPLIES = f'<policy context="mandatory"><deny receive_sender="{NAME}" ' \
    'receive_type="method_return" receive_requested_reply="true" min_fds="1"/></policy>'


def test_reply_that_the_bus_refuses():
    if options.dbus_broker:
        raise Skip('dbus-broker holds no policy against replies')
    with Daemon(start=False, bus=False) as daemon:
        daemon.bus = make_bus(daemon.folder, more=DENY_REPLIES)
        daemon.own_bus, daemon.address = True, daemon.bus.address
        daemon.start()
        bus = daemon.connect_bus()
        for _ in range(3):
            bus.ask('scratch', PAGE)
        records = daemon.wait_records('undelivered', 3)
        same('reasons', {r['reason'] for r in records}, {'the bus refused the reply'})
        same('of grants', {b['grant'] for r in records for b in r['buffers']},
             {b['grant'] for r in daemon.records('grant') for b in r['buffers']})
        same('charged', bus.get('GrantCount'), 0)


def heard(bus):
    """What was signalled of grants, and whether that was after the name had been given up."""
    given_up, found = False, []
    while True:
        message = bus.next_signal()
        if message.member.startswith('Grant'):
            found.append((message.member, given_up))
        if message.member == 'NameOwnerChanged' and message.body[0] == NAME:
            given_up = not message.body[2]
        elif message.member == 'NameOwnerChanged' and given_up and not message.body[2]:
            return found


def test_no_signals_without_the_name():
    """Those who may hear them are told by the name: not after it was given up at a stop."""
    with Daemon(policy(rule('all', buffer='1G'), limits={'total': '100%'})) as daemon:
        bus = daemon.connect_bus()
        for rest in (f"interface='{INTERFACE}'", "member='NameOwnerChanged'"):
            bus.subscribe("type='signal'," + rest)
        client = daemon.connect()
        same('first', client.request('scratch', PAGE).close().verdict, 'granted')
        for _ in range(6):
            client.ask('scratch', 64 << 20)
        daemon.signal(15)
        same('exit', daemon.wait_exit(), 0)
        signals = heard(bus)
        assert ('GrantAdded', False) in signals, signals
        same('after the name', [name for name, given_up in signals if given_up], [])


def test_no_signals_while_another_has_the_name():
    with Daemon(start=False) as daemon:
        bus = daemon.connect_bus()
        same('name', bus.call('org.freedesktop.DBus', '/org/freedesktop/DBus',
                              'org.freedesktop.DBus', 'RequestName', 'su', NAME, 0), [1])
        daemon.start()
        bus.subscribe(f"type='signal',interface='{INTERFACE}'")
        client = daemon.connect()
        client.request('scratch', PAGE).close()
        # Until what waited has been sent or dropped: it is on its way before the next answer.
        daemon.wait_records('grant')
        bus.call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus',
                 'ReleaseName', 's', NAME)
        bus.get('Version')
        second = client.request('scratch', PAGE).close().grants[0]
        same('the first that is heard of', bus.signal('GrantAdded').body[0], second)


def test_name_is_given_back():
    with Daemon() as daemon:
        bus = daemon.connect_bus()
        bus.subscribe("type='signal',member='NameOwnerChanged'")
        daemon.signal(15)
        same('exit', daemon.wait_exit(), 0)
        while True:
            name, _, new = bus.signal('NameOwnerChanged').body
            if name == NAME:
                same('owner', new, '')
                break


if __name__ == '__main__':
    main(globals())
