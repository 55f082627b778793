/* mem: large memory that is mostly never touched. Not static: where the kernel hands out huge pages by itself,
 * the first byte of a large static array costs two megabytes, in the supervisor and again in each process cloned
 * from it. */
#ifndef SYS_MEM_H
#define SYS_MEM_H

#include <stddef.h>

/* Zeroed memory, pages on first touch, small ones. NULL: there is none. mem_release() takes NULL. */
void *mem_reserve(size_t size);
void mem_release(void *memory, size_t size);

#endif
