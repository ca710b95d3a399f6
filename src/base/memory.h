/* memory.h - memory that is counted: malloc with a sum, and a way for tests to fail.
 *
 * Each thing that remembers has one: what it holds can be told at any time, and at its end shows
 * that all has been given back. Sizes are not kept beside the bytes: who gives back says how many.
 */
#ifndef FRESHET_BASE_MEMORY_H
#define FRESHET_BASE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct memory {
    size_t bytes;       /* asked for and not given back */
    int64_t fail_after; /* allocations until one fails; -1: never */
} memory;

/* A look at a byte, so that its line and its page are known: several looks are under way at once,
 * where the next one does not need the one before. */
static inline void memory_touch(const void *at)
{
    (void)*(const volatile char *)at;
}

/* NULL where memory is out. */
void *memory_take(memory *memory, size_t size);
void memory_give(memory *memory, const void *at, size_t size); /* NULL is fine */

/* The block has another size from now on, where it lies; false: it has no room for that, or far too
 * much, or is NULL, and stays as it is. */
bool memory_refit(memory *memory, void *at, size_t before, size_t after);

/* Room for n items of `size` bytes in an array that grows by doubling: `items` is the address of
 * its pointer. False where memory is out, and it stays as it was. */
bool memory_reserve(memory *memory, void *items, uint32_t *capacity, uint64_t n, size_t size);

/* The same for an array that is nobody's count, and is given to free(). */
bool array_reserve(void *items, uint32_t *capacity, uint64_t n, size_t size);

#endif
