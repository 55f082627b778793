# session: the caller's terminal is out of reach. The suite runs this wall on a terminal.
@probe('the caller\'s terminal does not open')
def terminal():
    os.close(os.open('/dev/tty', os.O_RDWR | os.O_NOCTTY))
    return 'it opens'


@probe('no key can be typed for the caller')
def typed(): return reaches(16, 0, 0x5412, b'x')


@probe('the caller\'s terminal is not stdin')
def stdin(): return os.isatty(0) and os.ttyname(0)
