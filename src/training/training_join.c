/* training_join.c - the join of the spine with one history (training.h tells how).
 *
 * The tables of a set, each made anew; I is its number:
 *
 *   wanted     a row of the spine each: its number, its keys (k0, k1 ...), the time that counts for
 *              it (c: the spine's, less the lag), and the one that ages count from (e). Rows
 *              without key or time are left out
 *   numbered   the keys of this part, each with a number (kid)
 *   slots      kid, c, slot: each pair once, numbered in their order
 *   known      corrections: keys, time, place, since when it was known
 *   hits       slot, v: the newest row that falls into it
 *   best       slot, kid, c, v: the newest row that is not behind it
 *   found      row, r: the answers, by their places
 *   out_I      row, features
 *
 * r is the place of a row in the history: the number of its file and of the row in it. v is its
 * time and its place as one number, of which the greater is the newer row.
 */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "training/training_times.h"
#include "writers/history/history_facts.h"

#define PLACE "((file_index::BIGINT << 40) + file_row_number)"
#define SHIFT "9223372036854775808" /* places are below it */
/* In formats. */
#define PLACE_OF(v) "(((" v " %% " SHIFT ") + " SHIFT ") %% " SHIFT ")"
#define TIME_OF(v) "((" v " - " PLACE_OF(v) ") // " SHIFT ")"
#define PARTS_MAX 4096
#define TIME_FAR INT64_C(9000000000000000000) /* beyond it make_timestamp() gives none */

/* Pieces of SQL that several statements share. */
typedef struct join_words {
    const char *spine_keys;   /* "x AS k0, y AS k1", of the spine */
    const char *history_keys; /* of the history */
    const char *keys;         /* "k0, k1" */
    const char *have_keys;    /* "k0 IS NOT NULL AND ..." */
    const char *history_have; /* of the history's columns */
    const char *spine_have;   /* of the spine's columns, as they came */
    const char *history_time;
    const char *spine_time;
    int64_t lag, max_age; /* in units of the times */
} join_words;

/* ---- words ----------------------------------------------------------------------------------- */

static const char *type_in_spine(const training *training, const char *column)
{
    const int64_t at = training_find(&training->spine_columns, column);
    return at < 0 ? "" : training->spine_columns.items[at].type;
}

static freshet_code make_key_words(training *training, const training_history *set,
                                   join_words *words, freshet_error *err)
{
    text_buffer texts[6];
    freshet_code code = FRESHET_OK;
    for (size_t i = 0; i < 6; i++)
        text_init(&texts[i], TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; code == FRESHET_OK && i < set->n_keys; i++) {
        const training_key *key = &set->keys[i];
        const char *value = NULL, *and = i == 0 ? "" : " AND ", *comma = i == 0 ? "" : ", ";
        const char *column = sql_quote(training->arena, key->column);
        const char *name = sql_quote(training->arena, key->name);
        code = training_key_value(training, set, key, type_in_spine(training, key->column), &value,
                                  err);
        if (code != FRESHET_OK || column == NULL || name == NULL)
            continue;
        text_format(&texts[0], "%s%s AS k%u", comma, value, i);
        text_format(&texts[1], "%s%s AS k%u", comma, name, i);
        text_format(&texts[2], "%sk%u", comma, i);
        text_format(&texts[3], "%sk%u IS NOT NULL", and, i);
        text_format(&texts[4], "%s%s IS NOT NULL", and, name);
        text_format(&texts[5], "%s%s IS NOT NULL", and, column);
    }
    words->spine_keys = text_keep(&texts[0], training->arena);
    words->history_keys = text_keep(&texts[1], training->arena);
    words->keys = text_keep(&texts[2], training->arena);
    words->have_keys = text_keep(&texts[3], training->arena);
    words->history_have = text_keep(&texts[4], training->arena);
    words->spine_have = text_keep(&texts[5], training->arena);
    if (code != FRESHET_OK)
        return code;
    return words->spine_keys == NULL || words->history_keys == NULL || words->keys == NULL ||
                   words->have_keys == NULL || words->history_have == NULL ||
                   words->spine_have == NULL
               ? error_memory(err, TRAINING_DOING)
               : FRESHET_OK;
}

static freshet_code make_words(training *training, const training_history *set, join_words *words,
                               freshet_error *err)
{
    arena *arena = training->arena;
    const char *spine = sql_quote(arena, training->time);
    const char *history = sql_quote(arena, set->time);
    const int64_t unit = set->is_nanos ? 1000 : 1;
    if (spine == NULL || history == NULL)
        return error_memory(err, TRAINING_DOING);
    words->spine_time = training_time(arena, spine, training->time_type, set->is_nanos);
    words->history_time = training_time(arena, history, set->time_type, set->is_nanos);
    words->max_age = set->max_age_us;
    if (words->spine_time == NULL || words->history_time == NULL)
        return error_memory(err, TRAINING_DOING);
    if (__builtin_mul_overflow(set->lag_us, unit, &words->lag))
        words->lag = INT64_MAX;
    if (words->max_age >= 0 && __builtin_mul_overflow(words->max_age, unit, &words->max_age))
        words->max_age = -1; /* any age that nanoseconds have is less */
    return make_key_words(training, set, words, err);
}

/* ---- the spine's rows ------------------------------------------------------------------------ */

/* In a CSV file: a text that is no value of the key, or no time. */
static freshet_code refuse_text(training *training, const char *column, const char *value,
                                const char *what, freshet_error *err)
{
    const char **texts = NULL;
    uint32_t n = 0;
    const char *quoted = sql_quote(training->arena, column);
    freshet_code code =
        training_texts(training, 2, &texts, &n, err,
                       "SELECT (" TRAINING_ROW
                       " + 1)::VARCHAR, %s FROM spine WHERE %s IS NOT NULL AND (%s) IS NULL "
                       "ORDER BY " TRAINING_ROW " LIMIT 1",
                       quoted == NULL ? "NULL" : quoted, quoted == NULL ? "NULL" : quoted, value);
    if (code != FRESHET_OK || n == 0)
        return code;
    return error_set(
        err, FRESHET_BAD_DATA, FRESHET_STOP, training->options->spine,
        "row %s of the spine has \"%s\" in the column \"%s\", which is no %s: mend it, "
        "or leave the cell empty (its features are then null)",
        texts[0], texts[1] == NULL ? "" : texts[1], column, what);
}

static freshet_code check_texts(training *training, const training_history *set,
                                const join_words *words, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (strcmp(training->time_type, "VARCHAR") == 0)
        code = refuse_text(training, training->time, words->spine_time,
                           "time such as 2024-05-01T12:00:00Z", err);
    for (uint32_t i = 0; code == FRESHET_OK && training->spine_is_csv && i < set->n_keys; i++) {
        const char *value = NULL;
        const training_key *key = &set->keys[i];
        code = training_key_value(training, set, key, type_in_spine(training, key->column), &value,
                                  err);
        const char *what = arena_format(training->arena, "%s, the type of the key \"%s\" of %s",
                                        key->type, key->name, set->name);
        if (code == FRESHET_OK)
            code = refuse_text(training, key->column, value, what == NULL ? key->type : what, err);
    }
    return code;
}

/* Ages count from the spine's time, which is cut off to microseconds for the rest: the next one. */
static const char *age_from(training *training, const training_history *set,
                            const join_words *words)
{
    const char *name = sql_quote(training->arena, training->time);
    if (strcmp(training->time_type, "TIMESTAMP_NS") != 0 || set->is_nanos)
        return words->spine_time;
    return name == NULL ? NULL
                        : arena_format(training->arena, "(%s) + (epoch_ns(%s) %% 1000 <> 0)::INT",
                                       words->spine_time, name);
}

static freshet_code make_wanted(training *training, const training_history *set,
                                const join_words *words, freshet_error *err)
{
    const char *age = age_from(training, set, words);
    if (age == NULL)
        return error_memory(err, TRAINING_DOING);
    return training_run(
        training, err,
        "CREATE OR REPLACE TEMP TABLE wanted AS SELECT * FROM (SELECT " TRAINING_ROW
        " AS row, %s, greatest(-9223372036854775807, (%s)::HUGEINT - %lld)::BIGINT AS c, %s AS e "
        "FROM spine WHERE (%s) IS NOT NULL) WHERE %s",
        words->spine_keys, words->spine_time, (long long)words->lag,
        words->max_age < 0 ? "NULL" : age, words->spine_time, words->have_keys);
}

/* ---- passes ---------------------------------------------------------------------------------- */

/* Only rows of the history that some row of the spine can see: DuckDB leaves out whole groups of
 * rows by it. */
static freshet_code make_bounds(training *training, const training_history *set,
                                const join_words *words, const char **out, freshet_error *err)
{
    const char *name = sql_quote(training->arena, set->time);
    const char *zone =
        strcmp(set->time_type, "TIMESTAMP WITH TIME ZONE") == 0 ? "::TIMESTAMPTZ" : "";
    const bool has_bounds = *zone != '\0' || strcmp(set->time_type, "TIMESTAMP") == 0;
    int64_t first = 0, last = 0;
    *out = "true";
    if (!has_bounds || name == NULL)
        return FRESHET_OK;
    freshet_code code = training_number(training, &last, err, "SELECT max(c) FROM wanted");
    if (code == FRESHET_OK)
        code = training_number(training, &first, err, "SELECT min(c) FROM wanted");
    if (code != FRESHET_OK)
        return code;
    if (last > -TIME_FAR && last < TIME_FAR)
        *out = arena_format(training->arena, "%s <= make_timestamp(%lld)%s", name, (long long)last,
                            zone);
    int64_t oldest = first;
    const bool has_oldest = words->max_age >= 0 &&
                            !__builtin_sub_overflow(first, words->max_age, &oldest) &&
                            oldest > -TIME_FAR && oldest < TIME_FAR;
    if (has_oldest && *out != NULL) /* the lag is on the safe side */
        *out = arena_format(training->arena, "%s AND %s >= make_timestamp(%lld)%s", *out, name,
                            (long long)oldest, zone);
    return *out == NULL ? error_memory(err, TRAINING_DOING) : FRESHET_OK;
}

/* Corrections that the files tell, with their keys and times; *n: how many. */
static freshet_code make_known(training *training, const training_history *set,
                               const join_words *words, const char *bounds, int64_t *n,
                               freshet_error *err)
{
    freshet_code code = training_run(
        training, err,
        "CREATE OR REPLACE TEMP TABLE told AS SELECT (f.i::BIGINT << 40) + unnest(range(e[1], e[1] "
        "+ e[2])) AS r, e[3] AS since FROM (SELECT file_name, unnest(string_split(decode(value), "
        "';')).string_split(',')::BIGINT[] AS e FROM parquet_kv_metadata(getvariable('%s')) WHERE "
        "decode(key) = '" HISTORY_FACT_CORRECTED "' AND decode(value) <> '-') m JOIN %s f ON "
        "f.file = m.file_name",
        set->table, set->table);
    if (code == FRESHET_OK)
        code = training_number(training, n, err, "SELECT count(*) FROM told");
    if (code != FRESHET_OK || *n == 0)
        return code;
    return training_run(training, err,
                        "CREATE OR REPLACE TEMP TABLE known AS SELECT %s, t, r, since%s AS since "
                        "FROM (SELECT %s, %s "
                        "AS t, " PLACE
                        " AS r FROM %s WHERE %s AND %s) JOIN told USING (r) WHERE t IS NOT NULL",
                        words->keys, set->is_nanos ? " * 1000" : "", words->history_keys,
                        words->history_time, set->files, words->history_have, bounds);
}

static freshet_code make_slots(training *training, const join_words *words, int64_t part,
                               int64_t n_parts, freshet_error *err)
{
    int64_t n = 0, n_keys = 0;
    freshet_code code = training_run(
        training, err,
        "CREATE OR REPLACE TEMP TABLE numbered AS SELECT %s, row_number() OVER () - 1 AS kid FROM "
        "(SELECT DISTINCT %s FROM wanted WHERE hash(%s) %% %lld = %lld)",
        words->keys, words->keys, words->keys, (long long)n_parts, (long long)part);
    if (code == FRESHET_OK)
        code =
            training_run(training, err,
                         "CREATE OR REPLACE TEMP TABLE slots AS SELECT kid, c, row_number() OVER "
                         "(ORDER BY kid, c) - 1 AS slot FROM (SELECT DISTINCT kid, c FROM wanted "
                         "JOIN numbered USING (%s))",
                         words->keys);
    if (code == FRESHET_OK)
        code = training_number(training, &n, err, "SELECT count(*) FROM slots");
    if (code == FRESHET_OK)
        code = training_number(training, &n_keys, err, "SELECT count(*) FROM numbered");
    if (code != FRESHET_OK)
        return code;
    freshet_error problem = {0};
    code = training_slots_load(&training->slots, training->session,
                               "SELECT kid, c FROM slots ORDER BY slot", n, n_keys, &problem);
    return training_explain(training, code, &problem, err);
}

/* The pass over the history. */
static freshet_code make_hits(training *training, const training_history *set,
                              const join_words *words, const char *bounds, bool has_known,
                              freshet_error *err)
{
    freshet_code code = training_run(
        training, err,
        "CREATE OR REPLACE TEMP TABLE hits AS SELECT slot, max(v) AS v FROM (SELECT "
        "training_slot(kid, t) AS slot, t::HUGEINT * " SHIFT
        " + r AS v FROM (SELECT %s, %s AS t, " PLACE
        " AS r FROM %s WHERE %s AND %s) h JOIN numbered USING (%s)%s) WHERE slot IS NOT NULL "
        "GROUP BY slot",
        words->history_keys, words->history_time, set->files, words->history_have, bounds,
        words->keys, has_known ? " ANTI JOIN told USING (r)" : "");
    if (code == FRESHET_OK)
        code = training_run(training, err,
                            "CREATE OR REPLACE TEMP TABLE best AS SELECT slot, kid, c, max(v) OVER "
                            "(PARTITION BY kid "
                            "ORDER BY slot) AS v FROM slots LEFT JOIN hits USING (slot)");
    return code;
}

/* Corrections that were known by the slot's time stand in the place of what they correct. */
static freshet_code correct_best(training *training, const join_words *words, freshet_error *err)
{
    return training_run(
        training, err,
        "CREATE OR REPLACE TEMP TABLE best AS SELECT slot, kid, c, greatest(v, w) AS v FROM best "
        "LEFT "
        "JOIN (SELECT slot, max(t::HUGEINT * " SHIFT
        " + r) AS w FROM (SELECT slot, kid, c, " TIME_OF(
            "v") "::BIGINT AS t FROM best WHERE v IS NOT NULL) b JOIN numbered USING (kid) JOIN "
                 "known USING (%s, t) WHERE since <= c GROUP BY slot) USING (slot)",
        words->keys);
}

static freshet_code add_found(training *training, const join_words *words, freshet_error *err)
{
    const char *age =
        words->max_age < 0
            ? ""
            : arena_format(training->arena, " AND e::HUGEINT - " TIME_OF("v") " <= %lld",
                           (long long)words->max_age);
    if (age == NULL)
        return error_memory(err, TRAINING_DOING);
    return training_run(
        training, err,
        "INSERT INTO found SELECT row, " PLACE_OF(
            "v") "::BIGINT FROM wanted JOIN numbered USING (%s) JOIN best USING (kid, c) WHERE "
                 "v IS NOT NULL%s",
        words->keys, age);
}

/* How many parts the spine is taken in, so that slots and their tables stay in memory. */
static int64_t count_parts(const training *training, int64_t n_wanted)
{
    const int64_t rows = training->memory / 4 / TRAINING_SLOT_BYTES / 8;
    const int64_t parts = n_wanted / rows + 1;
    return parts > PARTS_MAX ? PARTS_MAX : parts;
}

static freshet_code make_found(training *training, const training_history *set,
                               const join_words *words, freshet_error *err)
{
    const char *bounds = NULL;
    int64_t n_wanted = 0, n_known = 0;
    freshet_code code =
        training_run(training, err, "CREATE OR REPLACE TEMP TABLE found (row BIGINT, r BIGINT)");
    if (code == FRESHET_OK)
        code = training_number(training, &n_wanted, err, "SELECT count(*) FROM wanted");
    if (code != FRESHET_OK || n_wanted == 0)
        return code;
    code = make_bounds(training, set, words, &bounds, err);
    if (code == FRESHET_OK && !training->options->as_known_now)
        code = make_known(training, set, words, bounds, &n_known, err);
    const int64_t n_parts = count_parts(training, n_wanted);
    for (int64_t part = 0; code == FRESHET_OK && part < n_parts; part++) {
        training_doing(training, "%s: looking for the newest rows (%lld of %lld)", set->name,
                       (long long)part + 1, (long long)n_parts);
        code = make_slots(training, words, part, n_parts, err);
        if (code == FRESHET_OK)
            code = make_hits(training, set, words, bounds, n_known > 0, err);
        if (code == FRESHET_OK && n_known > 0)
            code = correct_best(training, words, err);
        if (code == FRESHET_OK)
            code = add_found(training, words, err);
    }
    return code;
}

/* ---- features -------------------------------------------------------------------------------- */

/* The names of the set's output columns: "set__feature". */
static const char *output_list(training *training, const training_history *set)
{
    text_buffer list;
    text_init(&list, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < set->n_features; i++) {
        const char *from = sql_quote(training->arena, set->features[i]);
        const char *name = arena_format(training->arena, "%s__%s", set->name, set->features[i]);
        const char *quoted = name == NULL ? NULL : sql_quote(training->arena, name);
        text_format(&list, ", %s AS %s", from == NULL ? "" : from, quoted == NULL ? "" : quoted);
        list.failed |= from == NULL || quoted == NULL;
    }
    if (training->options->with_times)
        text_format(&list, ", %s AS \"%s__timestamp\"", sql_quote(training->arena, set->time),
                    set->name);
    return text_keep(&list, training->arena);
}

static freshet_code make_set_output(training *training, const training_history *set,
                                    freshet_error *err)
{
    const char *list = output_list(training, set);
    if (list == NULL)
        return error_memory(err, TRAINING_DOING);
    training_doing(training, "%s: reading their features", set->name);
    freshet_code code = training_run(training, err,
                                     "CREATE OR REPLACE TEMP TABLE picked AS SELECT " PLACE
                                     " AS r%s FROM %s WHERE " PLACE " IN (SELECT r FROM found)",
                                     list, set->files);
    if (code == FRESHET_OK)
        code =
            training_run(training, err,
                         "CREATE TEMP TABLE out_%u AS SELECT row, picked.* EXCLUDE (r) FROM found "
                         "JOIN picked USING (r)",
                         set->index);
    if (code == FRESHET_OK)
        code =
            training_run(training, err, "DROP TABLE picked; DROP TABLE found; DROP TABLE wanted");
    return code;
}

/* "orders: features for 12 of 15 rows; 2 have no key or no time" */
static freshet_code say_set(training *training, const training_history *set,
                            const join_words *words, int64_t n_found, freshet_error *err)
{
    int64_t n_null = 0;
    text_buffer line;
    freshet_code code = training_number(training, &n_null, err,
                                        "SELECT count(*) FROM spine WHERE NOT (%s AND (%s) IS NOT "
                                        "NULL)",
                                        words->spine_have, words->spine_time);
    if (code != FRESHET_OK)
        return code;
    text_init(&line, TEXT_LIMIT_DEFAULT);
    text_format(&line, "%s: features for ", set->name);
    text_append_count(&line, n_found);
    text_append_c(&line, " of ");
    text_append_count_of(&line, training->n_rows, "row");
    if (n_null > 0) {
        text_append_c(&line, "; ");
        text_append_count(&line, n_null);
        text_append_c(&line, " without a key or a time");
    }
    if (n_found == 0 && training->n_rows > n_null)
        text_append_c(&line, ": no key of the spine is in the history at or before its time");
    if (!line.failed)
        training_say(training, "%s", line.bytes);
    text_release(&line);
    return FRESHET_OK;
}

freshet_code training_join(training *training, training_history *set, freshet_error *err)
{
    join_words words = {0};
    int64_t n_found = 0;
    freshet_code code = make_words(training, set, &words, err);
    if (code == FRESHET_OK)
        code = check_texts(training, set, &words, err);
    if (code == FRESHET_OK)
        code = training_run(training, err, "SET preserve_insertion_order = false");
    if (code == FRESHET_OK)
        code = make_wanted(training, set, &words, err);
    if (code == FRESHET_OK)
        code = make_found(training, set, &words, err);
    if (code == FRESHET_OK)
        code = training_number(training, &n_found, err, "SELECT count(*) FROM found");
    if (code == FRESHET_OK)
        code = make_set_output(training, set, err);
    return code == FRESHET_OK ? say_set(training, set, &words, n_found, err) : code;
}
