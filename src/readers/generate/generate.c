/* generate.c - see generate.h. The place in the one partition is n, of the next row. Its name has a
 * hash of all that rows depend on, so that places among other rows are not taken for places among
 * these. */
#include "readers/generate/generate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/number.h"
#include "base/os.h"
#include "base/timestamp.h"
#include "formats/cell.h"
#include "readers/polling.h"

#define PARTITION_LABEL "rows"
#define ROWS_FIRST 64u
#define KEYS_MAX 1000000000 /* "k999999999" fits into a cell without memory of its own */
#define STEP_WITHOUT_RATE_US 1000
#define BEGIN_ANEW "or begin anew after `freshet state reset`, or name another folder by --state"
#define IDLE_LEAST_US 10000 /* between polls, however high the rate */

enum { OF_KEY = 1000001, OF_LATE }; /* what a number is drawn for, where it is no column's */

typedef struct generate_reader {
    struct freshet_reader base;
    int64_t key_column;
    char at[232]; /* of the schema in the declaration, for errors */
    int64_t start_us;
    int64_t end;       /* the row before which they end */
    int64_t began;     /* the first of this run */
    int64_t opened_us; /* when it came */
} generate_reader;

static const option options_table[] = {
    {OPTION("schema", SCHEMA, generate_options, schema), .required = true,
     .doc =
         "The columns. By its type a column holds: bigint the number of the row, from 0; timestamp "
         "the "
         "event time, date its day; integer, float, double and decimal numbers below 1000; string "
         "one of 100 words; boolean and binary what comes. No arrays or structs: make them in the "
         "query.",
     .example = "{user: string, ts: timestamp, amount: double}"},
    {OPTION("seed", INTEGER, generate_options, seed), .standard = "1",
     .doc = "Another seed gives other rows, the same one the same."},
    {OPTION("rows", INTEGER, generate_options, rows), .standard = "0",
     .maximum = INT64_C(1000000000000),
     .doc = "How many there are; 0 is no end, which a stream may have. Of a "
            "stream with a state they may become more, but no fewer than have come."},
    {OPTION("rate", INTEGER, generate_options, rate), .standard = "0", .maximum = 1000000,
     .doc = "Streams: how many rows come in a second. 0, and in batches: as fast as can be."},
    {OPTION("key", TEXT, generate_options, key),
     .doc = "The column that holds keys, an integer, bigint or string (`k0`, `k1` ...). By default "
            "the first column.",
     .example = "user"},
    {OPTION("keys", INTEGER, generate_options, keys), .standard = "1000", .minimum = 1,
     .maximum = KEYS_MAX, .doc = "How many keys there are."},
    {OPTION("start", TEXT, generate_options, start), .standard = "2024-01-01 00:00:00",
     .doc = "The event time of the first row. The clock has no say in event times."},
    {OPTION("step", DURATION, generate_options, step_us), .minimum = 1,
     .maximum = INT64_C(86400) * 1000000,
     .doc = "Event time from row to row. By default as `rate` says, or 1 ms.",
     .example = "1 second"},
    {OPTION("late", INTEGER, generate_options, late_percent), .standard = "0", .maximum = 100,
     .doc = "How many of 100 rows come late: their event time lies before its place by up to "
            "`lateness`."},
    {OPTION("lateness", DURATION, generate_options, lateness_us), .standard = "10 seconds",
     .minimum = 1, .maximum = INT64_C(365) * 86400 * 1000000,
     .doc = "How late a late row is at most."},
    {0},
};

/* Event time goes on by `us` in `rows` rows. */
typedef struct generate_pace {
    int64_t us, rows;
} generate_pace;

static generate_pace pace_of(const generate_options *options)
{
    return options->step_us > 0 ? (generate_pace){options->step_us, 1}
           : options->rate > 0  ? (generate_pace){1000000, options->rate}
                                : (generate_pace){STEP_WITHOUT_RATE_US, 1};
}

/* How many rows at least have times that are timestamps. */
static int64_t rows_most(const generate_options *options, int64_t start_us)
{
    const generate_pace pace = pace_of(options);

    return (INT64_MAX - (start_us > 0 ? start_us : 0)) / (pace.us / pace.rows + 1);
}

/* -1: there is none of that name. */
static int64_t key_column_of(const generate_options *options)
{
    return options->key.value == NULL ? 0 : schema_find(&options->schema.value, options->key.value);
}

static void generate_check(void *checked, const place *at, struct problems *problems)
{
    const generate_options *options = checked;
    const schema *schema = &options->schema.value;
    const int64_t key = key_column_of(options);
    int64_t start_us = 0;

    for (uint32_t i = 0; i < schema->n_fields; i++)
        if (type_cell_size(schema->fields[i].type) == 0 ||
            schema->fields[i].type->kind == TYPE_ARRAY)
            problem_add(problems, &options->schema.places[i],
                        "the column \"%s\" cannot be generated, since it is an array or a struct: "
                        "make it in the query",
                        schema->fields[i].name);
    if (options->start.value != NULL &&
        (!timestamp_parse(options->start.value, strlen(options->start.value), &start_us) ||
         start_us < INT64_MIN + options->lateness_us))
        problem_add(problems, &options->start.at,
                    "\"start\" cannot be \"%.60s\": it must be a time such as 2024-01-01 00:00:00",
                    options->start.value);
    if (options->rows > rows_most(options, start_us))
        problem_add(problems, at,
                    "the last row's time is beyond all timestamps: lessen rows or step");
    if (schema->n_fields == 0)
        return; /* that is told */
    const type_kind kind = key < 0 ? TYPE_STRING : schema->fields[key].type->kind;
    if (key < 0)
        problem_add(problems, &options->key.at,
                    "\"key\" is \"%.60s\", which is no column of schema", options->key.value);
    else if (options->key.value != NULL && kind != TYPE_INTEGER && kind != TYPE_BIGINT &&
             kind != TYPE_STRING)
        problem_add(problems, &options->key.at,
                    "\"key\" is \"%.60s\", whose type must be integer, bigint or string",
                    options->key.value);
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* A number below `limit` for the row and what it is for (splitmix64, twice). */
static int64_t generate_draw(const generate_reader *reader, int64_t n, uint64_t what, int64_t limit)
{
    const generate_options *options = reader->base.options;
    uint64_t x = (uint64_t)options->seed * 0x9E3779B97F4A7C15u + what;

    for (int i = 0; i < 2; i++) {
        x += ((uint64_t)n + 1) * 0x9E3779B97F4A7C15u;
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
        x = (x ^ x >> 27) * 0x94D049BB133111EBu;
        x ^= x >> 31;
    }
    return (int64_t)(x % (uint64_t)limit);
}

static int64_t event_time(const generate_reader *reader, int64_t n)
{
    const generate_options *options = reader->base.options;
    const generate_pace pace = pace_of(options);
    int64_t time_us =
        reader->start_us + n / pace.rows * pace.us + n % pace.rows * pace.us / pace.rows;

    if (generate_draw(reader, n, OF_LATE, 100) < options->late_percent)
        time_us -= 1 + generate_draw(reader, n, OF_LATE + 1, options->lateness_us);
    return time_us;
}

static int64_t generate_day(int64_t time_us)
{
    return time_us / INT64_C(86400000000) - (time_us % INT64_C(86400000000) < 0);
}

/* Hundredths in a decimal's own unit, cut to its width. */
static int128 generate_decimal(int64_t cents, const type *type)
{
    const int fraction = type->scale < 2 ? type->scale : 2;
    const int128 number = cents / number_power_of_ten(2 - fraction) %
                          number_power_of_ten(type->width - type->scale + fraction);

    return number * number_power_of_ten(type->scale - fraction);
}

static void put_numbered(column *column, uint32_t row, const char *prefix, int64_t number)
{
    char text[TEXT_INLINE_MAX + 1];
    int length = snprintf(text, sizeof text, "%s%lld", prefix, (long long)number);

    cell_put_text(column, row, text, (size_t)length);
}

static void generate_cell(const generate_reader *reader, column *column, uint32_t i, uint32_t row,
                          int64_t n)
{
    const generate_options *options = reader->base.options;
    const bool is_key = i == reader->key_column;
    const int64_t key = is_key ? generate_draw(reader, n, OF_KEY, options->keys) : 0;
    const int64_t cents = generate_draw(reader, n, i, 100000);

    switch (column->type->kind) {
    case TYPE_BOOLEAN: ((uint8_t *)column->data)[row] = cents % 2 == 1; break;
    case TYPE_INTEGER: cell_put_whole(column, row, is_key ? key : cents / 100); break;
    case TYPE_BIGINT: cell_put_whole(column, row, is_key ? key : n); break;
    case TYPE_FLOAT: ((float *)column->data)[row] = (float)cents / 100; break;
    case TYPE_DOUBLE: ((double *)column->data)[row] = (double)cents / 100; break;
    case TYPE_DECIMAL: ((int128 *)column->data)[row] = generate_decimal(cents, column->type); break;
    case TYPE_STRING:
        put_numbered(column, row, is_key ? "k" : "word", is_key ? key : cents % 100);
        break;
    case TYPE_BINARY: put_numbered(column, row, "", cents); break;
    case TYPE_TIMESTAMP: cell_put_whole(column, row, event_time(reader, n)); break;
    case TYPE_DATE: cell_put_whole(column, row, generate_day(event_time(reader, n))); break;
    default: break; /* checked */
    }
    cell_set_valid(column, row);
}

/* ---- the reader ------------------------------------------------------------------------------ */

static freshet_code refuse_endless(const generate_reader *reader, const char *what,
                                   freshet_error *err)
{
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                     "%s must end: say by \"rows\" how many there are", what);
}

/* Names the partition; NULL where memory is out. */
static const char *generate_name(const generate_reader *reader)
{
    const generate_options *options = reader->base.options;
    const schema *schema = &options->schema.value;
    const generate_pace pace = pace_of(options);
    arena *arena = reader->base.arena;
    const type *row = type_struct(arena, schema->fields, schema->n_fields);
    const char *columns = row == NULL ? NULL : type_name(arena, row);
    const int64_t numbers[] = {
        reader->key_column, options->keys,        options->seed,        reader->start_us, pace.us,
        pace.rows,          options->lateness_us, options->late_percent};

    uint64_t hash = hash_bytes(numbers, sizeof numbers, 0);

    if (columns == NULL)
        return NULL;
    return arena_format(arena, "rows-%016" PRIx64, hash_bytes(columns, strlen(columns), hash));
}

static freshet_code generate_describe(freshet_reader *base, freshet_error *err)
{
    generate_reader *reader = (generate_reader *)base;
    const generate_options *options = base->options;

    place_text(&options->schema.at, reader->at, sizeof reader->at);
    base->schema = options->schema.value;
    return options->rows > 0 || base->block->stream ? FRESHET_OK
                                                    : refuse_endless(reader, "a batch", err);
}

/* Goes on at a place that was given before, if any. */
static freshet_code generate_restore(generate_reader *reader, const reader_positions *from,
                                     freshet_error *err)
{
    reader_position *only = &reader->base.only;
    const char *name = generate_name(reader);

    if (name == NULL)
        return error_memory(err, "generating rows");
    *only = (reader_position){.name = name, .label = PARTITION_LABEL};
    if (from == NULL || from->n == 0)
        return FRESHET_OK;
    only->offset = from->items[0].offset;
    if (strcmp(from->items[0].name, name) != 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                         "the state is of other rows than these, which depend on schema, seed, "
                         "key, keys, start, step or rate, late and lateness; put these options "
                         "back, " BEGIN_ANEW);
    if (only->offset > reader->end)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, reader->at,
                         "the state has come to row %" PRId64 ", which is behind the last one of "
                         "rows: %" PRId64 "; say rows: %" PRId64 " or more, " BEGIN_ANEW,
                         only->offset, reader->end, only->offset);
    return FRESHET_OK;
}

static freshet_code generate_open(freshet_reader *base, const reader_positions *from,
                                  freshet_error *err)
{
    generate_reader *reader = (generate_reader *)base;
    const generate_options *options = base->options;
    const int64_t apart_us = options->rate > 0 ? 1000000 / options->rate : 0;
    freshet_code code;

    if (options->rows == 0 && base->mode == READ_ALL)
        return refuse_endless(reader, "a stream that runs once", err);
    reader->key_column = key_column_of(options);
    timestamp_parse(options->start.value, strlen(options->start.value), &reader->start_us);
    reader->end = options->rows > 0 ? options->rows : rows_most(options, reader->start_us);
    code = generate_restore(reader, from, err);
    reader->began = base->only.offset;
    reader->opened_us = os.monotonic_us();
    base->idle_us = apart_us > IDLE_LEAST_US ? apart_us : IDLE_LEAST_US;
    return code;
}

/* The row before which those end that are due by now. */
static int64_t rows_due(const generate_reader *reader)
{
    const generate_options *options = reader->base.options;

    if (reader->base.mode == READ_ALL || options->rate == 0)
        return reader->end;
    int64_t due = reader->began + (int64_t)((double)(os.monotonic_us() - reader->opened_us) / 1e6 *
                                            (double)options->rate);
    return due < reader->end ? due : reader->end;
}

static freshet_code generate_poll(freshet_reader *base, batch *into, uint32_t max_rows,
                                  size_t max_bytes, rejects *rejects, bool *more,
                                  freshet_error *err)
{
    generate_reader *reader = (generate_reader *)base;
    polling polling =
        polling_begin(base, into, max_rows, max_bytes, rejects, "generating rows", err);
    const int64_t due = rows_due(reader);

    for (; base->only.offset < due && polling_left(&polling) > 0; base->only.offset++) {
        freshet_code code = polling_reserve(&polling, ROWS_FIRST);
        if (code != FRESHET_OK)
            return code;
        for (uint32_t i = 0; i < base->schema.n_fields; i++)
            if (base->used == NULL || base->used[i])
                generate_cell(reader, &into->columns[i], i, into->n_rows, base->only.offset);
        into->origins[into->n_rows++] = (origin){.offset = base->only.offset, .length = 1};
        polling.bytes += POLLING_ROW_BYTES;
    }
    *more = base->only.offset < due;
    base->moved = base->moved || polling_has_given(&polling);
    freshet_code code = polling_end(&polling);
    return code == FRESHET_OK && base->mode == READ_ALL && base->only.offset >= reader->end
               ? FRESHET_END
               : code;
}

static void generate_close(freshet_reader *base)
{
    (void)base; /* all that it has is its own struct */
}

const reader_ops generate_reader_ops = {
    .block = {.name = "generate",
              .title = "Reader: generate",
              .doc =
                  "Rows from a seed, for demos, tests and benchmarks: the same ones in each run, "
                  "also after a restart.",
              .options = options_table,
              .size = sizeof(generate_options),
              .check = generate_check},
    .size = sizeof(generate_reader),
    .describe = generate_describe,
    .open = generate_open,
    .poll = generate_poll,
    .positions = polling_only_positions,
    .partition_label = polling_only_label,
    .close = generate_close,
};
