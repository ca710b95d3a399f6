/* deduplicate_test.c - rows that repeat: against Butterfree's definition, done naively. */
#include "base/random_testing.h"
#include "features/operators/operators_testing.h"

#include <math.h>
#include <string.h>

#define ROWS_MAX 60000u
#define MEMORY ((size_t)1 << 30)
#define DEDUPLICATE_PIECE_ROWS 16384u

static field fields[6] = {{"key", NULL}, {"k2", NULL}, {"timestamp", NULL},
                          {"x", NULL},   {"s", NULL},  {"list", NULL}};
static schema all = {6, fields};

/* A row as numbers: what its cells are made of. */
typedef struct row {
    uint32_t key, k2, x, s, list;
    int64_t time_us;
} row;

static int set_up(void **state)
{
    (void)state;
    static const type_kind kinds[] = {TYPE_DOUBLE, TYPE_STRING, TYPE_TIMESTAMP, TYPE_DOUBLE,
                                      TYPE_STRING};
    static arena *types;
    types = arena_open();
    for (int i = 0; i < 5; i++)
        fields[i].type = type_simple(kinds[i]);
    fields[5].type = type_array(types, type_simple(TYPE_FLOAT));
    *state = types;
    return 0;
}

static int tear_down(void **state)
{
    arena_close(*state);
    return 0;
}

/* Values that are equal though they do not look so: number 1 is NaN and 2 is 0, each in two
 * forms. */
static double number(uint32_t n, bool other)
{
    return n == 1 ? (other ? -(double)NAN : (double)NAN) : n == 2 ? (other ? -0.0 : 0.0) : n * 1.5;
}

static void put_text(arena *arena, column *column, uint32_t at, uint32_t n)
{
    const char *text = arena_format(arena, n % 2 == 0 ? "%u" : "long enough to lie outside %u", n);
    ((cell_text *)column->data)[at] = text_of(text, (uint32_t)strlen(text));
}

static void put_row(arena *arena, batch *rows, uint32_t at, const row *row, bool other)
{
    column *list = &rows->columns[5];
    ((double *)rows->columns[0].data)[at] = number(row->key + 1, other);
    put_text(arena, &rows->columns[1], at, row->k2);
    ((int64_t *)rows->columns[2].data)[at] = row->time_us;
    ((double *)rows->columns[3].data)[at] = number(row->x, other);
    put_text(arena, &rows->columns[4], at, row->s);
    uint64_t n = row->list % 3, first = list->n_elements;
    assert_int_equal(column_reserve(arena, &list->children[0], first + n, NULL), FRESHET_OK);
    for (uint64_t i = 0; i < n; i++) {
        ((float *)list->children[0].data)[first + i] = (float)number(row->list, other);
        if (row->list == 7)
            column_set_null(arena, &list->children[0], first + i);
    }
    ((cell_span *)list->data)[at] = (cell_span){first, n};
    list->n_elements += n;
    for (uint32_t i = 3; i < 6; i++)
        if ((i == 3 ? row->x : i == 4 ? row->s : row->list) == 0)
            column_set_null(arena, &rows->columns[i], at);
}

static bool same_features(const row *a, const row *b)
{
    return a->x == b->x && a->s == b->s && a->list == b->list;
}

/* A row stays if the newest of the rows before it (of its key, by time, then by arrival) is
 * another. */
static bool stays(const row *rows, uint32_t n, uint32_t at)
{
    const row *before = NULL;
    for (uint32_t i = 0; i < n; i++) {
        const row *each = &rows[i];
        bool is_before =
            each->key == rows[at].key && each->k2 == rows[at].k2 && i != at &&
            (each->time_us < rows[at].time_us || (each->time_us == rows[at].time_us && i < at));
        if (is_before && (before == NULL || each->time_us >= before->time_us))
            before = each;
    }
    return before == NULL || !same_features(before, &rows[at]);
}

static void open_alone(alone *made, size_t memory)
{
    *made = (alone){.plan = {.n_keys = 2, .output = all}};
    made->declaration.batch.memory = (int64_t)memory;
    alone_open(made, &deduplicate_operator);
}

static freshet_code add(alone *made, const batch *rows, freshet_error *err)
{
    run run = {.out = *rows, .err = err};
    return alone_run(made, &run);
}

static freshet_code next(alone *made, arena *arena, batch *out)
{
    run run = {.arena = arena};
    const freshet_code code = made->self->ops->finish(made->self, &run);
    *out = run.out;
    return code;
}

static void fill_within(alone *made, size_t memory, const row *rows, uint32_t n, uint32_t piece)
{
    arena *arena = arena_open();
    open_alone(made, memory);
    for (uint32_t at = 0; at < n; at += piece) {
        batch batch;
        uint32_t more = n - at < piece ? n - at : piece;
        assert_int_equal(batch_init(&batch, arena, &all, more, NULL), FRESHET_OK);
        for (uint32_t i = 0; i < more; i++)
            put_row(arena, &batch, i, &rows[at + i], (at + i) % 3 == 0);
        batch.n_rows = more;
        assert_int_equal(add(made, &batch, NULL), FRESHET_OK);
        arena_reset(arena);
    }
    arena_close(arena);
}

static void fill(alone *made, const row *rows, uint32_t n, uint32_t piece)
{
    fill_within(made, MEMORY, rows, n, piece);
}

/* The times of the rows that stayed must be those of the numbers in `expected`. */
static void assert_kept(alone *made, const row *rows, uint32_t n, const bool *expected)
{
    arena *arena = arena_open();
    batch out;
    uint32_t at = 0, kept = 0;
    freshet_code code;
    while ((code = next(made, arena, &out)) == FRESHET_OK) {
        assert_in_range(out.n_rows, 1, DEDUPLICATE_PIECE_ROWS);
        for (uint32_t i = 0; i < out.n_rows; i++, at++, kept++) {
            while (expected != NULL && at < n && !expected[at])
                at++;
            assert_true(at < n && rows != NULL);
            if (rows == NULL)
                break;
            assert_int_equal(((int64_t *)out.columns[2].data)[i], rows[at].time_us);
            assert_int_equal(column_is_valid(&out.columns[3], i), rows[at].x != 0);
        }
        arena_reset(arena);
    }
    assert_int_equal(code, FRESHET_END);
    while (expected != NULL && at < n && !expected[at])
        at++;
    assert_int_equal(at, n);
    assert_int_equal(made->self->figures.repeated, n - kept);
    assert_int_equal(next(made, arena, &out), FRESHET_END);
    arena_close(arena);
}

static void random_rows_against_the_definition(void **state)
{
    (void)state;
    static row rows[400];
    static bool expected[400];
    for (uint32_t round = 0; round < 300; round++) {
        random_state = round;
        uint32_t n = random_below(400), n_keys = 1 + random_below(5),
                 n_times = 1 + random_below(40);
        uint32_t n_values = 1 + random_below(3);
        for (uint32_t i = 0; i < n; i++)
            rows[i] = (row){.key = random_below(n_keys),
                            .k2 = random_below(2),
                            .x = random_below(n_values),
                            .s = random_below(2),
                            .list = random_below(20) == 0 ? 7 + random_below(2) : 0,
                            .time_us = (int64_t)random_below(n_times) - 5};
        for (uint32_t i = 0; i < n; i++)
            expected[i] = stays(rows, n, i);
        alone made;
        fill(&made, rows, n, 1 + random_below(100));
        assert_kept(&made, rows, n, expected);
        alone_close(&made);
    }
}

static void many_rows_of_many_keys(void **state)
{
    (void)state;
    row *rows = calloc(ROWS_MAX, sizeof *rows);
    bool *expected = calloc(ROWS_MAX, sizeof *expected);
    for (uint32_t i = 0; i < ROWS_MAX; i++) { /* each key has four rows, the last two are equal */
        rows[i] = (row){.key = 3 + i % (ROWS_MAX / 4),
                        .x = i < ROWS_MAX / 4   ? 5
                             : i < ROWS_MAX / 2 ? 1
                                                : 2,
                        .time_us = i};
        expected[i] = i < ROWS_MAX / 4 * 3;
    }
    alone made;
    fill(&made, rows, ROWS_MAX, 16384);
    assert_kept(&made, rows, ROWS_MAX, expected);
    alone_close(&made);
    free(rows);
    free(expected);
}

static void no_rows(void **state)
{
    (void)state;
    alone made;
    fill(&made, NULL, 0, 1);
    assert_kept(&made, NULL, 0, NULL);
    alone_close(&made);
}

/* A row that came out, to be put beside the others of its key. */
typedef struct kept_row {
    const char *key, *text;
    uint32_t at;
} kept_row;

static int compare_kept(const void *a, const void *b)
{
    const kept_row *x = a, *y = b;
    const int order = strcmp(x->key, y->key);
    return order != 0 ? order : x->at < y->at ? -1 : 1;
}

static const char *cells_text(arena *arena, const batch *rows, uint32_t row, uint32_t n_columns)
{
    text_buffer text;
    batch some = *rows;
    some.schema.n_fields = n_columns;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    assert_int_equal(batch_row_to_json(&some, row, &text, NULL), FRESHET_OK);
    return text_keep(&text, arena);
}

/* All that comes out within this memory, key by key, each in its order. */
static uint32_t take_within(size_t memory, const row *rows, uint32_t n, arena *arena,
                            kept_row *kept, uint64_t *repeated)
{
    alone made;
    batch out;
    uint32_t n_kept = 0;
    freshet_code code;
    fill_within(&made, memory, rows, n, 97);
    while ((code = next(&made, arena, &out)) == FRESHET_OK)
        for (uint32_t i = 0; i < out.n_rows; i++, n_kept++)
            kept[n_kept] = (kept_row){cells_text(arena, &out, i, 2),
                                      cells_text(arena, &out, i, out.schema.n_fields), n_kept};
    assert_int_equal(code, FRESHET_END);
    assert_int_equal(next(&made, arena, &out), FRESHET_END);
    *repeated = made.self->figures.repeated;
    assert_int_equal(made.self->figures.gathered, n);
    assert_int_equal(made.self->figures.given, n);
    alone_close(&made);
    qsort(kept, n_kept, sizeof *kept, compare_kept);
    return n_kept;
}

/* Within no memory at all the rows wait in a file, and what stays is the same. */
static void memory_changes_nothing(void **state)
{
    (void)state;
    static row rows[3000];
    static kept_row with[3000], without[3000];
    for (uint32_t round = 0; round < 20; round++) {
        random_state = round;
        arena *arena = arena_open();
        const uint32_t n = random_below(3000), n_keys = 1 + random_below(600);
        for (uint32_t i = 0; i < n; i++)
            rows[i] = (row){.key = random_below(n_keys),
                            .k2 = random_below(2),
                            .x = random_below(3),
                            .s = random_below(2),
                            .list = random_below(20) == 0 ? 7 + random_below(2) : 0,
                            .time_us = (int64_t)random_below(40) - 5};
        uint64_t repeated, repeated_without;
        const uint32_t n_kept = take_within(MEMORY, rows, n, arena, with, &repeated);
        assert_int_equal(take_within(0, rows, n, arena, without, &repeated_without), n_kept);
        assert_int_equal(repeated, repeated_without);
        for (uint32_t i = 0; i < n_kept; i++)
            assert_string_equal(with[i].text, without[i].text);
        arena_close(arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_rows_against_the_definition),
        cmocka_unit_test(many_rows_of_many_keys),
        cmocka_unit_test(no_rows),
        cmocka_unit_test(memory_changes_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
