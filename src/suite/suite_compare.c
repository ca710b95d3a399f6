/* suite_compare.c - expected rows and those that came.
 *
 * Order does not count: each expected row takes a row that came and is equal in all columns that
 * the expectation names, so that as many as can be find one. What is left on both sides is paired
 * by the most equal cells, and shown as tables in which the cells that differ are marked.
 *
 * Numbers are equal within 1e-9 of their size (sums of doubles have an order), whole numbers
 * exactly; times are equal where they are the same instant, however they are written; decimals,
 * which come as text, equal numbers that are written with the same digits.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "suite/suite_internal.h"

#define SHOWN_MAX 20 /* rows of each kind in a report */
#define CELL_BYTES_MAX 60
#define TOLERANCE 1e-9
#define MATCH_DEPTH_MAX 1000u
#define MATCH_SEARCHED_MAX 1000000u

static bool same_number(yyjson_val *a, yyjson_val *b)
{
    if (yyjson_is_int(a) && yyjson_is_int(b))
        return yyjson_equals(a, b) ||
               (yyjson_is_uint(a) && yyjson_is_uint(b) && yyjson_get_uint(a) == yyjson_get_uint(b));
    const double x = yyjson_get_num(a), y = yyjson_get_num(b);
    const double size = fmax(fabs(x), fabs(y));
    return x == y || fabs(x - y) <= TOLERANCE * size;
}

/* A plain decimal: its sign, and its digits without the zeros around them. */
typedef struct digits {
    bool negative;
    const char *whole, *fraction;
    size_t n_whole, n_fraction;
} digits;

static bool read_digits(const char *text, digits *into)
{
    *into = (digits){.negative = *text == '-'};
    text += *text == '-' || *text == '+';
    const size_t n = strspn(text, "0123456789");
    const size_t zeros = strspn(text, "0");
    into->whole = text + (zeros < n ? zeros : n);
    into->n_whole = n - (size_t)(into->whole - text);
    text += n;
    if (*text == '.') {
        into->fraction = ++text;
        into->n_fraction = strspn(text, "0123456789");
        text += into->n_fraction;
    }
    const bool good = *text == '\0' && n + into->n_fraction > 0;
    while (into->n_fraction > 0 && into->fraction[into->n_fraction - 1] == '0')
        into->n_fraction--;
    if (into->n_whole + into->n_fraction == 0)
        into->negative = false;
    return good;
}

/* Both are plain decimals, and equal to the last digit. */
static bool same_decimal(const char *expected, const char *got)
{
    digits x, y;
    return read_digits(expected, &x) && read_digits(got, &y) && x.negative == y.negative &&
           x.n_whole == y.n_whole && x.n_fraction == y.n_fraction &&
           strncmp(x.whole, y.whole, x.n_whole) == 0 &&
           (x.n_fraction == 0 || strncmp(x.fraction, y.fraction, x.n_fraction) == 0);
}

/* An expected number, as it is written: a decimal comes as text. */
static bool same_written(const char *expected, yyjson_val *got)
{
    const bool is_whole = expected[strspn(expected, "-0123456789")] == '\0';
    const double x = strtod(expected, NULL);
    if (yyjson_is_str(got) || yyjson_is_raw(got)) {
        const char *text = yyjson_is_raw(got) ? yyjson_get_raw(got) : yyjson_get_str(got);
        char *end = NULL;
        const double y = strtod(text, &end);
        return same_decimal(expected, text) ||
               (strpbrk(expected, "eE") != NULL && end != text && *end == '\0' && x == y);
    }
    if (is_whole && yyjson_is_int(got)) {
        char digits[32];
        if (yyjson_is_uint(got))
            snprintf(digits, sizeof digits, "%llu", (unsigned long long)yyjson_get_uint(got));
        else
            snprintf(digits, sizeof digits, "%lld", (long long)yyjson_get_sint(got));
        return same_decimal(expected, digits);
    }
    const double y = yyjson_get_num(got);
    return yyjson_is_num(got) && (x == y || fabs(x - y) <= TOLERANCE * fmax(fabs(x), fabs(y)));
}

static bool same_text(const char *expected, const char *got, bool partial)
{
    int64_t x_us, y_us;
    if (strcmp(expected, got) == 0 || (partial && strstr(got, expected) != NULL))
        return true;
    return timestamp_parse(expected, strlen(expected), &x_us) &&
           timestamp_parse(got, strlen(got), &y_us) && x_us == y_us;
}

static bool same_value(yyjson_val *expected, yyjson_val *got, bool partial);

static bool same_nested(yyjson_val *expected, yyjson_val *got)
{
    size_t i, n;
    yyjson_val *key, *value;
    if (yyjson_is_arr(expected)) {
        if (!yyjson_is_arr(got) || yyjson_arr_size(got) != yyjson_arr_size(expected))
            return false;
        yyjson_arr_foreach(expected, i, n, value)
        {
            if (!same_value(value, yyjson_arr_get(got, i), false))
                return false;
        }
        return true;
    }
    if (!yyjson_is_obj(got))
        return false;
    yyjson_obj_foreach(expected, i, n, key, value)
    {
        if (!same_value(value, yyjson_obj_get(got, yyjson_get_str(key)), false))
            return false;
    }
    return true;
}

/* As deep as the YAML. A column that a row does not have is null. */
static bool same_value(yyjson_val *expected, yyjson_val *got, bool partial)
{
    if (yyjson_is_null(expected) || got == NULL || yyjson_is_null(got))
        return yyjson_is_null(expected) && (got == NULL || yyjson_is_null(got));
    if (yyjson_is_num(expected) && yyjson_is_num(got))
        return same_number(expected, got);
    if (yyjson_is_raw(expected))
        return same_written(yyjson_get_raw(expected), got);
    if (yyjson_is_str(expected) && yyjson_is_str(got))
        return same_text(yyjson_get_str(expected), yyjson_get_str(got), partial);
    if (yyjson_is_ctn(expected))
        return same_nested(expected, got);
    return yyjson_equals(expected, got);
}

/* How many of the expected cells are equal; *n: how many there are. */
static size_t count_same(yyjson_val *expected, yyjson_val *got, bool partial, size_t *n)
{
    size_t i, all, same = 0;
    yyjson_val *key, *value;
    yyjson_obj_foreach(expected, i, all, key, value)
    {
        same += same_value(value, yyjson_obj_get(got, yyjson_get_str(key)), partial);
    }
    *n = yyjson_obj_size(expected);
    return same;
}

/* ---- the report -------------------------------------------------------------------------------*/

static void cell_text_of(yyjson_val *value, bool marked, char *into, size_t size)
{
    char *written = NULL;
    const char *text = "null";
    if (yyjson_is_str(value))
        text = yyjson_get_str(value);
    else if (value != NULL)
        text = written = yyjson_val_write(value, 0, NULL);
    text = text == NULL ? "" : text;
    const size_t length = text_valid_length(text, strlen(text));
    int shown = (int)(length < CELL_BYTES_MAX ? length : CELL_BYTES_MAX);
    while (shown > 0 && ((unsigned char)text[shown] & 0xC0) == 0x80)
        shown--;
    snprintf(into, size, marked ? ">%.*s%s<" : "%.*s%s", shown, text,
             strlen(text) > (size_t)shown ? "..." : "");
    free(written);
}

static void append_padded(text_buffer *report, const char *text, size_t width)
{
    text_append_c(report, text);
    for (size_t n = strlen(text); n < width; n++)
        text_append_char(report, ' ');
    text_append_c(report, "  ");
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Of a dead letter that nobody expected: what an expectation would name. */
static bool is_shown(const char *name, bool partial)
{
    static const char *const told[] = {"code", "reader", "reason", "raw"};
    for (size_t i = 0; partial && i < sizeof told / sizeof *told; i++)
        if (strcmp(name, told[i]) == 0)
            return true;
    return !partial;
}

static void compare_append_line(text_buffer *report, const char *what, text_buffer *line)
{
    while (line->length > 0 && line->bytes[line->length - 1] == ' ')
        line->bytes[--line->length] = '\0';
    text_format(report, "      %-8s  %s\n", what, line->length == 0 ? "" : line->bytes);
}

/* One row under its columns' names; and, where it has a partner, that with its differences. */
static void show_rows(text_buffer *report, yyjson_val *expected, yyjson_val *got, bool partial)
{
    yyjson_val *columns = expected != NULL ? expected : got;
    text_buffer lines[3]; /* names, expected, got */
    for (int i = 0; i < 3; i++)
        text_init(&lines[i], TEXT_LIMIT_DEFAULT);
    size_t i, n;
    yyjson_val *key, *value;
    yyjson_obj_foreach(columns, i, n, key, value)
    {
        char left[2 * CELL_BYTES_MAX] = "", right[2 * CELL_BYTES_MAX] = "";
        const char *name = yyjson_get_str(key);
        if (expected == NULL && !is_shown(name, partial))
            continue;
        yyjson_val *there = got == NULL ? NULL : yyjson_obj_get(got, name);
        const bool differs = expected != NULL && got != NULL && !same_value(value, there, partial);
        if (expected != NULL)
            cell_text_of(value, false, left, sizeof left);
        if (got != NULL)
            cell_text_of(there, differs, right, sizeof right);
        const size_t width = larger(strlen(name), larger(strlen(left), strlen(right)));
        append_padded(&lines[0], name, width);
        append_padded(&lines[1], left, width);
        append_padded(&lines[2], right, width);
    }
    compare_append_line(report, "", &lines[0]);
    if (expected != NULL)
        compare_append_line(report, "expected", &lines[1]);
    if (got != NULL)
        compare_append_line(report, "got", &lines[2]);
    for (int line = 0; line < 3; line++)
        text_release(&lines[line]);
}

/* Of what is left the row that came with the most cells of the expected one. */
static uint32_t find_nearest(yyjson_val *expected, const suite_rows *got, const uint8_t *taken,
                             bool partial)
{
    uint32_t best = got->n;
    size_t most = 0, n;
    for (uint32_t i = 0; i < got->n; i++) {
        const size_t same = taken[i] ? 0 : count_same(expected, rows_at(got, i), partial, &n);
        if (same > most) {
            most = same;
            best = i;
        }
    }
    return best;
}

typedef struct matching {
    const suite_rows *expected, *got;
    bool partial;
    uint32_t *of_got; /* the expected row that has it, from 1; 0: none */
    uint8_t *seen;    /* of got: looked at in this search */
    uint32_t n_left;  /* comparisons that searches may still do */
} matching;

/* Finds a row for expected row i; a row that another has may go over, where that finds a different
 * one (an augmenting path; the path is as long as rows that are alike). */
static bool find_equal(matching *matching, uint32_t i, uint32_t depth)
{
    yyjson_val *wanted = rows_at(matching->expected, i);
    for (uint32_t j = 0; j < matching->got->n; j++) {
        size_t n = 0;
        if (matching->n_left == 0)
            return false;
        matching->n_left -= !matching->seen[j];
        if (matching->seen[j] ||
            count_same(wanted, rows_at(matching->got, j), matching->partial, &n) != n)
            continue;
        const uint32_t owner = matching->of_got[j];
        if (owner != 0 && depth == MATCH_DEPTH_MAX)
            continue;
        matching->seen[j] = 1;
        if (owner == 0 || find_equal(matching, owner - 1, depth + 1)) {
            matching->of_got[j] = i + 1;
            return true;
        }
    }
    return false;
}

static uint32_t match_equal(matching *matching, uint8_t *met, uint8_t *taken)
{
    uint32_t n_met = 0;
    for (uint32_t i = 0; i < matching->expected->n; i++)
        for (uint32_t j = 0; j < matching->got->n && !met[i]; j++) {
            size_t n = 0;
            if (matching->of_got[j] != 0 ||
                count_same(rows_at(matching->expected, i), rows_at(matching->got, j),
                           matching->partial, &n) != n)
                continue;
            matching->of_got[j] = i + 1;
            met[i] = 1;
            n_met++;
        }
    for (uint32_t i = 0; i < matching->expected->n; i++) {
        if (met[i])
            continue;
        memset(matching->seen, 0, matching->got->n);
        if (find_equal(matching, i, 0)) {
            met[i] = 1; /* it stays so, if perhaps by another row */
            n_met++;
        }
    }
    for (uint32_t j = 0; j < matching->got->n; j++)
        taken[j] = matching->of_got[j] != 0;
    return n_met;
}

static void show_differences(const suite_rows *expected, const suite_rows *got, bool partial,
                             const uint8_t *met, uint8_t *taken, text_buffer *report)
{
    uint32_t n_shown = 0, n_more = 0;
    for (uint32_t i = 0; i < expected->n; i++) {
        if (met[i])
            continue;
        const uint32_t near = find_nearest(rows_at(expected, i), got, taken, partial);
        if (near < got->n)
            taken[near] = 1;
        if (n_shown++ < SHOWN_MAX)
            show_rows(report, rows_at(expected, i), near < got->n ? rows_at(got, near) : NULL,
                      partial);
        else
            n_more++;
    }
    for (uint32_t j = 0; j < got->n; j++) {
        if (taken[j])
            continue;
        if (n_shown++ < SHOWN_MAX)
            show_rows(report, NULL, rows_at(got, j), partial);
        else
            n_more++;
    }
    if (n_more > 0)
        text_format(report, "      and %u more\n", n_more);
}

bool compare_rows(const suite_rows *expected, const suite_rows *got, bool partial,
                  text_buffer *report)
{
    uint8_t *met = calloc((size_t)expected->n + 1, 1), *taken = calloc((size_t)got->n + 1, 1);
    matching matching = {.expected = expected,
                         .got = got,
                         .partial = partial,
                         .n_left = MATCH_SEARCHED_MAX,
                         .of_got = calloc((size_t)got->n + 1, sizeof(uint32_t)),
                         .seen = calloc((size_t)got->n + 1, 1)};
    bool equal = false;
    if (met == NULL || taken == NULL || matching.of_got == NULL || matching.seen == NULL) {
        report->failed = true;
    } else {
        const uint32_t n_met = match_equal(&matching, met, taken);
        equal = n_met == expected->n && n_met == got->n;
        if (!equal) {
            text_format(report, "%u of %u expected rows came, and %u that are not expected\n",
                        n_met, expected->n, got->n - n_met);
            show_differences(expected, got, partial, met, taken, report);
        }
    }
    free(met);
    free(taken);
    free(matching.of_got);
    free(matching.seen);
    return equal;
}
