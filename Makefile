# One word per wish; meson and ninja do the work. Nothing here asks a question.
PREFIX ?= /usr/local
DESTDIR ?=
JOBS ?= $(shell nproc 2>/dev/null || echo 2)
CC_HOST ?= gcc
SUITES ?=
FUZZ_SECONDS ?= 20

NINJA = ninja -j$(JOBS)
SETUP_product = CC=musl-gcc meson setup build -Dpart=product -Dbuildtype=release -Doptimization=2 -Dprefix=$(PREFIX)
SETUP_host = CC=$(CC_HOST) meson setup build-host -Dpart=helpers -Dbuildtype=release -Doptimization=2 -Dprefix=$(PREFIX)
SETUP_arm64 = meson setup build-arm64 --cross-file build-arm64.tools/cross.ini -Dpart=product -Dbuildtype=release -Doptimization=2
SETUP_fault = CC=musl-gcc meson setup build-fault -Dpart=product -Dfault=true -Dbuildtype=debugoptimized
SETUP_test = CC=gcc meson setup build-test -Dpart=tests -Dwerror=true -Db_sanitize=address,undefined -Db_lundef=false
SETUP_clang = CC=clang meson setup build-clang -Dpart=tests -Dwerror=true -Db_sanitize=address,undefined -Db_lundef=false \
    -Dc_args=-fsanitize=fuzzer-no-link
QUIET = >/dev/null
# meson tells its errors on stdout: show its log's end only when it fails.
WHY = || { tail -n 20 $(@D)/meson-logs/meson-log.txt >&2; exit 1; }

.PHONY: all deps product host arm64 fault tests tests-clang demo check check-vm bench fuzz lint format install clean help

all: deps product host

help:
	@echo 'make [all]           build (missing Debian packages are installed first)'
	@echo 'make demo            a real agent script in a room, start to receipt'
	@echo 'make check           all tests; SUITES="unit system" runs only those'
	@echo 'make check-vm        the tests on an emulated machine (kernel 6.1, cgroup v2)'
	@echo 'make bench           speed against the peers that Debian offers'
	@echo 'make fuzz            each fuzz target for FUZZ_SECONDS=$(FUZZ_SECONDS)'
	@echo 'make lint            compiler-independent checks of the sources'
	@echo 'make format          lay out the C sources (clang-format)'
	@echo 'make install         PREFIX=$(PREFIX) DESTDIR='
	@echo 'make clean           remove what was built'

deps:
	@scripts/deps build

product: build/build.ninja
	@$(NINJA) -C build
host: build-host/build.ninja
	@$(NINJA) -C build-host
arm64: build-arm64/build.ninja
	@$(NINJA) -C build-arm64
fault: build-fault/build.ninja
	@$(NINJA) -C build-fault strongroom strongroom-tree
tests: build-test/build.ninja
	@$(NINJA) -C build-test
tests-clang: build-clang/build.ninja
	@$(NINJA) -C build-clang

build/build.ninja:
	@$(SETUP_product) $(QUIET) $(WHY)
build-host/build.ninja:
	@$(SETUP_host) $(QUIET) $(WHY)
build-arm64/build.ninja:
	@scripts/deps arm64
	@scripts/cross arm64 build-arm64.tools
	@$(SETUP_arm64) $(QUIET) $(WHY)
build-fault/build.ninja:
	@$(SETUP_fault) $(QUIET) $(WHY)
build-test/build.ninja:
	@$(SETUP_test) $(QUIET) $(WHY)
build-clang/build.ninja:
	@$(SETUP_clang) $(QUIET) $(WHY)

demo: all
	@examples/demo

check:
	@scripts/deps build test
	@$(MAKE) --no-print-directory product host tests tests-clang fault
	@scripts/check $(SUITES)

check-vm:
	@scripts/deps build test
	@$(MAKE) --no-print-directory product host tests
	@scripts/check vm vm-users

bench:
	@scripts/deps build bench
	@$(MAKE) --no-print-directory product host
	@bench/run

fuzz:
	@scripts/deps build test
	@$(MAKE) --no-print-directory tests-clang
	@scripts/fuzz $(FUZZ_SECONDS)

lint:
	@scripts/deps build test
	@$(MAKE) --no-print-directory tests-clang build/build.ninja
	@scripts/lint

format:
	@find src tests bench -name '*.[ch]' -exec clang-format -i {} +

install: product host
	@for dir in build build-host; do \
	    meson configure $$dir -Dprefix=$(PREFIX) && $(NINJA) -C $$dir $(QUIET) && \
	    DESTDIR=$(DESTDIR) meson install -C $$dir --no-rebuild || exit 1; \
	done

clean:
	rm -rf build build-fault build-host build-test build-clang
