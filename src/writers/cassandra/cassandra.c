/* cassandra.c - see cassandra.h. */
#include "writers/cassandra/cassandra.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/os.h"
#include "base/text.h"
#include "writers/cassandra/cassandra_connect.h"
#include "writers/cassandra/cassandra_options.h"
#include "writers/cassandra/cassandra_pace.h"
#include "writers/cassandra/cassandra_rows.h"
#include "writers/cassandra/cassandra_table.h"
#include "writers/cassandra/cassandra_validate.h"
#include "writers/cassandra/cql_load.h"
#include "writers/cassandra/cql_values.h"

#define WRITING "writing to the online store"
#define COMPLETIONS_AT_ONCE 64u
#define COLLECT_ROWS 512u /* looked at together, to find rows of one partition */
#define REFUSE_AGAIN_US INT64_C(1000000)
#define NO_STORE                                                                                  \
    "\"online\" has no store to write to: add `cassandra: {host: ..., keyspace: ...}`, or write " \
    "`debug: true`, or run with --debug"
#define NUMBERS_BYTES 32u /* of a row: write timestamp, event time, TTL */
#define TROUBLE_TEXT_MAX 768u

typedef struct group group;
struct group {
    uint32_t index;                          /* in the store's groups, and in the tag */
    group *next;                             /* free one */
    pending_row *rows[CASSANDRA_GROUP_ROWS]; /* NULL: came back already */
    uint32_t n;
    int64_t sent_us;
    uint64_t epoch;
    uint64_t tag; /* 0: free */
    bool as_batch;
};

typedef struct cassandra {
    freshet_writer base;
    const cql_api *api;
    cql_session *session; /* NULL: a stream that has not reached the store yet */
    cql_statement *insert;
    arena *arena;   /* of the pipeline */
    arena *scratch; /* of one refused row, of one attempt to connect */
    cassandra_place place;
    cassandra_table table;
    schema schema;
    int64_t ttl_us;
    int64_t hold_us;
    uint64_t rows_max;
    size_t bytes_max;
    uint32_t n_values; /* of a statement */

    /* until it is reached */
    attempt *attempt; /* NULL: none is under way */
    int64_t next_try_us, pause_us;
    freshet_code connect_code; /* of the last attempt; not FRESHET_TRY_AGAIN: it ends the run */
    freshet_error connect_problem;

    pending_rows rows;
    pace pace;
    group **groups; /* in flight */
    uint32_t n_groups, groups_capacity;
    group *free_group; /* the first of those that are in no flight */
    uint64_t last_tag;
    uint32_t in_flight;
    size_t bytes_in_flight;
    cql_value *values;      /* scratch, of a group */
    unsigned char *numbers; /* scratch, of a group */
    text_buffer row;        /* scratch */
    pending_row **collected;

    int64_t n_replaced;    /* of rows.n_replaced, counted already */
    int64_t held_since_us; /* when the first of the rows that wait came; 0: none wait */
    int64_t heard_us;      /* of the last completion, or of the first row sent after a pause */
    int64_t failing_us; /* since when no row has been confirmed, and some failed; 0: all is well */
    cql_code failing_code;
    char failing_text[CQL_TEXT_MAX];
    char trouble[TROUBLE_TEXT_MAX];
    cassandra_figures figures;
    written_keys written; /* open where they will be validated */
} cassandra;

static bool is_stopping(const cassandra *store)
{
    return store->base.is_stopping != NULL && store->base.is_stopping(store->base.context);
}

/* ---- rows that fail -------------------------------------------------------------------------- */

static void note_failure(cassandra *store, cql_code code, const char *text, int64_t now_us)
{
    if (store->failing_us == 0)
        store->failing_us = now_us;
    store->failing_code = code;
    snprintf(store->failing_text, sizeof store->failing_text, "%.*s", (int)CQL_TEXT_MAX - 1, text);
}

/* It will go to the dead letters when its turn comes: nothing can be lost on the way there. */
static bool mark_refused(pending_row *row, const char *why)
{
    free(row->refusal);
    row->refusal = strdup(why);
    return row->refusal != NULL;
}

static void take_back(cassandra *store, const group *group, pending_row *row, cql_code code,
                      const char *text, int64_t now_us)
{
    int64_t due_us = now_us;
    if (code == CQL_REFUSED && group->as_batch && group->n > 1) {
        row->is_alone = true; /* which of the batch was meant? */
    } else if (code != CQL_REFUSED || !mark_refused(row, text)) {
        if (row->failures < UINT16_MAX)
            row->failures++;
        store->figures.retried++;
        writer_add(&store->base, WRITER_RETRIED, 1);
        note_failure(store, code, text, now_us);
        pace_failed(&store->pace, group->epoch, now_us);
        due_us += pace_backoff(&store->pace, row->failures);
    }
    pending_rows_back(&store->rows, row, due_us);
}

/* The row as JSON, as the feature set has it. */
static freshet_code describe_row(cassandra *store, const pending_row *row, text_buffer *into,
                                 freshet_error *err)
{
    const cassandra_table *table = &store->table;
    const unsigned char *at = row->bytes, *end = row->bytes + row->length;
    batch one;
    arena_reset(store->scratch);
    freshet_code code = batch_init(&one, store->scratch, &store->schema, 1, err);
    for (uint32_t i = 0; code == FRESHET_OK && i < table->n_columns; i++) {
        cql_value value = {.length = -1};
        cql_value_next(&at, end, &value); /* what is not there (too long) stays null */
        code = cql_value_get(store->scratch, &value, &one.columns[table->columns[i].field], 0, err);
    }
    if (code != FRESHET_OK)
        return code;
    ((int64_t *)one.columns[table->n_keys].data)[0] = row->event_us; /* with its microseconds */
    one.n_rows = 1;
    return batch_row_to_json(&one, 0, into, err);
}

/* To the dead letters; where they cannot be written now, the row comes back in a while. */
static void cassandra_refuse_row(cassandra *store, pending_row *row, int64_t now_us)
{
    freshet_error problem = {0};
    text_buffer json;
    text_init(&json, TEXT_LIMIT_DEFAULT);
    freshet_code code = row->raw == NULL ? describe_row(store, row, &json, &problem) : FRESHET_OK;
    const char *raw = row->raw == NULL ? json.bytes : row->raw;
    if (code == FRESHET_OK && store->base.refuse != NULL)
        code = store->base.refuse(store->base.context, raw, strlen(raw), REASON_STORE_REFUSED,
                                  row->refusal, &problem);
    text_release(&json);
    if (code != FRESHET_OK) {
        note_failure(store, CQL_OK, problem.text, now_us);
        pending_rows_back(&store->rows, row, now_us + REFUSE_AGAIN_US);
        return;
    }
    writer_add(&store->base, WRITER_REFUSED, 1);
    pending_rows_done(&store->rows, row);
}

/* ---- sending --------------------------------------------------------------------------------- */

/* Seconds that are left of a row's TTL; 0: it has passed. To the server 0 means for ever. */
static int32_t ttl_left_s(const cassandra *store, const pending_row *row)
{
    int64_t age_us, left_us;
    if (__builtin_sub_overflow(os.now_us(), row->event_us, &age_us) ||
        __builtin_sub_overflow(store->ttl_us, age_us, &left_us))
        return row->event_us < 0 ? 0 : (int32_t)CASSANDRA_TTL_MAX_S;
    const int64_t left_s = left_us <= 0 ? 0 : (left_us + 999999) / 1000000;
    return (int32_t)(left_s > CASSANDRA_TTL_MAX_S ? CASSANDRA_TTL_MAX_S : left_s);
}

/* The statement's values of a row (cassandra_table_insert); `numbers` live as long as the call to
 * the client. */
static void bind_row(const cassandra *store, const pending_row *row, cql_value *into,
                     unsigned char *numbers)
{
    const cassandra_table *table = &store->table;
    const unsigned char *at = row->bytes, *end = row->bytes + row->length;
    const uint32_t timestamp = table->n_keys;
    cql_value time = {.length = -1}, value = {.length = -1};
    const cql_value write_us = {.bytes = numbers, .length = 8};
    const cql_value event_us = {.bytes = numbers + 8, .length = 8};
    const cql_value ttl_s = {.bytes = numbers + 16, .length = 4};
    uint32_t n = 0;
    cql_put_bigint(numbers, row->write_us);
    cql_put_bigint(numbers + 8, row->event_us);
    if (store->ttl_us > 0) { /* it may have passed since the row was taken to be sent */
        const int32_t left_s = ttl_left_s(store, row);
        cql_put_int(numbers + 16, left_s > 0 ? left_s : 1);
    }
    for (uint32_t i = 0; i < table->n_columns; i++) {
        cql_value_next(&at, end, &value);
        if (i == timestamp)
            time = value;
        if (i != timestamp || !table->is_shared)
            into[n++] = value;
    }
    into[n++] = write_us;
    if (store->ttl_us > 0)
        into[n++] = ttl_s;
    if (!table->is_shared)
        return;
    for (uint32_t i = 0; i < table->n_keys; i++)
        into[n++] = into[i];
    into[n++] = time;
    into[n++] = event_us;
    if (store->ttl_us > 0)
        into[n++] = ttl_s;
}

static group *new_group(cassandra *store)
{
    group *group = store->free_group;
    if (group != NULL) {
        store->free_group = group->next;
    } else {
        group = arena_zero(store->arena, 1, sizeof *group);
        if (group == NULL || !arena_reserve(store->arena, &store->groups, &store->groups_capacity,
                                            store->n_groups + UINT64_C(1), sizeof(struct group *)))
            return NULL;
        group->index = store->n_groups;
        store->groups[store->n_groups++] = group;
    }
    *group = (struct group){.index = group->index, .tag = ++store->last_tag << 16 | group->index};
    return group;
}

static void end_group(cassandra *store, group *group)
{
    group->tag = 0;
    group->next = store->free_group;
    store->free_group = group;
}

/* The row is no longer on its way; NULL: it was not. */
static pending_row *take_from(cassandra *store, group *group, uint32_t i)
{
    pending_row *row = group->rows[i];
    if (row == NULL)
        return NULL;
    group->rows[i] = NULL;
    store->in_flight--;
    store->bytes_in_flight -= row->length;
    return row;
}

/* The group's rows that have not come back do so. */
static void fail_group(cassandra *store, group *group, cql_code code, const char *text,
                       int64_t now_us)
{
    for (uint32_t i = 0; i < group->n; i++) {
        pending_row *row = take_from(store, group, i);
        if (row != NULL)
            take_back(store, group, row, code, text, now_us);
    }
    end_group(store, group);
}

static void send_rows(cassandra *store, pending_row **rows, uint32_t n, bool as_batch,
                      int64_t now_us)
{
    group *group = new_group(store);
    if (group == NULL) { /* they wait, as after a failure */
        for (uint32_t i = 0; i < n; i++)
            pending_rows_back(&store->rows, rows[i], now_us + PACE_BACKOFF_MAX_US);
        note_failure(store, CQL_MEMORY, "out of memory", now_us);
        return;
    }
    if (store->in_flight == 0)
        store->heard_us = now_us;
    for (uint32_t i = 0; i < n; i++) {
        group->rows[i] = rows[i];
        store->bytes_in_flight += rows[i]->length;
        bind_row(store, rows[i], store->values + (size_t)i * store->n_values,
                 store->numbers + (size_t)i * NUMBERS_BYTES);
    }
    group->n = n;
    group->as_batch = as_batch;
    group->sent_us = now_us;
    group->epoch = store->pace.epoch;
    store->in_flight += n;
    cql_code code = store->api->submit(store->session, store->insert, store->values,
                                       store->n_values, n, as_batch, group->tag);
    if (code != CQL_OK)
        fail_group(store, group, code, "the client did not take the rows", now_us);
}

/* True where the row is not to be sent at all, and has been dealt with. */
static bool is_dealt_with(cassandra *store, pending_row *row, int64_t now_us)
{
    if (row->refusal != NULL) {
        cassandra_refuse_row(store, row, now_us);
        return true;
    }
    if (store->ttl_us == 0 || ttl_left_s(store, row) > 0)
        return false;
    writer_add(&store->base, WRITER_EXPIRED, 1);
    pending_rows_done(&store->rows, row);
    return true;
}

static int compare_partitions(const void *a, const void *b)
{
    const pending_row *x = *(pending_row *const *)a, *y = *(pending_row *const *)b;
    if (x->partition_hash != y->partition_hash)
        return x->partition_hash < y->partition_hash ? -1 : 1;
    return x->write_us < y->write_us ? -1 : x->write_us > y->write_us;
}

static bool is_same_partition(const pending_row *a, const pending_row *b)
{
    return a->partition_hash == b->partition_hash && a->partition_length == b->partition_length &&
           memcmp(a->bytes, b->bytes, a->partition_length) == 0;
}

/* How many of the sorted rows, from the first on, make one batch. */
static uint32_t batch_length(pending_row *const *rows, uint32_t n)
{
    size_t bytes = rows[0]->length;
    uint32_t length = 1;
    if (rows[0]->is_alone)
        return 1;
    while (length < n && length < CASSANDRA_BATCH_ROWS && !rows[length]->is_alone &&
           is_same_partition(rows[0], rows[length]) &&
           bytes + rows[length]->length <= CASSANDRA_BATCH_BYTES)
        bytes += rows[length++]->length;
    return length;
}

/* Batches first; what is left goes one by one, in groups. */
static void send_by_partition(cassandra *store, pending_row **rows, uint32_t n, int64_t now_us)
{
    uint32_t n_single = 0;
    if (n > 1)
        qsort(rows, n, sizeof(pending_row *), compare_partitions);
    for (uint32_t i = 0, length; i < n; i += length) {
        length = batch_length(rows + i, n - i);
        if (length > 1)
            send_rows(store, rows + i, length, true, now_us);
        else
            rows[n_single++] = rows[i];
    }
    for (uint32_t i = 0; i < n_single; i += CASSANDRA_GROUP_ROWS)
        send_rows(store, rows + i,
                  n_single - i < CASSANDRA_GROUP_ROWS ? n_single - i : CASSANDRA_GROUP_ROWS, false,
                  now_us);
}

/* Rows that came back may go; are new ones held to see whether newer ones come? */
static bool is_held(const cassandra *store, int64_t now_us)
{
    return store->hold_us > 0 && now_us < store->held_since_us + store->hold_us &&
           store->rows.n < store->rows_max / 2;
}

static void send_due(cassandra *store, bool all, int64_t now_us)
{
    const bool only_later = !all && is_held(store, now_us);
    const bool by_partition =
        store->table.n_partition < store->table.n_keys && !store->table.is_shared;
    const uint32_t at_once = by_partition ? COLLECT_ROWS : CASSANDRA_GROUP_ROWS;
    uint32_t room;
    while ((room = pace_room(&store->pace, store->in_flight, now_us)) > 0 &&
           store->bytes_in_flight < CASSANDRA_FLIGHT_BYTES) {
        uint32_t n = 0;
        size_t bytes = store->bytes_in_flight;
        pending_row *row;
        room = room < at_once ? room : at_once;
        while (n < room && bytes < CASSANDRA_FLIGHT_BYTES &&
               (row = pending_rows_take(&store->rows, now_us, only_later)) != NULL) {
            if (is_dealt_with(store, row, now_us))
                continue;
            bytes += row->length;
            store->collected[n++] = row;
        }
        if (n == 0)
            break;
        if (by_partition)
            send_by_partition(store, store->collected, n, now_us);
        else
            send_rows(store, store->collected, n, false, now_us);
    }
    if (store->rows.n_fresh == 0)
        store->held_since_us = 0;
    if (store->rows.n == 0) /* the last ones may have left without a confirmation */
        store->failing_us = 0;
}

/* ---- confirmations --------------------------------------------------------------------------- */

static void confirm_group(cassandra *store, group *group, int64_t now_us)
{
    uint32_t n = 0, n_again = 0;
    for (uint32_t i = 0; i < group->n; i++) {
        pending_row *row = take_from(store, group, i);
        if (row == NULL)
            continue;
        n++;
        n_again += row->is_again;
        written_keys_note(&store->written, row);
        pending_rows_done(&store->rows, row);
    }
    if (n > 0) {
        pace_confirmed(&store->pace, n, now_us - group->sent_us, now_us);
        store->failing_us = 0;
        writer_add(&store->base, WRITER_WRITTEN, n);
        writer_add(&store->base, WRITER_AGAIN, n_again);
    }
    end_group(store, group);
}

static void take_completion(cassandra *store, const cql_completion *completion, int64_t now_us)
{
    const uint32_t index = (uint32_t)(completion->tag & 0xffff);
    group *group = index < store->n_groups ? store->groups[index] : NULL;
    if (group == NULL || group->tag != completion->tag)
        return;
    if (completion->row == CQL_GROUP && completion->code == CQL_OK)
        confirm_group(store, group, now_us);
    else if (completion->row == CQL_GROUP)
        fail_group(store, group, completion->code, completion->text, now_us);
    if (completion->row >= group->n)
        return;
    pending_row *row = take_from(store, group, completion->row);
    if (row != NULL)
        take_back(store, group, row, completion->code, completion->text, now_us);
}

static void take_completions(cassandra *store)
{
    cql_completion taken[COMPLETIONS_AT_ONCE];
    uint32_t n;
    do {
        n = store->api->completions(store->session, taken, COMPLETIONS_AT_ONCE);
        const int64_t now_us = os.monotonic_us();
        for (uint32_t i = 0; i < n; i++)
            take_completion(store, &taken[i], now_us);
        if (n > 0)
            store->heard_us = now_us;
    } while (n == COMPLETIONS_AT_ONCE);
}

/* Rows that gave way to newer ones since the last call. */
static void note_replaced(cassandra *store)
{
    writer_add(&store->base, WRITER_REPLACED, store->rows.n_replaced - store->n_replaced);
    store->n_replaced = store->rows.n_replaced;
}

static void cassandra_turn(cassandra *store, bool all)
{
    take_completions(store);
    send_due(store, all, os.monotonic_us());
    note_replaced(store);
}

/* ---- the way to the store -------------------------------------------------------------------- */

static connect_goal goal_of(const cassandra *store)
{
    return (connect_goal){.api = store->api,
                          .place = &store->place,
                          .table = &store->table,
                          .file = store->base.declaration->file,
                          .with_ttl = store->ttl_us > 0};
}

/* What came of an attempt. What may pass is tried again later; what does not is kept, since whoever
 * asks next must be told. */
static void take_attempt(cassandra *store, freshet_code code, const connection *made)
{
    store->connect_code = code;
    store->session = made->session;
    store->insert = made->insert;
    store->pause_us = store->pause_us == 0 ? CONNECT_PAUSE_FIRST_US : 2 * store->pause_us;
    if (store->pause_us > CONNECT_PAUSE_MAX_US)
        store->pause_us = CONNECT_PAUSE_MAX_US;
    store->next_try_us = os.monotonic_us() + store->pause_us;
}

static freshet_code connect_now(void *context, freshet_error *err)
{
    cassandra *store = context;
    const connect_goal goal = goal_of(store);
    connection made = {0};
    store->connect_problem = (freshet_error){0};
    arena_reset(store->scratch);
    const freshet_code code =
        cassandra_connect(&goal, store->scratch, &made, &store->connect_problem);
    take_attempt(store, code, &made);
    if (code != FRESHET_OK && err != NULL)
        *err = store->connect_problem;
    return code;
}

/* A batch waits here; a stream goes on without the store, and looks for it while it runs. */
static freshet_code connect_first(cassandra *store, int64_t patience_us, freshet_error *err)
{
    if (store->base.is_batch)
        return cassandra_patiently(connect_now, store, patience_us, err);
    freshet_error problem = {0};
    const freshet_code code = connect_now(store, &problem);
    if (code == FRESHET_OK || problem.then == FRESHET_RETRY)
        return FRESHET_OK;
    if (err != NULL)
        *err = problem;
    return code;
}

/* Before the store is reached: ends an attempt that is over, begins one that is due. Never waits.
 * An error is final. */
static freshet_code look_for_store(cassandra *store, freshet_error *err)
{
    if (store->session != NULL)
        return FRESHET_OK;
    if (store->attempt != NULL && attempt_is_over(store->attempt)) {
        connection made = {0};
        store->connect_problem = (freshet_error){0};
        const freshet_code code = attempt_end(store->attempt, &made, &store->connect_problem);
        store->attempt = NULL;
        take_attempt(store, code, &made);
    }
    if (store->session == NULL && store->connect_problem.then != FRESHET_RETRY) {
        if (err != NULL)
            *err = store->connect_problem;
        return store->connect_code;
    }
    if (store->session == NULL && store->attempt == NULL &&
        os.monotonic_us() >= store->next_try_us) {
        const connect_goal goal = goal_of(store);
        const connection none = {0};
        const freshet_code code = attempt_start(&goal, &store->attempt, &store->connect_problem);
        if (code != FRESHET_OK)
            take_attempt(store, code, &none);
    }
    return FRESHET_OK;
}

/* ---- trouble --------------------------------------------------------------------------------- */

static bool is_lasting(cql_code code)
{
    return code == CQL_DENIED || code == CQL_TLS || code == CQL_SCHEMA;
}

static const char *cassandra_trouble(freshet_writer *writer)
{
    cassandra *store = (cassandra *)writer;
    const int64_t now_us = os.monotonic_us();
    const char *where = store->place.client.hosts;
    if (store->session == NULL)
        snprintf(store->trouble, sizeof store->trouble, "%.600s; %" PRIu64 " rows wait",
                 store->connect_problem.text, store->rows.n);
    else if (store->in_flight > 0 && now_us - store->heard_us > CASSANDRA_SILENCE_US)
        snprintf(store->trouble, sizeof store->trouble,
                 "the online store at %.200s has not answered for %.0f s; %" PRIu64 " rows wait",
                 where, (double)(now_us - store->heard_us) / 1e6, store->rows.n);
    else if (store->rows.n > 0 && store->failing_us != 0 &&
             (is_lasting(store->failing_code) ||
              now_us - store->failing_us >= CASSANDRA_TROUBLE_US))
        snprintf(store->trouble, sizeof store->trouble,
                 "the online store at %.200s takes no rows: %.400s; %" PRIu64 " rows wait", where,
                 store->failing_text, store->rows.n);
    else
        return NULL;
    return store->trouble;
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* Readable when something has been heard; -1: nothing is waited for. */
static int fd_of(const cassandra *store)
{
    if (store->session == NULL)
        return store->attempt == NULL ? -1 : attempt_fd(store->attempt);
    return store->rows.n == 0 ? -1 : store->api->fd(store->session);
}

static int cassandra_wake_fd(const freshet_writer *writer)
{
    return fd_of((const cassandra *)writer);
}

static int64_t next_due_us(const cassandra *store, bool all)
{
    const bool has_room = store->in_flight < (uint32_t)store->pace.window &&
                          store->bytes_in_flight < CASSANDRA_FLIGHT_BYTES;
    int64_t due_us = pending_rows_due_us(&store->rows);
    if (store->session == NULL)
        return store->attempt == NULL ? store->next_try_us : INT64_MAX;
    if (store->rows.n_fresh > 0) {
        const int64_t fresh_us =
            all || store->hold_us == 0 ? 0 : store->held_since_us + store->hold_us;
        due_us = fresh_us < due_us ? fresh_us : due_us;
    }
    if (due_us == INT64_MAX || !has_room)
        return INT64_MAX;
    return due_us > store->pace.paused_until_us ? due_us : store->pace.paused_until_us;
}

static int64_t cassandra_wake_us(const freshet_writer *writer)
{
    return next_due_us((const cassandra *)writer, false);
}

/* Until something may have happened, or `until_us`. */
static void wait_for(cassandra *store, bool all, int64_t until_us)
{
    struct pollfd fds[2] = {{.fd = fd_of(store), .events = POLLIN},
                            {.fd = store->base.stop_fd, .events = POLLIN}};
    const bool watch_stop = store->base.is_stopping != NULL && !is_stopping(store);
    const int64_t due_us = next_due_us(store, all), now_us = os.monotonic_us();
    const int64_t wait_us = (due_us < until_us ? due_us : until_us) - now_us;
    if (wait_us > 0)
        os.poll(fds, watch_stop ? 2 : 1, (int)((wait_us + 999) / 1000));
}

static freshet_code not_yet(cassandra *store, freshet_error *err)
{
    const char *trouble = cassandra_trouble(&store->base);
    if (trouble != NULL)
        return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, store->place.client.hosts, "%s",
                         trouble);
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_RETRY, store->place.client.hosts,
                     "the online store has not confirmed %" PRIu64 " rows yet", store->rows.n);
}

/* Turns until so few rows are pending; FRESHET_RETRY where none has left for a while. */
static freshet_code wait_until(cassandra *store, uint64_t rows, size_t bytes, bool all,
                               freshet_error *err)
{
    const int64_t begin_us = os.monotonic_us();
    int64_t moved_us = begin_us;
    int64_t done = writer_done(&store->base);
    for (;;) {
        const freshet_code code = look_for_store(store, err);
        if (code != FRESHET_OK)
            return code;
        if (store->session != NULL)
            cassandra_turn(store, all);
        if (store->rows.n <= rows && store->rows.n_bytes <= bytes)
            return FRESHET_OK;
        const int64_t now_us = os.monotonic_us();
        if (writer_done(&store->base) != done) {
            done = writer_done(&store->base);
            moved_us = now_us;
        }
        if (now_us - moved_us >= CASSANDRA_WAIT_US ||
            (is_stopping(store) &&
             (store->session == NULL || now_us - begin_us >= CASSANDRA_STOP_US)))
            return not_yet(store, err);
        wait_for(store, all, moved_us + CASSANDRA_WAIT_US);
    }
}

/* ---- taking rows ----------------------------------------------------------------------------- */

#define YEAR_1_US INT64_C(-62135596800000000)
#define YEAR_10000_US INT64_C(253402300800000000)
#define DAY_US INT64_C(86400000000)

/* A time or a day that nobody could read again, as text; NULL: it is none. */
static const char *wrong_time(const batch *rows, uint32_t field, uint32_t row)
{
    const column *column = &rows->columns[field];
    const type_kind kind = column->type->kind;
    text_buffer text;
    if ((kind != TYPE_TIMESTAMP && kind != TYPE_DATE) || !column_is_valid(column, row))
        return NULL;
    const bool is_time = kind == TYPE_TIMESTAMP;
    const int64_t time =
        is_time ? ((const int64_t *)column->data)[row] : ((const int32_t *)column->data)[row];
    if (time >= YEAR_1_US / (is_time ? 1 : DAY_US) && time < YEAR_10000_US / (is_time ? 1 : DAY_US))
        return NULL;
    text_init(&text, 80);
    if (is_time)
        text_append_timestamp(&text, time);
    else
        text_append_date(&text, (int32_t)time);
    const char *said = text.failed ? "" : arena_copy(rows->arena, text.bytes, text.length);
    text_release(&text);
    return said == NULL ? "" : said;
}

/* The row's bytes in store->row; *refusal where the store cannot hold it. Then only the keys and
 * the time are of use. */
static freshet_code serialise(cassandra *store, const batch *rows, uint32_t row,
                              uint32_t *key_length, uint32_t *partition_length,
                              const char **refusal, freshet_error *err)
{
    const cassandra_table *table = &store->table;
    uint32_t key_bytes = 0;
    text_buffer *into = &store->row;
    text_reset(into);
    *refusal = NULL;
    for (uint32_t i = 0; i < table->n_columns; i++) {
        const size_t begin = into->length;
        const bool whole = cql_value_put(into, &rows->columns[table->columns[i].field], row);
        if (into->failed)
            return error_memory(err, WRITING);
        const char *time = wrong_time(rows, table->columns[i].field, row);
        /* a partition key of several columns has three bytes more for each */
        const uint32_t more = table->n_partition > 1 && i < table->n_partition ? 3 : 0;
        key_bytes = i == table->n_partition ? 0 : key_bytes;
        key_bytes += (uint32_t)(into->length - begin - 4) + more;
        if (whole && i < table->n_keys && key_bytes > CASSANDRA_KEY_BYTES_MAX)
            *refusal = arena_format(rows->arena,
                                    "the %s takes more than the %u bytes that Cassandra allows",
                                    i < table->n_partition ? "partition key" : "clustering key",
                                    CASSANDRA_KEY_BYTES_MAX);
        else if (time != NULL)
            *refusal = arena_format(rows->arena, "\"%s\" is %s, outside the years 1 to 9999%s",
                                    table->columns[i].name, time,
                                    i == table->n_keys
                                        ? ": no later row could replace this one, and clients of "
                                          "Cassandra's cannot read it"
                                        : ", which clients of Cassandra's cannot read");
        else if (!whole)
            *refusal =
                arena_format(rows->arena,
                             "the feature \"%s\" is an array with a null in it, which a list "
                             "of Cassandra's cannot hold",
                             table->columns[i].name);
        else if (into->length > CASSANDRA_ROW_BYTES_MAX)
            *refusal =
                arena_format(rows->arena, "the row is longer than the %zu MiB that Cassandra takes",
                             CASSANDRA_ROW_BYTES_MAX >> 20);
        else if (i + 1 == table->n_partition)
            *partition_length = (uint32_t)into->length;
        if (*refusal != NULL || !whole || into->length > CASSANDRA_ROW_BYTES_MAX) {
            into->length = begin;
            return *refusal == NULL ? error_memory(err, WRITING) : FRESHET_OK;
        }
        if (i + 1 == table->n_keys)
            *key_length = (uint32_t)into->length;
    }
    return FRESHET_OK;
}

/* A row that the store need not be asked about. Its bytes are not whole, so its text is kept. */
static bool refuse_here(pending_row *made, const batch *rows, uint32_t row, const char *why)
{
    text_buffer json;
    text_init(&json, TEXT_LIMIT_DEFAULT);
    if (batch_row_to_json(rows, row, &json, NULL) == FRESHET_OK && !json.failed)
        made->raw = strdup(json.bytes);
    text_release(&json);
    return made->raw != NULL && mark_refused(made, why);
}

static freshet_code make_row(cassandra *store, const batch *rows, uint32_t row, pending_row **out,
                             freshet_error *err)
{
    uint32_t key_length = 0, partition_length = 0;
    const char *refusal = NULL;
    freshet_code code = serialise(store, rows, row, &key_length, &partition_length, &refusal, err);
    if (code != FRESHET_OK)
        return code;
    *out = pending_row_make((const unsigned char *)store->row.bytes, (uint32_t)store->row.length,
                            key_length, partition_length);
    if (*out == NULL)
        return error_memory(err, WRITING);
    (*out)->event_us = ((const int64_t *)rows->columns[store->table.n_keys].data)[row];
    (*out)->write_us = rows->write_us == NULL ? (*out)->event_us : rows->write_us[row];
    (*out)->is_again = rows->row_kinds != NULL && (rows->row_kinds[row] & ROW_NEW) == 0;
    if (refusal != NULL && !refuse_here(*out, rows, row, refusal)) {
        pending_row_free(*out);
        return error_memory(err, WRITING);
    }
    return FRESHET_OK;
}

static freshet_code cassandra_write(freshet_writer *writer, const batch *rows, freshet_error *err)
{
    cassandra *store = (cassandra *)writer;
    uint32_t n = 0;
    freshet_code code = wait_until(store, store->rows_max - 1, store->bytes_max - 1, false, err);
    if (code != FRESHET_OK)
        return code;
    pending_row **made = arena_alloc(rows->arena, (rows->n_rows + (size_t)1) * sizeof *made);
    if (made == NULL || !pending_rows_reserve(&store->rows, rows->n_rows))
        return error_memory(err, WRITING);
    for (uint32_t row = 0; code == FRESHET_OK && row < rows->n_rows; row++) {
        code = make_row(store, rows, row, &made[n], err);
        n += code == FRESHET_OK;
    }
    if (code != FRESHET_OK) {
        for (uint32_t i = 0; i < n; i++)
            pending_row_free(made[i]);
        return code;
    }
    if (n > 0 && store->held_since_us == 0)
        store->held_since_us = os.monotonic_us();
    for (uint32_t i = 0; i < n; i++)
        pending_rows_add(&store->rows, made[i]);
    if (store->session != NULL)
        cassandra_turn(store, false);
    return FRESHET_OK;
}

static freshet_code cassandra_flush(freshet_writer *writer, freshet_error *err)
{
    return wait_until((cassandra *)writer, 0, SIZE_MAX, true, err);
}

static freshet_code cassandra_progress(freshet_writer *writer, freshet_error *err)
{
    cassandra *store = (cassandra *)writer;
    const freshet_code code = look_for_store(store, err);
    if (store->session != NULL && store->rows.n > 0)
        cassandra_turn(store, false);
    return code;
}

static freshet_code cassandra_validate(freshet_writer *writer, const writer_files *files,
                                       int64_t *there, freshet_error *err)
{
    cassandra *store = (cassandra *)writer;
    const freshet_code code = wait_until(store, 0, SIZE_MAX, true, err);
    const written_place where = {.api = store->api,
                                 .session = store->session,
                                 .place = &store->place,
                                 .table = &store->table,
                                 .ttl_us = store->ttl_us};
    (void)files;
    if (code != FRESHET_OK)
        return code;
    return store->session == NULL ? not_yet(store, err)
                                  : written_keys_count(&store->written, &where, there, err);
}

void cassandra_figures_take(const freshet_writer *writer, cassandra_figures *out)
{
    const cassandra *store = (const cassandra *)writer;
    *out = store->figures;
    out->confirmed = (uint64_t)writer_counted(writer, WRITER_WRITTEN);
    out->refused = (uint64_t)writer_counted(writer, WRITER_REFUSED);
    out->expired = (uint64_t)writer_counted(writer, WRITER_EXPIRED);
    out->pending = store->rows.n;
    out->pending_bytes = store->rows.n_bytes;
    out->in_flight = store->in_flight;
    out->window = (uint32_t)store->pace.window;
    out->latency_us = store->pace.latency_us;
}

/* ---- opening, closing ------------------------------------------------------------------------ */

static freshet_code cassandra_allocate(cassandra *store, const cassandra_options *options,
                                       const schema *schema, freshet_error *err)
{
    const uint32_t regular = store->table.n_columns - store->table.n_keys;
    const uint32_t with_ttl = store->ttl_us > 0;
    store->n_values = store->table.is_shared
                          ? 2 * store->table.n_keys + regular + 2 * (1 + with_ttl)
                          : store->table.n_columns + 1 + with_ttl;
    store->values = arena_zero(store->arena, (size_t)CASSANDRA_GROUP_ROWS * store->n_values,
                               sizeof *store->values);
    store->numbers = arena_zero(store->arena, CASSANDRA_GROUP_ROWS, NUMBERS_BYTES);
    store->collected = arena_zero(store->arena, COLLECT_ROWS, sizeof(pending_row *));
    store->scratch = arena_open();
    store->schema = *schema;
    text_init(&store->row, TEXT_LIMIT_DEFAULT);
    if (store->values == NULL || store->numbers == NULL || store->collected == NULL ||
        store->scratch == NULL || !pending_rows_open(&store->rows) ||
        (store->base.validates && !written_keys_open(&store->written)))
        return error_memory(err, WRITING);
    store->rows_max = (uint64_t)options->buffer_rows;
    store->bytes_max = (size_t)options->buffer_memory;
    store->hold_us = options->stream_processing_time_us;
    pace_init(&store->pace, (uint32_t)options->in_flight, (uint64_t)os.now_us());
    return FRESHET_OK;
}

static bool is_store(const void *options)
{
    return !((const online_options *)options)->debug;
}

static void check_store(const void *options, const declaration *declaration, const place *at,
                        problems *problems)
{
    const online_options *given = options;
    if (given->has_cassandra)
        cassandra_check(given, declaration, at, problems);
    else
        problem_add(problems, at, "%s", NO_STORE);
}

static freshet_code cassandra_open(freshet_writer *writer, const schema *schema, uint32_t n_keys,
                                   freshet_error *err)
{
    cassandra *store = (cassandra *)writer;
    const online_options *given = writer->options;
    const declaration *declaration = writer->declaration;
    store->arena = writer->arena;
    store->ttl_us = given->ttl_us;
    freshet_code code = cql_load(&store->api, err);
    if (code == FRESHET_OK)
        code = cassandra_place_make(given, declaration, store->arena, &store->place, err);
    if (code == FRESHET_OK)
        code = cassandra_table_make(store->arena, &store->place, &given->cassandra, declaration,
                                    schema, n_keys, &store->table, err);
    if (code == FRESHET_OK)
        code = cassandra_allocate(store, &given->cassandra, schema, err);
    return code == FRESHET_OK ? connect_first(store, given->cassandra.patience_us, err) : code;
}

static void cassandra_close(freshet_writer *writer)
{
    cassandra *store = (cassandra *)writer;
    const int64_t expired = writer_counted(writer, WRITER_EXPIRED);
    if (expired > 0)
        log_event(ROWS_EXPIRED, "online", expired);
    connection connection = {.session = store->session, .insert = store->insert};
    attempt_abandon(store->attempt);
    connection_close(store->api, &connection);
    for (uint32_t i = 0; i < store->n_groups; i++) {
        group *group = store->groups[i];
        for (uint32_t k = 0; group->tag != 0 && k < group->n; k++)
            pending_row_free(group->rows[k]);
    }
    pending_rows_release(&store->rows);
    written_keys_release(&store->written);
    text_release(&store->row);
    arena_close(store->scratch);
}

const writer_ops cassandra_writer_ops = {
    .name = "cassandra",
    .block = &online_block,
    .serves = is_store,
    .size = sizeof(cassandra),
    .keeps = KEEPS_NEWEST,
    .counts_rows = true,
    .takes = ROW_ONLINE,
    .check = check_store,
    .open = cassandra_open,
    .write = cassandra_write,
    .flush = cassandra_flush,
    .close = cassandra_close,
    .validate = cassandra_validate,
    .progress = cassandra_progress,
    .wake_fd = cassandra_wake_fd,
    .wake_us = cassandra_wake_us,
    .trouble = cassandra_trouble,
};
