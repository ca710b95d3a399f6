/* arena.c - see arena.h.
 *
 * Blocks form a list, the newest first; allocation moves `used` of the newest block forward. A
 * block that is too small for a request is left as it is and a larger one put before it. Reset
 * frees all but the largest block; a rewind frees none, and keeps them as spare blocks, which are
 * taken before new ones are made. Under AddressSanitizer the unused part of a block is poisoned,
 * so that reading past an allocation, or after a reset, is found as with malloc.
 */
#include "base/arena.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#define ARENA_POISON 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ARENA_POISON 1
#endif
#endif

#ifdef ARENA_POISON
#include <sanitizer/asan_interface.h>
#define poison(at, size) ASAN_POISON_MEMORY_REGION(at, size)
#define unpoison(at, size) ASAN_UNPOISON_MEMORY_REGION(at, size)
#define ARENA_GAP 16u
#else
#define poison(at, size) ((void)(at), (void)(size))
#define unpoison(at, size) ((void)(at), (void)(size))
#define ARENA_GAP 0u
#endif

#define ARENA_ALIGN 16u
#define ARENA_BLOCK_FIRST ((size_t)16 << 10)
#define ARENA_BLOCK_MAX ((size_t)16 << 20)
#define ITEMS_FIRST 16u

typedef struct block block;
struct block {
    block *older;
    size_t size; /* of bytes */
    size_t used;
    size_t last; /* where the last allocation begins */
    _Alignas(16) unsigned char bytes[];
};

struct arena {
    block *newest;
    block *spare; /* of a rewind; the first that was made comes first */
    size_t held;
    bool failed;
    uint32_t n_branches; /* room for so many */
    arena **branches;    /* NULL: not asked for yet */
};

static size_t round_up(size_t size)
{
    return (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
}

arena *arena_open(void)
{
    return calloc(1, sizeof(arena));
}

static void block_free(arena *arena, block *block)
{
    arena->held -= sizeof *block + block->size;
    unpoison(block->bytes, block->size);
    free(block);
}

static void blocks_free(arena *arena, block *first)
{
    while (first != NULL) {
        block *next = first->older;
        block_free(arena, first);
        first = next;
    }
}

void arena_close(arena *arena)
{
    if (arena == NULL)
        return;
    blocks_free(arena, arena->newest);
    blocks_free(arena, arena->spare);
    for (uint32_t i = 0; i < arena->n_branches; i++)
        arena_close(arena->branches[i]);
    free(arena->branches);
    free(arena);
}

void arena_reset(arena *arena)
{
    block *largest = arena->newest;
    for (block *each = arena->newest; each != NULL; each = each->older)
        if (each->size > largest->size)
            largest = each;
    while (arena->newest != NULL) {
        block *next = arena->newest->older;
        if (arena->newest != largest)
            block_free(arena, arena->newest);
        arena->newest = next;
    }
    if (largest != NULL) {
        largest->older = NULL;
        largest->used = 0;
        largest->last = 0;
        poison(largest->bytes, largest->size);
    }
    arena->newest = largest;
    blocks_free(arena, arena->spare);
    arena->spare = NULL;
    for (uint32_t i = 0; i < arena->n_branches; i++)
        if (arena->branches[i] != NULL)
            arena_reset(arena->branches[i]);
}

void arena_rewind(arena *arena)
{
    while (arena->newest != NULL) {
        block *next = arena->newest->older;
        poison(arena->newest->bytes, arena->newest->size);
        arena->newest->older = arena->spare;
        arena->spare = arena->newest;
        arena->newest = next;
    }
    for (uint32_t i = 0; i < arena->n_branches; i++)
        if (arena->branches[i] != NULL)
            arena_rewind(arena->branches[i]);
}

arena *arena_branch(arena *arena, uint32_t which)
{
    assert(which < ARENA_BRANCHES_MAX);
    if (which >= arena->n_branches) {
        struct arena **grown = realloc(arena->branches, (which + 1) * sizeof(struct arena *));
        if (grown == NULL)
            return NULL;
        for (uint32_t i = arena->n_branches; i <= which; i++)
            grown[i] = NULL;
        arena->branches = grown;
        arena->n_branches = which + 1;
    }
    if (arena->branches[which] == NULL)
        arena->branches[which] = arena_open();
    return arena->branches[which];
}

/* A spare block with so much room becomes the newest; NULL: there is none. */
static block *block_reuse(arena *arena, size_t at_least)
{
    for (block **at = &arena->spare; *at != NULL; at = &(*at)->older)
        if ((*at)->size >= at_least) {
            block *found = *at;
            *at = found->older;
            found->older = arena->newest;
            found->used = 0;
            found->last = 0;
            arena->newest = found;
            return found;
        }
    return NULL;
}

/* Rare: inlined, it would make each arena_alloc save registers for it. */
__attribute__((noinline)) static block *block_add(arena *arena, size_t at_least)
{
    size_t size = ARENA_BLOCK_FIRST;
    block *reused = arena->spare == NULL ? NULL : block_reuse(arena, at_least);
    if (reused != NULL)
        return reused;
    if (arena->newest != NULL)
        size = arena->newest->size * 2;
    if (size > ARENA_BLOCK_MAX)
        size = ARENA_BLOCK_MAX;
    if (size < at_least)
        size = at_least;
    block *added = malloc(sizeof *added + size);
    arena->failed = arena->failed || added == NULL;
    if (added == NULL)
        return NULL;
    *added = (block){.older = arena->newest, .size = size};
    poison(added->bytes, size);
    arena->newest = added;
    arena->held += sizeof *added + size;
    return added;
}

void *arena_alloc(arena *arena, size_t size)
{
    if (size > SIZE_MAX / 4) {
        arena->failed = true;
        return NULL;
    }
    size_t need = round_up(size + ARENA_GAP);
    block *block = arena->newest;
    if (block == NULL || block->size - block->used < need) {
        block = block_add(arena, need);
        if (block == NULL)
            return NULL;
    }
    block->last = block->used;
    block->used += need;
    void *at = block->bytes + block->last;
    unpoison(at, size);
    return at;
}

void *arena_zero(arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        bytes = SIZE_MAX;
    void *at = arena_alloc(arena, bytes);
    if (at != NULL)
        memset(at, 0, bytes);
    return at;
}

void *arena_grow(arena *arena, void *old, size_t old_size, size_t new_size)
{
    block *block = arena->newest;
    if (old != NULL && block != NULL && old == block->bytes + block->last && new_size >= old_size &&
        new_size <= SIZE_MAX / 4 && round_up(new_size + ARENA_GAP) <= block->size - block->last) {
        block->used = block->last + round_up(new_size + ARENA_GAP);
        unpoison(old, new_size);
        return old;
    }
    void *at = arena_alloc(arena, new_size);
    if (at != NULL && old_size > 0)
        memcpy(at, old, old_size < new_size ? old_size : new_size);
    return at;
}

bool arena_reserve(arena *arena, void *items, uint32_t *capacity, uint64_t n, size_t size)
{
    if (n <= *capacity)
        return true;
    uint64_t larger = *capacity == 0 ? ITEMS_FIRST : (uint64_t)*capacity * 2;
    while (larger < n)
        larger *= 2;
    void *before;
    memcpy(&before, items, sizeof before);
    assert(before != NULL || *capacity == 0);
    void *grown =
        larger > UINT32_MAX ? NULL : arena_grow(arena, before, *capacity * size, larger * size);
    if (grown == NULL)
        return false;
    memcpy(items, &grown, sizeof grown);
    *capacity = (uint32_t)larger;
    return true;
}

char *arena_copy(arena *arena, const void *bytes, size_t length)
{
    char *copy = arena_alloc(arena, length + 1);
    if (copy == NULL)
        return NULL;
    if (length > 0)
        memcpy(copy, bytes, length);
    copy[length] = '\0';
    return copy;
}

char *arena_text(arena *arena, const char *text)
{
    return text == NULL ? NULL : arena_copy(arena, text, strlen(text));
}

char *arena_vformat(arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int length = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (length < 0)
        return NULL;
    char *text = arena_alloc(arena, (size_t)length + 1);
    if (text != NULL)
        vsnprintf(text, (size_t)length + 1, format, args);
    return text;
}

char *arena_format(arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vformat(arena, format, args);
    va_end(args);
    return text;
}

bool arena_failed(const arena *arena)
{
    return arena->failed;
}

size_t arena_held(const arena *arena)
{
    size_t held = arena->held;
    for (uint32_t i = 0; i < arena->n_branches; i++)
        if (arena->branches[i] != NULL)
            held += arena_held(arena->branches[i]);
    return held;
}
