#!/bin/sh
# make with parallel jobs, gcc, ar, ld, a shared library, a profile run, g++ when there is one.
# needs: gcc make
# room: -m 1G --cpus 2
set -eu
mkdir objects
cat >Makefile <<'MAKE'
SOURCES = $(wildcard $(SOURCE)/src/base/*.c)
OBJECTS = $(patsubst $(SOURCE)/src/base/%.c,objects/%.o,$(SOURCES))
CFLAGS = -std=gnu17 -D_GNU_SOURCE -O2 -fPIC -I$(SOURCE)/src
all: libbase.a libbase.so main main-so
objects/%.o: $(SOURCE)/src/base/%.c
	$(CC) $(CFLAGS) -c -o $@ $<
libbase.a: $(OBJECTS)
	$(AR) rcs $@ $^
libbase.so: $(OBJECTS)
	$(CC) -shared -o $@ $^
main: main.c libbase.a
	$(CC) $(CFLAGS) --coverage -o $@ $^
main-so: main.c libbase.so
	$(CC) $(CFLAGS) -o $@ main.c -L. -lbase -Wl,-rpath,'$$ORIGIN'
MAKE
cat >main.c <<'C'
#include "base/sbuf.h"
#include <pthread.h>
#include <stdio.h>
static void *work(void *arg)
{
    (void) arg;
    return "thread";
}
int main(void)
{
    char text[64];
    struct sbuf b = SBUF(text);
    pthread_t t;
    void *said;
    sbuf_fmt(&b, "%d+%d", 40, 2);
    if (pthread_create(&t, NULL, work, NULL) != 0 || pthread_join(t, &said) != 0)
        return 1;
    return printf("%s %s\n", text, (char *) said) < 0;
}
C
make -j3 -s
./main && ./main-so
find . -name '*.gcda' | wc -l
nm libbase.a 2>/dev/null | grep -c ' T '
if command -v g++ >/dev/null; then
    cat >a.cc <<'CC'
#include <iostream>
#include <thread>
int main()
{
    std::thread t([] { std::cout << "c++" << std::endl; });
    t.join();
    try {
        throw 1;
    } catch (int) {
        std::cout << "caught" << std::endl;
    }
}
CC
    g++ -O1 -pthread -o a a.cc && ./a
fi
