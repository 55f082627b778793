# uts: a name of the room's own.
@probe('the host\'s name is not told')
def told(): return os.uname().nodename == HOST['name'] and HOST['name']


@probe('the name cannot be changed')
def changed():
    socket.sethostname('taken')
    return os.uname().nodename


@probe('the names are not the host\'s', bare='the bare run has some of its own')
def own(): return foreign_space('uts')
