/* key_slots.c - see key_slots.h. */
#include "keyed/key_slots.h"

#define SLOTS_FIRST 1024u

bool key_slots_reserve(key_slots *slots, memory *memory, uint64_t n)
{
    uint64_t n_slots = slots->n_slots == 0 ? SLOTS_FIRST : slots->n_slots;
    while (n * 4 > n_slots * 3)
        n_slots *= 2;
    if (n_slots == slots->n_slots)
        return true;
    key_slot *larger = memory_take(memory, n_slots * sizeof *larger);
    if (larger == NULL)
        return false;
    memset(larger, 0, n_slots * sizeof *larger);
    for (uint64_t i = 0; i < slots->n_slots; i++) {
        uint64_t at = slots->slots[i].tag & (n_slots - 1);
        if (slots->slots[i].index_and_one == 0)
            continue;
        while (larger[at].index_and_one != 0)
            at = (at + 1) & (n_slots - 1);
        larger[at] = slots->slots[i];
    }
    memory_give(memory, slots->slots, slots->n_slots * sizeof *larger);
    slots->slots = larger;
    slots->n_slots = n_slots;
    return true;
}

/* Moves those behind the hole back, so that every number is still found from its position. */
void key_slots_remove(key_slots *slots, uint64_t at)
{
    const uint64_t mask = slots->n_slots - 1;
    for (uint64_t next = (at + 1) & mask; slots->slots[next].index_and_one != 0;
         next = (next + 1) & mask) {
        uint64_t home = slots->slots[next].tag & mask;
        if (((next - home) & mask) < ((next - at) & mask))
            continue; /* its home lies behind the hole */
        slots->slots[at] = slots->slots[next];
        at = next;
    }
    slots->slots[at].index_and_one = 0;
    slots->n_keys--;
}

void key_slots_clear(key_slots *slots)
{
    if (slots->n_keys > 0)
        memset(slots->slots, 0, slots->n_slots * sizeof *slots->slots);
    slots->n_keys = 0;
}

void key_slots_release(key_slots *slots, memory *memory)
{
    memory_give(memory, slots->slots, slots->n_slots * sizeof *slots->slots);
    *slots = (key_slots){0};
}
