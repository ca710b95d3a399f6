/* memory_testing.h - for tests: one arena for a test or a group of them, by open_memory and
 * close_memory. Include it after cmocka.h. */
#ifndef FRESHET_BASE_MEMORY_TESTING_H
#define FRESHET_BASE_MEMORY_TESTING_H

#include "base/arena.h"

static arena *memory;

static inline int open_memory(void **state)
{
    (void)state;
    memory = arena_open();
    return memory == NULL;
}

static inline int close_memory(void **state)
{
    (void)state;
    arena_close(memory);
    return 0;
}

#endif
