/* steps_twin_test.c - steps that remember, on a stream, against plain forms of them: random rows in
 * random micro-batches, out of order, with trials in between that must leave no trace, and with the
 * state saved and restored in another source. */
#include "source/source_testing.h"

#include "preprocess/preprocess.h"

#define ROWS_MAX 600
#define SOURCES 4 /* one after the other: the next one begins with the state of the one before */

enum { ORIGIN, CARRIER, DELAY, AMOUNT }; /* columns of the reader */

static const char fill_yaml[] =
    "        - forward_fill: {partition_by: [origin, carrier], order_by: "
    "delay, column: amount, into: filled}\n";
static const char pivot_yaml[] =
    "        - pivot: {group_by: [origin, delay], column: carrier, values: [K0, K1, \"null\"], "
    "aggregate: {column: amount, function: last}, forward_fill: true, keep_groups: 100000}\n";

typedef struct twin {
    fixture here;
    uint64_t seed;
    batch *rows[ROWS_MAX]; /* of each row its batch, and its place there */
    uint32_t at[ROWS_MAX];
    uint32_t n;
} twin;

/* ---- a source with steps --------------------------------------------------------------------- */

static void open_with(fixture *here, const char *steps, const char *query)
{
    static const block_kind *kinds[PREPROCESS_KINDS_MAX];
    registry registry = fake_registry;
    *here = (fixture){.arena = arena_open()};
    const char *plain = fixture_yaml(here->arena, "flights*", query);
    const char *behind = strstr(plain, "stream: true\n") + strlen("stream: true\n");
    const char *yaml = arena_format(here->arena, "%.*s      preprocess:\n%s%s",
                                    (int)(behind - plain), plain, steps, behind);
    preprocess_kinds(kinds);
    registry.steps = kinds;
    if (fixture_engine == NULL) {
        must(sql_open(NULL, &fixture_engine, &here->err), &here->err);
        atexit(fixture_close_engine);
    }
    must(sql_session_open(fixture_engine, &here->session, &here->err), &here->err);
    must(declaration_read(yaml, strlen(yaml), "p.yaml", ".", &registry, fixture_say, NULL,
                          &here->declaration, &here->err),
         &here->err);
    fixture_describe(here);
    here->problems = problems_open(here->arena);
    const freshet_code code = source_open(here->declaration, here->session, here->list, 1,
                                          here->problems, &here->source, &here->err);
    problems_report(here->problems, fixture_say, NULL, NULL);
    must(code, &here->err);
    assert_true(source_remembers(here->source));
}

/* The state of one source as that of another. */
static void hand_over(const fixture *from, const fixture *into)
{
    const state_part *part = source_part(from->source, 0), *other = source_part(into->source, 0);
    uint32_t cursor = 0;
    state_key key;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    assert_string_equal(part->shape, other->shape);
    while (state_part_next_dirty(part, &cursor, &key)) {
        text_reset(&text);
        must(state_part_save(part, &key, &text, NULL), NULL);
        if (text.length == 0) /* nothing is known of it */
            continue;
        must(state_part_restore(other, key.bytes, key.length, text.bytes, text.length, NULL), NULL);
    }
    text_release(&text);
}

/* ---- cells ----------------------------------------------------------------------------------- */

static const column *cell_of(const twin *twin, uint32_t row, uint32_t column, uint32_t *at)
{
    *at = twin->at[row];
    return &twin->rows[row]->columns[column];
}

static bool same_text(const column *a, uint32_t a_row, const column *b, uint32_t b_row)
{
    if (!column_is_valid(a, a_row) || !column_is_valid(b, b_row))
        return column_is_valid(a, a_row) == column_is_valid(b, b_row);
    const cell_text *x = &((const cell_text *)a->data)[a_row];
    const cell_text *y = &((const cell_text *)b->data)[b_row];
    return x->length == y->length && memcmp(text_bytes(x), text_bytes(y), x->length) == 0;
}

static bool same(const twin *twin, uint32_t a, uint32_t b, uint32_t column)
{
    uint32_t i, k;
    const struct column *x = cell_of(twin, a, column, &i), *y = cell_of(twin, b, column, &k);
    return same_text(x, i, y, k);
}

/* Nulls first. */
static int64_t order_of(const twin *twin, uint32_t row)
{
    uint32_t at;
    const column *delay = cell_of(twin, row, DELAY, &at);
    return column_is_valid(delay, at) ? ((const int64_t *)delay->data)[at] : INT64_MIN;
}

static bool amount_of(const twin *twin, uint32_t row, double *out)
{
    uint32_t at;
    const column *amount = cell_of(twin, row, AMOUNT, &at);
    *out = ((const double *)amount->data)[at];
    return column_is_valid(amount, at);
}

static void expect_amount(const batch *out, uint32_t column, uint32_t row, bool has, double value)
{
    const struct column *got = &out->columns[column];
    if (column_is_valid(got, row) != has ||
        (has && ((const double *)got->data)[row] != value)) /* the very same double */
        fail_msg("row %u: %s%g instead of %s%g", row, column_is_valid(got, row) ? "" : "null ",
                 ((const double *)got->data)[row], has ? "" : "null ", value);
}

/* Runs the next rows, after a trial of them or of others. */
static void run_next(twin *twin, uint32_t n, batch *out)
{
    fixture *here = &twin->here;
    rejects none = {.arena = here->arena};
    batch *rows = fixture_fill(here, 0, n, twin->seed += 7919, twin->n);
    if (fixture_dice(&twin->seed) % 2 == 0) {
        batch *others = fixture_fill(here, 0, n, twin->seed += 104729, 0);
        must(source_try(here->source, here->arena, &others, out, &none, &here->err), &here->err);
    }
    must(source_run(here->source, here->arena, &rows, out, &none, &here->err), &here->err);
    assert_int_equal(none.n, 0);
    for (uint32_t i = 0; i < n; i++, twin->n++) {
        twin->rows[twin->n] = rows;
        twin->at[twin->n] = i;
    }
}

/* As if somebody saved the state: its changes are listed. */
static freshet_code load_none(void *context, const void *key, size_t key_length, text_buffer *into,
                              freshet_error *err)
{
    (void)context, (void)key, (void)key_length, (void)into, (void)err;
    return FRESHET_END;
}

/* The next source, with the state of the one before; the rows of that one live on. */
static void begin(twin *twin, const char *steps, const char *query)
{
    fixture before = twin->here;
    open_with(&twin->here, steps, query);
    state_part_set_load(source_part(twin->here.source, 0), load_none, NULL);
    if (before.source == NULL)
        return;
    keyed_table *table = source_part(before.source, 0)->table;
    for (uint32_t cursor = 0, index; (index = keyed_next(table, &cursor)) != KEY_NONE;)
        keyed_mark_dirty(table, index);
    hand_over(&before, &twin->here);
    source_close(before.source);
    sql_session_close(before.session);
    freshet_declaration_close(before.declaration);
}

/* ---- forward_fill ---------------------------------------------------------------------------- */

/* The newest value of the row's partition, by the rows up to it. */
static void check_filled(const twin *twin, uint32_t row, const batch *out, uint32_t at)
{
    double value = 0, newest = 0;
    bool has = amount_of(twin, row, &value);
    int64_t order = INT64_MIN;
    bool any = false;
    for (uint32_t i = 0; !has && i < row; i++) {
        double other;
        if (same(twin, i, row, ORIGIN) && same(twin, i, row, CARRIER) &&
            amount_of(twin, i, &other) && (!any || order_of(twin, i) >= order)) {
            any = true;
            order = order_of(twin, i);
            newest = other;
        }
    }
    if (!has && any && order <= order_of(twin, row)) {
        has = true;
        value = newest;
    }
    expect_amount(out, 0, at, has, value);
}

static void fills_as_its_twin(void **state)
{
    static twin twin;
    twin.seed = 88172645463325252u;
    (void)state;
    for (uint32_t source = 0; source < SOURCES; source++) {
        begin(&twin, fill_yaml, "SELECT filled FROM flights");
        while (twin.n < (source + 1) * ROWS_MAX / SOURCES) {
            const uint32_t left = (source + 1) * ROWS_MAX / SOURCES - twin.n, first = twin.n;
            const uint32_t most = 1 + (uint32_t)(fixture_dice(&twin.seed) % 40);
            batch out;
            run_next(&twin, most < left ? most : left, &out);
            assert_int_equal(out.n_rows, twin.n - first);
            for (uint32_t i = 0; i < out.n_rows; i++)
                check_filled(&twin, first + i, &out, i);
        }
    }
    fixture_close(&twin.here);
}

/* ---- pivot ----------------------------------------------------------------------------------- */

/* Is the row of that value of the pivot? */
static bool is_of_value(const twin *twin, uint32_t row, uint32_t value)
{
    static const char *const values[] = {"K0", "K1"};
    uint32_t at;
    const column *carrier = cell_of(twin, row, CARRIER, &at);
    if (!column_is_valid(carrier, at) || value == 2)
        return !column_is_valid(carrier, at) && value == 2;
    const cell_text *text = &((const cell_text *)carrier->data)[at];
    return text->length == 2 && memcmp(text_bytes(text), values[value], 2) == 0;
}

/* The last value of the row's group; where it is null, of the greatest group before it that has
 * one: by all rows. */
static bool pivot_cell(const twin *twin, uint32_t row, uint32_t value, double *out)
{
    int64_t below = order_of(twin, row);
    for (bool is_own = true;; is_own = false) {
        int64_t group = INT64_MIN;
        bool any = false, has = false;
        for (uint32_t i = 0; i < twin->n; i++) {
            const int64_t order = order_of(twin, i);
            if (same(twin, i, row, ORIGIN) && (is_own ? order == below : order < below) &&
                (!any || order > group)) {
                any = true;
                group = order;
            }
        }
        for (uint32_t i = 0; any && i < twin->n; i++)
            if (same(twin, i, row, ORIGIN) && order_of(twin, i) == group &&
                is_of_value(twin, i, value))
                has = amount_of(twin, i, out);
        if (has || !any)
            return has;
        below = group;
    }
}

/* The last version of each row's group is what the twin says of all rows. */
static void check_versions(const twin *twin, batch *const *outs, uint32_t n_outs)
{
    for (uint32_t row = 0; row < twin->n; row++) {
        const batch *found = NULL;
        uint32_t found_at = 0;
        for (uint32_t o = 0; o < n_outs; o++)
            for (uint32_t i = 0; i < outs[o]->n_rows; i++) {
                uint32_t at;
                const column *origin = cell_of(twin, row, ORIGIN, &at);
                const column *delay = &outs[o]->columns[1];
                const int64_t order =
                    column_is_valid(delay, i) ? ((const int64_t *)delay->data)[i] : INT64_MIN;
                if (order == order_of(twin, row) &&
                    same_text(&outs[o]->columns[0], i, origin, at)) {
                    found = outs[o];
                    found_at = i;
                }
            }
        assert_non_null(found);
        for (uint32_t value = 0; value < 3; value++) {
            double expected = 0;
            const bool has = pivot_cell(twin, row, value, &expected);
            expect_amount(found, 2 + value, found_at, has, expected);
        }
    }
}

static void pivots_as_its_twin(void **state)
{
    static twin twin;
    static batch *outs[ROWS_MAX];
    uint32_t n_outs = 0;
    twin.seed = 362436069;
    (void)state;
    for (uint32_t source = 0; source < SOURCES; source++) {
        begin(&twin, pivot_yaml, "SELECT * FROM flights");
        while (twin.n < (source + 1) * ROWS_MAX / SOURCES) {
            const uint32_t left = (source + 1) * ROWS_MAX / SOURCES - twin.n;
            const uint32_t most = 1 + (uint32_t)(fixture_dice(&twin.seed) % 40);
            batch out, *kept = arena_zero(twin.here.arena, 1, sizeof *kept);
            run_next(&twin, most < left ? most : left, &out);
            /* the origins' texts, which live until the next run */
            uint32_t *all = arena_alloc(twin.here.arena, (out.n_rows + 1) * sizeof *all);
            for (uint32_t i = 0; i < out.n_rows; i++)
                all[i] = i;
            must(batch_init(kept, twin.here.arena, &out.schema, out.n_rows + 1, NULL), NULL);
            for (uint32_t c = 0; c < out.schema.n_fields; c++) {
                size_t bytes = 0;
                must(column_reserve(twin.here.arena, &kept->columns[c], out.n_rows + 1, NULL),
                     NULL);
                assert_true(column_copy(twin.here.arena, &out.columns[c],
                                        &(cell_choice){.n = out.n_rows, .keeps = &bytes},
                                        &kept->columns[c], 0));
            }
            kept->n_rows = out.n_rows;
            outs[n_outs++] = kept;
        }
        check_versions(&twin, outs, n_outs);
    }
    fixture_close(&twin.here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(fills_as_its_twin),
                                       cmocka_unit_test(pivots_as_its_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
