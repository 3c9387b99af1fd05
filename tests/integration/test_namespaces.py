#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon in a user namespace that does not map every user: the kernel shows it all the others as
one number, which may be that of a user here, too, and is nobody's."""
import ctypes
import os

from buses import DBusDaemon
from daemon import Daemon, policy, rule, run_client
from lib.broker import Broker
from lib.harness import Skip, need_root, same
from lib.waiting import die_with_parent
from peers import Peer, wait_end
from suite import OTHER, USER, main

CLONE_NEWUSER, CLONE_NEWNS = 0x10000000, 0x20000
OVERFLOW = 65534


def enter_namespace(mapped):
    """For the child: a user namespace with root alone, or with nobody, in its map."""
    if ctypes.CDLL(None).unshare(CLONE_NEWUSER) < 0:
        os._exit(77)
    if mapped:
        for name, text in (('setgroups', 'deny'), ('uid_map', '0 0 1'), ('gid_map', '0 0 1')):
            with open('/proc/self/' + name, 'w', encoding='ascii') as file:
                file.write(text)


def mount_group(path):
    """For the child: another /etc/group."""
    libc = ctypes.CDLL(None)
    if libc.unshare(CLONE_NEWNS) < 0 or libc.mount(None, b'/', None, 1 << 18 | 1 << 14, None) < 0 \
            or libc.mount(str(path).encode(), b'/etc/group', None, 1 << 12, None) < 0:
        os._exit(77)


def inside(mapped=True, **more):
    need_root('a user namespace, and users that are not in it')
    with open('/proc/sys/kernel/overflowuid', encoding='ascii') as file:
        if int(file.read()) != OVERFLOW:
            raise Skip('another overflowuid than usual')
    pid = os.fork()
    if pid == 0:
        os._exit(77 if ctypes.CDLL(None).unshare(CLONE_NEWUSER) < 0 else 0)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 0:
        raise Skip('no user namespace can be made here')
    return Daemon(bus=False, start=False, prepare=lambda: enter_namespace(mapped), **more)


def refused_start(daemon, *words):
    with daemon:
        daemon.spawn()
        code = daemon.wait_exit()
        assert code == 1, f'{code}: {daemon.stderr()}'
        for word in words:
            assert word in daemon.stderr(), f'{word}: {daemon.stderr()}'


def test_no_rule_means_users_without_a_number():
    for who in ({'user': 'nobody'}, {'user': OVERFLOW}, {'group': 'nogroup'}):
        refused_start(inside(policy=policy(rule('none', match=who, deny='no'), rule('all'))),
                      f'/rules/0/match/{list(who)[0]}: is ', f' {OVERFLOW}, which in this user')


def test_a_user_without_a_number_is_nobody():
    content = policy(rule('root', match={'user': 'root'}),
                     rule('others', match={'not': {'user': 'root'}}, deny='who is that'))
    with inside(policy=content) as daemon:
        daemon.start()
        for uid, wanted in ((0, 0), (USER, 3), (OTHER, 3)):
            result = run_client('request', '--use', 'scratch', '--size', '4K', '--', 'true',
                                daemon=daemon, user=uid)
            same(f'user {uid}', (result.returncode, result.stderr.count('who is that')),
                 (wanted, wanted // 3))


def test_no_administrators_by_a_number_that_is_nobodys():
    for namespace in (False, True):
        daemon = inside()
        group = daemon.folder / 'group'
        group.write_text(f'root:x:0:\nccbuf-admin:x:{OVERFLOW}:\n')

        def prepare(group=group, namespace=namespace):
            if namespace:
                enter_namespace(True)
            mount_group(group)
        daemon.prepare = prepare
        with daemon:
            daemon.start()
            same('told', 'there is no group ccbuf-admin' in daemon.stderr(), namespace)


def test_files_of_users_without_a_number_are_no_policy():
    daemon = inside()
    os.chown(daemon.policy_dir / '10-test.json', USER, USER)
    refused_start(daemon, f'10-test.json: belongs to user {OVERFLOW}, which in this user')
    # The daemon's own number is nobody's here, and so are all the folders.
    refused_start(inside(mapped=False), 'the way to it leads through /',
                  f'belongs to user {OVERFLOW}, which in this user')


def lists(channel, address):
    bus = Broker(address, uid=OVERFLOW)
    mine = bus.request('scratch', 4096).close().grants[0]
    channel.send(mine)
    channel.receive()
    channel.send([grant['grant'] for grant in bus.grants()])
    wait_end(channel)


def test_users_without_a_number_do_not_see_each_other():
    """With a bus in the same user namespace: they all are one number to it."""
    def prepare():
        die_with_parent()
        enter_namespace(True)

    daemon = inside()
    with daemon:
        daemon.bus = DBusDaemon(daemon.folder, prepare=prepare)
        daemon.own_bus, daemon.address = True, daemon.bus.address
        daemon.start()
        with Peer(lists, daemon.address, uid=USER) as one, \
                Peer(lists, daemon.address, uid=OTHER) as other:
            grants = [peer.receive() for peer in (one, other)]
            same('own alone', [peer.ask() for peer in (one, other)], [[n] for n in grants])
            one.kill()
            other.kill()


main(globals())
