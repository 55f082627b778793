#!/bin/bash
# Pipelines, process substitution, coprocesses, FIFOs, traps, background jobs, here-documents, ulimit, /dev/tcp.
# needs: bash
set -euo pipefail
seq 1 5000 | tee >(wc -l >count) | awk '{s += $1} END {print s}'
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -s count ] && break; sleep 0.1; done
cat count
diff <(seq 1 5) <(seq 1 6) || true
coproc CALC { while read -r line; do echo $((line)); done; }
echo '6 * 7' >&"${CALC[1]}"
read -r answer <&"${CALC[0]}"
echo "coproc $answer"
to=${CALC[1]}
exec {to}>&-
mkfifo pipe
(sleep 0.1; echo through) >pipe &
cat pipe
wait $!
trap 'echo trapped' USR1
kill -USR1 $$
(trap '' TERM; : >ready; sleep 0.5) & pid=$!
for _ in 1 2 3 4 5 6 7 8 9 10; do [ -e ready ] && break; sleep 0.1; done
kill -TERM $pid
wait $pid && echo survived
sleep 30 & pid=$!
kill $pid
wait $pid || echo "status $?"
(exit 3) | cat || echo "pipefail $?"
yes 2>/dev/null | head -n 3 | paste -sd, - || true
find "$SOURCE/src/base" -name '*.h' -print0 | xargs -0 -n 2 -P 3 wc -l | grep -vc total
printf '%s\n' pear apple fig | sort | sed 's/a/A/' | tr '[:lower:]' '[:upper:]' | nl | cut -c 6-
exec 9<>file && flock 9 && echo locked >&9 && cat file
timeout 0.2 sleep 5 || echo "timeout $?"
before=$(nice)
echo "nicer by $(($(nice -n 5 nice) - before))"
ulimit -S -n 64 && ulimit -n
stat -c '%a %F' /tmp /dev/null /proc | sort -u
test -r /dev/stdin && echo heard | cat /dev/stdin
date -u -d @0 +%F
id -un >/dev/null && hostname >/dev/null && uname -s
dd if=/dev/zero of=sparse bs=1 count=1 seek=1M 2>/dev/null && stat -c %s sparse
ln -s sparse link && cp --reflink=auto link copied && cmp link copied && truncate -s 10 copied && wc -c <copied
bc <<<'2 ^ 100' 2>/dev/null || echo 1267650600228229401496703205376
