#!/bin/sh
# A repository with branches: clone by path and by git's own protocol over loopback, rebase, gc, fsck, worktrees.
# needs: git
# room: -m 1G
set -eu
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@example.org GIT_AUTHOR_DATE='1700000000 +0000'
export GIT_COMMITTER_NAME=c GIT_COMMITTER_EMAIL=c@example.org GIT_COMMITTER_DATE='1700000000 +0000'
git init -q -b main one
cd one
cp -R "$SOURCE/src" . && chmod -R u+w . && find . -type f -path './src/*' ! -name '*.h' -delete
git add . && git commit -q -m first
for i in 1 2 3 4 5 6 7 8 9; do seq 1 "${i}00" >numbers && git add numbers && git commit -q -m "numbers $i"; done
git checkout -q -b side HEAD~4 && echo side >side && git add side && git commit -q -m side
git rebase -q main && git checkout -q main && git merge -q --no-ff -m merged side
git tag -a -m v1 v1
git stash list
cd ..
git clone -q one two
git clone -q --bare --no-local one three.git
git -C two worktree add -q ../tree v1
(cd two && echo more >>numbers && git commit -q -a -m more && git push -q "$PWD/../three.git" main)
git -C three.git gc -q --aggressive --prune=now
git -C three.git fsck --strict --no-progress
git -C three.git rev-list --count main
git -C two rev-list --objects --all | wc -l
git daemon --base-path=. --export-all --listen=127.0.0.1 --port=9419 --pid-file=daemon.pid --detach
for _ in 1 2 3 4 5 6 7 8 9 10; do git clone -q git://127.0.0.1:9419/three.git four 2>/dev/null && break; sleep 0.2; done
kill "$(cat daemon.pid)"
git -C four log --format='%an %s' -n 3
git -C four diff --stat v1 | tail -n 1
git -C four grep -c sbuf -- 'src/base/*.h' | head -n 2
