/* tsan */
/* row_spill_test.c - rows spread over parts come back as they were, whatever went to the file. */
#include "base/row_spill.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>

#include "base/os.h"
#include "base/random_testing.h"
#include "base/text.h"

#define ROWS_MAX 20000u
#define N_FIELDS 5u

typedef struct rig {
    arena *arena;
    field fields[N_FIELDS];
    schema schema;
    row_spill *spill;
    crew *crew;
    uint64_t state;
    char **texts[ROW_SPILL_PARTS]; /* the rows of each part, as text */
    uint32_t n[ROW_SPILL_PARTS];
} rig;

static const char *folder(void)
{
    const char *given = getenv("TMPDIR");
    return given == NULL ? "/tmp" : given;
}

static void set_up(rig *rig, uint64_t seed, size_t memory)
{
    *rig = (struct rig){.arena = arena_open(), .state = random_begin(seed)};
    static field inner[2];
    inner[0] = (field){"a", type_array(rig->arena, type_simple(TYPE_DOUBLE))};
    inner[1] = (field){"t", type_simple(TYPE_STRING)};
    rig->fields[0] = (field){"n", type_simple(TYPE_BIGINT)};
    rig->fields[1] = (field){"s", type_simple(TYPE_STRING)};
    rig->fields[2] = (field){"l", type_array(rig->arena, type_simple(TYPE_STRING))};
    rig->fields[3] = (field){"o", type_struct(rig->arena, inner, 2)};
    rig->fields[4] = (field){"b", type_simple(TYPE_BOOLEAN)};
    rig->schema = (schema){N_FIELDS, rig->fields};
    assert_int_equal(crew_open(1 + seed % 4, &rig->crew, NULL), FRESHET_OK);
    assert_int_equal(row_spill_open(&rig->schema, memory, folder(), rig->crew, &rig->spill, NULL),
                     FRESHET_OK);
}

static void tear_down(rig *rig)
{
    row_spill_close(rig->spill);
    crew_close(rig->crew);
    for (uint32_t i = 0; i < ROW_SPILL_PARTS; i++)
        free(rig->texts[i]);
    arena_close(rig->arena);
}

static cell_text some_text(rig *rig)
{
    const uint32_t length = (uint32_t)random_draw(&rig->state, 40);
    char *text = arena_alloc(rig->arena, length + 1);
    for (uint32_t i = 0; i < length; i++)
        text[i] = (char)('a' + random_draw(&rig->state, 26));
    return text_of(text, length);
}

/* Recursion: as deep as the type. */
static void fill_cell(rig *rig, column *column, uint64_t row)
{
    if (random_draw(&rig->state, 6) == 0) {
        assert_true(column_set_null(rig->arena, column, row));
        return;
    }
    switch (column->type->kind) {
    case TYPE_BIGINT:
        ((int64_t *)column->data)[row] = (int64_t)random_draw(&rig->state, 1000);
        break;
    case TYPE_BOOLEAN: ((uint8_t *)column->data)[row] = (uint8_t)random_draw(&rig->state, 2); break;
    case TYPE_DOUBLE:
        ((double *)column->data)[row] = (double)random_draw(&rig->state, 99) / 8;
        break;
    case TYPE_STRING: ((cell_text *)column->data)[row] = some_text(rig); break;
    case TYPE_ARRAY: {
        const uint64_t length = random_draw(&rig->state, 4), first = column->n_elements;
        assert_int_equal(column_reserve(rig->arena, column->children, first + length, NULL),
                         FRESHET_OK);
        for (uint64_t i = 0; i < length; i++)
            fill_cell(rig, column->children, first + i);
        ((cell_span *)column->data)[row] = (cell_span){first, length};
        column->n_elements += length;
        break;
    }
    default:
        for (uint32_t i = 0; i < column->type->n_fields; i++)
            fill_cell(rig, &column->children[i], row);
        break;
    }
}

static char *row_text(arena *arena, const batch *rows, uint32_t row)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    assert_int_equal(batch_row_to_json(rows, row, &text, NULL), FRESHET_OK);
    text_format(&text, " %lld %d", (long long)(rows->write_us == NULL ? 0 : rows->write_us[row]),
                rows->row_kinds == NULL ? 0 : rows->row_kinds[row]);
    return text_keep(&text, arena);
}

/* Adds n rows, to few parts or to all of them. */
static freshet_code add_rows(rig *rig, uint32_t n, uint32_t n_parts, freshet_error *err)
{
    batch rows;
    uint8_t parts[ROWS_MAX];
    assert_int_equal(batch_init(&rows, rig->arena, &rig->schema, n, NULL), FRESHET_OK);
    rows.n_rows = n;
    rows.write_us = arena_alloc(rig->arena, n * sizeof *rows.write_us);
    rows.row_kinds = arena_alloc(rig->arena, n);
    for (uint32_t row = 0; row < n; row++) {
        for (uint32_t i = 0; i < N_FIELDS; i++)
            fill_cell(rig, &rows.columns[i], row);
        rows.write_us[row] = (int64_t)random_draw(&rig->state, 1000);
        rows.row_kinds[row] = (uint8_t)random_draw(&rig->state, 4);
        parts[row] = (uint8_t)random_draw(&rig->state, n_parts);
    }
    const freshet_code code = row_spill_add(rig->spill, &rows, parts, err);
    for (uint32_t row = 0; code == FRESHET_OK && row < n; row++) {
        const uint8_t part = parts[row];
        if (rig->texts[part] == NULL)
            rig->texts[part] = calloc(ROWS_MAX, sizeof(char *));
        rig->texts[part][rig->n[part]++] = row_text(rig->arena, &rows, row);
    }
    return code;
}

static void check_parts(rig *rig)
{
    uint64_t n_all = 0;
    for (uint32_t part = 0; part < ROW_SPILL_PARTS; part++) {
        row_store *store = NULL;
        assert_int_equal(row_store_open(&rig->schema, &store, NULL), FRESHET_OK);
        assert_int_equal(row_spill_take(rig->spill, part, store, NULL), FRESHET_OK);
        assert_int_equal(row_store_rows(store), rig->n[part]);
        assert_int_equal(row_spill_part_rows(rig->spill, part), rig->n[part]);
        for (uint32_t row = 0; row < rig->n[part]; row++) {
            uint32_t index;
            const batch *chunk = row_store_at(store, row, &index);
            assert_string_equal(row_text(rig->arena, chunk, index), rig->texts[part][row]);
        }
        n_all += rig->n[part];
        row_store_close(store);
    }
    assert_int_equal(row_spill_rows(rig->spill), n_all);
}

/* Little memory: pieces of some hundred rows; much: no file at all. */
static void one_case(uint64_t seed)
{
    rig rig;
    const bool is_small = seed % 2 == 0;
    set_up(&rig, seed, is_small ? 0 : (size_t)1 << 30);
    const uint32_t n_parts = seed % 3 == 0 ? 2 : ROW_SPILL_PARTS;
    for (int i = 0; i < 6; i++)
        assert_int_equal(
            add_rows(&rig, 1 + (uint32_t)random_draw(&rig.state, seed % 2 == 0 ? 2500 : 6000),
                     n_parts, NULL),
            FRESHET_OK);
    if (n_parts == 2)
        assert_int_equal(row_spill_bytes(rig.spill) > 0, is_small);
    check_parts(&rig);
    check_parts(&rig);
    tear_down(&rig);
}

static void test_rows_come_back(void **state)
{
    (void)state;
    random_seeds(one_case, 12, "FRESHET_CASES");
}

static ssize_t full_disk(int fd, const void *from, size_t size)
{
    (void)fd, (void)from, (void)size;
    errno = ENOSPC;
    return -1;
}

static void test_full_disk(void **state)
{
    (void)state;
    rig rig;
    freshet_error err = {0};
    set_up(&rig, 1, 0);
    os.write = full_disk;
    freshet_code code = FRESHET_OK;
    for (int i = 0; code == FRESHET_OK && i < 4; i++)
        code = add_rows(&rig, 2000, 2, &err);
    os_restore();
    assert_int_equal(code, FRESHET_TRY_AGAIN);
    assert_int_equal(err.then, FRESHET_STOP); /* the same rows must not be added again */
    assert_non_null(strstr(err.text, "cannot write rows to a file in"));
    assert_non_null(strstr(err.text, "No space left"));
    tear_down(&rig);
}

static int no_unnamed(const char *path, int flags, mode_t mode)
{
    (void)mode;
    if (strstr(path, "freshet-rows-") == NULL) {
        errno = EOPNOTSUPP;
        return -1;
    }
    os_restore();
    return os.open(path, flags, mode);
}

/* A file system without files that have no name. */
static void test_named_file(void **state)
{
    (void)state;
    rig rig;
    set_up(&rig, 3, 0);
    os.open = no_unnamed;
    assert_int_equal(add_rows(&rig, 2500, 1, NULL), FRESHET_OK);
    os_restore();
    check_parts(&rig);
    tear_down(&rig);
}

/* Each part gets many rows at once, as from a sorted input: what they took is given back. */
static void test_sorted_input(void **state)
{
    (void)state;
    rig rig;
    batch rows;
    uint8_t parts[ROWS_MAX];
    set_up(&rig, 1, 0);
    assert_int_equal(batch_init(&rows, rig.arena, &rig.schema, ROWS_MAX, NULL), FRESHET_OK);
    rows.n_rows = ROWS_MAX;
    for (uint32_t row = 0; row < ROWS_MAX; row++)
        for (uint32_t i = 0; i < N_FIELDS; i++)
            fill_cell(&rig, &rows.columns[i], row);
    for (int part = 0; part < 16; part++) {
        memset(parts, part, sizeof parts);
        assert_int_equal(row_spill_add(rig.spill, &rows, parts, NULL), FRESHET_OK);
    }
    assert_true(row_spill_held(rig.spill) < (size_t)1 << 20);
    tear_down(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_come_back),
        cmocka_unit_test(test_full_disk),
        cmocka_unit_test(test_sorted_input),
        cmocka_unit_test(test_named_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
