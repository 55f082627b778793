# env: an environment of the room's own.
NAMES = {'PATH', 'HOME', 'TMPDIR', 'USER', 'LOGNAME', 'LANG', 'SHELL', 'TERM', 'LC_CTYPE', 'PWD'}


@probe('no value of the caller\'s')
def values(): return ' '.join(k for k, v in os.environ.items() if TOKEN in v)


@probe('no name of the caller\'s')
def names(): return ' '.join(sorted(set(os.environ) - NAMES))


@probe('nor in what the kernel keeps of it')
def kept(): return TOKEN in text('/proc/self/environ', 1 << 17) and 'values'


@probe('home is the working folder')
def home(): return os.environ.get('HOME') != '/work' and os.environ.get('HOME')
