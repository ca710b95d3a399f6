/* verb_compare.c - freshet compare FILE: does the online store say what the history says? */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/online_store.h"
#include "compare/compare.h"
#include "compare/compare_cassandra.h"
#include "compare/compare_debug.h"
#include "declaration/value.h"
#include "pipeline/pipeline.h"
#include "writers/debug/debug_writer.h"
#include "writers/history/history.h"

#define PRINTING "printing the comparison"
#define SAMPLE_MAX 1000000
#define PLACES_MAX (STORES_MAX + 1u)
#define SETTLING_US INT64_C(2000000)
#define CORRECTIONS_NOTE                                                                        \
    "the history has no `corrections: true`: rows that late events, or later ones of the same " \
    "second, have changed stay in it as they first were"

typedef struct compare_arguments {
    const char *file;
    const char *history;
    const char *sample;
    const char *keys;
    uint32_t seed;
    const char *grace;
    const char *tolerance;
    const char *fail_above;
    const char *wait;
    uint32_t examples;
    bool debug;
    bool json;
    const char *output;
} compare_arguments;

static const argument compare_options[] = {
    {ARGUMENT("history", TEXT, compare_arguments, history), .value = "FOLDER",
     .doc = "compare with this folder, in the place of the declaration's histories"},
    {ARGUMENT("sample", TEXT, compare_arguments, sample), .value = "N", .standard = "1000",
     .doc = "how many keys are chosen of each side, or \"all\""},
    {ARGUMENT("keys", TEXT, compare_arguments, keys), .value = "FILE",
     .doc = "compare these keys instead: a file .csv (with a header), .parquet, or JSON lines"},
    {ARGUMENT("seed", COUNT, compare_arguments, seed), .value = "N", .standard = "1",
     .doc = "another one chooses other keys"},
    {ARGUMENT("grace", TEXT, compare_arguments, grace), .value = "TIME",
     .doc = "so much older may an online row be (\"1 minute\"); default: the declaration's, or 0"},
    {ARGUMENT("tolerance", TEXT, compare_arguments, tolerance), .value = "SHARE",
     .doc = "so far may floats be apart, of the greater one (1e-9); default: the declaration's, "
            "or 0"},
    {ARGUMENT("fail-above", TEXT, compare_arguments, fail_above), .value = "LIMIT",
     .doc = "how many rows may be wrong: 10, or \"0.1 %\"; default: the declaration's, or 0"},
    {ARGUMENT("wait", TEXT, compare_arguments, wait), .value = "TIME",
     .doc = "how long what is wrong is looked at again; default: two checkpoints and two seconds "
            "where the pipeline runs on this machine, else not at all"},
    {ARGUMENT("examples", COUNT, compare_arguments, examples), .value = "N", .standard = "5",
     .doc = "how many of each kind are shown"},
    {ARGUMENT("debug", FLAG, compare_arguments, debug),
     .doc = "compare the debug table of the running pipeline, whatever the declaration says"},
    {ARGUMENT("json", FLAG, compare_arguments, json), .doc = "one JSON object"},
    {ARGUMENT("output", TEXT, compare_arguments, output), .letter = 'o', .value = "FILE",
     .doc = "write all differences into this file, as JSON lines"},
    {.name = NULL},
};

typedef struct comparing_verb {
    const compare_arguments *given;
    stores stores;
    uint32_t n_sample; /* 0: all */
    int64_t grace_us, wait_us;
    double tolerance;
    int64_t fail_rows; /* -1: a share */
    double fail_share;
    FILE *output;
    text_buffer printed;
    uint32_t n_done, n_failed;
    int64_t worst_failing, worst_compared; /* of the first comparison that fails */
} comparing_verb;

/* ---- arguments ------------------------------------------------------------------------------- */

static freshet_code compare_duration(const char *text, const char *option, int64_t *into,
                                     freshet_error *err)
{
    int64_t plain_us;
    if (value_number(OPTION_DURATION, text, into) == NULL && *into >= 0)
        return FRESHET_OK;
    if (!arguments_duration(text, &plain_us))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, option,
                         "\"%s\" is no time: write for example 30s or \"1 minute\"", text);
    *into = plain_us;
    return FRESHET_OK;
}

static freshet_code read_sample(comparing_verb *it, freshet_error *err)
{
    const char *text = it->given->sample;
    int64_t n = 0;
    if (strcmp(text, "all") == 0)
        return FRESHET_OK;
    if (value_number(OPTION_INTEGER, text, &n) != NULL || n < 1 || n > SAMPLE_MAX)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, "--sample",
                         "\"%s\" must be a number from 1 to %d, or all", text, SAMPLE_MAX);
    it->n_sample = (uint32_t)n;
    return FRESHET_OK;
}

/* Does the pipeline run on this machine? */
static bool is_running(const char *pipeline)
{
    query_client *client = NULL;
    const bool runs = query_client_open(pipeline, &client, NULL) == FRESHET_OK;
    query_client_close(client);
    return runs;
}

static freshet_code read_limits(comparing_verb *it, freshet_error *err)
{
    const compare_arguments *given = it->given;
    const declaration *declaration = declaration_of(it->stores.declaration);
    const compare_block *declared = &declaration->compare;
    const char *limit = given->fail_above == NULL ? declared->fail_above.value : given->fail_above;
    const char *tolerance = given->tolerance == NULL ? declared->tolerance.value : given->tolerance;
    freshet_code code = read_sample(it, err);
    it->grace_us = declared->grace_us;
    if (code == FRESHET_OK && given->grace != NULL)
        code = compare_duration(given->grace, "--grace", &it->grace_us, err);
    if (code == FRESHET_OK && given->wait != NULL)
        code = compare_duration(given->wait, "--wait", &it->wait_us, err);
    else if (code == FRESHET_OK && is_running(declaration->pipeline.value))
        it->wait_us = 2 * declaration->checkpoint.interval_us + SETTLING_US;
    if (code == FRESHET_OK && !value_limit(limit, &it->fail_rows, &it->fail_share))
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, "--fail-above",
                         "\"%s\" must be a number of rows, such as 10, or a share of the rows "
                         "compared, such as \"0.1 %%\"",
                         limit);
    if (code == FRESHET_OK && !value_fraction(tolerance, &it->tolerance))
        code = error_set(err, FRESHET_USAGE, FRESHET_STOP, "--tolerance",
                         "\"%s\" must be a number from 0 to less than 1, such as 1e-9", tolerance);
    return code;
}

/* ---- one comparison -------------------------------------------------------------------------- */

static bool output_difference(void *context, const char *bytes, size_t length)
{
    return fwrite(bytes, 1, length, context) == length;
}

static freshet_code compare_print(comparing_verb *it, outcome *found, freshet_error *err)
{
    text_append_c(&it->printed, it->n_done == 0 ? "" : it->given->json ? ",\n" : "\n");
    it->n_done++;
    return it->given->json ? outcome_json(found, &it->printed, err)
                           : outcome_text(found, &it->printed, err);
}

static void compare_verdict(comparing_verb *it, const outcome *found)
{
    const int64_t failing = outcome_failing(found), compared = outcome_compared(found);
    if (compared == 0)
        log_event(COMPARED_NOTHING, it->given->file, found->store);
    const bool fails = it->fail_rows >= 0 ? failing > it->fail_rows
                                          : (double)failing > it->fail_share * (double)compared;
    if (fails && it->n_failed++ == 0) {
        it->worst_failing = failing;
        it->worst_compared = compared;
    }
}

/* A store beside a history. */
typedef struct compare_sides {
    const compare_store *store;
    const char *name;
    const schema *schema;
    int64_t ttl_us;
    const char *history;
    bool has_corrections;
} compare_sides;

static freshet_code compare_both(comparing_verb *it, const compare_sides *sides, freshet_error *err)
{
    const freshet_pipeline *pipeline = it->stores.pipeline;
    const compare_request request = {
        .store = sides->store,
        .schema = sides->schema,
        .n_keys = feature_set_n_keys(pipeline->features),
        .history = sides->history,
        .n_sample = it->n_sample,
        .keys = it->given->keys,
        .seed = it->given->seed,
        .ttl_us = sides->ttl_us,
        .in_future = pipeline->declaration->feature_set.aggregated.has_windows,
        .grace_us = it->grace_us,
        .wait_us = it->wait_us,
        .tolerance = it->tolerance,
    };
    outcome found = {.store = sides->name,
                     .history = sides->history,
                     .note = sides->has_corrections ? NULL : CORRECTIONS_NOTE,
                     .write = it->output == NULL ? NULL : output_difference,
                     .context = it->output};
    freshet_code code =
        outcome_open(&found, sides->schema, request.n_keys, it->given->examples, err);
    if (code == FRESHET_OK)
        code = compare_run(&request, &found, err);
    if (code == FRESHET_OK)
        code = compare_print(it, &found, err);
    if (code == FRESHET_OK)
        compare_verdict(it, &found);
    outcome_close(&found);
    return code;
}

/* The store beside each history. */
static freshet_code compare_histories(comparing_verb *it, compare_sides *sides, freshet_error *err)
{
    const freshet_pipeline *pipeline = it->stores.pipeline;
    freshet_code code = FRESHET_OK;
    uint32_t n = 0;
    if (it->given->history != NULL) {
        sides->history = it->given->history;
        sides->has_corrections = true; /* or not: nobody knows */
        return compare_both(it, sides, err);
    }
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_sinks; i++) {
        const sink *sink = &pipeline->sinks[i];
        if (sink->ops != &history_writer_ops)
            continue;
        sides->history = history_path(sink->options, pipeline->declaration, it->stores.arena,
                                      &sides->has_corrections);
        code = sides->history == NULL ? error_memory(err, PRINTING) : compare_both(it, sides, err);
        n++;
    }
    if (code == FRESHET_OK && n == 0)
        code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, pipeline->declaration->file,
                         "the declaration has no history to compare with: add `- history: {path: "
                         "...}` under sink.writers, or name a folder by --history");
    return code;
}

/* ---- stores ---------------------------------------------------------------------------------- */

static freshet_code connect_only(void *context, stores *stores, store *store, freshet_error *err)
{
    (void)context, (void)stores, (void)store, (void)err;
    return FRESHET_OK;
}

static freshet_code compare_table_of(comparing_verb *it, store *store, freshet_error *err)
{
    stores *stores = &it->stores;
    freshet_code code = online_store_use(stores, store, connect_only, NULL, err);
    if (code != FRESHET_OK)
        return code;
    compare_cassandra context = {.api = stores->api,
                                 .session = store->session,
                                 .place = &store->place,
                                 .table = &store->table,
                                 .schema = &store->columns.schema};
    const compare_store reads = compare_cassandra_store(&context);
    compare_sides sides = {.store = &reads,
                           .name = arena_format(stores->arena, "cassandra %s.%s",
                                                store->table.keyspace, store->table.name),
                           .schema = &store->columns.schema,
                           .ttl_us = store->ttl_us};
    code = sides.name == NULL ? error_memory(err, PRINTING) : compare_histories(it, &sides, err);
    online_store_close(stores, store);
    return code;
}

/* `schema`: of its writer. */
static freshet_code compare_debug_table(comparing_verb *it, const schema *schema,
                                        freshet_error *err)
{
    const freshet_pipeline *pipeline = it->stores.pipeline;
    const declaration *declaration = pipeline->declaration;
    const char *name = declaration->pipeline.value;
    const bool goes_on = declaration->is_stream && !it->given->debug &&
                         (pipeline->n_sinks > 1 || declaration->state.path.value != NULL);
    compare_debug context;
    freshet_code code =
        compare_debug_open(name, declaration->feature_set.name.value, goes_on, schema,
                           feature_set_n_keys(pipeline->features), it->stores.arena, &context, err);
    const compare_store reads = compare_debug_store(&context);
    compare_sides sides = {.store = &reads,
                           .name = arena_format(it->stores.arena, "the debug table of %s", name),
                           .schema = schema};
    if (code == FRESHET_OK)
        code =
            sides.name == NULL ? error_memory(err, PRINTING) : compare_histories(it, &sides, err);
    compare_debug_close(&context);
    return code;
}

static freshet_code compare_stores(comparing_verb *it, freshet_error *err)
{
    const freshet_pipeline *pipeline = it->stores.pipeline;
    freshet_code code = FRESHET_OK;
    uint32_t n = 0;
    if (it->given->debug)
        return compare_debug_table(it, feature_set_schema(pipeline->features), err);
    for (uint32_t i = 0; code == FRESHET_OK && i < it->stores.n; i++, n++)
        code = compare_table_of(it, &it->stores.items[i], err);
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_sinks; i++)
        if (pipeline->sinks[i].ops == &debug_writer_ops) {
            code = compare_debug_table(it, &pipeline->sinks[i].columns.schema, err);
            n++;
        }
    if (code == FRESHET_OK && n == 0)
        code =
            error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, pipeline->declaration->file,
                      "the declaration has no online store: add `- online: {cassandra: {host: "
                      "..., keyspace: ...}}` or `- online: {debug: true}` under sink.writers, or "
                      "say --debug of a pipeline that runs so");
    return code;
}

/* ---- the verb -------------------------------------------------------------------------------- */

static freshet_code open_output(comparing_verb *it, freshet_error *err)
{
    if (it->given->output == NULL)
        return FRESHET_OK;
    it->output = fopen(it->given->output, "we");
    return it->output == NULL ? error_system(err, "cannot write", it->given->output) : FRESHET_OK;
}

static freshet_code close_output(comparing_verb *it, freshet_code code, freshet_error *err)
{
    if (it->output == NULL)
        return code;
    const bool is_bad = ferror(it->output) != 0;
    if ((fclose(it->output) != 0 || is_bad) && code == FRESHET_OK)
        return error_system(err, "cannot write", it->given->output);
    return code;
}

static freshet_code compare_end(comparing_verb *it, freshet_error *err)
{
    const char *limit = it->given->fail_above != NULL
                            ? it->given->fail_above
                            : declaration_of(it->stores.declaration)->compare.fail_above.value;
    const char *before = it->given->json ? "{\"comparisons\":[\n" : "";
    const char *behind = !it->given->json   ? ""
                         : it->n_failed > 0 ? "\n],\"failed\":true}\n"
                                            : "\n],\"failed\":false}\n";
    if (it->printed.failed)
        return error_memory(err, PRINTING);
    output_format("%s%s%s", before, it->printed.bytes == NULL ? "" : it->printed.bytes, behind);
    if (it->n_failed == 0)
        return FRESHET_OK;
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, it->given->file,
                     "%" PRId64 " of %" PRId64 " rows compared are stale, missing, unknown or "
                     "different (%.3g %%), and \"fail_above\" allows %s",
                     it->worst_failing, it->worst_compared,
                     100.0 * (double)it->worst_failing / (double)it->worst_compared, limit);
}

static freshet_code compare_verb_run(const void *arguments, freshet_error *err)
{
    comparing_verb it = {.given = arguments};
    text_init(&it.printed, TEXT_LIMIT_DEFAULT);
    freshet_code code = online_stores_open(&it.stores, it.given->file, NEED_NOTHING, err);
    if (code == FRESHET_OK)
        code = read_limits(&it, err);
    if (code == FRESHET_OK)
        code = open_output(&it, err);
    if (code == FRESHET_OK)
        code = compare_stores(&it, err);
    code = close_output(&it, code, err);
    if (code == FRESHET_OK)
        code = compare_end(&it, err);
    text_release(&it.printed);
    online_stores_close(&it.stores);
    return code;
}

const verb verb_compare = {
    .name = "compare",
    .operand = "FILE",
    .summary = "prove that the online store says what the history says",
    .doc =
        "Takes keys from the online store (Cassandra, or the debug table of a running pipeline)\n"
        "and from the history, and compares each key's online row with the history's for the same\n"
        "moment: equal, stale, missing, unknown to the history, or different, with examples.\n"
        "Runs beside the pipeline. Exit code 1 where more rows are wrong than `fail_above` allows.",
    .examples = "    freshet compare flights.yaml\n"
                "    freshet compare flights.yaml --sample all -o differences.jsonl\n"
                "    freshet compare flights.yaml --grace 1m --fail-above 0.1% --json\n",
    .arguments = compare_options,
    .size = sizeof(compare_arguments),
    .run = compare_verb_run,
};
