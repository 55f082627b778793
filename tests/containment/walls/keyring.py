# keyring: no keys of the host.
@probe('the session\'s keys are closed')
def session(): return 'ring %d' % call(250, 0, -3, 0)


@probe('the user\'s keys are closed')
def user(): return 'ring %d' % call(250, 0, -4, 1)


@probe('a key of the host is not found', bare='keys of users do not cross user namespaces')
def found(): return 'key %d' % call(250, 10, -4, b'user', TOKEN.encode(), 0)


@probe('a key of the host is not read', bare='keys of users do not cross user namespaces')
def read():
    if HOST['key'] is None:
        return None
    into = ctypes.create_string_buffer(100)
    return 'read %d' % call(250, 11, HOST['key'], into, 100)


@probe('no keys are listed', bare=HOST['keys_listed'] or 'none are listed')
def listed(): return text('/proc/keys')[:60]
