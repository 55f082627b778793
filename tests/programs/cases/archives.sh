#!/bin/sh
# tar with every compressor that is there, zip by Python, cpio-like copies; the same bytes both ways.
# needs: tar gzip xz
set -eu
cp -R "$SOURCE/src" tree && chmod -R u+w tree && ln -s base/err.h tree/link && mkfifo tree/fifo && : >tree/'odd "name'
list() { (cd "$1" && find . | LC_ALL=C sort | sha256sum | cut -c 1-16); }
for way in --gzip --xz --bzip2 --zstd; do
    tool=${way#--}
    command -v "$tool" >/dev/null || continue
    tar -c $way --sort=name --owner=0 --group=0 --mtime=@0 -f "a.$tool" tree
    mkdir "out.$tool" && tar -x $way -p -f "a.$tool" -C "out.$tool"
    [ "$(list tree)" = "$(list "out.$tool/tree")" ] && echo "$tool same" && [ -p "out.$tool/tree/fifo" ]
done
tar -cf sparse.tar --sparse tree && tar -tf sparse.tar | wc -l | sed 's/.*/listed/'
gzip -k -9 -n <tree/base/err.h >packed && gzip -d <packed | cmp - tree/base/err.h && echo gzip
xz -T2 -c tree/base/err.h | xz -dc | cmp - tree/base/err.h && echo xz
rm tree/fifo
python3 -m zipfile -c a.zip tree && python3 -m zipfile -e a.zip unzipped && [ "$(list tree/base)" = "$(list unzipped/tree/base)" ] && echo zip
