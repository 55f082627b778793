"""What values look like, for the drivers of this folder, which give `write` (a frame: cells.h) and `load` (a module of
python's own, whatever the cells call theirs). Lives in: a room, with its driver. Every name stands inside of functions."""


def _(write, load):
    import sys
    VALUE_MAX, TEXT_MAX = 4 << 20, 64 << 10

    def send(mime, data):
        data = data.encode('utf-8', 'replace') if isinstance(data, str) else bytes(data)
        if len(data) > VALUE_MAX - 128:
            write(b'O', b'%s\n%d' % (mime.encode(), len(data)))
        else:
            write(b'V', mime.encode() + b'\n' + data)

    def shortened(text):
        return text if len(text) <= TEXT_MAX else text[:TEXT_MAX] + '\n[... %d characters left out ...]' % (len(text) - TEXT_MAX)

    def is_plain(value):
        return type(value) in (dict, list, tuple, str, int, float, bool)

    rich = {'_repr_png_': 'image/png', '_repr_jpeg_': 'image/jpeg', '_repr_svg_': 'image/svg+xml', '_repr_html_': 'text/html',
            '_repr_markdown_': 'text/markdown', '_repr_latex_': 'text/latex'}

    def show(value):
        """In every form that it knows; the first frame is its text."""
        try:
            text = repr(value)
        except Exception as e:
            text = '<%s without a repr: %s>' % (type(value).__name__, type(e).__name__)
        send('text/plain', shortened(text))
        if is_plain(value):
            try:
                text = load('json').dumps(value, allow_nan=False)
            except (TypeError, ValueError, RecursionError):
                return
            if len(text) <= TEXT_MAX:
                send('application/json', text)
            return
        for name, mime in rich.items():
            method = None if isinstance(value, type) else getattr(value, name, None)
            try:
                data = method() if callable(method) else None
                data = data[0] if isinstance(data, tuple) else data
                if isinstance(data, (bytes, bytearray, str)):
                    send(mime, data)
            except Exception:
                load('traceback').print_exc()
        if type(value).__module__.startswith('matplotlib.') and hasattr(value, 'savefig') and not is_open(value):
            send_figure(value)

    def plots():
        return sys.modules.get('matplotlib.pyplot')

    def is_open(figure):
        return plots() is not None and getattr(figure, 'number', None) in plots().get_fignums()

    def send_figure(figure):
        file = load('io').BytesIO()
        figure.savefig(file, format='png')
        send('image/png', file.getvalue())

    def send_figures():
        """Those that are open at the end, as a notebook does."""
        if plots() is None:
            return
        try:
            for number in plots().get_fignums():
                send_figure(plots().figure(number))
        finally:
            plots().close('all')

    return show, send_figures
