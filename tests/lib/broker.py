# SPDX-License-Identifier: LGPL-2.1-or-later
"""org.ccbuf.Broker1 for tests, in the words of wire.py, so that one test can ask both ways."""
from lib.minibus import Bus, BusError, Variant
from lib.wire import VERDICTS, Answer

NAME = INTERFACE = 'org.ccbuf.Broker1'
PATH = '/org/ccbuf/Broker1'
ERROR = 'org.ccbuf.Broker1.Error.'
KINDS = {'accept-shared': 'b', 'read-only': 'b', 'label': 's', 'uid': 'u', 'gids': 'au',
         'unit': 's', 'slice': 's', 'cgroup': 's', 'exe': 's', 'container': 'b', 'identity': 's',
         'transport': 's'}
CAMEL = {''.join(part.capitalize() for part in name.split('-')): name for name in VERDICTS}


def variants(values):
    return {key: value if isinstance(value, Variant) else Variant(KINDS[key], value)
            for key, value in values.items()}


def refusal(error):
    """A BusError of ours as an Answer; anything else is raised."""
    if not error.name.startswith(ERROR):
        raise error
    name = error.name[len(ERROR):]
    reason, rule = error.text, ''
    if reason.endswith(')') and ' (rule ' in reason:
        reason, rule = reason[:-1].rsplit(' (rule ', 1)
    return Answer(CAMEL.get(name, name), reason=reason, rule=rule)


class Broker(Bus):
    transport = 'dbus'

    def send_method(self, member, signature='', *body):
        return self.send(NAME, PATH, INTERFACE, member, signature, *body)

    def method(self, member, signature='', *body):
        return self.reply(self.send_method(member, signature, *body))

    def ask(self, use, size, accept_shared=False, read_only=False, label=None, **more):
        options = {'accept-shared': accept_shared, 'read-only': read_only, 'label': label}
        options = {key: value for key, value in options.items() if value}
        return self.send_method('Request', 'sta{sv}', use, size, variants(options | more))

    def answer(self, serial):
        try:
            fd, grant, size = self.reply(serial)
        except BusError as error:
            return refusal(error)
        return Answer('granted', grants=[grant], fds=[fd], size=size)

    def request(self, use, size, **more):
        return self.answer(self.ask(use, size, **more))

    def release(self, grant):
        try:
            held, = self.method('Release', 't', grant)
        except BusError as error:
            return refusal(error)
        return Answer('released', grants=[grant], held=held)

    def grants(self):
        return self.method('ListGrants')[0]

    def why(self, use, size, **peer):
        peer = {key.replace('_', '-'): value for key, value in peer.items()}
        return self.method('Why', 'sta{sv}', use, size, variants(peer))[0]

    def reload(self):
        """None, or the refusal; of a policy with mistakes the verdict is PolicyInvalid."""
        try:
            self.method('Reload')
            return None
        except BusError as error:
            return refusal(error)

    def properties(self):
        return self.call(NAME, PATH, 'org.freedesktop.DBus.Properties', 'GetAll', 's',
                         INTERFACE)[0]

    def get(self, name):
        return self.properties()[name]

    def subscribe(self, rule=f"type='signal',sender='{NAME}'"):
        self.call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'org.freedesktop.DBus',
                  'AddMatch', 's', rule)
