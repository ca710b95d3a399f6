/* outcome.c - see outcome.h. */
#include "compare/outcome.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "declaration/value.h"

#define TELLING "telling what was compared"

freshet_code outcome_open(outcome *outcome, const schema *schema, uint32_t n_keys,
                          uint32_t examples_max, freshet_error *err)
{
    outcome->arena = arena_open();
    outcome->schema = schema;
    outcome->n_keys = n_keys;
    outcome->examples_max = examples_max;
    if (outcome->arena == NULL)
        return error_memory(err, TELLING);
    outcome->differing =
        arena_zero(outcome->arena, schema->n_fields + (size_t)1, sizeof *outcome->differing);
    outcome->uncompared =
        arena_zero(outcome->arena, schema->n_fields + (size_t)1, sizeof *outcome->uncompared);
    return outcome->differing == NULL || outcome->uncompared == NULL ? error_memory(err, TELLING)
                                                                     : FRESHET_OK;
}

void outcome_close(outcome *outcome)
{
    arena_close(outcome->arena);
    free(outcome->lags);
    *outcome = (struct outcome){0};
}

int64_t outcome_compared(const outcome *outcome)
{
    int64_t n = 0;
    for (compare_class class = 0; class < COMPARED_CLASSES; class ++)
        n += compare_class_counts(class) ? outcome->counts[class] : 0;
    return n;
}

int64_t outcome_failing(const outcome *outcome)
{
    int64_t n = 0;
    for (compare_class class = 0; class < COMPARED_CLASSES; class ++)
        n += compare_class_fails(class) ? outcome->counts[class] : 0;
    return n;
}

/* ---- one difference -------------------------------------------------------------------------- */

static freshet_code outcome_put_keys(const outcome *outcome, const outcome_pair *pair, bool as_json,
                                     text_buffer *into, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t k = 0; code == FRESHET_OK && k < outcome->n_keys; k++) {
        const char *name = outcome->schema->fields[k].name;
        text_append_c(into, k == 0 ? "" : as_json ? "," : " ");
        if (as_json)
            text_append_json(into, name, strlen(name));
        else
            text_append_c(into, name);
        text_append_c(into, as_json ? ":" : "=");
        code = column_to_json(&pair->keys[k], pair->row, into, err);
    }
    return code;
}

static void put_time(text_buffer *into, bool is_there, int64_t time_us, bool as_json)
{
    const char *quote = as_json ? "\"" : "";
    if (!is_there) {
        text_append_c(into, as_json ? "null" : "none");
        return;
    }
    text_append_c(into, quote);
    text_append_timestamp(into, time_us);
    text_append_c(into, quote);
}

/* The time of the history's row that was looked at: that of the online row's moment where there is
 * one, but of a stale or missing row the one that it lacks. */
static bool history_time(compare_class class, const judge_pair *times, int64_t *time_us)
{
    const bool is_behind = class == COMPARED_STALE || class == COMPARED_MISSING;
    *time_us = is_behind || !times->has_at ? times->before_us : times->at_us;
    return is_behind || !times->has_at ? times->has_before : true;
}

/* feature 0: none. */
static freshet_code difference_line(const outcome *outcome, compare_class class,
                                    const outcome_pair *pair, uint32_t feature, text_buffer *into,
                                    freshet_error *err)
{
    const uint32_t at = feature - outcome->n_keys - 1;
    int64_t time_us = 0;
    const bool has_time = history_time(class, &pair->times, &time_us);
    text_format(into, "{\"class\":\"%s\",\"store\":", compare_class_name(class));
    text_append_json(into, outcome->store, strlen(outcome->store));
    text_append_c(into, ",\"history\":");
    text_append_json(into, outcome->history, strlen(outcome->history));
    text_append_c(into, ",\"key\":{");
    freshet_code code = outcome_put_keys(outcome, pair, true, into, err);
    text_append_c(into, "},\"online_timestamp\":");
    put_time(into, pair->times.is_online, pair->times.online_us, true);
    text_append_c(into, ",\"history_timestamp\":");
    put_time(into, has_time, time_us, true);
    if (code == FRESHET_OK && feature > 0) {
        const char *name = outcome->schema->fields[feature].name;
        text_append_c(into, ",\"feature\":");
        text_append_json(into, name, strlen(name));
        text_append_c(into, ",\"online_value\":");
        code = column_to_json(&pair->online[at], pair->row, into, err);
        text_append_c(into, ",\"history_value\":");
        if (code == FRESHET_OK)
            code = column_to_json(&pair->history[at], pair->row, into, err);
    }
    text_append_c(into, "}");
    return code == FRESHET_OK && into->failed ? error_memory(err, TELLING) : code;
}

static freshet_code difference_text(const outcome *outcome, compare_class class,
                                    const outcome_pair *pair, uint32_t feature, text_buffer *into,
                                    freshet_error *err)
{
    const uint32_t at = feature - outcome->n_keys - 1;
    int64_t time_us = 0;
    const bool has_time = history_time(class, &pair->times, &time_us);
    text_format(into, "%-9s  ", compare_class_name(class));
    freshet_code code = outcome_put_keys(outcome, pair, false, into, err);
    text_append_c(into, "  ");
    if (code == FRESHET_OK && feature > 0) {
        text_format(into, "%s: online ", outcome->schema->fields[feature].name);
        code = column_to_json(&pair->online[at], pair->row, into, err);
        text_append_c(into, ", history ");
        if (code == FRESHET_OK)
            code = column_to_json(&pair->history[at], pair->row, into, err);
        text_append_c(into, ", both of ");
        put_time(into, pair->times.is_online, pair->times.online_us, false);
    } else {
        text_append_c(into, "online ");
        put_time(into, pair->times.is_online, pair->times.online_us, false);
        text_append_c(into, ", history ");
        put_time(into, has_time, time_us, false);
    }
    return code == FRESHET_OK && into->failed ? error_memory(err, TELLING) : code;
}

static freshet_code outcome_keep(outcome *outcome, compare_class class, const outcome_pair *pair,
                                 uint32_t feature, const text_buffer *line, freshet_error *err)
{
    text_buffer text;
    if (outcome->n_of[class] >= outcome->examples_max)
        return FRESHET_OK;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    freshet_code code = difference_text(outcome, class, pair, feature, &text, err);
    if (code == FRESHET_OK &&
        !arena_reserve(outcome->arena, &outcome->examples, &outcome->examples_capacity,
                       outcome->n_examples + UINT64_C(1), sizeof *outcome->examples))
        code = error_memory(err, TELLING);
    if (code == FRESHET_OK) {
        outcome_example *example = &outcome->examples[outcome->n_examples++];
        *example = (outcome_example){
            .class = class,
            .line = arena_copy(outcome->arena, line->bytes, line->length),
            .text = arena_copy(outcome->arena, text.bytes, text.length),
        };
        outcome->n_of[class]++;
        if (example->line == NULL || example->text == NULL)
            code = error_memory(err, TELLING);
    }
    text_release(&text);
    return code;
}

static freshet_code outcome_tell(outcome *outcome, compare_class class, const outcome_pair *pair,
                                 uint32_t feature, freshet_error *err)
{
    text_buffer line;
    if (outcome->write == NULL && outcome->n_of[class] >= outcome->examples_max)
        return FRESHET_OK;
    text_init(&line, TEXT_LIMIT_DEFAULT);
    freshet_code code = difference_line(outcome, class, pair, feature, &line, err);
    if (code == FRESHET_OK)
        code = outcome_keep(outcome, class, pair, feature, &line, err);
    text_append_char(&line, '\n');
    if (code == FRESHET_OK && line.failed)
        code = error_memory(err, TELLING);
    if (code == FRESHET_OK && outcome->write != NULL &&
        !outcome->write(outcome->context, line.bytes, line.length))
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the differences could not be written");
    text_release(&line);
    return code;
}

static freshet_code outcome_add_lag(outcome *outcome, int64_t lag_us, freshet_error *err)
{
    if (outcome->n_lags == outcome->lags_capacity) {
        const uint32_t capacity = outcome->lags_capacity == 0 ? 1024 : 2 * outcome->lags_capacity;
        int64_t *lags = realloc(outcome->lags, capacity * sizeof *lags);
        if (lags == NULL)
            return error_memory(err, TELLING);
        outcome->lags = lags;
        outcome->lags_capacity = capacity;
    }
    outcome->lags[outcome->n_lags++] = lag_us;
    return FRESHET_OK;
}

static freshet_code tell_features(outcome *outcome, const outcome_pair *pair, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t f = outcome->n_keys + 1; code == FRESHET_OK && f < outcome->schema->n_fields;
         f++) {
        const uint32_t at = f - outcome->n_keys - 1;
        if (outcome->uncompared[f] ||
            judge_cells(pair->rules, &pair->online[at], pair->row, &pair->history[at], pair->row))
            continue;
        outcome->differing[f]++;
        code = outcome_tell(outcome, COMPARED_DIFFERENT, pair, f, err);
    }
    return code;
}

freshet_code outcome_add(outcome *outcome, compare_class class, const outcome_pair *pair,
                         freshet_error *err)
{
    const judge_pair *times = &pair->times;
    freshet_code code = FRESHET_OK;
    int64_t lag_us;
    outcome->counts[class]++;
    if (!compare_class_fails(class))
        return FRESHET_OK;
    if (class == COMPARED_DIFFERENT)
        return tell_features(outcome, pair, err);
    if (class == COMPARED_STALE) {
        if (__builtin_sub_overflow(times->before_us, times->online_us, &lag_us))
            lag_us = INT64_MAX;
        code = outcome_add_lag(outcome, lag_us, err);
    }
    return code == FRESHET_OK ? outcome_tell(outcome, class, pair, 0, err) : code;
}

/* ---- printing -------------------------------------------------------------------------------- */

static int compare_lags(const void *a, const void *b)
{
    const int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;
    return (one > other) - (one < other);
}

static void sort_lags(outcome *outcome)
{
    if (outcome->n_lags > 0)
        qsort(outcome->lags, outcome->n_lags, sizeof *outcome->lags, compare_lags);
}

/* About: two units are not needed. */
static void put_lag(text_buffer *into, int64_t lag_us)
{
    const int64_t round_us = lag_us >= 1000000 ? lag_us - lag_us % 1000000 : lag_us;
    char text[VALUE_TEXT_MAX];
    value_format(OPTION_DURATION, round_us, text);
    text_append_c(into, text);
}

static void put_lags(const outcome *outcome, text_buffer *into)
{
    text_append_c(into, "the online row is older: by ");
    put_lag(into, outcome->lags[outcome->n_lags / 2]);
    if (outcome->n_lags > 1) {
        text_append_c(into, " at the median, ");
        put_lag(into, outcome->lags[outcome->n_lags - 1]);
        text_append_c(into, " at most");
    }
}

static void put_differing(const outcome *outcome, text_buffer *into)
{
    uint32_t n = 0;
    text_append_c(into, "of the same time, with other values: ");
    for (uint32_t f = 0; f < outcome->schema->n_fields; f++)
        if (outcome->differing[f] > 0)
            text_format(into, "%s%s %" PRId64, n++ == 0 ? "" : ", ",
                        outcome->schema->fields[f].name, outcome->differing[f]);
}

static void put_means(const outcome *outcome, compare_class class, text_buffer *into)
{
    static const char *const means[COMPARED_CLASSES] = {
        [COMPARED_IN_FLIGHT] = "older than the history's, or not there yet, within the grace",
        [COMPARED_EXPIRED] = "past their ttl: rightly not there",
        [COMPARED_UNKEPT] = "older than what the debug table holds",
        [COMPARED_MISSING] = "in the history, and not online",
        [COMPARED_UNKNOWN] = "online, and not in the history, though it is further",
        [COMPARED_NOWHERE] = "of the keys asked for: neither online nor in the history",
    };
    switch (class) {
    case COMPARED_EQUAL: break;
    case COMPARED_STALE: put_lags(outcome, into); break;
    case COMPARED_DIFFERENT: put_differing(outcome, into); break;
    case COMPARED_AHEAD:
        text_append_c(into, "online, and newer than the history's end, ");
        put_time(into, true, outcome->end_us, false);
        break;
    default: text_append_c(into, means[class]); break;
    }
}

static void put_uncompared(const outcome *outcome, text_buffer *into)
{
    for (uint32_t f = 0; f < outcome->schema->n_fields; f++)
        if (outcome->uncompared[f])
            text_format(into, "  not compared, since no file of the history has it: %s\n",
                        outcome->schema->fields[f].name);
}

freshet_code outcome_text(outcome *outcome, text_buffer *into, freshet_error *err)
{
    int64_t n = 0;
    sort_lags(outcome);
    for (compare_class class = 0; class < COMPARED_CLASSES; class ++)
        n += outcome->counts[class];
    text_format(into, "%s and the history in %s: ", outcome->store, outcome->history);
    text_append_count_of(into, n, "key");
    text_append_c(into, "\n");
    for (compare_class class = 0; class < COMPARED_CLASSES; class ++) {
        if (outcome->counts[class] == 0 && class != COMPARED_EQUAL)
            continue;
        text_format(into, "  %-10s %8" PRId64 "  ", compare_class_name(class),
                    outcome->counts[class]);
        put_means(outcome, class, into);
        while (into->length > 0 && into->bytes[into->length - 1] == ' ')
            into->length--;
        text_append_c(into, "\n");
    }
    put_uncompared(outcome, into);
    if (outcome->counts[COMPARED_DIFFERENT] > 0 && outcome->note != NULL)
        text_format(into, "  %s\n", outcome->note);
    for (uint32_t i = 0; i < outcome->n_examples; i++)
        text_format(into, "%s    %s\n", i == 0 ? "  for example\n" : "", outcome->examples[i].text);
    return into->failed ? error_memory(err, TELLING) : FRESHET_OK;
}

static void json_text(text_buffer *into, const char *name, const char *value)
{
    text_format(into, "\"%s\":", name);
    text_append_json(into, value, strlen(value));
}

static void json_names(const outcome *outcome, text_buffer *into)
{
    uint32_t n = 0;
    text_append_c(into, ",\"features\":{");
    for (uint32_t f = outcome->n_keys + 1; f < outcome->schema->n_fields; f++)
        if (!outcome->uncompared[f]) {
            const char *name = outcome->schema->fields[f].name;
            text_append_c(into, n++ == 0 ? "" : ",");
            text_append_json(into, name, strlen(name));
            text_format(into, ":%" PRId64, outcome->differing[f]);
        }
    text_append_c(into, "},\"not_compared\":[");
    n = 0;
    for (uint32_t f = 0; f < outcome->schema->n_fields; f++)
        if (outcome->uncompared[f]) {
            const char *name = outcome->schema->fields[f].name;
            text_append_c(into, n++ == 0 ? "" : ",");
            text_append_json(into, name, strlen(name));
        }
    text_append_c(into, "]");
}

freshet_code outcome_json(outcome *outcome, text_buffer *into, freshet_error *err)
{
    sort_lags(outcome);
    text_append_c(into, "{");
    json_text(into, "store", outcome->store);
    text_append_c(into, ",");
    json_text(into, "history", outcome->history);
    text_append_c(into, ",\"asked\":");
    put_time(into, true, outcome->asked_us, true);
    text_append_c(into, ",\"history_end\":");
    put_time(into, outcome->end_us != INT64_MIN, outcome->end_us, true);
    text_format(
        into, ",\"files\":%u,\"seed\":%" PRIu64 ",\"compared\":%" PRId64 ",\"failing\":%" PRId64,
        outcome->n_files, outcome->seed, outcome_compared(outcome), outcome_failing(outcome));
    for (compare_class class = 0; class < COMPARED_CLASSES; class ++)
        text_format(into, ",\"%s\":%" PRId64, compare_class_name(class), outcome->counts[class]);
    const uint32_t middle = outcome->n_lags / 2;
    if (outcome->n_lags > 0)
        text_format(into, ",\"stale_by_s\":{\"median\":%.6f,\"most\":%.6f}",
                    (double)outcome->lags[middle] / 1e6,
                    (double)outcome->lags[outcome->n_lags - 1] / 1e6);
    json_names(outcome, into);
    text_append_c(into, ",\"examples\":[");
    for (uint32_t i = 0; i < outcome->n_examples; i++)
        text_format(into, "%s%s", i == 0 ? "" : ",", outcome->examples[i].line);
    text_append_c(into, "]}");
    return into->failed ? error_memory(err, TELLING) : FRESHET_OK;
}
