/* verb_serve.c - freshet serve FILE: feature vectors by HTTP without a stream, from Cassandra.
 *
 * Each file is looked at as `check` does it, for its columns, and its first table of Cassandra that
 * has all that is served is read. Nothing is written, and nothing kept in memory.
 */
#define _GNU_SOURCE /* eventfd */
#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/os.h"
#include "cli/online_store.h"
#include "http/http_server.h"
#include "operate/notify.h"
#include "operate/signals.h"
#include "pipeline/pipeline.h"
#include "serving/serving_store.h"

#define STARTING "starting to serve"
#define FILES_MAX (ARGUMENT_LIST_MAX + 1)

_Static_assert(FILES_MAX <= SERVING_SETS_MAX, "each file is a feature set");

typedef struct serve_arguments {
    const char *file;
    argument_list with;
    const char *http;
    int log;
} serve_arguments;

typedef struct site {
    stores files[FILES_MAX];
    serving_set sets[FILES_MAX];
    uint32_t n_files; /* opened, or tried */
    uint32_t n;       /* sets */
    int stop_fd;
} site;

static const char *const serve_logs[] = {"text", "json", NULL};

static const argument serve_options[] = {
    {ARGUMENT("with", LIST, serve_arguments, with), .value = "FILE", .takes_more = true,
     .doc = "more declarations, whose feature sets are served by the same process"},
    {ARGUMENT("http", TEXT, serve_arguments, http), .value = "HOST:PORT",
     .doc = "where; else the first declaration's `http` says it"},
    {ARGUMENT("log", CHOICE, serve_arguments, log), .choices = serve_logs, .standard = "text",
     .doc = "how messages are written to stderr"},
    {.name = NULL},
};

/* ---- what a feature set is read from --------------------------------------------------------- */

/* What of its `serve` cannot be, in one error. */
static freshet_code choose_served(const stores *stores, serving_set *set, freshet_error *err)
{
    const declaration *declaration = declaration_of(stores->declaration);
    const schema *all = feature_set_schema(stores->pipeline->features);
    const uint32_t n_keys = feature_set_n_keys(stores->pipeline->features);
    problems *problems = problems_open(stores->arena);
    writer_columns columns;
    if (problems == NULL)
        return error_memory(err, STARTING);
    freshet_code code =
        serving_columns(&declaration->serve, all, n_keys, stores->arena, problems, &columns, err);
    if (code == FRESHET_OK)
        code = problems_report(problems, report_problem, NULL, err);
    *set = (serving_set){.name = declaration->feature_set.name.value,
                         .schema = columns.schema,
                         .n_keys = n_keys,
                         .max_age_us = declaration->has_serve ? declaration->serve.max_age_us : 0};
    return code;
}

static freshet_code open_behind(const stores *stores, serving_set *set, freshet_error *err)
{
    for (uint32_t i = 0; i < stores->n; i++) {
        const store *store = &stores->items[i];
        const serving_store_options options = {.api = stores->api,
                                               .place = &store->place,
                                               .table = &store->table,
                                               .stored = &store->columns.schema,
                                               .served = &set->schema};
        if (serving_is_stored(&set->schema, &store->columns.schema))
            return serving_store_open(&options, stores->arena, &set->store, err);
    }
    return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP,
                     declaration_of(stores->declaration)->file,
                     "no table of Cassandra has all features that are served: name those in "
                     "serve.features, or take `select` from `online`");
}

static freshet_code serve_open_file(site *site, const char *file, freshet_error *err)
{
    stores *stores = &site->files[site->n_files++];
    serving_set *set = &site->sets[site->n];
    freshet_code code = online_stores_open(stores, file, NEED_STORE, err);
    if (code == FRESHET_OK)
        code = choose_served(stores, set, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < site->n; i++)
        if (strcmp(site->sets[i].name, set->name) == 0)
            code = error_set(err, FRESHET_USAGE, FRESHET_STOP, file,
                             "the feature set \"%s\" is served by another of the files already: "
                             "its name must be its own, since requests name it",
                             set->name);
    if (code == FRESHET_OK)
        code = open_behind(stores, set, err);
    site->n += code == FRESHET_OK;
    return code;
}

static freshet_code open_files(site *site, const serve_arguments *given, freshet_error *err)
{
    freshet_code code = serve_open_file(site, given->file, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < given->with.n; i++)
        code = serve_open_file(site, given->with.items[i], err);
    return code;
}

/* ---- in the place of a run (operate/status.h) ------------------------------------------------ */

static freshet_pipeline *as_backend(site *site)
{
    return (freshet_pipeline *)(void *)site;
}

static bool serve_is_ready(const freshet_pipeline *backend, freshet_error *why)
{
    const site *site = (const struct site *)(const void *)backend;
    bool is_ready = true;
    for (uint32_t i = 0; is_ready && i < site->n; i++)
        is_ready = serving_store_is_ready(site->sets[i].store, why);
    return is_ready;
}

static int64_t serve_counter(const freshet_pipeline *backend, freshet_count which)
{
    (void)backend;
    return which == FRESHET_NEWEST_EVENT_US ? INT64_MIN : which == FRESHET_LAG_BYTES ? -1 : 0;
}

static freshet_code serve_query(freshet_pipeline *backend, const char *sql,
                                const freshet_query_options *options, freshet_result **out,
                                freshet_error *err)
{
    (void)backend, (void)sql, (void)options, (void)out;
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                     "there is no debug table here: `freshet serve` runs no stream");
}

/* ---- serving --------------------------------------------------------------------------------- */

static freshet_code start_http(site *site, const serve_arguments *given, http_server **out,
                               freshet_error *err)
{
    const stores *first = &site->files[0];
    const declaration *declaration = declaration_of(first->declaration);
    const http_source source = {.run = {.pipeline = as_backend(site),
                                        .query = serve_query,
                                        .counter = serve_counter,
                                        .ready = serve_is_ready},
                                .name = declaration->pipeline.value,
                                .started_us = os.monotonic_us(),
                                .sets = site->sets,
                                .n_sets = site->n};
    http_options options = {.from = &source};
    if (given->http == NULL && !declaration->has_http)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, given->file,
                         "where is it to be asked? Declare it, as in `http: 127.0.0.1:8080`, or "
                         "add --http 127.0.0.1:8080");
    first->pipeline->options.http = given->http;
    freshet_code code = answering_http(first->pipeline, &options, err);
    return code == FRESHET_OK ? http_server_start(&options, out, err) : code;
}

static void on_stop(void *context)
{
    const uint64_t one = 1;
    const int before = errno;
    if (write(((const site *)context)->stop_fd, &one, sizeof one) < 0)
        errno = before;
}

static int watchdog_ms(const notify *notify)
{
    return notify->watchdog_us == 0 ? -1 : (int)(notify->watchdog_us / 2000);
}

static freshet_code wait_for_stop(const site *site, freshet_error *err)
{
    notify notify;
    freshet_code code = notify_open(&notify, err);
    if (code != FRESHET_OK)
        return code;
    notify_send(&notify, "READY=1");
    for (;;) {
        struct pollfd poll = {.fd = site->stop_fd, .events = POLLIN};
        const int said = os.poll(&poll, 1, watchdog_ms(&notify));
        if (said > 0 || (said < 0 && errno != EINTR))
            break;
        notify_send(&notify, "WATCHDOG=1");
    }
    notify_send(&notify, "STOPPING=1");
    notify_close(&notify);
    return FRESHET_OK;
}

static freshet_code serve_all(site *site, const serve_arguments *given, freshet_error *err)
{
    http_server *server = NULL;
    freshet_code code = open_files(site, given, err);
    if (code == FRESHET_OK)
        code = start_http(site, given, &server, err);
    if (code != FRESHET_OK)
        return code;
    log_event(SERVE_ANSWERS, declaration_of(site->files[0].declaration)->pipeline.value,
              http_server_url(server), site->n, site->n == 1 ? "" : "s");
    code = wait_for_stop(site, err);
    http_server_stop(server);
    return code;
}

static freshet_code serve_run(const void *arguments, freshet_error *err)
{
    const serve_arguments *given = arguments;
    site *site = calloc(1, sizeof *site);
    if (site == NULL)
        return error_memory(err, STARTING);
    log_configure(LOG_INFO, (log_format)given->log);
    if (given->log == (int)LOG_JSON)
        report_errors_to_log();
    site->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    freshet_code code = site->stop_fd < 0 ? error_system(err, "cannot make", "an eventfd")
                                          : signals_install(on_stop, site, err);
    if (code == FRESHET_OK) {
        code = serve_all(site, given, err);
        signals_remove();
    }
    for (uint32_t i = 0; i < site->n; i++)
        serving_store_close(site->sets[i].store);
    for (uint32_t i = 0; i < site->n_files; i++)
        online_stores_close(&site->files[i]);
    if (site->stop_fd >= 0)
        close(site->stop_fd);
    free(site);
    return code;
}

const verb verb_serve = {
    .name = "serve",
    .operand = "FILE",
    .summary = "serve feature vectors by HTTP from the online store",
    .doc = "Answers POST /get-online-features in Feast's format from the declaration's tables in\n"
           "Cassandra, without running a stream: for more processes than the one that writes them. "
           "See\n"
           "docs/guide/serving.md. It runs until Ctrl-C or SIGTERM.",
    .examples = "    freshet serve orders.yaml --http 127.0.0.1:8080\n"
                "    freshet serve orders.yaml --with users.yaml trips.yaml\n",
    .arguments = serve_options,
    .size = sizeof(serve_arguments),
    .run = serve_run,
};
