/* memory.c - see memory.h. */
#include "base/memory.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define ITEMS_FIRST 64u

void *memory_take(memory *memory, size_t size)
{
    if (memory->fail_after == 0)
        return NULL;
    if (memory->fail_after > 0)
        memory->fail_after--;
    void *at = malloc(size);
    if (at != NULL)
        memory->bytes += size;
    return at;
}

void memory_give(memory *memory, const void *at, size_t size)
{
    if (at == NULL)
        return;
    assert(memory->bytes >= size);
    memory->bytes -= size;
    free((void *)at);
}

bool memory_refit(memory *memory, void *at, size_t before, size_t after)
{
    if (at == NULL || after > malloc_usable_size(at) || after < before / 2)
        return false;
    memory->bytes = memory->bytes - before + after;
    return true;
}

bool array_reserve(void *items, uint32_t *capacity, uint64_t n, size_t size)
{
    memory nobodys = {.bytes = *capacity * size, .fail_after = -1};
    return memory_reserve(&nobodys, items, capacity, n, size);
}

bool memory_reserve(memory *memory, void *items, uint32_t *capacity, uint64_t n, size_t size)
{
    if (n <= *capacity)
        return true;
    uint64_t larger = *capacity == 0 ? ITEMS_FIRST : (uint64_t)*capacity * 2;
    while (larger < n)
        larger *= 2;
    void *before, *grown = larger > UINT32_MAX ? NULL : memory_take(memory, larger * size);
    if (grown == NULL)
        return false;
    memcpy(&before, items, sizeof before);
    if (*capacity > 0)
        memcpy(grown, before, *capacity * size);
    memory_give(memory, before, *capacity * size);
    memcpy(items, &grown, sizeof grown);
    *capacity = (uint32_t)larger;
    return true;
}
