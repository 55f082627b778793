# no-new-privs: execve grants nothing, for good.
@probe('it is set')
def on(): return libc.prctl(39, 0, 0, 0, 0) != 1 and 'it is not'


@probe('it is set in children')
def child():
    child = os.fork()
    if child == 0:
        os._exit(libc.prctl(39, 0, 0, 0, 0))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) != 1 and 'it is not'
