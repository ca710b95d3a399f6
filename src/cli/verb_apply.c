/* verb_apply.c - freshet apply FILE: makes the online store's table fit. */
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/online_store.h"

typedef struct apply_arguments {
    const char *file;
    bool yes;
    bool allow_drop;
    uint32_t replicas;
    bool detailed_exitcode;
} apply_arguments;

static const argument apply_options[] = {
    {ARGUMENT("yes", FLAG, apply_arguments, yes), .doc = "do not ask"},
    {ARGUMENT("allow-drop", FLAG, apply_arguments, allow_drop),
     .doc = "also drop the table where a type or the primary key differs"},
    {ARGUMENT("replicas", COUNT, apply_arguments, replicas), .value = "N",
     .doc = "make the keyspace, with so many copies of each row, if it is not there"},
    {ARGUMENT("detailed-exitcode", FLAG, apply_arguments, detailed_exitcode),
     .doc = "exit with 3 where something was changed"},
    {.name = NULL},
};

static freshet_code may_apply(const apply_arguments *given, const table_changes *changes,
                              freshet_error *err)
{
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

static freshet_code apply_to(stores *stores, const store *store, const table_changes *changes,
                             const void *context, freshet_error *err)
{
    const apply_arguments *given = context;
    freshet_code code = may_apply(given, changes, err);
    if (code == FRESHET_OK)
        code = apply_ask(given, err);
    if (code == FRESHET_OK)
        code = execute_all(stores, store, changes, err);
    if (code == FRESHET_OK)
        output_format("-- applied\n");
    return code;
}

static freshet_code apply_run(const void *arguments, freshet_error *err)
{
    const apply_arguments *given = arguments;
    return online_stores_compare(given->file, given->replicas, given->detailed_exitcode, apply_to,
                                 given, err);
}

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
