"""Runs cells of Python that come in on descriptor 0, which it moves away from the program's sight (cells.h says how
they look). Lives in: a room, as one of its programs, with no right that others lack. Every name of its own stands inside
of functions: the cells' names are those of __main__."""


def _(names):
    import sys
    first = sys.path.pop(0)  # a cell's own json.py is for the cells
    import ast, builtins, io, json, linecache, os, signal, traceback
    sys.path.insert(0, first)
    ERROR_MAX = 4000
    channel = os.dup(0)  # not inherited by what cells start
    null = os.open('/dev/null', os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.environ.setdefault('MPLBACKEND', 'agg')
    own = os.getpid()
    now = {'number': b'', 'flags': ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, 'loop': None}

    def let_be(sig, frame):
        """An interrupt that comes when the cell is over."""

    def read(size):
        got = b''
        while len(got) < size:
            more = os.read(channel, size - len(got))
            if not more:
                os._exit(0)  # nobody asks any more
            got += more
        return got

    def write(kind, data=b''):
        data = b'%s %s %08x\n' % (kind, now['number'], len(data)) + data
        while data:
            data = data[os.write(channel, data):]

    space = {}
    exec(sys.argv[1], space)  # python_show.py
    show, send_figures = space['_'](write, lambda name: {'io': io, 'json': json, 'traceback': traceback}[name])

    def display(*values):
        for value in values:
            show(value)

    def await_it(coroutine):
        import asyncio
        if now['loop'] is None or now['loop'].is_closed():
            now['loop'] = asyncio.new_event_loop()
            asyncio.set_event_loop(now['loop'])
        task = now['loop'].create_task(coroutine)
        try:
            return now['loop'].run_until_complete(task)
        except KeyboardInterrupt:
            task.cancel()
            now['loop'].run_until_complete(asyncio.wait([task], timeout=1))
            raise

    def evaluate(tree, name, mode):
        code = compile(tree, name, mode, now['flags'], True)
        now['flags'] |= code.co_flags & 0x1ff0000 & ~0x2000  # what "from __future__" turned on
        value = eval(code, names)
        return await_it(value) if code.co_flags & 0x80 else value  # CO_COROUTINE

    def run(code, name):
        tree = compile(code, name, 'exec', now['flags'] | ast.PyCF_ONLY_AST, True)
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        if tree.body:
            evaluate(tree, name, 'exec')
        value = evaluate(ast.Expression(last.value), name, 'eval') if last else None
        if value is not None:
            names['_'] = value
            show(value)
        send_figures()

    def tell(e):
        """The traceback without our own frames."""
        trace = e.__traceback__
        while trace and trace.tb_frame.f_code.co_filename == '<string>':
            trace = trace.tb_next
        e.__traceback__ = trace
        traceback.print_exception(type(e), e, trace)

    def flush():
        for name, number in (('stdout', 1), ('stderr', 2)):
            try:
                getattr(sys, name).flush()
            except Exception:  # closed, or replaced by something else
                setattr(sys, name, open(number, 'w', buffering=1, errors='backslashreplace', closefd=False))

    def guarded(code, name):
        """Exit status, and name and words of what went wrong."""
        try:
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                run(code.decode('utf-8'), name)
                return 0, None
            finally:
                signal.signal(signal.SIGINT, let_be)
        except SystemExit as e:
            if e.code is None or isinstance(e.code, int):
                return (e.code or 0) & 255, None
            print(e.code, file=sys.stderr)
            return 1, None
        except KeyboardInterrupt as e:
            tell(e)
            return 130, e
        except BaseException as e:
            tell(e)
            return 1, e

    sys.argv[:] = ['']
    signal.signal(signal.SIGINT, let_be)
    builtins.display = display
    sys.stdout.reconfigure(line_buffering=True, errors='backslashreplace')
    while True:
        head = read(22)
        if head[:3] != b'__c':
            continue
        now['number'] = head[4:12]
        write(b'G')
        code = read(int(head[13:21], 16))
        name = 'cell-%d.py' % int(head[4:12], 16)
        linecache.cache[name] = (len(code), None, code.decode('utf-8', 'replace').splitlines(True), name)
        status, e = guarded(code, name)
        flush()
        if os.getpid() != own:
            os._exit(status)  # a child that came back from the cell's fork
        what = '' if e is None else '%s\n%s' % (type(e).__name__, str(e)[:ERROR_MAX])
        write(b'D', ('%03d\n%s' % (status, what)).encode('utf-8', 'replace'))


_(globals())
