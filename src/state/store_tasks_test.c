/* tsan */
/* store_tasks_test.c - keys that several tasks of a crew ask the store for at once: while a
 * checkpoint is on its way, once it is there, and where its writing has failed. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "base/crew.h"
#include "state/rocks.h"
#include "state/store.h"

#define KEYS 6000u
#define TASKS 8u
#define WORKERS 4u
#define ROUNDS 6u

static char folder[128];
static state_store *store;
static uint32_t values[KEYS]; /* that each key is to have; 0: it is not there */

/* What a task has found wrong: cmocka is for one thread. */
static struct {
    uint32_t wrong;
    freshet_error err;
} tasks[TASKS];

static state_key key_of(uint32_t number, char bytes[16])
{
    snprintf(bytes, 16, "k%u", number * 7919 % KEYS);
    return (state_key){bytes, strlen(bytes), number, 0};
}

/* ---- what a task asks ------------------------------------------------------------------------ */

static void ask_each(uint32_t which)
{
    char bytes[16];
    text_buffer got;
    text_init(&got, 64);
    for (uint32_t i = which; i < KEYS; i += TASKS) {
        const state_key key = key_of(i, bytes);
        text_reset(&got);
        text_append_c(&got, "+"); /* values are appended */
        const freshet_code code = store_get(store, STORE_STATE, "windows", key.bytes, key.length,
                                            &got, &tasks[which].err);
        const bool is_there = code == FRESHET_OK && got.length == 1 + sizeof values[i] &&
                              memcmp(got.bytes + 1, &values[i], sizeof values[i]) == 0;
        const bool is_not = code == FRESHET_END && got.length == 1;
        tasks[which].wrong += values[i] == 0 ? !is_not : !is_there;
    }
    text_release(&got);
}

typedef struct many {
    uint32_t first, n_found, which;
} many;

static freshet_code take_one(void *into, uint32_t i, const void *bytes, size_t length,
                             freshet_error *err)
{
    many *many = into;
    (void)err;
    many->n_found++;
    tasks[many->which].wrong += length != sizeof values[0] ||
                                memcmp(bytes, &values[many->first + i], sizeof values[0]) != 0;
    return FRESHET_OK;
}

static void ask_many(uint32_t which)
{
    char bytes[ROCKS_MANY_MAX][16];
    state_key keys[ROCKS_MANY_MAX];
    for (uint32_t first = which * ROCKS_MANY_MAX; first < KEYS; first += TASKS * ROCKS_MANY_MAX) {
        many many = {.first = first, .which = which};
        uint32_t n = 0, there = 0;
        for (; n < ROCKS_MANY_MAX && first + n < KEYS; n++) {
            keys[n] = key_of(first + n, bytes[n]);
            there += values[first + n] != 0;
        }
        const freshet_code code = store_get_many(store, STORE_STATE, "windows", keys, n, take_one,
                                                 &many, &tasks[which].err);
        tasks[which].wrong += code != FRESHET_OK || many.n_found != there;
    }
}

static freshet_code count_one(void *context, const store_entry *entry, freshet_error *err)
{
    (void)err;
    *(uint32_t *)context += entry->length == sizeof values[0];
    return FRESHET_OK;
}

/* Of another name, which is in the database. */
static void look_through(uint32_t which)
{
    uint32_t n = 0;
    const freshet_code code =
        store_look(store, STORE_STATE, "before", "", 0, count_one, &n, &tasks[which].err);
    tasks[which].wrong += code != FRESHET_OK || n != KEYS;
}

static void ask(void *context, uint32_t which)
{
    (void)context;
    tasks[which].err = (freshet_error){0};
    tasks[which].wrong = 0;
    ask_each(which);
    ask_many(which);
    look_through(which);
}

static void ask_all(crew *crew)
{
    crew_run(crew, TASKS, ask, NULL);
    for (uint32_t i = 0; i < TASKS; i++)
        if (tasks[i].wrong > 0)
            fail_msg("task %u: %u wrong; %s", i, tasks[i].wrong, tasks[i].err.text);
}

/* ---- what is asked for ----------------------------------------------------------------------- */

static void put_round(uint32_t round)
{
    char bytes[16];
    assert_int_equal(store_begin(store, NULL), FRESHET_OK);
    for (uint32_t i = round % 3; i < KEYS; i += 1 + round % 3) {
        const state_key key = key_of(i, bytes);
        const bool goes = round > 0 && i % 5 == 0;
        values[i] = goes ? 0 : i * ROUNDS + round + 1;
        assert_int_equal(
            goes ? store_remove(store, STORE_STATE, "windows", key.bytes, key.length, NULL)
                 : store_put(store, STORE_STATE, "windows", key.bytes, key.length, &values[i],
                             sizeof values[i], NULL),
            FRESHET_OK);
        if (round == 0)
            assert_int_equal(store_put(store, STORE_STATE, "before", key.bytes, key.length,
                                       &values[i], sizeof values[i], NULL),
                             FRESHET_OK);
    }
    assert_int_equal(store_commit(store, NULL), FRESHET_OK);
    if (round == 0)
        assert_int_equal(store_wait(store, NULL), FRESHET_OK);
}

static crew *open_all(void)
{
    crew *crew = NULL;
    memset(values, 0, sizeof values);
    assert_int_equal(store_open(folder, false, STORE_MEMORY_MIN, &store, NULL), FRESHET_OK);
    assert_int_equal(crew_open(WORKERS, &crew, NULL), FRESHET_OK);
    return crew;
}

static void tasks_find_what_was_committed(void **state)
{
    (void)state;
    crew *crew = open_all();
    for (uint32_t round = 0; round < ROUNDS; round++) {
        put_round(round);
        ask_all(crew); /* while it is being written, mostly */
        assert_int_equal(store_wait(store, NULL), FRESHET_OK);
        ask_all(crew);
    }
    crew_close(crew);
    store_close(store);
}

/* The database is closed then: one of the tasks writes again, and opens it for all. */
static void tasks_find_what_could_not_be_written(void **state)
{
    (void)state;
    crew *crew = open_all();
    struct rlimit before, small;
    put_round(0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 10000;
    setrlimit(RLIMIT_FSIZE, &small);
    put_round(1);
    assert_int_equal(store_wait(store, NULL), FRESHET_TRY_AGAIN);
    assert_int_equal(store_wait(store, NULL), FRESHET_TRY_AGAIN);
    setrlimit(RLIMIT_FSIZE, &before);
    ask_all(crew);
    assert_int_equal(store_begin(store, NULL), FRESHET_OK);
    ask_all(crew);
    crew_close(crew);
    store_close(store);
}

static int make_home(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/freshet-tasks-XXXXXX");
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int remove_home(void **state)
{
    (void)state;
    return store_remove_folder(folder, NULL) == FRESHET_OK ? 0 : -1;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_home, remove_home)
    const struct CMUnitTest tests[] = {
        TEST(tasks_find_what_was_committed),
        TEST(tasks_find_what_could_not_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
