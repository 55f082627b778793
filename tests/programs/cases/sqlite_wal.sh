#!/bin/sh
# One database in WAL mode, two writers and a reader at once (shared memory file, byte-range locks).
# needs: sqlite3
# room: -m 512M
set -eu
sqlite3 db 'PRAGMA journal_mode=WAL; CREATE TABLE t (who TEXT, n INTEGER);'
write()
{
    i=0
    while [ $i -lt 40 ]; do
        sqlite3 -cmd '.timeout 20000' db "BEGIN IMMEDIATE; INSERT INTO t SELECT '$1', count(*) FROM t WHERE who = '$1'; COMMIT;"
        i=$((i + 1))
    done
}
write a & a=$!
write b & b=$!
for _ in 1 2 3 4 5; do sqlite3 -readonly -cmd '.timeout 20000' db 'SELECT count(*) >= 0 FROM t;' | grep -q 1; done
wait $a && wait $b
sqlite3 db 'SELECT who, count(*), max(n), count(DISTINCT n) FROM t GROUP BY who; PRAGMA integrity_check; PRAGMA wal_checkpoint(TRUNCATE);'
sqlite3 db '.dump' | sqlite3 copy && sqlite3 copy 'VACUUM; SELECT count(*) FROM t;'
