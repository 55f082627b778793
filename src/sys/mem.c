/* mem: see mem.h. Lives in: every program of the project. Must not: touch the memory. */
#include "sys/mem.h"

#include <sys/mman.h>

void *mem_reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        return NULL;
    (void)madvise(p, size, MADV_NOHUGEPAGE); /* EINVAL: a kernel without huge pages */
    return p;
}

void mem_release(void *memory, size_t size)
{
    if (memory)
        (void)munmap(memory, size); /* what mem_reserve() gave */
}
