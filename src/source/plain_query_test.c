/* Queries that run without the engine: random ones, of the plain language and a bit beyond, over
 * random cells run in both ways, and must give the same rows, names, types and cells, byte by byte;
 * and which queries are plain at all. FRESHET_PLAIN_CASES: how many. */
#include <inttypes.h>
#include <math.h>

#include "base/random_testing.h"
#include "source/source_testing.h"

/* ---- random cells, among them all that literals say ---- */

static const char *const words[] = {"",
                                    "a",
                                    "A",
                                    "abc",
                                    "abd",
                                    "twelve bytes",
                                    "thirteen byte",
                                    "thirteen bytf",
                                    "thirteen bytes and many more",
                                    "\xC3\xA9t\xC3\xA9",
                                    "it's"};
static const int64_t wholes[] = {0, 1, -5, 7, 10, INT32_MAX, INT32_MIN, -1};
static const int64_t bigs[] = {0, 1, -5, 7, INT64_MAX, INT64_MIN, 3000000000, -1};
static const double reals[] = {
    0.0,   -0.0, 1, 2.5, 0.1, (double)NAN, -(double)NAN, (double)INFINITY, -(double)INFINITY,
    1e300, 7};
static const int64_t days[] = {0, 19723, 19724, -1, INT32_MAX, -INT32_MAX};
static const int64_t times[] = {0,  1704067200000000, 1704067200000001, 1704153600000000,
                                -1, INT64_MAX,        -INT64_MAX};

#define PICK(list) (list)[random_draw(dice, sizeof(list) / sizeof *(list))]

static cell_text pick_text(arena *arena, uint64_t *dice)
{
    const char *text = PICK(words);
    const size_t length = strlen(text);
    char *copy = arena_copy(arena, text, length);
    if (length > 2 && random_draw(dice, 20) == 0)
        copy[1] = '\0';
    return text_of(copy, (uint32_t)length);
}

static void fill_cell(arena *arena, column *column, uint32_t row, uint64_t *dice)
{
    void *data = column->data;
    switch (column->type->kind) {
    case TYPE_BOOLEAN: ((uint8_t *)data)[row] = random_draw(dice, 2); break;
    case TYPE_INTEGER: ((int32_t *)data)[row] = (int32_t)PICK(wholes); break;
    case TYPE_BIGINT: ((int64_t *)data)[row] = PICK(bigs); break;
    case TYPE_FLOAT: ((float *)data)[row] = (float)PICK(reals); break;
    case TYPE_DOUBLE: ((double *)data)[row] = PICK(reals); break;
    case TYPE_DECIMAL: ((int128 *)data)[row] = PICK(wholes); break;
    case TYPE_STRING:
    case TYPE_BINARY: ((cell_text *)data)[row] = pick_text(arena, dice); break;
    case TYPE_DATE: ((int32_t *)data)[row] = (int32_t)PICK(days); break;
    case TYPE_TIMESTAMP: ((int64_t *)data)[row] = PICK(times); break;
    case TYPE_ARRAY: {
        const uint64_t n = random_draw(dice, 4);
        ((cell_span *)data)[row] = (cell_span){n == 0 ? 0 : column->n_elements, n};
        must(column_reserve(arena, &column->children[0], column->n_elements + n, NULL), NULL);
        for (uint64_t i = 0; i < n; i++)
            fill_cell(arena, &column->children[0], (uint32_t)column->n_elements++, dice);
        break;
    }
    default:
        for (uint32_t i = 0; i < column->type->n_fields; i++)
            fill_cell(arena, &column->children[i], row, dice);
        break;
    }
    if (random_draw(dice, 6) == 0)
        assert_true(column_set_null(arena, column, row));
}

static batch *fill_batch(fixture *here, uint32_t reader, uint32_t n, uint64_t *dice)
{
    batch *rows = arena_zero(here->arena, 1, sizeof *rows);
    const schema *columns = &here->readers[reader].schema;
    const uint32_t n_more = (uint32_t)random_draw(dice, 70); /* that do not count */
    must(batch_init(rows, here->arena, columns, n + n_more, &here->err), &here->err);
    rows->origins = arena_zero(here->arena, n + 1, sizeof *rows->origins);
    for (uint32_t i = 0; i < n + n_more; i++)
        for (uint32_t c = 0; c < columns->n_fields; c++)
            fill_cell(here->arena, &rows->columns[c], i, dice);
    rows->n_rows = n;
    return rows;
}

/* ---- the same ---- */

static const char *the_query;

static void check_type(const type *a, const type *b)
{
    if (!type_equal(a, b) || a->is_map != b->is_map)
        fail_msg("%s\nanother type", the_query);
}

static void check_cell(const column *a, uint64_t row_a, const column *b, uint64_t row_b)
{
    const bool is_valid = column_is_valid(a, row_a);
    const size_t size = type_cell_size(a->type);
    check_type(a->type, b->type);
    if (is_valid != column_is_valid(b, row_b))
        fail_msg("%s\nrow %" PRIu64 ": one is null", the_query, row_a);
    for (uint32_t i = 0; a->type->kind == TYPE_STRUCT && i < a->type->n_fields; i++)
        check_cell(&a->children[i], row_a, &b->children[i], row_b);
    if (size == 0)
        return;
    const char *at = (const char *)a->data + row_a * size;
    for (size_t i = 0; i < size && !is_valid; i++)
        assert_int_equal(at[i], 0);
    if (a->type->kind == TYPE_ARRAY) {
        const cell_span *x = (const cell_span *)a->data + row_a;
        const cell_span *y = (const cell_span *)b->data + row_b;
        assert_int_equal(x->length, y->length);
        for (uint64_t i = 0; i < x->length; i++)
            check_cell(&a->children[0], x->offset + i, &b->children[0], y->offset + i);
    } else if (a->type->kind == TYPE_STRING || a->type->kind == TYPE_BINARY) {
        const cell_text *x = (const cell_text *)a->data + row_a;
        const cell_text *y = (const cell_text *)b->data + row_b;
        assert_int_equal(x->length, y->length);
        if (memcmp(text_bytes(x), text_bytes(y), x->length) != 0)
            fail_msg("%s\nrow %" PRIu64 ": another text", the_query, row_a);
    } else if (memcmp(at, (const char *)b->data + row_b * size, size) != 0) {
        fail_msg("%s\nrow %" PRIu64 ": another cell", the_query, row_a);
    }
}

static void check_same(const batch *a, const batch *b)
{
    if (a->n_rows != b->n_rows)
        fail_msg("%s\n%u rows, by the engine %u", the_query, a->n_rows, b->n_rows);
    assert_int_equal(a->schema.n_fields, b->schema.n_fields);
    assert_non_null(a->rows);
    assert_null(a->origins);
    for (uint32_t i = 0; i < a->schema.n_fields; i++) {
        assert_string_equal(a->schema.fields[i].name, b->schema.fields[i].name);
        check_type(a->schema.fields[i].type, b->schema.fields[i].type);
        check_type(a->columns[i].type, b->columns[i].type);
        for (uint32_t row = 0; row < a->n_rows; row++)
            check_cell(&a->columns[i], row, &b->columns[i], row);
    }
    for (uint32_t row = 0; row < a->n_rows; row++)
        if (a->rows[row] != b->rows[row])
            fail_msg("%s\nrow %u is of another row", the_query, row);
}

/* Runs the open source in both ways over some batches. */
static void check_both_ways(fixture *here, uint64_t *dice)
{
    static const uint32_t sizes[] = {0, 1, 2, 63, 64, 65, 130};
    batch *batches[4][FIXTURE_READERS_MAX] = {{NULL}}, engine;
    batch *plain = arena_zero(here->arena, 4, sizeof *plain);
    assert_non_null(plain);
    for (unsigned i = 0; i < 4; i++) {
        for (uint32_t reader = 0; reader < here->n_readers; reader++)
            if (random_draw(dice, 5) > 0)
                batches[i][reader] = fill_batch(here, reader, PICK(sizes), dice);
        must(source_run(here->source, here->arena, batches[i], &plain[i], NULL, &here->err),
             &here->err);
    }
    source_run_in_engine(here->source);
    assert_false(source_is_plain(here->source));
    for (unsigned i = 0; i < 4; i++) {
        must(source_run(here->source, here->arena, batches[i], &engine, NULL, &here->err),
             &here->err);
        check_same(&plain[i], &engine);
    }
}

/* ---- random queries ---- */

typedef struct writer {
    text_buffer *text;
    uint64_t *dice;
    const char *table, *alias;
    bool is_others;
    bool leaves; /* has gone beyond the language */
} writer;

static uint64_t roll(const writer *writer, uint64_t below)
{
    return random_draw(writer->dice, below);
}

/* A column of that kind (0: any), as it may be written. */
static void write_column(writer *writer, type_kind kind)
{
    static const char *const of_kind[TYPE_KINDS][3] = {
        [TYPE_BOOLEAN] = {"flag", "place.deep.flag", "flag"},
        [TYPE_INTEGER] = {"small", "place.n", "\"Small\""},
        [TYPE_BIGINT] = {"big", "BIG", "\"big\""},
        [TYPE_FLOAT] = {"thin", "thin", "thin"},
        [TYPE_DOUBLE] = {"real", "real", "\"real\""},
        [TYPE_DECIMAL] = {"money", "money", "money"},
        [TYPE_STRING] = {"word", "place.city", "Word"},
        [TYPE_BINARY] = {"bytes", "bytes", "bytes"},
        [TYPE_DATE] = {"day", "day", "DAY"},
        [TYPE_TIMESTAMP] = {"ts", "place.deep.ts", "ts"},
        [TYPE_ARRAY] = {"tags", "tags", "tags"},
        [TYPE_STRUCT] = {"place", "place.deep", "place"}};
    if (roll(writer, 3) == 0)
        text_format(writer->text, "%s.", writer->alias);
    text_append_c(writer->text, of_kind[kind][roll(writer, 3)]);
}

static void write_literal(writer *writer, type_kind kind)
{
    static const char *const day_literals[] = {"DATE '2024-01-01'", "'2024-01-02'",
                                               "DATE 'infinity'", "'1970-01-01'", "'-infinity'"};
    static const char *const time_literals[] = {
        "TIMESTAMP '2024-01-01 00:00:00.000001'", "'2024-01-01'", "DATE '2024-01-02'",
        "TIMESTAMP '2024-01-01 01:00:00+01'",     "'infinity'",   "TIMESTAMP '1970-01-01'"};
    static const char *const real_literals[] = {
        "0", "-0.0", "2.5", "0.1", "1e300", "-7.000", "7", "1e400", "'nan'::double", "3000000000"};
    uint64_t *dice = writer->dice;
    if (roll(writer, 12) == 0) {
        text_append_c(writer->text, "NULL");
        return;
    }
    switch (kind) {
    case TYPE_BOOLEAN: text_append_c(writer->text, roll(writer, 2) ? "true" : "FALSE"); break;
    case TYPE_INTEGER:
        text_format(writer->text, "%" PRId64, roll(writer, 9) ? PICK(wholes) : PICK(bigs));
        break;
    case TYPE_BIGINT: text_format(writer->text, "%" PRId64, PICK(bigs)); break;
    case TYPE_DATE: text_append_c(writer->text, PICK(day_literals)); break;
    case TYPE_TIMESTAMP: text_append_c(writer->text, PICK(time_literals)); break;
    case TYPE_STRING: {
        const char *word = PICK(words);
        text_append_c(writer->text, strcmp(word, "it's") == 0 ? "'it''s'" : "'");
        if (strcmp(word, "it's") != 0)
            text_format(writer->text, "%s'", word);
        break;
    }
    default: text_append_c(writer->text, PICK(real_literals)); break;
    }
}

/* Of a kind that has literals; now and then one of another kind. */
static type_kind pick_kind(writer *writer)
{
    static const type_kind kinds[] = {TYPE_BOOLEAN, TYPE_INTEGER, TYPE_BIGINT,   TYPE_DOUBLE,
                                      TYPE_STRING,  TYPE_DATE,    TYPE_TIMESTAMP};
    uint64_t *dice = writer->dice;
    if (!writer->is_others && roll(writer, 20) == 0)
        return roll(writer, 2) ? TYPE_FLOAT : TYPE_DECIMAL;
    return PICK(kinds);
}

static void write_leaf(writer *writer)
{
    static const char *const operators[] = {
        "=", "<>", "<", "<=", ">", ">=", "!=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"};
    const type_kind kind = pick_kind(writer);
    const char *operator= operators[roll(writer, 9)];
    switch (roll(writer, 8)) {
    case 0:
        write_column(writer, roll(writer, 8) ? kind : roll(writer, 2) ? TYPE_ARRAY : TYPE_STRUCT);
        text_append_c(writer->text, roll(writer, 2) ? " IS NULL" : " IS NOT NULL");
        break;
    case 1:
        write_column(writer, kind);
        text_append_c(writer->text, roll(writer, 2) ? " IN (" : " NOT IN (");
        for (uint64_t i = 0, n = 1 + roll(writer, roll(writer, 6) ? 4 : 20); i < n; i++) {
            text_append_c(writer->text, i > 0 ? ", " : "");
            write_literal(writer, kind);
        }
        text_append_c(writer->text, ")");
        break;
    case 2:
        write_column(writer, kind);
        text_append_c(writer->text, roll(writer, 3) ? " BETWEEN " : " NOT BETWEEN ");
        write_literal(writer, kind);
        text_append_c(writer->text, " AND ");
        write_literal(writer, kind);
        break;
    case 3: write_column(writer, TYPE_BOOLEAN); break;
    case 4:
        write_literal(writer, kind);
        text_format(writer->text, " %s ", operator);
        write_column(writer, kind);
        break;
    default:
        write_column(writer, kind);
        text_format(writer->text, " %s ", operator);
        if (roll(writer, 25) == 0)
            write_column(writer, kind);
        else
            write_literal(writer, kind);
        break;
    }
}

static void write_condition(writer *writer, unsigned depth)
{
    if (depth == 3 || roll(writer, 3) == 0) {
        write_leaf(writer);
        return;
    }
    text_append_c(writer->text, roll(writer, 4) ? "(" : "NOT (");
    write_condition(writer, depth + 1);
    for (uint64_t n = roll(writer, 3), is_and = roll(writer, 2); n > 0; n--) {
        text_append_c(writer->text, is_and ? " AND " : " OR ");
        write_condition(writer, depth + 1);
    }
    text_append_c(writer->text, ")");
}

/* One item of that kind, called c0, c1 ... */
static void write_item(writer *writer, type_kind kind, unsigned number)
{
    static const char *const casts[TYPE_KINDS] = {
        [TYPE_BOOLEAN] = "BOOLEAN",    [TYPE_INTEGER] = "INTEGER", [TYPE_BIGINT] = "BIGINT",
        [TYPE_FLOAT] = "FLOAT",        [TYPE_DOUBLE] = "DOUBLE",   [TYPE_DECIMAL] = "DECIMAL(12,3)",
        [TYPE_STRING] = "VARCHAR",     [TYPE_BINARY] = "BLOB",     [TYPE_DATE] = "DATE",
        [TYPE_TIMESTAMP] = "TIMESTAMP"};
    const bool widens = roll(writer, 6) == 0 && (kind == TYPE_DOUBLE || kind == TYPE_BIGINT);
    const bool is_cast = casts[kind] != NULL && (widens || roll(writer, 6) == 0);
    text_append_c(writer->text, is_cast ? (roll(writer, 4) ? "CAST(" : "TRY_CAST(") : "");
    if (roll(writer, 40) == 0)
        text_append_c(writer->text, kind == TYPE_STRING ? "upper(word)" : "NULL");
    else if (kind != TYPE_ARRAY && kind != TYPE_STRUCT && roll(writer, 8) == 0)
        write_literal(writer, kind);
    else
        write_column(writer, widens ? roll(writer, 2) ? TYPE_INTEGER : TYPE_BIGINT
                             : kind == TYPE_DOUBLE && roll(writer, 9) == 0 ? TYPE_INTEGER
                                                                           : kind);
    if (is_cast)
        text_format(writer->text, " AS %s)", casts[kind]);
    text_format(writer->text, " AS c%u", number);
}

static void write_list(writer *writer, const type_kind *kinds, unsigned n)
{
    static const char *const stars[] = {"*", "* EXCLUDE (small)", "* EXCLUDE (\"Place\", word)",
                                        "* EXCLUDE flag"};
    if (n == 0 && roll(writer, 2) == 0) {
        if (roll(writer, 3) == 0)
            text_format(writer->text, "%s.", writer->alias);
        text_append_c(writer->text, stars[roll(writer, 4)]);
        if (roll(writer, 2))
            text_append_c(writer->text, ", small AS again");
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        text_append_c(writer->text, i > 0 ? ", " : "");
        write_item(writer, kinds[i], i);
    }
    if (n == 0) /* names as they come, and aliases that hide columns */
        text_append_c(writer->text, roll(writer, 2) ? "small, big AS word, word AS big, real"
                                                    : "Ts, PLACE.deep.flag, place.City, day");
}

static void write_select(writer *writer, const type_kind *kinds, unsigned n)
{
    writer->is_others = roll(writer, 3) == 0;
    writer->table = writer->is_others ? "others" : "cells";
    writer->alias = roll(writer, 2) ? "e" : writer->is_others ? "Others" : "x";
    text_append_c(writer->text, roll(writer, 6) ? "SELECT " : "select all ");
    write_list(writer, kinds, n);
    text_format(writer->text, " FROM %s%s%s", writer->table,
                strcmp(writer->alias, "Others") == 0 ? "" : " AS ",
                strcmp(writer->alias, "Others") == 0 ? "" : writer->alias);
    if (roll(writer, 3) > 0) {
        text_append_c(writer->text, " WHERE ");
        write_condition(writer, 0);
    }
}

static void write_query(text_buffer *text, uint64_t *dice)
{
    static const type_kind shared[] = {TYPE_BOOLEAN,   TYPE_INTEGER, TYPE_BIGINT,
                                       TYPE_DOUBLE,    TYPE_STRING,  TYPE_DATE,
                                       TYPE_TIMESTAMP, TYPE_ARRAY,   TYPE_STRUCT};
    writer writer = {.text = text, .dice = dice};
    type_kind kinds[5];
    const uint64_t n_selects = random_draw(dice, 2) ? 1 : 1 + random_draw(dice, 4);
    const unsigned n =
        n_selects > 1 || random_draw(dice, 3) ? 1 + (unsigned)random_draw(dice, 5) : 0;
    for (unsigned i = 0; i < n; i++)
        kinds[i] = PICK(shared);
    for (uint64_t i = 0; i < n_selects; i++) {
        text_append_c(text, i > 0 ? " UNION ALL " : "");
        write_select(&writer, kinds, n);
    }
}

static unsigned n_opened, n_plain, n_refused;

static void check_random(uint64_t seed)
{
    uint64_t dice = random_begin(seed);
    fixture here;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    write_query(&text, &dice);
    the_query = text.bytes;
    const bool is_stream =
        strstr(text.bytes, "others") != NULL && strstr(text.bytes, "cells") != NULL;
    if (fixture_open(&here, is_stream ? "cells* others*" : "cells others", text.bytes) ==
        FRESHET_OK) {
        n_opened++;
        n_plain += source_is_plain(here.source);
        if (source_is_plain(here.source))
            check_both_ways(&here, &dice);
    } else {
        n_refused++;
        if (getenv("FRESHET_SEED") != NULL)
            fprintf(stderr, "refused: %s\n", text.bytes);
    }
    fixture_close(&here);
    text_release(&text);
}

static void test_random_queries(void **state)
{
    (void)state;
    random_seeds(check_random, 400, "FRESHET_PLAIN_CASES");
    print_message("%u queries, %u plain; %u refused\n", n_opened, n_plain, n_refused);
    if (getenv("FRESHET_SEED") != NULL)
        return;
    assert_true(n_plain > n_opened / 2); /* else the test tests nothing */
    assert_true(n_plain < n_opened);
    assert_true(n_refused < n_opened);
}

/* ---- what is plain ---- */

static void test_what_is_plain(void **state)
{
    static const struct {
        const char *query;
        bool is_plain;
    } cases[] = {
        {"select small, word from cells", true},
        {"select * from cells", true},
        {"FROM cells", true},
        {"select e.* exclude (tags) from cells e where not flag", true},
        {"select place.deep.ts as t, e.place.n from cells e", true},
        {"select small::bigint as s, big::double as b, thin::double as t, word::varchar as w from "
         "cells",
         true},
        {"select money::decimal(12,3) as m from cells", true},
        {"select word from cells where day >= '2024-01-01' and ts < DATE '2024-02-01'", true},
        {"select word from cells where real > 2.5 or real in (1, 2, 3.75)", true},
        {"select small as n from cells union all select big from others where big <> 4", true},
        {"select big AS word from cells where word = 'a'", true}, /* the column, not the alias */
        {"select 1 as one, 'web' as site, true as t, date '2024-01-01' as d, null as no, 1e3 as k, "
         "timestamp '2024-01-01' as ts, 3000000000 as big, 'a longer text of a site' as more from "
         "cells",
         true},
        {"select big, 'web' as site from cells union all select 7, 'app' from others", true},
        /* not: */
        {"select small + 1 as n from cells", false},
        {"select small, 1.5 as more from cells", false},
        {"select big::integer as b from cells", false},
        {"select money::decimal(12,2) as m from cells", false},
        {"select ts::date as d, day::timestamp as t from cells", false},
        {"select word::text || 'x' as w from cells", false},
        {"select cells.cells as c from cells", false}, /* a table and a column of one name */
        {"select cells.big as b from cells", false},
        {"select e from cells e", false},
        {"select x.a from (select word as a from cells) x", false},
        {"with d as (select word from cells) select word from d", false},
        {"select a from cells as e(a)", false},
        {"select word from cells where word = 'a' collate nocase", false},
        {"select word from cells where word like 'a%'", false},
        {"select word from cells where small = 2.5", false},
        {"select word from cells where small", false},
        {"select word from cells where word = 5::varchar", false},
        {"select word from cells where thin = 2.5", false},
        {"select word from cells where money > 2", false},
        {"select word from cells where big = small", false},
        {"select word from cells where true", false},
        {"select columns('w.*') from cells", false},
        {"select * replace (small + 1 as small) from cells", false},
        {"select word as w from cells where w = 'a'", false}, /* an alias */
        {"select word from cells union select word from others", false},
        {"select distinct word from cells", false},
        {"select word from cells order by word", false},
        {"select word from cells limit 3", false},
        {"select cells.word from cells join others on cells.big = others.big", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t dice = random_begin(i + 1);
        fixture here;
        the_query = cases[i].query;
        fixture_open_well(&here, "cells others", cases[i].query);
        if (source_is_plain(here.source) != cases[i].is_plain)
            fail_msg("%s", cases[i].query);
        if (cases[i].is_plain)
            check_both_ways(&here, &dice);
        fixture_close(&here);
    }
}

/* Columns are the batch's own where all rows pass; two of one do not grow into each other. */
static void test_columns_are_shared(void **state)
{
    (void)state;
    uint64_t dice = random_begin(1);
    fixture here;
    batch out, *batches[FIXTURE_READERS_MAX] = {NULL};
    fixture_open_well(&here, "cells*", "select big, big as again, word from cells");
    batches[0] = fill_batch(&here, 0, 40, &dice);
    must(source_run(here.source, here.arena, batches, &out, NULL, &here.err), &here.err);
    assert_ptr_equal(out.columns[0].data, batches[0]->columns[2].data);
    assert_ptr_equal(out.columns[1].data, out.columns[0].data);
    for (uint32_t i = 0; i < 2; i++)
        must(column_append(here.arena, &out.columns[i], 40, &out.columns[i], NULL, 40, &here.err),
             &here.err);
    assert_ptr_not_equal(out.columns[1].data, out.columns[0].data);
    fixture_close(&here);
}

/* Rows with numbers of their own are the engine's. */
static void test_numbered_rows(void **state)
{
    (void)state;
    uint64_t dice = random_begin(1);
    fixture here;
    batch out, *batches[FIXTURE_READERS_MAX] = {NULL};
    fixture_open_well(&here, "cells*", "select big from cells");
    batches[0] = fill_batch(&here, 0, 3, &dice);
    batches[0]->rows = (uint64_t[]){ROW_OF(0, 0), ROW_OF(0, 2), ROW_OF(0, 2)};
    must(source_run(here.source, here.arena, batches, &out, NULL, &here.err), &here.err);
    assert_int_equal(out.rows[1], ROW_OF(0, 2));
    assert_ptr_not_equal(out.columns[0].data, batches[0]->columns[2].data);
    fixture_close(&here);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_plain),
        cmocka_unit_test(test_columns_are_shared),
        cmocka_unit_test(test_numbered_rows),
        cmocka_unit_test(test_random_queries),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
