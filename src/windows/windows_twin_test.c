/* windows_twin_test.c - windows against a naive twin, over random plans and random streams.
 *
 * The twin keeps every row of a key in an array, ordered by (second, arrival), never evicts, and
 * computes each value from a plain list of the window's cells, in quadruple precision. What the
 * state gives, row by row and with restarts in between, and what the history mode gives for the
 * whole set, must equal it: integers, texts and lists exactly, doubles within 1e-12.
 *
 * FRESHET_PIPELINES=n runs n pipelines instead of PIPELINES; FRESHET_SEED=s runs the one of seed s.
 * A failure prints its seed.
 */
#include "windows/windows_state.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_testing.h"

#define PIPELINES 200
#define TWIN_WORK 400000 /* cells that the twin looks at, for a pipeline */
#define TOLERANCE 1e-12

#if defined(__x86_64__)
__extension__ typedef __float128 quad;
#else
typedef long double quad;
#endif

/* ---- the twin: functions over a list of cells ---------------------------------------------- */

typedef struct cell {
    bool null;
    double real;
    int128 integer; /* decimals, too */
    const char *text;
} cell;

typedef struct answer {
    bool null;
    enum { REAL, INTEGER, TEXT, LIST } kind;
    double real;
    double slack; /* absolute, beside the relative tolerance */
    int128 integer;
    const char *text;
    cell *list;
    uint32_t n;
} answer;

static const type *sorting; /* the type of the cells that compare_cells is given */

static bool is_real(const type *type)
{
    return type->kind == TYPE_DOUBLE || type->kind == TYPE_FLOAT;
}

static int compare_cells(const void *a, const void *b)
{
    const cell *x = a, *y = b;
    if (sorting->kind == TYPE_STRING)
        return strcmp(x->text, y->text);
    if (!is_real(sorting))
        return (x->integer > y->integer) - (x->integer < y->integer);
    if (isnan(x->real) || isnan(y->real))
        return isnan(x->real) - isnan(y->real);
    return (x->real > y->real) - (x->real < y->real);
}

static quad number(const cell *cell)
{
    if (is_real(sorting))
        return cell->real;
    quad value = (quad)cell->integer;
    for (int i = 0; i < sorting->scale; i++)
        value /= 10;
    return value;
}

static answer cell_answer(const cell *cell)
{
    answer answer = {
        .null = cell->null, .real = cell->real, .integer = cell->integer, .text = cell->text};
    answer.kind = sorting->kind == TYPE_STRING ? TEXT : is_real(sorting) ? REAL : INTEGER;
    return answer;
}

static answer moments_answer(const char *function, const cell *cells, uint32_t n)
{
    quad mean = 0, m2 = 0, m3 = 0, m4 = 0;
    answer answer = {.kind = REAL, .null = n == 0};
    for (uint32_t i = 0; i < n; i++)
        mean += number(&cells[i]) / n;
    for (uint32_t i = 0; i < n; i++) {
        quad d = number(&cells[i]) - mean;
        m2 += d * d;
        m3 += d * d * d;
        m4 += d * d * d * d;
    }
    bool sample =
        strstr(function, "samp") || !strcmp(function, "stddev") || !strcmp(function, "variance");
    double spread = 0; /* all equal: exactly nothing */
    for (uint32_t i = 1; i < n; i++)
        spread += number(&cells[i]) != number(&cells[0]);
    if (spread == 0 && n > 0 && isfinite((double)number(&cells[0])))
        m2 = 0;
    if (!strcmp(function, "skewness") || !strcmp(function, "kurtosis")) {
        double s = (double)m2;
        answer.null = n == 0 || s == 0;
        answer.real = *function == 's' ? sqrt(n) * (double)m3 / sqrt(s * s * s)
                                       : (double)(n * m4 / (m2 * m2) - 3);
        answer.slack = 1e-9;
        return answer;
    }
    answer.null = n < (sample ? 2u : 1u);
    answer.real = (double)(m2 / (sample ? n - 1.0 : n));
    if (!strncmp(function, "stddev", 6))
        answer.real = sqrt(answer.real);
    return answer;
}

static answer frequency_answer(const char *function, const cell *cells, uint32_t n, cell *sorted)
{
    answer answer = {.kind = LIST, .list = sorted};
    uint32_t most = 0;
    cell best = {.null = true};
    memcpy(sorted, cells, n * sizeof *cells);
    qsort(sorted, n, sizeof *sorted, compare_cells);
    for (uint32_t i = 0, j; i < n; i = j) {
        for (j = i; j < n && compare_cells(&sorted[i], &sorted[j]) == 0;)
            j++;
        if (j - i > most)
            best = sorted[i];
        most = j - i > most ? j - i : most;
        sorted[answer.n++] = sorted[i];
    }
    if (!strcmp(function, "mode"))
        return cell_answer(&best);
    if (!strcmp(function, "sum_distinct")) {
        struct answer sum = {.kind = is_real(sorting) ? REAL : INTEGER, .null = answer.n == 0};
        quad real = 0;
        for (uint32_t i = 0; i < answer.n; i++) {
            sum.integer += sorted[i].integer;
            real += sorted[i].real;
        }
        sum.real = (double)real;
        return sum;
    }
    if (strstr(function, "count"))
        return (struct answer){.kind = INTEGER, .integer = answer.n};
    return answer; /* collect_set, most_frequent_set: as sets */
}

static answer quantile_answer(const char *function, const cell *cells, uint32_t n, cell *sorted)
{
    memcpy(sorted, cells, n * sizeof *cells);
    qsort(sorted, n, sizeof *sorted, compare_cells);
    double p = !strcmp(function, "median") ? 0.5 : strtod(strchr(function, '(') + 1, NULL);
    if (!strncmp(function, "percentile_approx", 17)) {
        double rank = ceil(p * n);
        return n == 0 ? (answer){.null = true} : cell_answer(&sorted[rank < 1 ? 0 : (int)rank - 1]);
    }
    answer answer = {.kind = REAL, .null = n == 0};
    if (n == 0)
        return answer;
    uint32_t low = (uint32_t)floor(p * (n - 1));
    double part = p * (n - 1) - low, a = (double)number(&sorted[low]);
    answer.real = a;
    if (part > 0 && compare_cells(&sorted[low], &sorted[low + 1]) != 0)
        answer.real = (1 - part) * a + part * (double)number(&sorted[low + 1]);
    return answer;
}

static answer sum_answer(const char *function, const cell *cells, uint32_t n)
{
    quad real = 0;
    answer answer = {.kind = REAL, .null = n == 0};
    for (uint32_t i = 0; i < n; i++) {
        real += number(&cells[i]);
        answer.integer += cells[i].integer;
    }
    answer.real = (double)(*function == 'a' ? real / n : real);
    if (*function == 'a' && sorting->kind == TYPE_DECIMAL && n > 0) { /* half away from zero */
        int128 tens = answer.integer * 10000, rest = tens % n;
        answer.kind = INTEGER;
        answer.integer = tens / n + (rest * 2 >= n) - (-rest * 2 >= n);
    } else if (*function == 's' && !is_real(sorting)) {
        answer.kind = INTEGER;
    }
    return answer;
}

/* The function over the window's cells, oldest first. `valid` has room for n cells. */
static answer twin_answer(const char *function, const type *input, const cell *all, uint32_t n_all,
                          cell *valid, cell *spare)
{
    uint32_t n = 0;
    sorting = input;
    if (!strcmp(function, "mean"))
        function = "avg";
    for (uint32_t i = 0; i < n_all; i++)
        if (!all[i].null)
            valid[n++] = all[i];
    if (!strcmp(function, "first") || !strcmp(function, "last"))
        return n_all == 0 ? (answer){.null = true}
                          : cell_answer(*function == 'f' ? &all[0] : &all[n_all - 1]);
    if (strstr(function, "_nonnull"))
        return n == 0 ? (answer){.null = true}
                      : cell_answer(*function == 'f' ? &valid[0] : &valid[n - 1]);
    if (!strcmp(function, "count"))
        return (answer){.kind = INTEGER, .integer = n};
    if (!strcmp(function, "sum") || !strcmp(function, "avg"))
        return sum_answer(function, valid, n);
    if (!strcmp(function, "collect_list"))
        return (answer){.kind = LIST, .list = valid, .n = n};
    if (!strcmp(function, "min") || !strcmp(function, "max") || !strcmp(function, "range")) {
        if (n == 0)
            return (answer){.null = true};
        qsort(valid, n, sizeof *valid, compare_cells);
        if (*function == 'r')
            return (answer){.kind = is_real(input) ? REAL : INTEGER,
                            .real = valid[n - 1].real - valid[0].real,
                            .integer = valid[n - 1].integer - valid[0].integer};
        return cell_answer(*function == 'm' && function[1] == 'i' ? &valid[0] : &valid[n - 1]);
    }
    if (!strncmp(function, "percentile", 10) || !strcmp(function, "median"))
        return quantile_answer(function, valid, n, spare);
    if (!strcmp(function, "bit_and")) {
        answer answer = {.kind = INTEGER, .integer = -1, .null = n == 0};
        for (uint32_t i = 0; i < n; i++)
            answer.integer &= valid[i].integer;
        return answer;
    }
    if (strstr(function, "distinct") || strstr(function, "set") || !strcmp(function, "mode"))
        return frequency_answer(function, valid, n, spare);
    return moments_answer(function, valid, n);
}

/* ---- comparing ----------------------------------------------------------------------------- */

static cell read_cell(const column *column, uint64_t row)
{
    static char texts[64][256];
    static unsigned turn;
    cell cell = {.null = !column_is_valid(column, row)};
    aggregate_value value;
    if (cell.null)
        return cell;
    size_t size = type_cell_size(column->type);
    aggregate_load(column->type, (const char *)column->data + row * size, &value);
    if (column->type->kind == TYPE_STRING) {
        char *text = texts[turn++ % 64];
        memcpy(text, text_bytes(&value.text), value.text.length);
        text[value.text.length] = '\0';
        cell.text = text;
    } else if (is_real(column->type)) {
        cell.real = value.real;
    } else {
        cell.integer = column->type->kind == TYPE_DECIMAL ? value.decimal : value.integer;
    }
    return cell;
}

static bool near(double a, double b, double slack)
{
    if (isnan(a) || isnan(b))
        return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= TOLERANCE * fmax(fabs(a), fabs(b)) + slack;
}

static bool cells_match(const type *type, const cell *a, const cell *b)
{
    if (type->kind == TYPE_STRING)
        return a->text != NULL && b->text != NULL && strcmp(a->text, b->text) == 0;
    return is_real(type) ? near(a->real, b->real, 0) : a->integer == b->integer;
}

static bool list_matches(const char *function, const column *column, uint64_t row,
                         const answer *expected)
{
    cell_span span = ((const cell_span *)column->data)[row];
    const struct column *elements = &column->children[0];
    if (span.length != expected->n)
        return false;
    bool ordered = !strcmp(function, "collect_list");
    for (uint32_t i = 0; i < expected->n; i++) {
        bool found = false;
        for (uint64_t j = ordered ? i : 0; j < (ordered ? i + 1 : span.length) && !found; j++) {
            cell got = read_cell(elements, span.offset + j);
            found = cells_match(elements->type, &got, &expected->list[i]);
        }
        if (!found)
            return false;
    }
    return true;
}

static bool matches(const char *function, const column *column, uint64_t row,
                    const answer *expected)
{
    if (!column_is_valid(column, row) || expected->null)
        return expected->null == !column_is_valid(column, row);
    if (expected->kind == LIST)
        return list_matches(function, column, row, expected);
    cell got = read_cell(column, row);
    if (expected->kind == TEXT)
        return strcmp(got.text, expected->text) == 0;
    if (!strcmp(function, "approx_count_distinct"))
        return fabs((double)(got.integer - expected->integer)) <=
               fmax(2, 0.25 * (double)expected->integer);
    return expected->kind == REAL ? near(got.real, expected->real, expected->slack)
                                  : got.integer == expected->integer;
}

/* ---- a pipeline ---------------------------------------------------------------------------- */

enum { X, Y, S, D, Z, F, B, N_COLUMNS };

#define FEATURES_MAX 4u
#define FUNCTIONS_MAX 4u
#define WINDOWS_MAX 3u
#define KEYS_MAX 3000u

typedef struct pipeline {
    uint64_t random;
    arena *arena;
    uint32_t n_rows;
    column keys[2];
    column columns[N_COLUMNS];
    int64_t *event_us;
    uint32_t *key;  /* of each row */
    bool *accepted; /* false: late */
    field fields[N_COLUMNS];
    windows_feature features[FEATURES_MAX];
    windows_declaration declaration;
    windows_plan *plan;
    int64_t lateness_s;
    struct {
        uint32_t *rows; /* ordered by (second, arrival) */
        uint32_t n;
        uint32_t newest;
        const column *outputs; /* where the newest row was output last, */
        uint64_t output_row;
        int64_t write_us;
        char *saved; /* by the last checkpoint */
        size_t saved_length;
    } twins[KEYS_MAX];
    cell *window, *valid, *spare;
    int64_t work;
    uint64_t seed;
} pipeline;

static uint64_t draw(pipeline *p, uint64_t below)
{
    return random_draw(&p->random, below);
}

static int64_t second_at(const pipeline *p, uint32_t row)
{
    int64_t us = p->event_us[row];
    return us / 1000000 - (us % 1000000 < 0);
}

static void make_columns_of(pipeline *p)
{
    const type *types[N_COLUMNS] = {type_simple(TYPE_DOUBLE),  type_simple(TYPE_BIGINT),
                                    type_simple(TYPE_STRING),  type_decimal(p->arena, 18, 2),
                                    type_simple(TYPE_INTEGER), type_simple(TYPE_FLOAT),
                                    type_simple(TYPE_BOOLEAN)};
    static const char *const names[N_COLUMNS] = {"x", "y", "s", "d", "z", "f", "b"};
    for (int c = 0; c < N_COLUMNS; c++) {
        p->fields[c] = (field){names[c], types[c]};
        assert_int_equal(column_init(p->arena, &p->columns[c], types[c], p->n_rows, NULL), 0);
    }
    assert_int_equal(column_init(p->arena, &p->keys[0], types[Y], p->n_rows, NULL), 0);
    assert_int_equal(column_init(p->arena, &p->keys[1], types[S], p->n_rows, NULL), 0);
}

static double draw_real(pipeline *p, unsigned flavour)
{
    static const double specials[] = {NAN, INFINITY, -INFINITY, -0.0, 1e15};
    double uniform = (double)draw(p, 1u << 30) / (1u << 30);
    switch (flavour) {
    case 0: return (double)draw(p, 10);
    case 1: return uniform * 2e6 - 1e6;
    case 2: return 1e9 + uniform;
    default: return draw(p, 30) == 0 ? specials[draw(p, 5)] : (double)draw(p, 100) / 7;
    }
}

static void draw_values(pipeline *p, uint32_t row, unsigned flavour)
{
    ((double *)p->columns[X].data)[row] = draw_real(p, flavour);
    ((int64_t *)p->columns[Y].data)[row] =
        draw(p, 5) ? (int64_t)draw(p, 50) : (int64_t)draw(p, UINT64_C(1) << 50);
    const char *text = arena_format(p->arena, draw(p, 2) ? "v%u" : "a longer text, number %u",
                                    (unsigned)draw(p, flavour == 0 ? 4 : 300));
    ((cell_text *)p->columns[S].data)[row] = text_of(text, (uint32_t)strlen(text));
    ((int128 *)p->columns[D].data)[row] = (int128)draw(p, 1000000) - 500000;
    ((int32_t *)p->columns[Z].data)[row] = (int32_t)draw(p, 7) - 3;
    ((float *)p->columns[F].data)[row] = (float)draw_real(p, flavour);
    ((uint8_t *)p->columns[B].data)[row] = (uint8_t)draw(p, 2);
    for (int c = 0; c < N_COLUMNS; c++)
        if (draw(p, 8) == 0)
            column_set_null(p->arena, &p->columns[c], row);
}

/* Bursts, ties, late rows, gaps; times also before 1970. */
static void draw_rows(pipeline *p)
{
    uint32_t n_keys = draw(p, 3) == 0 ? 1 : draw(p, 4) == 0 ? KEYS_MAX - 1 : 1 + draw(p, 20);
    unsigned flavour = (unsigned)draw(p, 4);
    int64_t step = (int64_t[]){0, 1000, 700000, 5000000, 100000000, 1000000}[draw(p, 6)];
    int64_t now = draw(p, 3) == 0 ? -20000000 : INT64_C(1700000000000000);
    make_columns_of(p);
    for (uint32_t row = 0; row < p->n_rows; row++) {
        now += step == 0         ? 0
               : step == 1000000 ? (int64_t)draw(p, 2) * step
                                 : (int64_t)draw(p, (uint64_t)step);
        if (draw(p, 500) == 0)
            now += (int64_t)draw(p, INT64_C(90000) * 1000000);
        int64_t late = draw(p, 10) == 0 ? (int64_t)draw(p, (uint64_t)step * 40 + 3000000) : 0;
        p->event_us[row] = now - late;
        p->key[row] = (uint32_t)draw(p, n_keys);
        ((int64_t *)p->keys[0].data)[row] = p->key[row];
        const char *text = arena_format(p->arena, "key %u of the many", p->key[row] % 7);
        ((cell_text *)p->keys[1].data)[row] = text_of(text, (uint32_t)strlen(text));
        draw_values(p, row, flavour);
    }
}

static void draw_feature(pipeline *p, windows_feature *feature, unsigned index)
{
    static const char *const fixed[] = {"1 second", "10 seconds", "1 minute", "5 minutes",
                                        "1 hour",   "1 day",      "1 week"};
    static const char *const rows[] = {"1 event", "2 events", "5 events", "70 events",
                                       "900 events"};
    static const char *const parameters[] = {"percentile(0.9)", "percentile(0.25)",
                                             "percentile_approx(0.9)", "percentile_approx(0)"};
    windows_function *functions = arena_zero(p->arena, FUNCTIONS_MAX, sizeof *functions);
    const char **windows = arena_zero(p->arena, WINDOWS_MAX, sizeof *windows);
    *feature = (windows_feature){
        .name = arena_format(p->arena, "f%u", index),
        .values = (uint32_t)draw(p, N_COLUMNS - 1),
        .filter = draw(p, 3) == 0 ? B : WINDOWS_NO_FILTER,
        .mode = draw(p, 2) ? WINDOW_FIXED : WINDOW_ROWS,
        .functions = functions,
        .windows = windows,
        .n_functions = 1 + (uint32_t)draw(p, FUNCTIONS_MAX),
        .n_windows = 1 + (uint32_t)draw(p, WINDOWS_MAX),
    };
    uint32_t n_names = 0;
    while (aggregate_name(n_names) != NULL)
        n_names++;
    for (uint32_t f = 0; f < feature->n_functions;) {
        aggregate aggregate;
        const char *text =
            draw(p, 8) == 0 ? parameters[draw(p, 4)] : aggregate_name((uint32_t)draw(p, n_names));
        if (strcmp(text, "product") != 0 &&
            aggregate_prepare(p->arena, text, p->fields[feature->values].type, &aggregate, NULL) ==
                FRESHET_OK)
            functions[f++].text = text;
    }
    for (uint32_t w = 0; w < feature->n_windows; w++)
        windows[w] = feature->mode == WINDOW_FIXED ? fixed[draw(p, 7)] : rows[draw(p, 5)];
}

static void draw_plan(pipeline *p)
{
    static const uint32_t carried[] = {X, S, D};
    static const type *keys[2];
    keys[0] = p->keys[0].type;
    keys[1] = p->keys[1].type;
    p->declaration = (windows_declaration){
        .keys = keys,
        .n_keys = 2,
        .columns = p->fields,
        .n_columns = N_COLUMNS,
        .features = p->features,
        .n_features = 1 + (uint32_t)draw(p, FEATURES_MAX),
        .carried = carried,
        .n_carried = (uint32_t)draw(p, 4),
    };
    for (uint32_t i = 0; i < p->declaration.n_features; i++)
        draw_feature(p, &p->features[i], i);
    freshet_error err = {0};
    if (windows_plan_make(p->arena, &p->declaration, &p->plan, &err) != FRESHET_OK)
        fail_msg("seed %llu: %s", (unsigned long long)p->seed, err.text);
}

/* ---- the twin: windows --------------------------------------------------------------------- */

static uint32_t twin_window(pipeline *p, uint32_t row, const windows_feature *feature,
                            int64_t length)
{
    const uint32_t *rows = p->twins[p->key[row]].rows;
    uint32_t n = p->twins[p->key[row]].n, taken = 0, at = 0;
    while (rows[at] != row)
        at++;
    for (uint32_t i = 0; i < n; i++) {
        bool in = feature->mode == WINDOW_ROWS
                      ? i <= at && i + length > at
                      : second_at(p, rows[i]) >= second_at(p, row) - length &&
                            second_at(p, rows[i]) <= second_at(p, row);
        if (!in)
            continue;
        cell cell = read_cell(&p->columns[feature->values], rows[i]);
        if (cell.text != NULL) /* read_cell's texts do not last */
            cell.text = arena_text(p->arena, cell.text);
        if (feature->filter != WINDOWS_NO_FILTER) {
            struct cell filter = read_cell(&p->columns[feature->filter], rows[i]);
            cell.null = cell.null || filter.null || filter.integer == 0;
        }
        p->window[taken++] = cell;
    }
    p->work += n + taken;
    return taken;
}

/* All outputs of a row, as they should be now. */
static void check_row(pipeline *p, uint32_t row, const column *outputs, uint64_t output_row,
                      const char *what)
{
    uint32_t output = 0;
    for (uint32_t i = 0; i < p->declaration.n_features; i++) {
        const windows_feature *feature = &p->features[i];
        for (uint32_t f = 0; f < feature->n_functions; f++)
            for (uint32_t w = 0; w < feature->n_windows; w++, output++) {
                int64_t length;
                const char *name, *function = feature->functions[f].text;
                window_parse(p->arena, feature->windows[w], feature->mode, &length, &name, NULL);
                uint32_t n = twin_window(p, row, feature, length);
                answer expected = twin_answer(function, p->fields[feature->values].type, p->window,
                                              n, p->valid, p->spare);
                if (!matches(function, &outputs[output], output_row, &expected))
                    fail_msg("seed %llu: %s row %u, %s of %s: twin has %s%.17g %lld over %u cells, "
                             "we %s%.17g",
                             (unsigned long long)p->seed, what, row,
                             p->plan->outputs.fields[output].name, p->fields[feature->values].name,
                             expected.null ? "null " : "", expected.real,
                             (long long)expected.integer, n,
                             column_is_valid(&outputs[output], output_row) ? "" : "null ",
                             outputs[output].type->kind == TYPE_DOUBLE
                                 ? ((double *)outputs[output].data)[output_row]
                                 : 0.0);
            }
    }
}

static void twin_insert(pipeline *p, uint32_t row)
{
    uint32_t key = p->key[row], at = p->twins[key].n++;
    if (p->twins[key].rows == NULL)
        p->twins[key].rows = arena_alloc(p->arena, p->n_rows * sizeof(uint32_t));
    uint32_t *rows = p->twins[key].rows;
    for (; at > 0 && second_at(p, rows[at - 1]) > second_at(p, row); at--)
        rows[at] = rows[at - 1];
    rows[at] = row;
    if (p->twins[key].n == 1 || p->event_us[row] >= p->event_us[p->twins[key].newest])
        p->twins[key].newest = row;
}

/* ---- running ------------------------------------------------------------------------------- */

static bool worth_checking(pipeline *p, uint32_t row)
{
    if (p->work > TWIN_WORK)
        return false;
    int64_t each = TWIN_WORK / p->n_rows / 4 + 1;
    return p->twins[p->key[row]].n < (uint64_t)each || draw(p, 200) == 0;
}

static void check_stream_row(pipeline *p, const windows_result *result, uint32_t from, uint32_t i,
                             uint32_t *refreshed)
{
    uint32_t row = from + i, key = p->key[row];
    bool known = p->twins[key].n > 0;
    bool late = known && second_at(p, row) < second_at(p, p->twins[key].newest) - p->lateness_s;
    assert_int_equal((result->flags[i] & WINDOWS_LATE) != 0, late);
    p->accepted[row] = !late;
    if (late)
        return;
    twin_insert(p, row);
    uint32_t newest = p->twins[key].newest;
    assert_int_equal((result->flags[i] & WINDOWS_NEWEST) != 0, newest == row);
    if (worth_checking(p, row))
        check_row(p, row, result->outputs, i, "stream");
    int64_t write_us = result->write_us[i];
    if (newest == row) {
        p->twins[key].outputs = result->outputs;
        p->twins[key].output_row = i;
    } else if (result->flags[i] & WINDOWS_REFRESHED) {
        const windows_refreshed *again = &result->refreshed[*refreshed];
        assert_true(again->row == i && again->event_us == p->event_us[newest]);
        assert_true(write_us < again->write_us);
        for (uint32_t c = 0; c < p->plan->n_carried; c++) {
            const column *from_column = &p->columns[p->plan->carried[c]];
            cell kept = read_cell(&result->refreshed_carried[c], *refreshed);
            cell was = read_cell(from_column, newest);
            assert_int_equal(kept.null, was.null);
            assert_true(kept.null || cells_match(from_column->type, &kept, &was));
        }
        p->twins[key].outputs = result->refreshed_outputs;
        p->twins[key].output_row = (*refreshed)++;
        write_us = again->write_us;
    }
    if (newest == row || (result->flags[i] & WINDOWS_REFRESHED)) {
        assert_true(!known || write_us > p->twins[key].write_us);
        p->twins[key].write_us = write_us;
    }
    if (newest != row && worth_checking(p, row))
        check_row(p, newest, p->twins[key].outputs, p->twins[key].output_row, "newest after");
}

static freshet_code load_key(void *context, const void *key, size_t length, text_buffer *into,
                             freshet_error *err)
{
    (void)err;
    pipeline *p = context;
    int64_t number;
    assert_true(length > 9);
    memcpy(&number, (const char *)key + 1, sizeof number);
    if (p->twins[number].saved == NULL)
        return FRESHET_END;
    text_append(into, p->twins[number].saved, p->twins[number].saved_length);
    return FRESHET_OK;
}

static windows_state *open_state(pipeline *p)
{
    windows_options options = {.lateness_s = p->lateness_s};
    windows_state *state;
    assert_int_equal(windows_open(p->plan, &options, &state, NULL), FRESHET_OK);
    state_part_set_load(windows_part(state), load_key, p);
    return state;
}

static void checkpoint(pipeline *p, windows_state *state)
{
    state_key key;
    uint32_t cursor = 0;
    while (state_part_next_dirty(windows_part(state), &cursor, &key)) {
        text_buffer buffer;
        text_init(&buffer, TEXT_LIMIT_DEFAULT);
        assert_int_equal(state_part_save(windows_part(state), &key, &buffer, NULL), FRESHET_OK);
        int64_t number;
        memcpy(&number, (const char *)key.bytes + 1, sizeof number);
        p->twins[number].saved = arena_copy(p->arena, buffer.bytes, buffer.length);
        p->twins[number].saved_length = buffer.length;
        text_release(&buffer);
    }
    state_part_clean(windows_part(state));
}

/* Checkpoints, and then sometimes a restart, or some keys are dropped. */
static windows_state *disturb(pipeline *p, windows_state *state)
{
    assert_int_equal(windows_check(state, NULL), FRESHET_OK);
    checkpoint(p, state);
    if (draw(p, 2) == 0) {
        windows_close(state);
        return open_state(p);
    }
    state_key key;
    for (uint64_t n = draw(p, 10); n > 0 && state_part_next_cold(windows_part(state), &key); n--)
        state_part_drop(windows_part(state), &key);
    return state;
}

static windows_input rows_from(pipeline *p, uint32_t from, uint32_t n, column *keys,
                               column *columns)
{
    for (int k = 0; k < 2 + N_COLUMNS; k++) {
        const column *all = k < 2 ? &p->keys[k] : &p->columns[k - 2];
        column *part = k < 2 ? &keys[k] : &columns[k - 2];
        size_t size = type_cell_size(all->type);
        assert_int_equal(column_init(p->arena, part, all->type, n, NULL), FRESHET_OK);
        memcpy(part->data, (char *)all->data + from * size, n * size);
        for (uint32_t i = 0; i < n; i++)
            if (!column_is_valid(all, from + i))
                column_set_null(p->arena, part, i);
    }
    return (windows_input){n, keys, columns, p->event_us + from};
}

static void run_stream(pipeline *p)
{
    windows_state *state = open_state(p);
    for (uint32_t from = 0; from < p->n_rows;) {
        uint32_t n = 1 + (uint32_t)draw(p, draw(p, 3) == 0 ? 3 : 600);
        if (n > p->n_rows - from)
            n = p->n_rows - from;
        column keys[2], columns[N_COLUMNS];
        windows_input input = rows_from(p, from, n, keys, columns);
        windows_result result;
        uint32_t refreshed = 0;
        assert_int_equal(windows_apply(state, &input, p->arena, &result, NULL), FRESHET_OK);
        for (uint32_t i = 0; i < n; i++)
            check_stream_row(p, &result, from, i, &refreshed);
        assert_int_equal(refreshed, result.n_refreshed);
        from += n;
        if (draw(p, 10) == 0)
            state = disturb(p, state);
    }
    windows_close(state);
}

/* The accepted rows as one complete set. */
static void run_history(pipeline *p)
{
    uint32_t n = 0, *rows = arena_alloc(p->arena, p->n_rows * sizeof *rows);
    for (uint32_t row = 0; row < p->n_rows; row++)
        if (p->accepted[row])
            rows[n++] = row;
    for (uint32_t i = 0; i < n; i++) { /* close the ranks; arrays are in order, so in place */
        uint32_t row = rows[i];
        p->event_us[i] = p->event_us[row];
        p->key[i] = p->key[row];
        for (int k = 0; k < 2 + N_COLUMNS && i != row; k++) {
            column *column = k < 2 ? &p->keys[k] : &p->columns[k - 2];
            size_t size = type_cell_size(column->type);
            memcpy((char *)column->data + i * size, (char *)column->data + row * size, size);
            if (column->valid != NULL) {
                column->valid[i >> 6] |= UINT64_C(1) << (i & 63);
                if (!column_is_valid(column, row))
                    column_set_null(p->arena, column, i);
            }
        }
    }
    for (uint32_t key = 0; key < KEYS_MAX; key++)
        p->twins[key].n = 0;
    for (uint32_t i = 0; i < n; i++)
        twin_insert(p, i);
    windows_input input = {n, p->keys, p->columns, p->event_us};
    windows_result result;
    assert_int_equal(windows_apply_history(p->plan, &input, p->arena, &result, NULL), FRESHET_OK);
    p->work = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t newest = p->twins[p->key[i]].newest;
        assert_int_equal((result.flags[i] & WINDOWS_NEWEST) != 0, newest == i);
        if (newest == i)
            assert_true(result.write_us[i] >= p->twins[p->key[i]].write_us);
        if (worth_checking(p, i) || (newest == i && p->work < 2 * TWIN_WORK))
            check_row(p, i, result.outputs, i, "history");
    }
}

static void run_pipeline(uint64_t seed)
{
    pipeline *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->arena = arena_open();
    p->seed = seed;
    p->random = random_begin(seed);
    p->n_rows = 1 + (uint32_t)draw(p, (uint64_t[]){20, 300, 2000, 5000}[draw(p, 4)]);
    p->lateness_s = (int64_t[]){0, 2, 9, 60, 3600, 1000000}[draw(p, 6)];
    p->event_us = arena_alloc(p->arena, p->n_rows * sizeof *p->event_us);
    p->key = arena_alloc(p->arena, p->n_rows * sizeof *p->key);
    p->accepted = arena_zero(p->arena, p->n_rows, sizeof *p->accepted);
    p->window = arena_alloc(p->arena, p->n_rows * sizeof *p->window);
    p->valid = arena_alloc(p->arena, p->n_rows * sizeof *p->valid);
    p->spare = arena_alloc(p->arena, p->n_rows * sizeof *p->spare);
    draw_rows(p);
    draw_plan(p);
    run_stream(p);
    run_history(p);
    arena_close(p->arena);
    free(p);
}

static void windows_equal_their_twin(void **unused)
{
    (void)unused;
    random_seeds(run_pipeline, PIPELINES, "FRESHET_PIPELINES");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(windows_equal_their_twin)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
