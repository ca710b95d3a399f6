/* verb_query.c - freshet query: one SQL query to a running pipeline. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"
#include "operate/query_client.h"

#define QUERY_STDIN_MAX ((size_t)1 << 20)

typedef struct query_arguments {
    const char *sql;
    const char *pipeline;
    int format;
    int64_t timeout_us;
} query_arguments;

static const argument query_options[] = {
    {ARGUMENT("pipeline", TEXT, query_arguments, pipeline), .value = "NAME",
     .doc = "which pipeline, where several run"},
    {ARGUMENT("format", CHOICE, query_arguments, format), .choices = format_choices,
     .doc = "default: table on a terminal, else json (an object a line)"},
    {ARGUMENT("timeout", DURATION, query_arguments, timeout_us), .value = "TIME", .standard = "10s",
     .doc = "how long the query may run"},
    {.name = NULL},
};

static freshet_code read_stdin(text_buffer *into, freshet_error *err)
{
    char piece[4096];
    size_t got;
    while ((got = fread(piece, 1, sizeof piece, stdin)) > 0) {
        if (!text_append(into, piece, got))
            return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                             "the query on standard input is longer than %zu bytes",
                             QUERY_STDIN_MAX);
    }
    if (ferror(stdin))
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "cannot read the query from standard input: %s", strerror(errno));
    if (into->length == 0)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL, "standard input holds no query");
    return FRESHET_OK;
}

static freshet_code query_ask(const query_arguments *given, const char *sql, freshet_error *err)
{
    query_client *client = NULL;
    freshet_code code = query_client_open(given->pipeline, &client, err);
    if (code != FRESHET_OK)
        return code;
    code = query_client_ask(client, sql, format_or_default(given->format), given->timeout_us,
                            output_write, NULL, err);
    query_client_close(client);
    return code;
}

static freshet_code query_run(const void *arguments, freshet_error *err)
{
    const query_arguments *given = arguments;
    const bool is_typed = strcmp(given->sql, "-") != 0;
    text_buffer text;
    text_init(&text, QUERY_STDIN_MAX);
    freshet_code code = is_typed ? FRESHET_OK : read_stdin(&text, err);
    if (code == FRESHET_OK)
        code = query_ask(given, is_typed ? given->sql : text.bytes, err);
    text_release(&text);
    return code;
}

const verb verb_query = {
    .name = "query",
    .operand = "'SQL'",
    .summary = "ask a running pipeline by SQL",
    .doc =
        "Sends one SELECT to a pipeline that runs in debug mode on this machine, and prints the\n"
        "result. The table online_feature_store__<feature set> holds the feature rows computed so\n"
        "far; the view online_feature_store__<feature set>_latest the newest row of each key.\n"
        "With - for 'SQL' the query is read from standard input.\n"
        "Exit codes: 0 done, 1 failed (no pipeline to ask, or the query took too long), 2 the SQL "
        "is\n"
        "wrong or not read-only.",
    .examples =
        "    freshet query 'select count(*) from online_feature_store__flights'\n"
        "    freshet query --format csv 'from online_feature_store__flights_latest limit 5'\n"
        "    freshet query --pipeline flights - < question.sql\n",
    .arguments = query_options,
    .size = sizeof(query_arguments),
    .run = query_run,
};
