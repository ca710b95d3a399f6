/* key_slots.h - where a key stands: a hash table of numbers, for those who keep their keys
 * themselves.
 *
 * A slot is eight bytes: the low half of the key's hash, its tag, and the key's number (an index of
 * the user's). Slots are probed linearly from the tag's low bits, so that doubling them reads no
 * keys. A number that is taken out leaves no tombstone: the slots behind it are moved back.
 *
 * To find a key, or the free slot where it would stand (`at` is what _put and _remove then want):
 *
 *     uint64_t at = tag;
 *     uint32_t index;
 *     while ((index = key_slots_match(&slots, tag, &at)) != KEY_NONE && !is_key(index))
 *         at++;
 *
 * Order of calls: zero bytes have no slots; key_slots_reserve before the first key and before each
 * one that is put; key_slots_release. What fails for want of memory leaves all as it was.
 */
#ifndef FRESHET_KEYED_KEY_SLOTS_H
#define FRESHET_KEYED_KEY_SLOTS_H

#include "base/hash.h"
#include "base/memory.h"

#define KEY_NONE UINT32_MAX

typedef struct key_slot {
    uint32_t tag;
    uint32_t index_and_one; /* 0: free */
} key_slot;

typedef struct key_slots {
    key_slot *slots;
    uint64_t n_slots; /* a power of two */
    uint64_t n_keys;
} key_slots;

/* Slots for n keys: at most three of four are taken. */
bool key_slots_reserve(key_slots *slots, memory *memory, uint64_t n);

/* The number of the first slot from *at on that has the tag, KEY_NONE where there is a free one
 * before;
 * *at is its place. */
static inline uint32_t key_slots_match(const key_slots *slots, uint32_t tag, uint64_t *at)
{
    const uint64_t mask = slots->n_slots - 1;
    for (*at &= mask; slots->slots[*at].index_and_one != 0; *at = (*at + 1) & mask)
        if (slots->slots[*at].tag == tag)
            return slots->slots[*at].index_and_one - 1;
    return KEY_NONE;
}

/* Puts a number into the free slot `at`. */
static inline void key_slots_put(key_slots *slots, uint64_t at, uint32_t tag, uint32_t index)
{
    slots->slots[at] = (key_slot){tag, index + 1};
    slots->n_keys++;
}

/* Another number in the place of that of the slot `at`, for the same key. */
static inline void key_slots_replace(key_slots *slots, uint64_t at, uint32_t index)
{
    slots->slots[at].index_and_one = index + 1;
}

static inline void key_slots_prefetch(const key_slots *slots, uint32_t tag)
{
    __builtin_prefetch(&slots->slots[tag & (slots->n_slots - 1)]);
}

void key_slots_remove(key_slots *slots, uint64_t at);
void key_slots_clear(key_slots *slots); /* all numbers; the slots stay */
void key_slots_release(key_slots *slots, memory *memory);

#endif
