/* verb_status.c - freshet status: how a running pipeline is. */
#include <stddef.h>

#include "base/error.h"
#include "cli/cli.h"
#include "operate/query_client.h"

#include <yyjson.h>

#define STATUS_BYTES_MAX ((size_t)1 << 20)

typedef struct status_arguments {
    const char *pipeline;
} status_arguments;

static const argument status_options[] = {
    {ARGUMENT("pipeline", TEXT, status_arguments, pipeline), .value = "NAME",
     .doc = "which pipeline, where several run"},
    {.name = NULL},
};

static bool status_keep(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

/* FRESHET_TRY_AGAIN with the reason where the pipeline is not ready. */
static freshet_code tell(const text_buffer *status, freshet_error *err)
{
    yyjson_doc *document = yyjson_read(status->bytes, status->length, 0);
    yyjson_val *root = yyjson_doc_get_root(document);
    const char *trouble = yyjson_get_str(yyjson_obj_get(root, "trouble"));
    freshet_code code = FRESHET_OK;
    if (root == NULL)
        code = error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                         "the pipeline's answer is no status: is it of another version?");
    else if (!yyjson_get_bool(yyjson_obj_get(root, "ready")))
        code = error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, NULL, "not ready: %s",
                         trouble == NULL ? "no reason was given" : trouble);
    yyjson_doc_free(document);
    return code;
}

static freshet_code status_run(const void *arguments, freshet_error *err)
{
    const status_arguments *given = arguments;
    query_client *client = NULL;
    text_buffer status;
    text_init(&status, STATUS_BYTES_MAX);
    freshet_code code = query_client_open(given->pipeline, &client, err);
    if (code == FRESHET_OK)
        code = query_client_status(client, status_keep, &status, err);
    query_client_close(client);
    if (code == FRESHET_OK) {
        output_write(NULL, status.bytes, status.length);
        output_write(NULL, "\n", 1);
        code = tell(&status, err);
    }
    text_release(&status);
    return code;
}

const verb verb_status = {
    .name = "status",
    .summary = "how a running pipeline is: ready or not, and its counters",
    .doc = "Prints one JSON object: process, uptime, whether readers and writers reach what they "
           "need\n"
           "(\"ready\", and else the \"trouble\"), rows read and written, dead letters, newest "
           "event, lag.\n"
           "A stream can be asked whatever it writes to, a batch where it has a debug table.\n"
           "Exit codes: 0 ready, 75 not ready, 1 no pipeline to ask.",
    .examples = "    freshet status\n"
                "    freshet status --pipeline orders\n",
    .arguments = status_options,
    .size = sizeof(status_arguments),
    .run = status_run,
};
