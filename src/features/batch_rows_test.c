/* tsan */
/* batch_rows_test.c - rows of a batch come back key by key, whatever the memory: the same as if all
 * had been kept. */
#include "features/batch_rows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/error.h"
#include "base/os.h"
#include "base/random_testing.h"

#define ADDED 6000u

typedef struct rig {
    arena *arena;
    field fields[3];
    schema schema;
    uint32_t keys[2];
    batch_rows *rows;
    crew *crew;
    uint64_t state;
    uint32_t n_keys; /* different ones */
    uint32_t hot;    /* of 100 rows, how many are of key 0 */
    int64_t n;
    int64_t *last; /* by key: the number of its last row that came; -1: none did */
    uint32_t *set_of;
    int64_t *counts; /* of the rows that were added */
} rig;

static const char *folder(void)
{
    const char *given = getenv("TMPDIR");
    return given == NULL ? "/tmp" : given;
}

static void set_up(rig *rig, uint64_t seed, uint32_t n_keys, size_t memory)
{
    *rig = (struct rig){.arena = arena_open(), .state = random_begin(seed), .n_keys = n_keys};
    rig->fields[0] = (field){"number", type_simple(TYPE_BIGINT)};
    rig->fields[1] = (field){"key", type_simple(TYPE_BIGINT)};
    rig->fields[2] = (field){"text", type_simple(TYPE_STRING)};
    rig->schema = (schema){3, rig->fields};
    rig->keys[0] = 1;
    rig->keys[1] = 2;
    rig->last = arena_alloc(rig->arena, n_keys * sizeof *rig->last);
    rig->set_of = arena_zero(rig->arena, n_keys, sizeof *rig->set_of);
    rig->counts = arena_zero(rig->arena, n_keys, sizeof *rig->counts);
    for (uint32_t i = 0; i < n_keys; i++)
        rig->last[i] = -1;
    assert_int_equal(crew_open(1 + seed % 3, &rig->crew, NULL), FRESHET_OK);
    const batch_rows_options options = {.schema = &rig->schema,
                                        .keys = rig->keys,
                                        .n_keys = 2,
                                        .memory = memory,
                                        .folder = folder(),
                                        .crew = rig->crew,
                                        .pipeline = "p"};
    assert_int_equal(batch_rows_open(&options, &rig->rows, NULL), FRESHET_OK);
}

static void tear_down(rig *rig)
{
    batch_rows_close(rig->rows);
    crew_close(rig->crew);
    arena_close(rig->arena);
}

static cell_text text_of_key(arena *arena, uint64_t key)
{
    char *text =
        arena_format(arena, "a text that is long enough for %llu", (unsigned long long)(key / 3));
    return text_of(text, (uint32_t)strlen(text));
}

static freshet_code add_rows(rig *rig, freshet_error *err)
{
    batch rows;
    assert_int_equal(batch_init(&rows, rig->arena, &rig->schema, ADDED, NULL), FRESHET_OK);
    rows.n_rows = ADDED;
    for (uint32_t row = 0; row < ADDED; row++) {
        const bool is_hot = random_draw(&rig->state, 100) < rig->hot;
        const uint64_t key = is_hot ? 0 : random_draw(&rig->state, rig->n_keys);
        ((int64_t *)rows.columns[0].data)[row] = rig->n++;
        ((int64_t *)rows.columns[1].data)[row] = (int64_t)key;
        ((cell_text *)rows.columns[2].data)[row] = text_of_key(rig->arena, key);
        rig->counts[key]++;
    }
    return batch_rows_add(rig->rows, &rows, err);
}

/* Each set has all rows of its keys, in the order in which they came; gives the number of sets, and
 * the rows of the largest. */
static uint32_t check_sets(rig *rig, uint32_t *largest)
{
    const row_store *set;
    uint32_t n_sets = 0;
    int64_t n = 0;
    *largest = 0;
    for (freshet_code code; (code = batch_rows_next(rig->rows, &set, NULL)) != FRESHET_END;) {
        assert_int_equal(code, FRESHET_OK);
        n_sets++;
        const uint32_t n_rows = row_store_rows(set);
        assert_true(n_rows > 0);
        *largest = n_rows > *largest ? n_rows : *largest;
        for (uint32_t row = 0; row < n_rows; row++) {
            uint32_t index;
            const batch *chunk = row_store_at(set, row, &index);
            const int64_t number = ((const int64_t *)chunk->columns[0].data)[index];
            const int64_t key = ((const int64_t *)chunk->columns[1].data)[index];
            const cell_text *text = &((const cell_text *)chunk->columns[2].data)[index];
            const cell_text expected = text_of_key(rig->arena, (uint64_t)key);
            assert_int_equal(text->length, expected.length);
            assert_memory_equal(text_bytes(text), text_bytes(&expected), expected.length);
            assert_true(rig->set_of[key] == 0 || rig->set_of[key] == n_sets);
            assert_true(number > rig->last[key]);
            rig->set_of[key] = n_sets;
            rig->last[key] = number;
            rig->counts[key]--;
        }
        n += n_rows;
    }
    assert_int_equal(n, rig->n);
    assert_int_equal(batch_rows_count(rig->rows), n);
    for (uint32_t key = 0; key < rig->n_keys; key++)
        assert_int_equal(rig->counts[key], 0);
    return n_sets;
}

typedef struct memory_case {
    size_t memory;
    uint32_t n_keys, n_adds, hot;
    uint32_t sets_min, sets_max, largest_max;
} memory_case;

static void rows_of_a_key_come_together(void **state)
{
    (void)state;
    static const memory_case cases[] = {
        {(size_t)1 << 30, 5000, 10, 0, 1, 1, UINT32_MAX},  /* all in memory */
        {(size_t)1 << 20, 5000, 10, 0, 250, 256, 1000},    /* spread once */
        {(size_t)8 << 10, 5000, 10, 0, 3000, 5000, 150},   /* and each part again */
        {500, 500, 10, 0, 450, 500, UINT32_MAX},           /* each key alone */
        {(size_t)8 << 10, 5000, 10, 60, 500, 5000, 40000}, /* one of them has most of the rows */
        {(size_t)8 << 10, 1, 10, 0, 1, 1, UINT32_MAX},     /* there is one only */
    };
    for (size_t i = 0; i < 3 * sizeof cases / sizeof *cases; i++) {
        const memory_case *each = &cases[i / 3];
        rig rig;
        uint32_t largest;
        set_up(&rig, i, each->n_keys, each->memory);
        rig.hot = each->hot;
        for (uint32_t n = 0; n < each->n_adds; n++)
            assert_int_equal(add_rows(&rig, NULL), FRESHET_OK);
        const uint32_t n_sets = check_sets(&rig, &largest);
        assert_in_range(n_sets, each->sets_min, each->sets_max);
        assert_true(largest <= each->largest_max);
        assert_int_equal(batch_rows_next(rig.rows, &(const row_store *){NULL}, NULL), FRESHET_END);
        tear_down(&rig);
    }
}

static void no_rows_are_no_set(void **state)
{
    (void)state;
    rig rig;
    uint32_t largest;
    set_up(&rig, 1, 10, 100);
    assert_int_equal(check_sets(&rig, &largest), 0);
    tear_down(&rig);
}

/* ---- what fails ------------------------------------------------------------------------------ */

static int countdown;
static os_table real;

static ssize_t failing_write(int fd, const void *from, size_t size)
{
    if (--countdown == 0) {
        errno = ENOSPC;
        return -1;
    }
    return real.write(fd, from, size);
}

static ssize_t failing_pread(int fd, void *into, size_t size, off_t offset)
{
    if (--countdown == 0) {
        errno = EIO;
        return -1;
    }
    return real.pread(fd, into, size, offset);
}

/* Gathers and gives all; the first error. */
static freshet_code go_through(rig *rig, freshet_error *err)
{
    const row_store *set;
    freshet_code code = FRESHET_OK;
    for (uint32_t n = 0; code == FRESHET_OK && n < 6; n++)
        code = add_rows(rig, err);
    while (code == FRESHET_OK)
        code = batch_rows_next(rig->rows, &set, err);
    return code;
}

/* The disk is full while rows are spread, or spread again, or cannot be read: the run ends, and
 * nothing is tried again with rows missing. */
static void what_the_disk_refuses_ends_the_run(void **state)
{
    (void)state;
    int n_failed = 0;
    for (int reads = 0; reads < 2; reads++)
        for (int nth = 1; nth < 400; nth += 1 + nth / 3) {
            rig rig;
            freshet_error err = {0};
            set_up(&rig, 3, 40, 3000);
            real = os;
            countdown = nth;
            os.write = reads ? real.write : failing_write;
            os.pread = reads ? failing_pread : real.pread;
            const freshet_code code = go_through(&rig, &err);
            os_restore();
            if (countdown <= 0) {
                n_failed++;
                assert_int_not_equal(code, FRESHET_END);
                assert_int_equal(err.then, FRESHET_STOP);
                assert_non_null(strstr(err.text, folder()));
            } else {
                assert_int_equal(code, FRESHET_END);
            }
            tear_down(&rig);
        }
    assert_true(n_failed > 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_a_key_come_together),
        cmocka_unit_test(no_rows_are_no_set),
        cmocka_unit_test(what_the_disk_refuses_ends_the_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
