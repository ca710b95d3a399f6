/* due_heap.c - see due_heap.h. */
#include "keyed/due_heap.h"

#include <assert.h>

static bool is_before(const due *a, const due *b)
{
    return a->at != b->at ? a->at < b->at : a->item < b->item;
}

bool due_heap_reserve(due_heap *heap, memory *memory, uint64_t more)
{
    return memory_reserve(memory, &heap->items, &heap->capacity, heap->n + more,
                          sizeof *heap->items);
}

bool due_heap_push(due_heap *heap, memory *memory, int64_t at, uint64_t item)
{
    const due added = {at, item};
    if (!due_heap_reserve(heap, memory, 1))
        return false;
    uint32_t hole = heap->n++;
    for (; hole > 0 && is_before(&added, &heap->items[(hole - 1) / 2]); hole = (hole - 1) / 2)
        heap->items[hole] = heap->items[(hole - 1) / 2];
    heap->items[hole] = added;
    return true;
}

due due_heap_pop(due_heap *heap)
{
    assert(heap->n > 0);
    const due first = heap->items[0], last = heap->items[--heap->n];
    uint64_t hole = 0, child;
    while ((child = 2 * hole + 1) < heap->n) {
        if (child + 1 < heap->n && is_before(&heap->items[child + 1], &heap->items[child]))
            child++;
        if (!is_before(&heap->items[child], &last))
            break;
        heap->items[hole] = heap->items[child];
        hole = child;
    }
    heap->items[hole] = last;
    return first;
}

void due_heap_release(due_heap *heap, memory *memory)
{
    memory_give(memory, heap->items, heap->capacity * sizeof *heap->items);
    *heap = (due_heap){0};
}
