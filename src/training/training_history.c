/* training_history.c - which histories: their files, keys, time and features (training.h).
 *
 * A history is named by the declaration that writes it, or by its folder. What its keys and its
 * time are stands in its files (writers/history/history_facts.h); a declaration and --keys and
 * --timestamp say it for files that do not.
 */
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "declaration/declaration.h"
#include "declaration/handle.h"
#include "declaration/value.h"
#include "training/training.h"
#include "writers/history/history.h"
#include "writers/history/history_facts.h"

#define TIMESTAMP "timestamp"

/* ---- where it is ----------------------------------------------------------------------------- */

/* "NAME=PATH" */
static freshet_code split_name(training *training, training_history *set, freshet_error *err)
{
    const char *equals = strchr(set->from, '=');
    const char *slash = strchr(set->from, '/');
    set->path = set->from;
    if (equals == NULL || (slash != NULL && slash < equals))
        return FRESHET_OK;
    set->name = arena_copy(training->arena, set->from, (size_t)(equals - set->from));
    set->path = equals + 1;
    if (set->name == NULL)
        return error_memory(err, TRAINING_DOING);
    const char *wrong = value_name(set->name);
    return wrong == NULL ? FRESHET_OK
                         : error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                                     "--from %s: the name before \"=\" %s", set->from, wrong);
}

/* The one history of the declaration. */
static freshet_code find_writer(const declaration *declaration, const char *file,
                                const writer_block **out, freshet_error *err)
{
    const writer_block *writers = declaration->sink.writers.items;
    uint32_t n = 0;
    for (uint32_t i = 0; i < declaration->sink.writers.n; i++)
        if (writers[i].kind.kind == history_writer_ops.block) {
            *out = &writers[i];
            n++;
        }
    if (n == 1)
        return FRESHET_OK;
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, file,
                     n == 0 ? "it has no history to make a training set from: add `- history: "
                              "{path: ...}` to sink.writers and run it, or give the folder of a "
                              "history to --from"
                            : "it has several histories: give the folder of one to --from");
}

static freshet_code copy_declared(training *training, training_history *set,
                                  const declaration *declaration, const char *file,
                                  freshet_error *err)
{
    const feature_set_block *feature_set = &declaration->feature_set;
    const key_block *keys = feature_set->keys.items;
    const writer_block *writer = NULL;
    text_buffer list;
    freshet_code code = find_writer(declaration, file, &writer, err);
    if (code != FRESHET_OK || writer == NULL)
        return code;
    text_init(&list, TEXT_LIMIT_DEFAULT);
    for (uint32_t i = 0; i < feature_set->keys.n; i++)
        if (key_is_column(&keys[i]))
            text_format(&list, "%s%s", list.length == 0 ? "" : ",", keys[i].name.value);
    set->path = history_path(writer->kind.options, declaration, training->arena, &(bool){false});
    if (set->name == NULL)
        set->name = arena_text(training->arena, feature_set->name.value);
    if (list.length > 0)
        set->said_keys = arena_text(training->arena, list.bytes);
    set->said_time = TIMESTAMP;
    text_release(&list);
    return set->path == NULL || arena_failed(training->arena) ? error_memory(err, TRAINING_DOING)
                                                              : FRESHET_OK;
}

static freshet_code read_declared(training *training, training_history *set, freshet_error *err)
{
    freshet_declaration *declaration = NULL;
    const char *file = set->path;
    freshet_code code = freshet_declaration_load(file, training->options->problem,
                                                 training->options->context, &declaration, err);
    if (code == FRESHET_OK)
        code = copy_declared(training, set, declaration_of(declaration), file, err);
    freshet_declaration_close(declaration);
    return code;
}

static freshet_code find_files(training *training, training_history *set, freshet_error *err)
{
    set->table = arena_format(training->arena, "files_%u", set->index);
    set->files = arena_format(training->arena,
                              "read_parquet(getvariable('files_%u'), union_by_name = true, "
                              "hive_partitioning = false)",
                              set->index);
    if (set->table == NULL || set->files == NULL)
        return error_memory(err, TRAINING_DOING);
    freshet_code code =
        training_list_files(training, set->path, ".parquet", set->table, &set->n_files, err);
    if (code == FRESHET_OK && set->n_files == 0)
        code =
            error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, set->path,
                      "there are no Parquet files of a history here: run what writes it, or give "
                      "the folder that it has written to --from");
    return code;
}

/* ---- what it says of itself ------------------------------------------------------------------ */

/* By the newest file: the last that a history has. */
static freshet_code read_facts(training *training, training_history *set, freshet_error *err)
{
    const char **facts = NULL;
    uint32_t n = 0;
    freshet_code code = training_texts(
        training, 2, &facts, &n, err,
        "SELECT decode(key), CASE WHEN decode(key) = '" HISTORY_FACT_KEYS "' THEN "
        "array_to_string(from_json(decode(value), '[\"VARCHAR\"]'), ',') ELSE decode(value) END "
        "FROM parquet_kv_metadata(getvariable('%s')[-1]) WHERE decode(key) IN ('" HISTORY_FACT_SET
        "', '" HISTORY_FACT_KEYS "', '" HISTORY_FACT_TIME "')",
        set->table);
    for (uint32_t i = 0; code == FRESHET_OK && i < n; i++) {
        if (strcmp(facts[2 * i], HISTORY_FACT_SET) == 0 && set->name == NULL)
            set->name = facts[2 * i + 1];
        if (strcmp(facts[2 * i], HISTORY_FACT_KEYS) == 0)
            set->said_keys = facts[2 * i + 1];
        if (strcmp(facts[2 * i], HISTORY_FACT_TIME) == 0)
            set->said_time = facts[2 * i + 1];
    }
    return code;
}

/* The folder's own name, where that is one. */
static freshet_code name_set(training *training, training_history *set, freshet_error *err)
{
    if (set->name == NULL) {
        const char *end = set->path + strlen(set->path);
        while (end > set->path + 1 && end[-1] == '/')
            end--;
        const char *from = end;
        while (from > set->path && from[-1] != '/')
            from--;
        if (training_ends(set->path, ".parquet"))
            end -= strlen(".parquet");
        set->name = arena_copy(training->arena, from, end > from ? (size_t)(end - from) : 0);
        if (set->name == NULL)
            return error_memory(err, TRAINING_DOING);
    }
    if (value_name(set->name) != NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "--from %s: the features need the name of their set before theirs, and "
                         "\"%s\" is none: say it, as in --from orders=%s",
                         set->from, set->name, set->path);
    for (uint32_t i = 0; i < set->index; i++)
        if (strcasecmp(training->sets[i].name, set->name) == 0)
            return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                             "--from %s: the set \"%s\" is there already (%s): give one of them "
                             "another name, as in --from %s_2=%s",
                             set->from, set->name, training->sets[i].from, set->name, set->path);
    return FRESHET_OK;
}

/* ---- keys, time and features ----------------------------------------------------------------- */

static freshet_code find_set_keys(training *training, training_history *set, freshet_error *err)
{
    const char *said = training_word(training->options->keys, set->name, false);
    const char **names = NULL;
    if (said == NULL)
        said = set->said_keys;
    if (said == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, set->path,
                         "these files do not say what their keys are: say it, as in --keys "
                         "%s=customer; the columns are %s",
                         set->name, training_list(training, &set->columns));
    freshet_code code = training_split(training, said, &names, &set->n_keys, err);
    if (code != FRESHET_OK)
        return code;
    set->keys = arena_zero(training->arena, set->n_keys + (size_t)1, sizeof *set->keys);
    if (set->keys == NULL)
        return error_memory(err, TRAINING_DOING);
    for (uint32_t i = 0; i < set->n_keys; i++) {
        const int64_t at = training_find(&set->columns, names[i]);
        if (at < 0)
            return error_set(err, FRESHET_USAGE, FRESHET_STOP, set->path,
                             "the history has no column \"%s\", which is to be a key of %s%s; its "
                             "columns are %s",
                             names[i], set->name, training_near(training, &set->columns, names[i]),
                             training_list(training, &set->columns));
        set->keys[i] =
            (training_key){set->columns.items[at].name, set->columns.items[at].type, NULL};
    }
    return set->n_keys > 0 ? FRESHET_OK
                           : error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                                       "--keys %s= names no column", set->name);
}

static freshet_code find_time(training *training, training_history *set, freshet_error *err)
{
    const char *said = training_word(training->options->timestamp, set->name, false);
    if (said == NULL)
        said = set->said_time != NULL ? set->said_time
               : training_find(&set->columns, TIMESTAMP) < 0 &&
                       training_find(&set->columns, "event_timestamp") >= 0
                   ? "event_timestamp"
                   : TIMESTAMP;
    const int64_t at = training_find(&set->columns, said);
    if (at < 0)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, set->path,
                         "the history has no column \"%s\" with the times of its rows%s: say which "
                         "it is, as in --timestamp %s=event_time; its columns are %s",
                         said, training_near(training, &set->columns, said), set->name,
                         training_list(training, &set->columns));
    set->time = set->columns.items[at].name;
    set->time_type = set->columns.items[at].type;
    set->is_nanos = strcmp(set->time_type, "TIMESTAMP_NS") == 0;
    if (strncmp(set->time_type, "TIMESTAMP", strlen("TIMESTAMP")) != 0 &&
        strcmp(set->time_type, "DATE") != 0)
        return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, set->path,
                         "the column \"%s\", the time of %s, is of type %s: write it as a "
                         "timestamp or a date, or name another one, as in --timestamp %s=COLUMN",
                         set->time, set->name, set->time_type, set->name);
    return FRESHET_OK;
}

static bool is_own_column(const training_history *set, const char *name)
{
    bool is = strcmp(set->time, name) == 0;
    for (uint32_t i = 0; i < set->n_keys; i++)
        is |= strcmp(set->keys[i].name, name) == 0;
    return is;
}

/* The columns that are features. */
static freshet_code list_features(training *training, const training_history *set,
                                  training_columns *out, freshet_error *err)
{
    out->items = arena_zero(training->arena, set->columns.n + (size_t)1, sizeof(training_column));
    out->n = 0;
    if (out->items == NULL)
        return error_memory(err, TRAINING_DOING);
    for (uint32_t i = 0; i < set->columns.n; i++)
        if (!is_own_column(set, set->columns.items[i].name))
            out->items[out->n++] = set->columns.items[i];
    return FRESHET_OK;
}

static freshet_code add_feature(training *training, training_history *set,
                                const training_columns *there, const char *name, freshet_error *err)
{
    const int64_t at = training_find(there, name);
    if (at < 0)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, set->path,
                         "--features: the set %s has no feature \"%s\"%s; it has %s", set->name,
                         name, training_near(training, there, name),
                         training_list(training, there));
    for (uint32_t i = 0; i < set->n_features; i++)
        if (strcmp(set->features[i], there->items[at].name) == 0)
            return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                             "--features: the feature \"%s\" of the set %s is named twice: name "
                             "it once",
                             there->items[at].name, set->name);
    set->features[set->n_features++] = there->items[at].name;
    return FRESHET_OK;
}

/* Those that are named, in their order; all of a set of which none is. */
static freshet_code find_features(training *training, training_history *set, freshet_error *err)
{
    const size_t length = strlen(set->name);
    const char *const *words = training->options->features;
    training_columns there;
    bool is_named = false;
    freshet_code code = list_features(training, set, &there, err);
    set->features = arena_zero(training->arena, there.n + (size_t)1, sizeof *set->features);
    if (set->features == NULL)
        return error_memory(err, TRAINING_DOING);
    for (; code == FRESHET_OK && words != NULL && *words != NULL; words++) {
        const char **names = NULL;
        uint32_t n = 0;
        if (strncmp(*words, set->name, length) != 0 || (*words)[length] != ':')
            continue;
        is_named = true;
        code = training_split(training, *words + length + 1, &names, &n, err);
        for (uint32_t i = 0; code == FRESHET_OK && i < n; i++)
            code = add_feature(training, set, &there, names[i], err);
    }
    for (uint32_t i = 0; code == FRESHET_OK && !is_named && i < there.n; i++)
        set->features[set->n_features++] = there.items[i].name;
    if (code == FRESHET_OK && set->n_features == 0)
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, set->path,
                         "no feature of the set %s is asked for; it has %s", set->name,
                         training_list(training, &there));
    return code;
}

static freshet_code find_spans(training *training, training_history *set, freshet_error *err)
{
    const char *lag = training_word(training->options->lag, set->name, true);
    const char *age = training_word(training->options->max_age, set->name, true);
    freshet_code code = FRESHET_OK;
    set->max_age_us = -1;
    if (lag != NULL)
        code = training_duration(lag, "lag", &set->lag_us, err);
    if (code == FRESHET_OK && age != NULL)
        code = training_duration(age, "max-age", &set->max_age_us, err);
    if (code == FRESHET_OK && set->max_age_us >= 0 && set->max_age_us < set->lag_us)
        code =
            error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                      "--max-age %s is shorter than --lag %s of the set %s, so no row would have "
                      "features: its age counts from the spine's time",
                      age, lag, set->name);
    return code;
}

/* ---- all of them ----------------------------------------------------------------------------- */

static freshet_code open_history(training *training, training_history *set, freshet_error *err)
{
    training_doing(training, "%s: looking at its files", set->from);
    freshet_code code = split_name(training, set, err);
    if (code == FRESHET_OK &&
        (training_ends(set->path, ".yaml") || training_ends(set->path, ".yml")))
        code = read_declared(training, set, err);
    if (code == FRESHET_OK)
        code = find_files(training, set, err);
    if (code == FRESHET_OK)
        code = read_facts(training, set, err);
    if (code == FRESHET_OK)
        code = name_set(training, set, err);
    if (code == FRESHET_OK)
        code = training_describe(training, set->files, &set->columns, err);
    return code;
}

static freshet_code settle_history(training *training, training_history *set, freshet_error *err)
{
    freshet_code code = find_set_keys(training, set, err);
    if (code == FRESHET_OK)
        code = find_time(training, set, err);
    if (code == FRESHET_OK)
        code = find_features(training, set, err);
    return code == FRESHET_OK ? find_spans(training, set, err) : code;
}

/* What is said of sets is said of such as there are. */
static freshet_code check_all_words(training *training, freshet_error *err)
{
    const freshet_training_options *options = training->options;
    freshet_code code =
        training_check_words(training, options->features, "features", ':', false, err);
    if (code == FRESHET_OK)
        code = training_check_words(training, options->lag, "lag", '=', true, err);
    if (code == FRESHET_OK)
        code = training_check_words(training, options->max_age, "max-age", '=', true, err);
    if (code == FRESHET_OK)
        code = training_check_words(training, options->key, "key", '.', false, err);
    if (code == FRESHET_OK)
        code = training_check_words(training, options->keys, "keys", '=', false, err);
    if (code == FRESHET_OK)
        code = training_check_words(training, options->timestamp, "timestamp", '=', false, err);
    return code;
}

freshet_code training_histories(training *training, freshet_error *err)
{
    const char *const *from = training->options->from;
    freshet_code code = FRESHET_OK;
    for (; code == FRESHET_OK && from != NULL && *from != NULL; from++) {
        if (training->n_sets == TRAINING_SETS_MAX)
            return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                             "a training set is made from %u histories at most", TRAINING_SETS_MAX);
        training_history *set = &training->sets[training->n_sets];
        *set = (training_history){.from = *from, .index = training->n_sets};
        training->n_sets++;
        code = open_history(training, set, err);
    }
    if (code == FRESHET_OK && training->n_sets == 0)
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "say which history the features come from, as in --from orders.yaml (the "
                         "declaration that writes it) or --from out/orders (its folder)");
    if (code == FRESHET_OK)
        code = check_all_words(training, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < training->n_sets; i++)
        code = settle_history(training, &training->sets[i], err);
    return code;
}
