/* training_times.c - see training_times.h.
 *
 * Two keys are equal where their values are, whatever their types: 5, 5.0 and a decimal 5.00 are.
 * So the spine's is cast to the history's type, and must be equal to what it was. A text is no
 * number, but in a CSV file, where everything is a text.
 */
#include "training/training_times.h"

#include <string.h>

#include "base/error.h"
#include "base/text.h"

typedef enum key_family {
    FAMILY_OTHER,
    FAMILY_WHOLE,
    FAMILY_NUMBER,
    FAMILY_TEXT,
    FAMILY_BOOLEAN,
    FAMILY_TIME,
    FAMILY_BYTES
} key_family;

static const struct {
    const char *begins;
    key_family family;
} families[] = {
    {"TINYINT", FAMILY_WHOLE},   {"SMALLINT", FAMILY_WHOLE},  {"INTEGER", FAMILY_WHOLE},
    {"BIGINT", FAMILY_WHOLE},    {"HUGEINT", FAMILY_WHOLE},   {"UTINYINT", FAMILY_WHOLE},
    {"USMALLINT", FAMILY_WHOLE}, {"UINTEGER", FAMILY_WHOLE},  {"UBIGINT", FAMILY_WHOLE},
    {"UHUGEINT", FAMILY_WHOLE},  {"FLOAT", FAMILY_NUMBER},    {"DOUBLE", FAMILY_NUMBER},
    {"DECIMAL", FAMILY_NUMBER},  {"VARCHAR", FAMILY_TEXT},    {"UUID", FAMILY_TEXT},
    {"ENUM", FAMILY_TEXT},       {"BOOLEAN", FAMILY_BOOLEAN}, {"TIMESTAMP", FAMILY_TIME},
    {"DATE", FAMILY_TIME},       {"BLOB", FAMILY_BYTES},
};

static key_family family_of(const char *type)
{
    const size_t length = strlen(type);
    if (length > 0 && type[length - 1] == ']')
        return FAMILY_OTHER;
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        if (strncmp(type, families[i].begins, strlen(families[i].begins)) == 0)
            return families[i].family;
    return FAMILY_OTHER;
}

/* What a text of a CSV file is as a key. A whole number may have zeros behind a point: pandas
 * writes those of a column with gaps so. */
static const char *csv_value(arena *arena, const char *column, const char *type)
{
    if (family_of(type) == FAMILY_WHOLE)
        return arena_format(arena,
                            "CASE WHEN regexp_full_match(%s, '\\s*[+-]?[0-9]+(\\.0*)?\\s*') THEN "
                            "TRY_CAST(%s AS %s) END",
                            column, column, type);
    return arena_format(arena, "TRY_CAST(%s AS %s)", column, type);
}

freshet_code training_key_value(const training *training, const training_history *set,
                                const training_key *key, const char *type, const char **out,
                                freshet_error *err)
{
    arena *arena = training->arena;
    const key_family spine = family_of(type), history = family_of(key->type);
    const char *column = sql_quote(arena, key->column);
    const bool numbers = (spine == FAMILY_WHOLE || spine == FAMILY_NUMBER) &&
                         (history == FAMILY_WHOLE || history == FAMILY_NUMBER);
    if (column == NULL)
        return error_memory(err, TRAINING_DOING);
    if (strcmp(type, key->type) == 0 && history != FAMILY_OTHER)
        *out = column;
    else if (training->spine_is_csv && history != FAMILY_OTHER)
        *out = csv_value(arena, column, key->type);
    else if (numbers || (spine == history && history == FAMILY_TIME))
        *out = arena_format(arena, "CASE WHEN TRY_CAST(%s AS %s) = %s THEN TRY_CAST(%s AS %s) END",
                            column, key->type, column, column, key->type);
    else if (spine == history && history == FAMILY_TEXT)
        *out = arena_format(arena, "TRY_CAST(%s AS %s)", column, key->type);
    else
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, training->options->spine,
                         "the column \"%s\" of the spine is of type %s, and the key \"%s\" of the "
                         "set %s is of type %s: no two of their values are the same; write the "
                         "spine's as %s",
                         key->column, type, key->name, set->name, key->type, key->type);
    return *out == NULL ? error_memory(err, TRAINING_DOING) : FRESHET_OK;
}

/* Towards the past, as a time that has not come yet is not there. */

const char *training_time(arena *arena, const char *column, const char *type, bool is_nanos)
{
    const bool has_nanos = strcmp(type, "TIMESTAMP_NS") == 0;
    const bool is_stamp = strncmp(type, "TIMESTAMP", strlen("TIMESTAMP")) == 0;
    const char *time = is_stamp ? column : arena_format(arena, "TRY_CAST(%s AS TIMESTAMP)", column);
    if (time == NULL)
        return NULL;
    if (has_nanos && is_nanos)
        return arena_format(arena, "CASE WHEN isfinite(%s) THEN epoch_ns(%s) END", time, time);
    if (has_nanos)
        return arena_format(
            arena,
            "CASE WHEN isfinite(%s) THEN ((epoch_ns(%s) - ((epoch_ns(%s) %% 1000) + "
            "1000) %% 1000) // 1000) END",
            time, time, time);
    if (is_nanos) /* beyond what nanoseconds hold, all are before or behind */
        return arena_format(arena,
                            "CASE WHEN isfinite(%s) THEN greatest(-9223372036854775807, "
                            "least(9223372036854775807, epoch_us(%s)::HUGEINT * 1000))::BIGINT END",
                            time, time);
    return arena_format(arena, "CASE WHEN isfinite(%s) THEN epoch_us(%s) END", time, time);
}
