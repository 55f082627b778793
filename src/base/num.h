/* num: the one parser for numbers, sizes and durations that come from outside.
 *
 * Every function takes a NUL-terminated string, consumes all of it, and returns 0, or
 *   -EINVAL  not of the form (empty, sign, blanks, trailing characters, unknown unit)
 *   -ERANGE  does not fit
 * leaving *ret untouched on failure. */
#ifndef BASE_NUM_H
#define BASE_NUM_H

#include <stdint.h>

/* Decimal digits only. */
int num_u64(const char *s, uint64_t *ret);

/* Bytes: "4096", "64k", "512M", "1.5G", "2T", "1P"; units are powers of 1024, either case, an optional "B" or
 * "iB" behind (docker's habit). Fractions (".5G" too) are exact, then rounded down to whole bytes. */
int num_size(const char *s, uint64_t *ret_bytes);

/* Milliseconds: "250ms", "10s", "1.5m", "2h", "1d"; a bare number is seconds (timeout(1)'s habit).
 * Rounded up to whole milliseconds, so that a short time never becomes 0, which may mean "no limit". */
int num_duration(const char *s, uint64_t *ret_ms);

/* Thousandths: "0.5" is 500, "2" is 2000; at most three decimals count (the rest is cut off). */
int num_milli(const char *s, uint64_t *ret_milli);

/* One hexadecimal digit of either case; -1: it is none. */
int num_hex(char c);

/* The inverse, for people: writes e.g. "512M", "1.5G", "10s" into buf (at least NUM_TEXT_MAX bytes); returns
 * buf. Always exact: num_size(num_size_text(x)) is x again, and so for durations. */
#define NUM_TEXT_MAX 32
char *num_size_text(uint64_t bytes, char *buf);
char *num_duration_text(uint64_t ms, char *buf);

#endif
