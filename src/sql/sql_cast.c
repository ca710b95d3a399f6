/* sql_cast.c - texts as times and dates: in SQL they mean what they mean in a declaration.
 *
 * DuckDB 1.5.6 drops the offset of `2024-01-15T10:00:00-03:00` where it casts it to TIMESTAMP, so
 * that the instant is another one, and all that stands behind the ten characters of a date where it
 * casts to DATE. Its casts of texts to these types are replaced by ours, in every place that casts:
 * CAST, ::, TRY_CAST, literals, comparisons with a text, elements of lists and structs, macros.
 *
 *     TIMESTAMP    a text that begins as yyyy-mm-dd is read as `type: timestamp` reads it
 *                  (base/timestamp.h); any other as DuckDB reads TIMESTAMP WITH TIME ZONE, which
 *                  keeps the offset, and is in UTC where there is none
 *     DATE         as `type: date` reads it: the day that is written, whatever time and offset
 *                  follow; or else as DuckDB reads it, where nothing follows
 *
 * JSON is cast by a cast of its own, which cannot be replaced: (j->'t')::TIMESTAMP still drops the
 * offset, and j->>'t', which is a text, keeps it.
 *
 * A text that is neither is an error of its row. What DuckDB reads is asked for one value at a time
 * through its C interface, which casts by its own rules, not by ours: slow, and rare.
 */
#include "base/number.h"
#include "base/timestamp.h"
#include "sql/sql_internal.h"

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_MS INT64_C(1000)

/* DuckDB's own forms are shorter. */
#define FORM_MAX 64

typedef struct time_cast {
    duckdb_type to;
    int64_t unit_us; /* of the integer that the type is; 0: a date */
} time_cast;

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool begins_as_date(const char *text, size_t length)
{
    static const char form[] = "0000-00-00";
    if (length < sizeof form - 1)
        return false;
    for (size_t i = 0; i < sizeof form - 1; i++)
        if (form[i] == '-' ? text[i] != '-' : !is_digit(text[i]))
            return false;
    return true;
}

/* ---- one text -------------------------------------------------------------------------------- */

static int64_t ask_time(const char *text, size_t length)
{
    duckdb_value value = duckdb_create_varchar_length(text, length);
    int64_t us = duckdb_get_timestamp_tz(value).micros;
    duckdb_destroy_value(&value);
    return us;
}

static int64_t ask_date(const char *text, size_t length)
{
    duckdb_value value = duckdb_create_varchar_length(text, length);
    int64_t days = duckdb_get_date(value).days;
    duckdb_destroy_value(&value);
    return days;
}

/* The C interface gives 1970-01-01 for what cannot be cast, too. Of a text that is this time the
 * year before or after is another one. */
static bool is_the_epoch(int64_t (*ask)(const char *, size_t), const char *text, size_t length)
{
    static const char word[] = "epoch";
    char other[FORM_MAX];
    while (length > 0 && *text == ' ') {
        text++;
        length--;
    }
    if (length == sizeof word - 1 && memcmp(text, word, length) == 0)
        return true;
    if (length < 4 || length > sizeof other ||
        (memcmp(text, "1970", 4) != 0 && memcmp(text, "1969", 4) != 0))
        return false;
    for (size_t i = 0; i < length; i++)
        other[i] = text[i];
    other[3] = text[3] == '0' ? '1' : '8';
    return ask(other, length) != 0;
}

static bool read_time(const char *text, size_t length, int64_t *us)
{
    if (begins_as_date(text, length) && timestamp_parse(text, length, us))
        return true;
    *us = ask_time(text, length);
    return *us != 0 || is_the_epoch(ask_time, text, length);
}

/* DuckDB's dates that are written out: three numbers, or a word. */
static bool is_only_a_date(const char *text, size_t length)
{
    size_t i = 0, n_numbers = 0;
    while (i < length && text[i] == ' ')
        i++;
    bool is_word = i < length && !is_digit(text[i]) && !(i + 1 < length && is_digit(text[i + 1]));
    while (!is_word && i < length && n_numbers < 3) {
        n_numbers++;
        i += text[i] == '-';
        while (i < length && is_digit(text[i]))
            i++;
        i += n_numbers < 3;
    }
    static const char before_christ[] = " (BC)";
    size_t rest = i < length ? length - i : 0;
    if (!is_word && rest >= sizeof before_christ - 1 &&
        memcmp(text + i, before_christ, sizeof before_christ - 1) == 0)
        i += sizeof before_christ - 1;
    while (!is_word && i < length && text[i] == ' ')
        i++;
    return is_word || i >= length;
}

static bool read_date(const char *text, size_t length, int32_t *days)
{
    if (begins_as_date(text, length) && date_parse(text, length, days))
        return true;
    *days = (int32_t)ask_date(text, length);
    return (*days != 0 || is_the_epoch(ask_date, text, length)) && is_only_a_date(text, length);
}

static int64_t rounded(int64_t us, int64_t unit_us)
{
    if (unit_us == 1 || us == INT64_MAX || us == -INT64_MAX)
        return us;
    int64_t shifted = us + unit_us / 2, whole = shifted / unit_us;
    return whole - (shifted % unit_us < 0);
}

static bool cast_text(const time_cast *cast, const char *text, size_t length, void *data,
                      uint64_t row)
{
    if (cast->unit_us == 0)
        return read_date(text, length, (int32_t *)data + row);
    int64_t us;
    if (!read_time(text, length, &us))
        return false;
    ((int64_t *)data)[row] = rounded(us, cast->unit_us);
    return true;
}

/* ---- a column -------------------------------------------------------------------------------- */

static void say_why(const time_cast *cast, const char *text, size_t length, char *into, size_t size)
{
    int n = (int)(length > 80 ? 80 : length);
    if (cast->unit_us == 0)
        snprintf(
            into, size,
            "the text \"%.*s\" is no date: expected is YYYY-MM-DD; a time of day and an offset "
            "may follow",
            n, text);
    else
        snprintf(into, size,
                 "the text \"%.*s\" is no time: expected is YYYY-MM-DD HH:MM:SS[.US][Z|±HH[:MM]]",
                 n, text);
}

static bool run_cast(duckdb_function_info info, idx_t n, duckdb_vector input, duckdb_vector output)
{
    const time_cast *cast = duckdb_cast_function_get_extra_info(info);
    bool is_try = duckdb_cast_function_get_cast_mode(info) == DUCKDB_CAST_TRY, all = true;
    uint64_t *valid = duckdb_vector_get_validity(input), *given = NULL;
    cell_text *texts = duckdb_vector_get_data(input);
    void *data = duckdb_vector_get_data(output);
    for (idx_t row = 0; row < n; row++) {
        bool is_null = valid != NULL && !duckdb_validity_row_is_valid(valid, row);
        const char *text = is_null ? NULL : text_bytes(&texts[row]);
        size_t length = is_null ? 0 : texts[row].length;
        if (is_null) {
            duckdb_vector_ensure_validity_writable(output);
            given = duckdb_vector_get_validity(output);
            duckdb_validity_set_row_invalid(given, row);
        } else if (!cast_text(cast, text, length, data, row)) {
            char reason[200];
            say_why(cast, text, length, reason, sizeof reason);
            all = false;
            if (!is_try) {
                duckdb_cast_function_set_error(info, reason);
                return false;
            }
            duckdb_cast_function_set_row_error(info, reason, row, output);
        }
    }
    return all;
}

/* ---- the interface --------------------------------------------------------------------------- */

static freshet_code cast_add(duckdb_connection connection, const time_cast *is, freshet_error *err)
{
    duckdb_cast_function cast = duckdb_create_cast_function();
    duckdb_logical_type from = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_logical_type to = duckdb_create_logical_type(is->to);
    duckdb_cast_function_set_source_type(cast, from);
    duckdb_cast_function_set_target_type(cast, to);
    duckdb_cast_function_set_implicit_cast_cost(cast, -1);
    duckdb_cast_function_set_extra_info(cast, (void *)is, NULL);
    duckdb_cast_function_set_function(cast, run_cast);
    duckdb_state state = duckdb_register_cast_function(connection, cast);
    duckdb_destroy_logical_type(&from);
    duckdb_destroy_logical_type(&to);
    duckdb_destroy_cast_function(&cast);
    return state == DuckDBSuccess ? FRESHET_OK
                                  : error_set(err, FRESHET_FAILED, FRESHET_STOP, "sql",
                                              "the SQL engine does not take our casts of times");
}

freshet_code cast_add_all(sql_session *session, freshet_error *err)
{
    static const time_cast casts[] = {
        {DUCKDB_TYPE_TIMESTAMP, 1},
        {DUCKDB_TYPE_TIMESTAMP_MS, US_PER_MS},
        {DUCKDB_TYPE_TIMESTAMP_S, US_PER_SECOND},
        {DUCKDB_TYPE_DATE, 0},
    };
    freshet_code code = FRESHET_OK;
    for (size_t i = 0; code == FRESHET_OK && i < sizeof casts / sizeof *casts; i++)
        code = cast_add(session->connection, &casts[i], err);
    return code;
}
