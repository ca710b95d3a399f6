/* expiry.c - see expiry.h. The heap is binary: the children of i are 2i + 1 and 2i + 2. */
#include "windows/expiry.h"

#include <string.h>

#define FIRST_CAPACITY 1024u

/* The array with room for `n` items of `size` bytes; NULL where memory is out, and it stays as it was. */
static void *grow(windows_memory *memory, void *items, size_t size, uint32_t n, uint32_t capacity)
{
    void *larger = memory_take(memory, size * capacity);
    if (larger == NULL)
        return NULL;
    if (n > 0)
        memcpy(larger, items, size * n);
    memory_give(memory, items, size * n);
    return larger;
}

static uint32_t larger_than(uint32_t capacity, uint32_t wanted)
{
    uint64_t larger = capacity == 0 ? FIRST_CAPACITY : capacity;
    while (larger <= wanted)
        larger *= 2;
    return larger > UINT32_MAX ? UINT32_MAX : (uint32_t)larger;
}

static bool reserve_entry(expiry *expiry, uint32_t entry)
{
    if (entry < expiry->n_seconds)
        return true;
    const uint32_t capacity = larger_than(expiry->n_seconds, entry);
    int64_t *seconds =
        grow(expiry->memory, expiry->seconds, sizeof *seconds, expiry->n_seconds, capacity);
    if (seconds == NULL)
        return false;
    for (uint32_t i = expiry->n_seconds; i < capacity; i++)
        seconds[i] = EXPIRY_NEVER;
    expiry->seconds = seconds;
    expiry->n_seconds = capacity;
    return true;
}

static bool reserve_time(expiry *expiry)
{
    if (expiry->n < expiry->capacity)
        return true;
    const uint32_t capacity = larger_than(expiry->capacity, expiry->n);
    expiry_time *heap =
        grow(expiry->memory, expiry->heap, sizeof *heap, expiry->capacity, capacity);
    if (heap == NULL || capacity == expiry->n)
        return false;
    expiry->heap = heap;
    expiry->capacity = capacity;
    return true;
}

static void rise(expiry *expiry, expiry_time time)
{
    uint32_t at = expiry->n++;
    for (; at > 0 && expiry->heap[(at - 1) / 2].second > time.second; at = (at - 1) / 2)
        expiry->heap[at] = expiry->heap[(at - 1) / 2];
    expiry->heap[at] = time;
}

static void remove_first(expiry *expiry)
{
    const expiry_time last = expiry->heap[--expiry->n];
    uint64_t at = 0, child;
    while ((child = 2 * at + 1) < expiry->n) {
        if (child + 1 < expiry->n && expiry->heap[child + 1].second < expiry->heap[child].second)
            child++;
        if (expiry->heap[child].second >= last.second)
            break;
        expiry->heap[at] = expiry->heap[child];
        at = child;
    }
    if (expiry->n > 0)
        expiry->heap[at] = last;
}

int64_t expiry_of(const expiry *expiry, uint32_t entry)
{
    return entry < expiry->n_seconds ? expiry->seconds[entry] : EXPIRY_NEVER;
}

bool expiry_set(expiry *expiry, uint32_t entry, int64_t second)
{
    if (second >= expiry_of(expiry, entry))
        return true;
    if (!reserve_entry(expiry, entry) || !reserve_time(expiry))
        return false;
    expiry->seconds[entry] = second;
    rise(expiry, (expiry_time){second, entry});
    return true;
}

bool expiry_due(const expiry *expiry, int64_t second)
{
    return expiry->n > 0 && expiry->heap[0].second <= second;
}

bool expiry_take(expiry *expiry, int64_t second, expiry_time *out)
{
    while (expiry_due(expiry, second)) {
        *out = expiry->heap[0];
        remove_first(expiry);
        if (expiry->seconds[out->entry] != out->second)
            continue;
        expiry->seconds[out->entry] = EXPIRY_NEVER;
        return true;
    }
    return false;
}

void expiry_release(expiry *expiry)
{
    memory_give(expiry->memory, expiry->heap, expiry->capacity * sizeof *expiry->heap);
    memory_give(expiry->memory, expiry->seconds, expiry->n_seconds * sizeof *expiry->seconds);
    expiry->heap = NULL;
    expiry->seconds = NULL;
    expiry->n = expiry->capacity = expiry->n_seconds = 0;
}
