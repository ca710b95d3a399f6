/* expiry.c - see expiry.h. */
#include "windows/expiry.h"

static bool reserve_entry(expiry *expiry, uint32_t entry)
{
    const uint32_t n = expiry->n_seconds;
    if (entry < n)
        return true;
    if (!memory_reserve(expiry->memory, &expiry->seconds, &expiry->n_seconds, entry + UINT64_C(1),
                        sizeof *expiry->seconds))
        return false;
    for (uint32_t i = n; i < expiry->n_seconds; i++)
        expiry->seconds[i] = EXPIRY_NEVER;
    return true;
}

int64_t expiry_of(const expiry *expiry, uint32_t entry)
{
    return entry < expiry->n_seconds ? expiry->seconds[entry] : EXPIRY_NEVER;
}

bool expiry_set(expiry *expiry, uint32_t entry, int64_t second)
{
    if (second >= expiry_of(expiry, entry))
        return true;
    if (!reserve_entry(expiry, entry) ||
        !due_heap_push(&expiry->heap, expiry->memory, second, entry))
        return false;
    expiry->seconds[entry] = second;
    return true;
}

void expiry_forget(expiry *expiry, uint32_t entry)
{
    if (entry < expiry->n_seconds)
        expiry->seconds[entry] = EXPIRY_NEVER;
}

bool expiry_again(expiry *expiry, uint32_t entry)
{
    const int64_t second = expiry_of(expiry, entry);
    return second == EXPIRY_NEVER || due_heap_push(&expiry->heap, expiry->memory, second, entry);
}

bool expiry_due(const expiry *expiry, int64_t second)
{
    return due_heap_first(&expiry->heap, second) != NULL;
}

bool expiry_take(expiry *expiry, int64_t second, due *out)
{
    while (expiry_due(expiry, second)) {
        *out = due_heap_pop(&expiry->heap);
        if (expiry->seconds[out->item] != out->at)
            continue;
        expiry->seconds[out->item] = EXPIRY_NEVER;
        return true;
    }
    return false;
}

void expiry_release(expiry *expiry)
{
    due_heap_release(&expiry->heap, expiry->memory);
    memory_give(expiry->memory, expiry->seconds, expiry->n_seconds * sizeof *expiry->seconds);
    *expiry = (struct expiry){.memory = expiry->memory};
}
