/* arena.h - memory with a lifespan.
 *
 * Freshet knows three lifetimes of memory, and nothing else allocates:
 *
 *   pipeline     made at open, freed at close: one arena per pipeline and per declaration
 *   micro-batch  one arena, reset at the beginning of each step: rows, rejects, scratch
 *   keyed state  owned by the window state, sized by `state.memory`
 *
 * A pointer into the micro-batch arena never leaves the step. What must stay is copied by a
 * function whose name ends in `_keep`.
 *
 * An arena is a chain of blocks that doubles in size up to ARENA_BLOCK_MAX. Reset keeps the
 * largest block, so a steady stream of equal batches allocates nothing. Every allocation is
 * aligned to 16 bytes. Running out of memory is an answer (NULL), not an abort: callers turn it
 * into FRESHET_NO_MEMORY by error_memory().
 *
 * Order of calls: arena_open, then any of alloc/copy/format/mark, arena_reset as often as wanted,
 * arena_close. One thread at a time.
 */
#ifndef FRESHET_BASE_ARENA_H
#define FRESHET_BASE_ARENA_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct arena arena;

/* A new, empty arena, or NULL where memory is out. */
arena *arena_open(void);

/* Frees the arena and all that was allocated in it. NULL is fine. */
void arena_close(arena *arena);

/* Forgets all allocations; keeps the largest block for the next batch. */
void arena_reset(arena *arena);

/* Forgets all allocations, and keeps all blocks: for what is filled to about the same size again
 * and again, where memory that the system gives anew must be cleared each time. */
void arena_rewind(arena *arena);

/* `size` bytes of uninitialised memory, 16-byte aligned; NULL where memory is out.
 * A size of 0 gives a valid pointer. */
void *arena_alloc(arena *arena, size_t size);

/* As arena_alloc, filled with zero bytes; count * size is checked for overflow. */
void *arena_zero(arena *arena, size_t count, size_t size);

/* Makes an array longer: copies `old_size` bytes to `new_size` bytes of new memory; in place where
 * the array was the last thing allocated. `old` may be NULL when old_size is 0. */
void *arena_grow(arena *arena, void *old, size_t old_size, size_t new_size);

/* Room for n items of `size` bytes in an array that grows by doubling: `items` is the address of
 * its pointer. False where memory is out, and it stays as it was. */
bool arena_reserve(arena *arena, void *items, uint32_t *capacity, uint64_t n, size_t size);

/* A copy of `length` bytes, with a NUL byte behind them. */
char *arena_copy(arena *arena, const void *bytes, size_t length);

/* A copy of a C string; NULL gives NULL. */
char *arena_text(arena *arena, const char *text);

/* printf into the arena; NULL where memory is out. */
char *arena_format(arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
char *arena_vformat(arena *arena, const char *format, va_list args);

/* Whether an allocation was ever refused: a long row of them needs one check at its end. */
bool arena_failed(const arena *arena);

/* An arena that lives and is reset with this one, number `which` of up to ARENA_BRANCHES_MAX: made
 * when it is first asked for, the same one afterwards. NULL where memory is out. For tasks beside
 * each other, since an arena is of one thread at a time: each takes from a branch of its own. */
#define ARENA_BRANCHES_MAX 64u
arena *arena_branch(arena *arena, uint32_t which);

/* Bytes held from the system, its branches' too (for the memory figures of the status). */
size_t arena_held(const arena *arena);

#endif
