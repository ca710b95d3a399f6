/* release */
/* windows_test.c - random declarations over random streams, against DuckDB's window functions.
 *
 * Each pipeline is a feature set with random windows, functions and filters, and a random stream of
 * rows: ties in one second, rows that come late, some too late, nulls, NaN, infinities, bursts, few
 * rows or thousands a key. It is computed three times:
 *
 *   batch      feature_set_run over random pieces, then feature_set_finish
 *   stream     feature_set_run over other random pieces, rows that are too late refused
 *   DuckDB     f(x) FILTER (...) OVER (PARTITION BY id ORDER BY second RANGE/ROWS BETWEEN ...)
 *
 * By one, two or five workers, as chance has it. Every row of the batch must be DuckDB's. Of the
 * stream, the newest row of each key as it was output last must be that of DuckDB over the rows
 * that were taken, and its write timestamps must have grown. Integers, counts, minima, maxima and
 * distinct counts are equal; doubles within 1e-12, relative to what was added up.
 *
 *   windows_test [N [SEED]]     N pipelines (PROPERTY_PIPELINES, or 1000), the first with that seed
 *
 * It says each few seconds how far it is.
 *
 * A pipeline that fails is made smaller, rows and features, as long as it fails, and printed with
 * its seed; `windows_test 1 SEED` runs it again.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/crew.h"
#include "base/text.h"
#include "declaration/registry_testing.h"
#include "features/feature_set.h"
#include "functions/functions.h"

#define PIPELINES 1000u
#define ROWS_MAX 6000u
#define FEATURES_MAX 4u
#define FUNCTIONS_MAX 4u
#define WINDOWS_MAX 3u
#define OUTPUTS_MAX (FEATURES_MAX * FUNCTIONS_MAX * WINDOWS_MAX)
#define KEYS_MAX 400u
#define LANES 3u
#define DAY_US INT64_C(86400000000)
#define START_US (INT64_C(19000) * DAY_US)
#define SHRINK_TRIES 400u
#define CREWS 3u
#define SAY_EVERY_S 5

/* ---- chance ---------------------------------------------------------------------------------- */

typedef struct chance {
    uint64_t state;
} chance;

static uint64_t draw(chance *chance)
{
    uint64_t z = (chance->state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

static uint32_t below(chance *chance, uint32_t n)
{
    return (uint32_t)(draw(chance) % n);
}

static bool one_in(chance *chance, uint32_t n)
{
    return below(chance, n) == 0;
}

/* ---- what is computed ------------------------------------------------------------------------ */

typedef enum closeness {
    EQUAL,   /* to the bit, but for the sign of zero */
    SUMMED,  /* within 1e-12 of the sum of the magnitudes */
    SQUARED, /* ... of their squares; null where DuckDB has a zero that is not one */
    SET      /* arrays in any order */
} closeness;

/* Which columns a function takes: x double, y integer, d decimal(12,3), s string. */
typedef struct function {
    const char *ours;
    const char *column_name; /* its word in the output's name */
    const char *theirs;      /* DuckDB's; %s is the column, %f the filter, %w the window */
    const char *columns;
    closeness closeness;
} function;

#define F "FILTER (%f) OVER (%w)"
/* DuckDB's exact sums know no NaN and no infinity. */
#define ODD "CASE WHEN count(CASE WHEN NOT isfinite(%s) THEN 1 END) " F " > 0 THEN "
static const function functions[] = {
    {"count", "count", "count(%s) " F, "xyds", EQUAL},
    {"sum", "sum", ODD "sum(%s) " F " ELSE fsum(%s) " F " END", "x", SUMMED},
    {"sum", "sum", "sum(%s) " F, "yd", EQUAL},
    {"avg", "avg", ODD "avg(%s) " F " ELSE favg(%s) " F " END", "x", SUMMED},
    {"avg", "avg", "favg(%s) " F, "y", SUMMED},
    {"min", "min", "min(%s) " F, "xyds", EQUAL},
    {"max", "max", "max(%s) " F, "xyds", EQUAL},
    {"range", "range", "(max(%s) " F " - min(%s) " F ")", "xd", EQUAL},
    {"stddev_pop", "stddev_pop", "sqrt(var_pop(%v) " F ")", "xy", SQUARED},
    {"var_pop", "var_pop", "var_pop(%v) " F, "xy", SQUARED},
    {"var_samp", "var_samp", "var_samp(%v) " F, "xy", SQUARED},
    {"variance", "variance", "var_samp(%v) " F, "y", SQUARED},
    {"first", "first", "arg_min_null(%c, sec * 100000 + n) OVER (%w)", "xys", EQUAL},
    {"last", "last", "arg_max_null(%c, sec * 100000 + n) OVER (%w)", "xys", EQUAL},
    {"first_nonnull", "first_nonnull", "arg_min(%c, sec * 100000 + n) OVER (%w)", "xys", EQUAL},
    {"last_nonnull", "last_nonnull", "arg_max(%c, sec * 100000 + n) OVER (%w)", "xys", EQUAL},
    {"count_distinct", "count_distinct", "count(DISTINCT %z) " F, "xyds", EQUAL},
    {"collect_list", "collect_list",
     "coalesce(list(%s ORDER BY sec, n) FILTER ((%f) AND %s IS NOT NULL) OVER (%w), [])", "ys",
     EQUAL},
    {"collect_set", "collect_set",
     "coalesce(list(DISTINCT %s) FILTER ((%f) AND %s IS NOT NULL) OVER (%w), [])", "ys", SET},
    {"median", "median", "quantile_cont(%s::DOUBLE, 0.5) " F, "y", SUMMED},
    {"percentile(0.9)", "percentile_90", "quantile_cont(%s::DOUBLE, 0.9) " F, "y", SUMMED},
    {"bit_and", "bit_and", "bit_and(%s) " F, "y", EQUAL},
};
#define N_FUNCTIONS (sizeof functions / sizeof *functions)

static const char *const filters[] = {"y > 0", "x < 10 or s = 'a'", "s is not null", "y % 3 = 1"};
static const char *const spans[] = {"1 second",  "2 seconds", "7 seconds", "1 minute",
                                    "5 minutes", "1 hour",    "3 hours",   "1 day"};
static const int64_t span_seconds[] = {1, 2, 7, 60, 300, 3600, 10800, 86400};
static const uint32_t counts[] = {1, 2, 3, 5, 10, 64, 65, 200, 1000};

typedef struct feature_spec {
    char column;
    int filter; /* of `filters`, or -1 */
    bool by_rows;
    const function *functions[FUNCTIONS_MAX];
    uint32_t n_functions;
    uint32_t windows[WINDOWS_MAX]; /* of spans, or of counts */
    uint32_t n_windows;
} feature_spec;

typedef struct row_spec {
    uint32_t key;
    int64_t time_us;
    uint8_t lane;
    bool x_null, y_null, s_null;
    double x;
    int32_t y;
    uint8_t s;
} row_spec;

typedef struct pipeline_spec {
    uint64_t seed;
    uint32_t lateness_s;
    feature_spec features[FEATURES_MAX];
    uint32_t n_features;
    bool with_after; /* a feature of the windows' outputs, and a plain column */
    bool corrects; /* every row that changes is output again; the last column is the row's number */
    row_spec *rows;
    uint32_t n_rows;
    uint64_t pieces; /* seed of how the rows are cut */
    uint32_t crew;   /* of the world's: 1, 2 or 5 workers */
} pipeline_spec;

/* ---- making a pipeline ----------------------------------------------------------------------- */

static bool feature_has(const feature_spec *feature, const function *function)
{
    for (uint32_t i = 0; i < feature->n_functions; i++)
        if (strcmp(feature->functions[i]->ours, function->ours) == 0)
            return true;
    return false;
}

static void make_feature(chance *chance, feature_spec *feature)
{
    *feature = (feature_spec){.column = "xxyyds"[below(chance, 6)],
                              .filter = one_in(chance, 2) ? -1 : (int)below(chance, 4),
                              .by_rows = one_in(chance, 2)};
    const uint32_t wanted = 1 + below(chance, FUNCTIONS_MAX);
    for (uint32_t tries = 0; feature->n_functions < wanted && tries < 200; tries++) {
        const function *function = &functions[below(chance, N_FUNCTIONS)];
        if (strchr(function->columns, feature->column) != NULL && !feature_has(feature, function))
            feature->functions[feature->n_functions++] = function;
    }
    feature->n_windows = 1 + below(chance, WINDOWS_MAX);
    for (uint32_t i = 0; i < feature->n_windows; i++) {
        bool again;
        do {
            feature->windows[i] = below(chance, feature->by_rows ? 9 : 8);
            again = false;
            for (uint32_t k = 0; k < i; k++)
                again = again || feature->windows[k] == feature->windows[i];
        } while (again);
    }
}

static double make_double(chance *chance, uint32_t style)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0.0, -0.0, 1e300, 1e-300};
    if (style == 1 && one_in(chance, 12))
        return odd[below(chance, 3 + (one_in(chance, 3) ? 2 : 0))];
    if (style == 2)
        return (double)below(chance, 4);
    return ((double)below(chance, 2000001) - 1000000) / 1000.0;
}

/* Puts row i where a window of an earlier row begins. */
static void lie_on_edge(chance *chance, pipeline_spec *spec, uint32_t i)
{
    const int64_t span_s = span_seconds[below(chance, 8)];
    const row_spec *before = &spec->rows[i - 1 - below(chance, i < 20 ? i : 20)];
    spec->rows[i].key = before->key;
    if (span_s <= spec->lateness_s)
        spec->rows[i].time_us = before->time_us - span_s * 1000000;
}

static void make_rows(chance *chance, pipeline_spec *spec)
{
    static const uint32_t lengths[] = {3, 10, 40, 100, 300, 1000, 5000};
    uint32_t length = below(chance, 100);
    spec->n_rows = 1 + below(chance, lengths[length < 92 ? length % 5 : length < 98 ? 5 : 6]);
    const uint32_t n_keys = one_in(chance, 4) ? 1 : 1 + below(chance, 1 + spec->n_rows / 4);
    const uint32_t step_us =
        (uint32_t[]){0, 200000, 1500000, 40000000, 900000000}[below(chance, 5)];
    const uint32_t late_one_in = (uint32_t[]){0, 4, 20}[below(chance, 3)];
    const uint32_t style = below(chance, 3), n_lanes = one_in(chance, 3) ? LANES : 1;
    int64_t now_us = START_US + below(chance, 3000000);
    for (uint32_t i = 0; i < spec->n_rows; i++) {
        row_spec *row = &spec->rows[i];
        now_us += step_us == 0 ? 0 : below(chance, 2 * step_us);
        if (one_in(chance, 50))
            now_us += below(chance, 2000000000);
        *row =
            (row_spec){.key = below(chance, n_keys),
                       .time_us = now_us,
                       .lane = (uint8_t)below(chance, n_lanes),
                       .x = make_double(chance, style),
                       .y = (int32_t)below(chance, style == 2 ? 5 : 2001) - (style == 2 ? 2 : 1000),
                       .s = (uint8_t)below(chance, 5),
                       .x_null = one_in(chance, 8),
                       .y_null = one_in(chance, 8),
                       .s_null = one_in(chance, 8)};
        if (one_in(chance, 40))
            row->y = one_in(chance, 2) ? INT32_MAX : INT32_MIN;
        if (late_one_in > 0 && i > 0 && one_in(chance, 6))
            lie_on_edge(chance, spec, i);
        else if (late_one_in > 0 && one_in(chance, late_one_in))
            row->time_us -= below(chance, (spec->lateness_s + 5) * (one_in(chance, 8) ? 2u : 1u)) *
                            INT64_C(1000000);
    }
}

static void make_pipeline(uint64_t seed, pipeline_spec *spec)
{
    chance chance = {seed};
    row_spec *rows = spec->rows;
    *spec = (pipeline_spec){.seed = seed, .rows = rows, .pieces = draw(&chance)};
    spec->lateness_s = (uint32_t[]){0, 10, 600, 7200}[below(&chance, 4)];
    spec->n_features = 1 + below(&chance, FEATURES_MAX - 1);
    for (uint32_t i = 0; i < spec->n_features; i++)
        make_feature(&chance, &spec->features[i]);
    spec->with_after = one_in(&chance, 3);
    make_rows(&chance, spec);
    spec->corrects = one_in(&chance, 3);
    spec->crew = below(&chance, CREWS);
}

/* ---- as a declaration ------------------------------------------------------------------------ */

static void append_window(text_buffer *text, const feature_spec *feature, uint32_t w)
{
    if (feature->by_rows)
        text_format(text, "%u events", counts[feature->windows[w]]);
    else
        text_append_c(text, spans[feature->windows[w]]);
}

static void append_declaration(text_buffer *text, const pipeline_spec *spec, bool stream)
{
    text_format(text,
                "version: 1\npipeline: p\nsource:\n"
                "  readers: [{id: e, file: {path: e.jsonl}%s}]\n  query: select * from e\n"
                "sink: {writers: [{online: {debug: true}}]}\n"
                "feature_set:\n  name: g\n  entity: e\n  keys: [{name: id, type: bigint}]\n"
                "  timestamp: {from: ts, lateness: %u seconds}\n  features:\n",
                stream ? ", stream: true" : "", spec->lateness_s);
    for (uint32_t i = 0; i < spec->n_features; i++) {
        const feature_spec *feature = &spec->features[i];
        text_format(text, "    - name: f%u\n      from: %c\n", i, feature->column);
        if (feature->filter >= 0)
            text_format(text, "      filter: %s\n", filters[feature->filter]);
        text_append_c(text, "      window: {functions: [");
        for (uint32_t k = 0; k < feature->n_functions; k++)
            text_format(text, "%s%s", k == 0 ? "" : ", ", feature->functions[k]->ours);
        text_append_c(text, "], over: [");
        for (uint32_t w = 0; w < feature->n_windows; w++) {
            text_append_c(text, w == 0 ? "" : ", ");
            append_window(text, feature, w);
        }
        text_format(text, "], mode: %s}\n", feature->by_rows ? "row_windows" : "fixed_windows");
    }
    if (spec->with_after)
        text_append_c(text, "    - {name: s, type: string}\n");
    if (spec->corrects)
        text_append_c(text, "    - {name: n, type: bigint}\n");
}

/* The value at place k of `function`'s SQL. */
static void append_reference(text_buffer *text, const feature_spec *feature,
                             const function *function, uint32_t w)
{
    const char *filter = feature->filter < 0 ? "true" : filters[feature->filter];
    for (const char *c = function->theirs; *c != '\0'; c++) {
        if (*c != '%') {
            text_append_char(text, *c);
            continue;
        }
        switch (*++c) {
        case 's': text_append_char(text, feature->column); break;
        case 'v': /* DuckDB refuses infinities in variances */
            text_format(text, "CASE WHEN isfinite(%c::DOUBLE) THEN %c END", feature->column,
                        feature->column);
            break;
        case 'z':
            text_format(text, feature->column == 'x' ? "%c + 0.0" : "%c", feature->column);
            break;
        case 'c': text_format(text, "CASE WHEN %s THEN %c END", filter, feature->column); break;
        case 'f': text_append_c(text, filter); break;
        case 'w':
            if (feature->by_rows)
                text_format(text,
                            "PARTITION BY id ORDER BY sec, n ROWS BETWEEN %u PRECEDING AND CURRENT "
                            "ROW",
                            counts[feature->windows[w]] - 1);
            else
                text_format(text,
                            "PARTITION BY id ORDER BY sec RANGE BETWEEN %" PRId64
                            " PRECEDING AND CURRENT ROW",
                            span_seconds[feature->windows[w]]);
            break;
        default: break;
        }
    }
}

static void append_query(text_buffer *text, const pipeline_spec *spec)
{
    text_append_c(text, "SELECT n");
    for (uint32_t i = 0; i < spec->n_features; i++)
        for (uint32_t k = 0; k < spec->features[i].n_functions; k++)
            for (uint32_t w = 0; w < spec->features[i].n_windows; w++) {
                text_append_c(text, ",\n  ");
                append_reference(text, &spec->features[i], spec->features[i].functions[k], w);
            }
    text_append_c(text, "\nFROM rows ORDER BY n");
}

/* ---- running --------------------------------------------------------------------------------- */

static const uint32_t workers_of[CREWS] = {1, 2, 5};

typedef struct world {
    crew *crews[CREWS];
    sql_engine *engine;
    sql_session *session;
    arena *arena; /* of one pipeline */
    sql_input *input;
    schema rows_schema;
    char wrong[1024]; /* what is wrong with the pipeline; "" */
    uint32_t inputs;
} world;

static bool wrong(world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Notes the first thing that is wrong; false. */
static bool wrong(world *world, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    if (world->wrong[0] == '\0')
        vsnprintf(world->wrong, sizeof world->wrong, format, args);
    va_end(args);
    return false;
}

static const char *const texts[] = {"a", "b", "", "a text that is longer than twelve bytes",
                                    "\xc3\xa9"};

static const field row_fields[] = {
    {"id", NULL}, {"ts", NULL}, {"x", NULL},   {"y", NULL},
    {"d", NULL},  {"s", NULL},  {"sec", NULL}, {"n", NULL},
};
#define N_FIELDS (sizeof row_fields / sizeof *row_fields)

static void make_schema(world *world, arena *arena)
{
    field *fields = arena_alloc(arena, sizeof row_fields);
    memcpy(fields, row_fields, sizeof row_fields);
    static const type_kind kinds[] = {TYPE_BIGINT,  TYPE_TIMESTAMP, TYPE_DOUBLE, TYPE_INTEGER,
                                      TYPE_DECIMAL, TYPE_STRING,    TYPE_BIGINT, TYPE_BIGINT};
    for (size_t i = 0; i < N_FIELDS; i++)
        fields[i].type =
            kinds[i] == TYPE_DECIMAL ? type_decimal(arena, 12, 3) : type_simple(kinds[i]);
    world->rows_schema = (schema){N_FIELDS, fields};
}

static int64_t floor_second(int64_t us)
{
    return us / 1000000 - (us % 1000000 < 0);
}

/* Rows [first, first + n) for which `taken` (NULL: all) is set, as a batch. */
static batch make_batch(world *world, const pipeline_spec *spec, uint32_t first, uint32_t n,
                        const bool *taken)
{
    batch rows;
    freshet_error err;
    if (batch_init(&rows, world->arena, &world->rows_schema, n + 1, &err) != FRESHET_OK)
        abort();
    column *columns = rows.columns;
    for (uint32_t i = first; i < first + n; i++) {
        const row_spec *row = &spec->rows[i];
        uint32_t at = rows.n_rows;
        if (taken != NULL && !taken[i])
            continue;
        ((int64_t *)columns[0].data)[at] = row->key;
        ((int64_t *)columns[1].data)[at] = row->time_us;
        ((double *)columns[2].data)[at] = row->x;
        ((int32_t *)columns[3].data)[at] = row->y;
        ((int128 *)columns[4].data)[at] = (int128)row->y * 7;
        ((cell_text *)columns[5].data)[at] =
            text_of(texts[row->s], (uint32_t)strlen(texts[row->s]));
        ((int64_t *)columns[6].data)[at] = floor_second(row->time_us);
        ((int64_t *)columns[7].data)[at] = i;
        if ((row->x_null && !column_set_null(world->arena, &columns[2], at)) ||
            (row->y_null && (!column_set_null(world->arena, &columns[3], at) ||
                             !column_set_null(world->arena, &columns[4], at))) ||
            (row->s_null && !column_set_null(world->arena, &columns[5], at)))
            abort();
        rows.n_rows++;
    }
    return rows;
}

static void on_problem(void *context, const freshet_error *problem)
{
    wrong(context, "the declaration: %s: %s", problem->at, problem->text);
}

/* A set over the pipeline's declaration; NULL where it is refused. */
static feature_set *open_set(world *world, const pipeline_spec *spec, bool stream,
                             freshet_declaration **declaration)
{
    freshet_error err = {0};
    feature_set *set = NULL;
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    append_declaration(&text, spec, stream);
    const char *kept = arena_copy(world->arena, text.bytes, text.length);
    size_t length = text.length;
    text_release(&text);
    *declaration = NULL;
    if (declaration_read(kept, length, "p.yaml", ".", &fake_registry, on_problem, world,
                         declaration, &err) != FRESHET_OK)
        return NULL;
    problems *problems = problems_open(world->arena);
    const feature_set_options options = {.declaration = *declaration,
                                         .session = world->session,
                                         .input = &world->rows_schema,
                                         .corrects = spec->corrects,
                                         .crew = world->crews[spec->crew],
                                         .first_us = INT64_MIN,
                                         .last_us = INT64_MAX};
    if (feature_set_open(&options, problems, &set, &err) != FRESHET_OK) {
        problems_report(problems, on_problem, world, &err);
        wrong(world, "the feature set: %s", err.text);
    }
    return set;
}

typedef struct refusals {
    world *world;
    uint32_t *rows; /* of the piece */
    uint32_t n;
    bool may;
} refusals;

static freshet_code refuse(void *context, const feature_refusal *refused, freshet_error *err)
{
    refusals *refusals = context;
    (void)err;
    if (!refusals->may)
        wrong(refusals->world, "a row is refused: %s", refused->reason);
    refusals->rows[refusals->n++] = refused->row;
    return FRESHET_OK;
}

static uint32_t next_piece(chance *chance, uint32_t left)
{
    uint32_t n = one_in(chance, 3) ? 1 : 1 + below(chance, one_in(chance, 3) ? 2000 : 50);
    return n < left ? n : left;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static double real_at(const column *column, uint64_t row)
{
    if (column->type->kind == TYPE_DOUBLE)
        return ((const double *)column->data)[row];
    return (double)((const float *)column->data)[row];
}

static bool same_double(double ours, double theirs, double scale)
{
    if (isnan(ours) || isnan(theirs))
        return isnan(ours) && isnan(theirs);
    if (isinf(ours) || isinf(theirs))
        return ours == theirs;
    return fabs(ours - theirs) <= 1e-12 * fmax(scale, fmax(fabs(ours), fabs(theirs)));
}

static void cell_text_of(const column *column, uint64_t row, text_buffer *into)
{
    freshet_error ignored;
    text_reset(into);
    if (!column_is_valid(column, row))
        text_append_c(into, "null");
    else
        column_to_json(column, row, into, &ignored);
}

static int compare_strings(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The elements of a set in an order, as text. */
static void sorted_text_of(arena *arena, const column *column, uint64_t row, text_buffer *into)
{
    const cell_span *span = (const cell_span *)column->data + row;
    char **each = arena_alloc(arena, (span->length + 1) * sizeof *each);
    for (uint64_t i = 0; i < span->length; i++) {
        cell_text_of(&column->children[0], span->offset + i, into);
        each[i] = arena_copy(arena, into->bytes, into->length);
    }
    qsort(each, span->length, sizeof *each, compare_strings);
    text_reset(into);
    text_append_c(into, "[");
    for (uint64_t i = 0; i < span->length; i++)
        text_format(into, "%s,", each[i]);
}

typedef struct cell {
    const column *column;
    uint64_t row;
} cell;

/* 6e5 values of a magnitude of 1e3 at most, or squares of them: what rounding is measured by. */
static double scale_of(const function *function, char column)
{
    double largest = column == 'x' ? 1000 : 2147483648.0;
    return function->closeness == SQUARED ? largest * largest : largest;
}

static bool is_real(const column *column)
{
    return column->type->kind == TYPE_DOUBLE || column->type->kind == TYPE_FLOAT;
}

/* Variances that see a NaN or an infinity are NaN here, and DuckDB's leave it out. */
static bool compare_squared(cell ours, cell theirs, const function *function, char column)
{
    bool valid = column_is_valid(ours.column, ours.row);
    if (valid && isnan(real_at(ours.column, ours.row)))
        return column == 'x';
    if (!valid || !column_is_valid(theirs.column, theirs.row))
        return !valid && !column_is_valid(theirs.column, theirs.row);
    double a = real_at(ours.column, ours.row), b = real_at(theirs.column, theirs.row);
    if (strcmp(function->ours, "stddev_pop") == 0) {
        a *= a;
        b *= b;
    }
    return same_double(a, b, scale_of(function, column));
}

static bool compare_cells(world *world, cell ours, cell theirs, const function *function,
                          char column, text_buffer *a, text_buffer *b)
{
    if (function->closeness == SQUARED)
        return compare_squared(ours, theirs, function, column);
    bool valid = column_is_valid(ours.column, ours.row);
    if (valid != column_is_valid(theirs.column, theirs.row))
        return false;
    if (!valid)
        return true;
    if (is_real(ours.column) && is_real(theirs.column))
        return same_double(real_at(ours.column, ours.row), real_at(theirs.column, theirs.row),
                           function->closeness == EQUAL ? 0 : scale_of(function, column));
    if (function->closeness == SET) {
        sorted_text_of(world->arena, ours.column, ours.row, a);
        sorted_text_of(world->arena, theirs.column, theirs.row, b);
    } else {
        cell_text_of(ours.column, ours.row, a);
        cell_text_of(theirs.column, theirs.row, b);
    }
    const char *left = a->bytes, *right = b->bytes; /* hugeints and decimals are quoted */
    size_t left_length = a->length, right_length = b->length;
    if (function->closeness != SET && left[0] != right[0] && left[0] == '"')
        left++, left_length -= 2;
    else if (function->closeness != SET && left[0] != right[0] && right[0] == '"')
        right++, right_length -= 2;
    return left_length == right_length && memcmp(left, right, left_length) == 0;
}

/* All windows of one row: ours in columns 2 and on of a batch, DuckDB's in 1 and on. */
static bool compare_rows(world *world, const pipeline_spec *spec, const char *where,
                         const batch *ours, uint32_t our_row, const batch *theirs,
                         uint32_t their_row)
{
    text_buffer a, b;
    bool same = true;
    uint32_t output = 0;
    text_init(&a, TEXT_LIMIT_DEFAULT);
    text_init(&b, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < spec->n_features; i++)
        for (uint32_t k = 0; k < spec->features[i].n_functions; k++)
            for (uint32_t w = 0; w < spec->features[i].n_windows; w++, output++) {
                cell left = {&ours->columns[2 + output], our_row};
                cell right = {&theirs->columns[1 + output], their_row};
                const function *function = spec->features[i].functions[k];
                if (!same ||
                    compare_cells(world, left, right, function, spec->features[i].column, &a, &b))
                    continue;
                cell_text_of(left.column, left.row, &a);
                cell_text_of(right.column, right.row, &b);
                same = wrong(world, "%s, row %" PRId64 ", %s: %.200s; DuckDB: %.200s", where,
                             ((const int64_t *)theirs->columns[0].data)[their_row],
                             ours->schema.fields[2 + output].name, a.bytes, b.bytes);
            }
    text_release(&a);
    text_release(&b);
    return same;
}

/* ---- one pipeline ---------------------------------------------------------------------------- */

/* DuckDB's answers for the rows taken. */
static bool ask_duckdb(world *world, const pipeline_spec *spec, const bool *taken,
                       sql_statement **statement, batch *out)
{
    freshet_error err = {0};
    text_buffer text;
    static batch rows; /* seen by the input until it is set again */
    rows = make_batch(world, spec, 0, spec->n_rows, taken);
    sql_input_set(world->input, &rows, 0, rows.n_rows);
    text_init(&text, TEXT_LIMIT_DEFAULT);
    append_query(&text, spec);
    sql_problem problem = {.text = ""};
    freshet_code code = sql_prepare(world->session, text.bytes, statement, &problem, &err);
    if (code == FRESHET_OK)
        code = sql_run(*statement, world->arena, out, &err);
    sql_input_set(world->input, NULL, 0, 0);
    if (code != FRESHET_OK)
        wrong(world, "DuckDB: %s\n%s", err.text, text.bytes);
    text_release(&text);
    return code == FRESHET_OK;
}

static bool run_batch(world *world, const pipeline_spec *spec, feature_set *set,
                      const batch *reference)
{
    freshet_error err = {0};
    chance chance = {spec->pieces};
    refusals refused = {.world = world,
                        .rows = arena_alloc(world->arena, (spec->n_rows + 1) * sizeof(uint32_t))};
    batch out;
    for (uint32_t first = 0, n; first < spec->n_rows; first += n) {
        n = next_piece(&chance, spec->n_rows - first);
        batch in = make_batch(world, spec, first, n, NULL);
        if (feature_set_run(set, world->arena, &in, &out, refuse, &refused, &err) != FRESHET_OK)
            return wrong(world, "batch: %s", err.text);
    }
    uint32_t done = 0;
    freshet_code code;
    while ((code = feature_set_finish(set, world->arena, &out, refuse, &refused, &err)) ==
           FRESHET_OK) {
        for (uint32_t row = 0; row < out.n_rows; row++, done++)
            if (!compare_rows(world, spec, "batch", &out, row, reference, done))
                return false;
    }
    if (code != FRESHET_END)
        return wrong(world, "batch: %s", err.text);
    return done == spec->n_rows ||
           wrong(world, "batch: %u rows are given for %u", done, spec->n_rows);
}

/* The newest row of a key as it was output last. */
typedef struct newest {
    batch batch;
    uint32_t row;
    bool any;
    int64_t write_us;
} newest;

static bool take_online(world *world, newest *keys, const batch *out, uint32_t row)
{
    int64_t key = ((const int64_t *)out->columns[0].data)[row];
    newest *have = &keys[key];
    if (have->any && out->write_us[row] < have->write_us)
        return wrong(world, "stream: the write timestamp of key %" PRId64 " went back", key);
    if (have->any && out->write_us[row] == have->write_us && out->write_us[row] % 1000000 != 999999)
        return wrong(world, "stream: key %" PRId64 " was output twice with one write timestamp",
                     key);
    *have = (newest){*out, row, true, out->write_us[row]};
    return true;
}

/* Each row as it was output last. */
static bool take_version(world *world, newest *versions, const batch *out, uint32_t row)
{
    const column *number = &out->columns[out->schema.n_fields - 1];
    newest *have = &versions[((const int64_t *)number->data)[row]];
    if (have->any == ((out->row_kinds[row] & ROW_NEW) != 0))
        return wrong(world, "stream: a row is corrected before it is there, or is new twice");
    *have = (newest){*out, row, true, out->write_us[row]};
    return true;
}

/* Which rows a stream takes: those not later than lateness allows, by lane. */
static void find_taken(const pipeline_spec *spec, bool *taken)
{
    int64_t newest[LANES] = {INT64_MIN, INT64_MIN, INT64_MIN};
    for (uint32_t i = 0; i < spec->n_rows; i++) {
        const row_spec *row = &spec->rows[i];
        int64_t second = floor_second(row->time_us);
        taken[i] = newest[row->lane] == INT64_MIN || second >= newest[row->lane] - spec->lateness_s;
        if (second > newest[row->lane])
            newest[row->lane] = second;
    }
}

static bool feed_stream(world *world, const pipeline_spec *spec, feature_set *set,
                        const bool *taken, newest *keys, newest *versions)
{
    freshet_error err = {0};
    chance chance = {spec->pieces ^ 1};
    for (uint32_t lane = 0; lane < LANES; lane++)
        if (feature_set_expect(set, lane, false, &err) != FRESHET_OK)
            return wrong(world, "stream: %s", err.text);
    for (uint32_t first = 0, n; first < spec->n_rows; first += n) {
        n = next_piece(&chance, spec->n_rows - first);
        refusals refused = {.world = world,
                            .rows = arena_alloc(world->arena, (n + 1) * sizeof(uint32_t)),
                            .may = true};
        bool *was_refused = arena_zero(world->arena, n + 1, sizeof *was_refused);
        batch in = make_batch(world, spec, first, n, NULL), out;
        in.lanes = arena_alloc(world->arena, (n + 1) * sizeof *in.lanes);
        for (uint32_t i = 0; i < n; i++)
            in.lanes[i] = spec->rows[first + i].lane;
        if (feature_set_run(set, world->arena, &in, &out, refuse, &refused, &err) != FRESHET_OK)
            return wrong(world, "stream: %s", err.text);
        for (uint32_t i = 0; i < refused.n; i++)
            was_refused[refused.rows[i]] = true;
        for (uint32_t i = 0; i < n; i++)
            if (was_refused[i] == taken[first + i])
                return wrong(world, "stream: row %u is %s", first + i,
                             was_refused[i] ? "refused, and should be taken"
                                            : "taken, and should be refused as too late");
        for (uint32_t row = 0; row < out.n_rows; row++)
            if (((out.row_kinds[row] & ROW_ONLINE) && !take_online(world, keys, &out, row)) ||
                (spec->corrects && !take_version(world, versions, &out, row)))
                return false;
    }
    return true;
}

static bool run_stream(world *world, const pipeline_spec *spec, feature_set *set, const bool *taken,
                       const batch *reference)
{
    newest *keys = arena_zero(world->arena, spec->n_rows + KEYS_MAX, sizeof *keys);
    uint32_t *last = arena_alloc(world->arena, (spec->n_rows + KEYS_MAX) * sizeof *last);
    newest *versions = arena_zero(world->arena, spec->n_rows + 1, sizeof *versions);
    if (!feed_stream(world, spec, set, taken, keys, versions))
        return false;
    memset(last, 0xFF, (spec->n_rows + KEYS_MAX) * sizeof *last);
    uint32_t at = 0;
    for (uint32_t i = 0; i < spec->n_rows; i++) {
        if (!taken[i])
            continue;
        uint32_t *before = &last[spec->rows[i].key];
        const int64_t *n = reference->columns[0].data;
        if (spec->corrects && !compare_rows(world, spec, "corrected stream", &versions[i].batch,
                                            versions[i].row, reference, at))
            return false;
        if (*before == UINT32_MAX || spec->rows[i].time_us >= spec->rows[n[*before]].time_us)
            *before = at;
        at++;
    }
    for (uint32_t key = 0; key < spec->n_rows + KEYS_MAX; key++) {
        if ((last[key] != UINT32_MAX) != keys[key].any)
            return wrong(world, "stream: key %u %s", key,
                         keys[key].any ? "is there" : "is not there");
        if (keys[key].any && !compare_rows(world, spec, "stream", &keys[key].batch, keys[key].row,
                                           reference, last[key]))
            return false;
    }
    return true;
}

/* True where all is well; else world->wrong says what is not. */
static bool check_pipeline(world *world, const pipeline_spec *spec)
{
    freshet_declaration *declarations[2] = {NULL, NULL};
    sql_statement *statements[2] = {NULL, NULL};
    batch references[2];
    arena_reset(world->arena);
    world->wrong[0] = '\0';
    bool *taken = arena_alloc(world->arena, spec->n_rows + 1);
    find_taken(spec, taken);
    feature_set *set = open_set(world, spec, false, &declarations[0]);
    bool well = set != NULL && ask_duckdb(world, spec, NULL, &statements[0], &references[0]) &&
                run_batch(world, spec, set, &references[0]);
    feature_set_close(set); /* two sets of one session would have inputs of the same name */
    set = well ? open_set(world, spec, true, &declarations[1]) : NULL;
    well = set != NULL && ask_duckdb(world, spec, taken, &statements[1], &references[1]) &&
           run_stream(world, spec, set, taken, &references[1]);
    feature_set_close(set);
    for (unsigned i = 0; i < 2; i++) {
        freshet_declaration_close(declarations[i]);
        sql_statement_close(statements[i]);
    }
    return well && world->wrong[0] == '\0';
}

/* ---- making it smaller ----------------------------------------------------------------------- */

static bool still_fails(world *world, const pipeline_spec *spec, uint32_t *tries)
{
    (*tries)++;
    return spec->n_rows > 0 && spec->n_features > 0 && !check_pipeline(world, spec);
}

/* Leaves out rows in ever smaller pieces. */
static void shrink_rows(world *world, pipeline_spec *spec, uint32_t *tries)
{
    row_spec *kept = malloc(ROWS_MAX * sizeof *kept);
    for (uint32_t n = spec->n_rows / 2; n > 0; n /= 2)
        for (uint32_t first = 0; first < spec->n_rows && *tries < SHRINK_TRIES;) {
            uint32_t cut = spec->n_rows - first < n ? spec->n_rows - first : n,
                     before = spec->n_rows;
            memcpy(kept, spec->rows, before * sizeof *kept);
            memmove(spec->rows + first, spec->rows + first + cut,
                    (before - first - cut) * sizeof *kept);
            spec->n_rows -= cut;
            if (still_fails(world, spec, tries))
                continue;
            memcpy(spec->rows, kept, before * sizeof *kept);
            spec->n_rows = before;
            first += n;
        }
    free(kept);
}

static void shrink_features(world *world, pipeline_spec *spec, uint32_t *tries)
{
    for (uint32_t i = spec->n_features; i-- > 0;) {
        pipeline_spec smaller = *spec;
        memmove(smaller.features + i, smaller.features + i + 1,
                (smaller.n_features - i - 1) * sizeof *smaller.features);
        smaller.n_features--;
        if (still_fails(world, &smaller, tries))
            *spec = smaller;
    }
    for (uint32_t i = 0; i < spec->n_features; i++) {
        for (uint32_t k = spec->features[i].n_functions;
             k-- > 0 && spec->features[i].n_functions > 1;) {
            pipeline_spec smaller = *spec;
            feature_spec *feature = &smaller.features[i];
            feature->functions[k] = feature->functions[--feature->n_functions];
            if (still_fails(world, &smaller, tries))
                *spec = smaller;
        }
        for (uint32_t k = spec->features[i].n_windows;
             k-- > 0 && spec->features[i].n_windows > 1;) {
            pipeline_spec smaller = *spec;
            feature_spec *feature = &smaller.features[i];
            feature->windows[k] = feature->windows[--feature->n_windows];
            if (still_fails(world, &smaller, tries))
                *spec = smaller;
        }
    }
}

static void print_pipeline(world *world, const pipeline_spec *spec)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    append_declaration(&text, spec, true);
    text_append_c(&text, "\n");
    append_query(&text, spec);
    check_pipeline(world, spec);
    printf("%s\n\n", text.bytes);
    for (uint32_t i = 0; i < spec->n_rows && i < 60; i++) {
        const row_spec *row = &spec->rows[i];
        printf("row %u: id %u, ts %" PRId64 ".%06" PRId64 ", lane %u, x %s%.17g, y %s%d, s %s%s\n",
               i, row->key, floor_second(row->time_us),
               row->time_us - floor_second(row->time_us) * 1000000, row->lane,
               row->x_null ? "null " : "", row->x, row->y_null ? "null " : "", row->y,
               row->s_null ? "null " : "", texts[row->s]);
    }
    printf("%u rows, %u workers; seed %" PRIu64 ": %s\n", spec->n_rows, workers_of[spec->crew],
           spec->seed, world->wrong);
    text_release(&text);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static uint32_t wanted = PIPELINES;
static uint64_t first_seed;

static void say_how_far(uint32_t done, uint64_t n_rows)
{
    static time_t said;
    const time_t now = time(NULL);
    if (done < wanted && now - said < SAY_EVERY_S)
        return;
    said = now;
    printf("windows_test: %u of %u pipelines, %" PRIu64 " rows, seeds from %" PRIu64 "\n", done,
           wanted, n_rows, first_seed);
    fflush(stdout);
}

static void pipelines_give_what_duckdb_gives(void **state)
{
    static world world;
    freshet_error err = {0};
    (void)state;
    for (uint32_t i = 0; i < CREWS; i++)
        assert_int_equal(crew_open(workers_of[i], &world.crews[i], &err), FRESHET_OK);
    assert_int_equal(sql_open(&(sql_options){.threads = 1}, &world.engine, NULL), FRESHET_OK);
    assert_int_equal(sql_session_open(world.engine, &world.session, NULL), FRESHET_OK);
    assert_int_equal(functions_create(world.session, NULL), FRESHET_OK);
    arena *lasting = arena_open();
    world.arena = arena_open();
    make_schema(&world, lasting);
    assert_int_equal(
        sql_input_add(world.session, "rows", &world.rows_schema, NULL, 0, &world.input, &err),
        FRESHET_OK);
    pipeline_spec spec = {.rows = calloc(ROWS_MAX, sizeof *spec.rows)};
    uint64_t n_rows = 0;
    bool well = true;
    for (uint32_t i = 0; i < wanted && well; i++) {
        make_pipeline(first_seed + i, &spec);
        n_rows += spec.n_rows;
        well = check_pipeline(&world, &spec);
        if (well)
            say_how_far(i + 1, n_rows);
    }
    if (!well) {
        uint32_t tries = 0;
        printf("seed %" PRIu64 " fails: %s\nmaking it smaller ...\n", spec.seed, world.wrong);
        shrink_features(&world, &spec, &tries);
        shrink_rows(&world, &spec, &tries);
        print_pipeline(&world, &spec);
    } else {
        printf("%u pipelines of %" PRIu64 " rows, seeds %" PRIu64 " to %" PRIu64 "\n", wanted,
               n_rows, first_seed, first_seed + wanted - 1);
    }
    free(spec.rows);
    sql_input_close(world.input);
    arena_close(world.arena);
    arena_close(lasting);
    sql_session_close(world.session);
    sql_close(world.engine);
    for (uint32_t i = 0; i < CREWS; i++)
        crew_close(world.crews[i]);
    assert_true(well);
}

int main(int n_arguments, char **arguments)
{
    const char *preset = getenv("FRESHET_PRESET"), *given = getenv("PROPERTY_PIPELINES");
    if (preset != NULL && strcmp(preset, "release") != 0)
        wanted = PIPELINES / 10; /* with sanitizers */
    if (given != NULL)
        wanted = (uint32_t)strtoul(given, NULL, 10);
    if (n_arguments > 1)
        wanted = (uint32_t)strtoul(arguments[1], NULL, 10);
    first_seed =
        n_arguments > 2 ? strtoull(arguments[2], NULL, 10) : (uint64_t)time(NULL) * 1000000;
    const struct CMUnitTest tests[] = {cmocka_unit_test(pipelines_give_what_duckdb_gives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
