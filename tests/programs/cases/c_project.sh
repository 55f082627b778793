#!/bin/sh
# This project built from its read-only sources: meson (python), ninja, the C compiler and linker, then run.
# needs: meson ninja musl-gcc
# room: -m 2G --cpus 2
set -eu
CC=musl-gcc meson setup build "$SOURCE" -Dpart=product -Dbuildtype=release >log 2>&1 || { tail -n 20 log >&2; exit 1; }
ninja -C build -j2 strongroom >log 2>&1 || { tail -n 20 log >&2; exit 1; }
build/strongroom version | head -n 1
build/strongroom run --help | wc -l
file build/strongroom 2>/dev/null | grep -o 'statically linked' || true
