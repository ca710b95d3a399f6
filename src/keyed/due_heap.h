/* due_heap.h - what is due, the earliest first: a binary heap of (time, item).
 *
 * Of the same time the smaller item comes first. An item is a number of the user's: the index of a
 * key, or a pointer. Nothing is found or removed in the middle: who makes an item due earlier
 * pushes it again, and passes over what is not its time any more when that comes up.
 *
 * Order of calls: zero bytes are an empty heap; push, pop in any order; due_heap_release.
 */
#ifndef FRESHET_KEYED_DUE_HEAP_H
#define FRESHET_KEYED_DUE_HEAP_H

#include "base/memory.h"

typedef struct due {
    int64_t at; /* in the user's unit */
    uint64_t item;
} due;

typedef struct due_heap {
    due *items; /* the children of i are 2i + 1 and 2i + 2 */
    uint32_t n;
    uint32_t capacity;
} due_heap;

/* Room for `more` items, so that pushing so many cannot fail. False where memory is out. */
bool due_heap_reserve(due_heap *heap, memory *memory, uint64_t more);

/* False where memory is out: the heap is as it was. */
bool due_heap_push(due_heap *heap, memory *memory, int64_t at, uint64_t item);

/* The earliest, if it is due at `now`; NULL: nothing is. */
static inline const due *due_heap_first(const due_heap *heap, int64_t now)
{
    return heap->n > 0 && heap->items[0].at <= now ? &heap->items[0] : NULL;
}

/* Takes the earliest out; there must be one. */
due due_heap_pop(due_heap *heap);

void due_heap_release(due_heap *heap, memory *memory);

#endif
