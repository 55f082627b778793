# cores: a crash in a room starts no program of the host's, where the host gives cores to one. Needs a host of its own,
# for core_pattern is everybody's. Run by tests/vm as root.
here=$(mktemp -d) || exit 1
old=$(cat /proc/sys/kernel/core_pattern)
passed=0 failed=0
printf '#!/bin/sh\necho started >>%s/log\n' "$here" >"$here/handler"
chmod 755 "$here/handler"
echo "|$here/handler" >/proc/sys/kernel/core_pattern

# NAME WANTED COMMAND…
try()
{
    rm -f "$here/log"
    name=$1 wanted=$2
    shift 2
    "$@" >/dev/null 2>&1
    sleep 1
    if [ -s "$here/log" ]; then got=started; else got=nothing; fi
    if [ $got = "$wanted" ]; then
        echo "PASS $name"
        passed=$((passed + 1))
    else
        echo "FAIL $name: $got"
        failed=$((failed + 1))
    fi
}

try "the handler is one: a crash outside starts it" started sh -c 'kill -SEGV $$'
try "a crash in a room does not" nothing build/strongroom run -- sh -c 'kill -SEGV $$'
try "nor one that wants no cores" nothing build/strongroom run -- sh -c 'ulimit -c 0; kill -SEGV $$'
echo "$old" >/proc/sys/kernel/core_pattern
rm -rf "$here"
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
