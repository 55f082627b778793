#!/bin/sh
# A virtual environment, and a wheel made on the spot installed into it without a network.
# needs: python3
# room: -m 1G
set -eu
python3 - <<'PYTHON'
import base64, hashlib, zipfile
files = {
    "parcel/__init__.py": "def main():\n    import sys\n    print('parcel', len(sys.argv))\n",
    "parcel/data.txt": "payload\n" * 1000,
    "parcel-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: parcel\nVersion: 1.2\n",
    "parcel-1.2.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: hand\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "parcel-1.2.dist-info/entry_points.txt": "[console_scripts]\nparcel = parcel:main\n",
}
record = ""
for name, text in files.items():
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
    record += f"{name},sha256={digest},{len(text)}\n"
files["parcel-1.2.dist-info/RECORD"] = record + "parcel-1.2.dist-info/RECORD,,\n"
with zipfile.ZipFile("parcel-1.2-py3-none-any.whl", "w") as wheel:
    for name, text in files.items():
        wheel.writestr(name, text)
PYTHON
python3 -m venv env
env/bin/pip --disable-pip-version-check install -q --no-index ./parcel-1.2-py3-none-any.whl
env/bin/parcel one two
env/bin/pip --disable-pip-version-check list --format=freeze | grep parcel
env/bin/python -c 'import parcel, importlib.metadata as m; print(m.version("parcel"))'
env/bin/pip --disable-pip-version-check uninstall -q -y parcel
env/bin/python -c 'import parcel' 2>/dev/null || echo gone
