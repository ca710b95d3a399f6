/* verb_apply.c - freshet plan and freshet apply FILE: what the declaration means for the state that
 * is there, what the online store's table lacks, as CQL, and the same done.
 */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/online_store.h"
#include "cli/state_plan.h"
#include "pipeline/pipeline.h"
#include "writers/history/history.h"

typedef struct apply_arguments {
    const char *file;
    bool yes;
    bool allow_drop;
    uint32_t replicas;
    bool detailed_exitcode;
    const char *state;
} apply_arguments;

#define STATE_FOLDER                                                                       \
    {                                                                                      \
        ARGUMENT("state", TEXT, apply_arguments, state),                                   \
            .value = "DIR", .doc = "the state's folder, where it is not the declaration's" \
    }

static const argument apply_options[] = {
    {ARGUMENT("yes", FLAG, apply_arguments, yes), .doc = "do not ask"},
    {ARGUMENT("allow-drop", FLAG, apply_arguments, allow_drop),
     .doc = "also drop the table where a type or the primary key differs"},
    {ARGUMENT("replicas", COUNT, apply_arguments, replicas), .value = "N",
     .doc = "make the keyspace, with so many copies of each row, if it is not there"},
    {ARGUMENT("detailed-exitcode", FLAG, apply_arguments, detailed_exitcode),
     .doc = "exit with 3 where something was changed"},
    STATE_FOLDER,
    {.name = NULL},
};

static const argument plan_options[] = {
    {ARGUMENT("replicas", COUNT, apply_arguments, replicas), .value = "N",
     .doc = "copies of each row, for a keyspace that is not there yet"},
    {ARGUMENT("detailed-exitcode", FLAG, apply_arguments, detailed_exitcode),
     .doc = "exit with 3 where something differs, 78 where a run would be refused"},
    STATE_FOLDER,
    {.name = NULL},
};

static freshet_code may_apply(const apply_arguments *given, const store *store,
                              const table_changes *changes, freshet_error *err)
{
    const bool drops = changes->items[0].drops;
    freshet_code code =
        drops ? FRESHET_OK
              : cassandra_table_accept(&store->place, &store->table, changes, given->file, err);
    if (code != FRESHET_OK)
        return code;
    for (uint32_t i = 0; i < changes->n; i++)
        if (changes->items[i].drops && !given->allow_drop)
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, given->file,
                             "nothing was changed, since all that the table has would be lost: say "
                             "--allow-drop if that is meant, or write to another table");
    if (changes->keyspace_missing && given->replicas == 0)
        return error_set(
            err, FRESHET_USAGE, FRESHET_STOP, given->file,
            "nothing was changed, since the keyspace is not there: say --replicas N to "
            "make it with N copies of each row, or make it as your cluster needs it");
    return FRESHET_OK;
}

static freshet_code apply_ask(const apply_arguments *given, freshet_error *err)
{
    if (given->yes)
        return FRESHET_OK;
    if (!isatty(STDIN_FILENO))
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, given->file,
                         "nothing was changed: say --yes to apply this where nobody can be asked");
    output_finish();
    if (confirmed("Apply this?"))
        return FRESHET_OK;
    return error_set(err, FRESHET_FAILED, FRESHET_STOP, given->file, "nothing was changed");
}

static freshet_code execute(stores *stores, const store *store, const char *cql, size_t length,
                            freshet_error *err)
{
    cql_rows *rows = NULL;
    char text[CQL_TEXT_MAX] = "";
    const char *statement = arena_copy(stores->arena, cql, length);
    if (statement == NULL)
        return error_memory(err, "changing the online store's table");
    cql_code code = stores->api->query(store->session, statement, NULL, NULL, 0, &rows, text);
    if (rows != NULL)
        stores->api->rows_free(rows);
    if (code == CQL_OK)
        code = stores->api->await_schema(store->session, text);
    return code == CQL_OK ? FRESHET_OK
                          : cassandra_error(err, &store->place,
                                            "cannot change the online store's table", code, text);
}

/* Statements end in ";\n". */
static freshet_code execute_all(stores *stores, const store *store, const table_changes *changes,
                                freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; i < changes->n; i++) {
        const char *at = changes->items[i].cql;
        for (const char *end; code == FRESHET_OK && (end = strstr(at, ";\n")) != NULL; at = end + 2)
            code = execute(stores, store, at, (size_t)(end - at), err);
    }
    return code;
}

static void print_changes(const store *store, const table_changes *changes)
{
    const cassandra_table *table = &store->table;
    const bool drops = changes->n > 0 && changes->items[0].drops;
    if (changes->n == 0) {
        output_format("-- %s.%s fits the declaration: %u columns\n", table->keyspace, table->name,
                      table->n_columns);
    } else {
        output_format("-- %s.%s: %u change%s\n", table->keyspace, table->name, changes->n,
                      changes->n == 1 ? "" : "s");
        for (uint32_t i = 0; i < changes->n; i++)
            output_format("-- %s%s\n%s", changes->items[i].said,
                          changes->items[i].drops ? " (all that the table has is lost)" : "",
                          changes->items[i].cql);
    }
    for (uint32_t i = 0; i < changes->n_dropped && !drops; i++)
        output_format("-- %s\n", changes->dropped[i]);
    for (uint32_t i = 0; i < changes->n_foreign; i++)
        output_format("-- the column \"%s\" is not the declaration's, and %s\n",
                      changes->foreign[i], drops ? "is lost with the table" : "stays as it is");
}

static freshet_code apply_to(const apply_arguments *given, stores *stores, const store *store,
                             const table_changes *changes, freshet_error *err)
{
    freshet_code code = may_apply(given, store, changes, err);
    if (code == FRESHET_OK)
        code = apply_ask(given, err);
    if (code == FRESHET_OK)
        code = execute_all(stores, store, changes, err);
    if (code == FRESHET_OK)
        output_format("-- applied\n");
    return code;
}

typedef struct looking {
    uint32_t replicas;
    table_changes changes;
} looking;

static freshet_code look(void *context, stores *stores, store *store, freshet_error *err)
{
    looking *looking = context;
    return cassandra_table_compare(stores->api, store->session, stores->arena, &store->place,
                                   &store->table, looking->replicas, &looking->changes, err);
}

static freshet_code look_at(const apply_arguments *given, bool applies, stores *stores,
                            store *store, uint32_t *n_changes, freshet_error *err)
{
    looking looking = {.replicas = given->replicas};
    const table_changes *changes = &looking.changes;
    freshet_code code = online_store_use(stores, store, look, &looking, err);
    if (code != FRESHET_OK)
        return code;
    print_changes(store, changes);
    if (changes->n > 0 && applies)
        code = apply_to(given, stores, store, changes, err);
    *n_changes += code == FRESHET_OK ? changes->n : 0;
    return code;
}

/* Of histories only differences can be shown: what is written stays as it is. A stream that would
 * write another type beside it is refused. */
static freshet_code look_at_histories(const stores *stores, uint32_t *n_changes, bool *is_refused,
                                      freshet_error *err)
{
    const freshet_pipeline *pipeline = stores->pipeline;
    freshet_code code = FRESHET_OK;
    for (uint32_t i = 0; code == FRESHET_OK && i < pipeline->n_sinks; i++) {
        const sink *sink = &pipeline->sinks[i];
        const char *path = NULL;
        freshet_error problem = {0};
        if (sink->ops != &history_writer_ops)
            continue;
        code = history_compare(sink->options, pipeline->declaration, sink->at,
                               &sink->columns.schema, stores->arena, &path, &problem);
        if (code == FRESHET_END)
            output_format("-- the history in %s has no files yet: the first run makes them\n",
                          path);
        else if (code == FRESHET_OK)
            output_format("-- the history in %s fits the declaration\n", path);
        else if (code == FRESHET_BAD_DECLARATION)
            output_format("-- %s\n", problem.text);
        else if (err != NULL)
            *err = problem;
        *n_changes += code == FRESHET_BAD_DECLARATION;
        *is_refused |= code == FRESHET_BAD_DECLARATION && pipeline->declaration->is_stream;
        code = code == FRESHET_END || code == FRESHET_BAD_DECLARATION ? FRESHET_OK : code;
    }
    return code;
}

static freshet_code compare(const apply_arguments *given, bool applies, freshet_error *err)
{
    uint32_t n_changes = 0, n_of_state = 0;
    bool is_refused = false;
    stores stores;
    freshet_code code =
        online_stores_open(&stores, given->file, applies ? NEED_STORE : NEED_STORE_OR_OTHER, err);
    if (code == FRESHET_OK)
        code = state_plan_print(stores.pipeline, given->state, &n_of_state, &is_refused, err);
    n_changes += applies ? 0 : n_of_state;
    for (uint32_t i = 0; code == FRESHET_OK && i < stores.n; i++) {
        code = look_at(given, applies, &stores, &stores.items[i], &n_changes, err);
        online_store_close(&stores, &stores.items[i]);
    }
    if (code == FRESHET_OK && !applies)
        code = look_at_histories(&stores, &n_changes, &is_refused, err);
    online_stores_close(&stores);
    if (given->detailed_exitcode && n_changes > 0)
        exit_with(is_refused && !applies ? (int)FRESHET_BAD_DECLARATION : EXIT_CHANGES);
    return code;
}

static freshet_code plan_run(const void *arguments, freshet_error *err)
{
    return compare(arguments, false, err);
}

static freshet_code apply_run(const void *arguments, freshet_error *err)
{
    return compare(arguments, true, err);
}

const verb verb_plan = {
    .name = "plan",
    .operand = "FILE",
    .summary = "show what a changed declaration means for state, table and history",
    .doc =
        "Compares the declaration with the state that its stream keeps, and prints, part by part, "
        "what\n"
        "is served as it is, what is null until a key's next event, what fills from now on, and "
        "what a\n"
        "run would refuse; with the table in Cassandra that it writes to, and prints the CQL that "
        "makes\n"
        "the table fit; and with the folder of a history. Changes nothing; the pipeline may run.",
    .examples = "    freshet plan flights.yaml\n"
                "    freshet plan flights.yaml --detailed-exitcode || freshet apply flights.yaml "
                "--yes\n",
    .arguments = plan_options,
    .size = sizeof(apply_arguments),
    .run = plan_run,
};

const verb verb_apply = {
    .name = "apply",
    .operand = "FILE",
    .summary = "make the online store's table fit",
    .doc = "Shows what \"freshet plan\" shows, asks on a terminal (elsewhere --yes must be said), "
           "and runs\n"
           "it: the table is made, missing columns are added. Nothing is dropped, and no type "
           "changed,\n"
           "without --allow-drop.",
    .examples = "    freshet apply flights.yaml\n"
                "    freshet apply flights.yaml --yes --replicas 3\n",
    .arguments = apply_options,
    .size = sizeof(apply_arguments),
    .run = apply_run,
};
