/* debug.c - see debug.h.
 *
 * The rows lie in segments: tables "__freshet".s0, s1, ... with the columns c0, c1, ..., each for
 * about a tenth of the row limit. What users see are three views over the segments there are,
 * `_latest`, `_new` and the table itself, made again in the transaction that adds or drops a
 * segment. Measured against one table that is trimmed by DELETE and CHECKPOINT, this appends nearly
 * twice as fast, never stands still for a checkpoint, and gives memory back at once
 * (bench/debug_table.c).
 *
 *     s7 (being trimmed)   s8 d8   s9 d9   ...   s17 (being filled)
 *
 * The limit is kept exactly: the oldest segment loses the rows that are too many by a DELETE of its
 * first rowids, and goes by DROP TABLE when none is left. In a segment rowids ascend in order of
 * arrival; since DuckDB compacts tables by itself they may become smaller, but never leave their
 * order, nor reach the base of the next segment. So base + rowid orders all rows.
 *
 * Rows of windows and groups on a stream come with a write timestamp in a column that the views
 * leave out: by it one row is newer than another, in the place of the event time. A last column
 * says of a row that it came before, and comes again since a late event or another row of its
 * second has changed what is served: `_new` leaves such rows out.
 *
 * `_latest` groups by the keys and takes each column by arg_max_null over one number made of the
 * event time and that place: of equal times the later arrival. Of the forms measured (row_number,
 * arg_max of a struct, semi joins) this is the fastest for a key, a count and a scan; columns that
 * a query does not use cost nothing. A full segment with few keys gets a digest, d8: its newest row
 * of each key, with that number. `_latest` reads it instead of the segment, until the first row of
 * the segment is trimmed.
 *
 * An append is one transaction: rows, trimming, views. Queries see all of it or nothing: each is a
 * copy of the process, made between two appends (query_pool.h). When memory runs short the oldest
 * segments go before their time: a debug table never stops the stream. After a transaction that
 * failed at its commit, DuckDB 1.5 leaves the rows it had appended behind the end of the table, and
 * later appends come out misplaced: so nothing is ever appended to a segment after a failure.
 */
#include "writers/debug/debug.h"

#include <assert.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "sql/sql.h"
#include "writers/debug/query_pool.h"

#define OPENING "opening the debug table"
#define CHANGING "changing the debug table"
#define SEGMENTS 10u /* about so many hold the row limit */
#define SEGMENT_ROWS_MIN INT64_C(10000)
#define DIGEST_SHARE 8     /* a digest has at most one row for so many of its segment */
#define DIGEST_SAMPLE 8192 /* rows looked at to guess that */
#define SEGMENTS_MAX \
    (SEGMENTS + 3) /* the one that is filled, the one that is trimmed, and one to spare */
#define PLACES "1152921504606846976" /* 2 to the 60: a place is less */
#define INPUT "__freshet_rows"
#define VIEW_PREFIX "online_feature_store__"
#define VIEW_SQL_MAX ((size_t)16 << 20)

typedef struct segment {
    int64_t number;
    int64_t base;    /* rows of all segments before it */
    int64_t rows;    /* ever appended */
    int64_t trimmed; /* rows at its beginning that are gone */
    bool has_digest;
} segment;

/* What a transaction may change; put back when it fails. */
typedef struct contents {
    segment segments[SEGMENTS_MAX];
    uint32_t n;
    int64_t next_number;
    int64_t next_base;
    int64_t rows;
    int64_t trimmed;
    bool views_are_old;
} contents;

struct debug_table {
    debug_options options;
    arena *arena;
    const char *view; /* quoted */
    const char *latest;
    const char *new;
    schema schema;
    uint32_t n_keys;
    uint32_t n_shown; /* columns that queries see: all, but for the write timestamp */
    int64_t segment_rows;
    /* Lists for SQL: names as queries see them; c0, c1, ... of the columns they see, of all with
     * types, of the keys; and the columns of a key's newest row behind its keys. */
    text_buffer names, shown, typed, keys, newest;
    sql_engine *engine;
    sql_session *session;
    sql_input *input;
    sql_statement *insert; /* into the newest segment; NULL: to be prepared */
    query_pool *pool;
    text_buffer sql;
    contents now;
    bool newest_failed; /* nothing may be appended to the newest segment any more */
    bool said_short_of_memory;
    atomic_llong rows, trimmed; /* for other threads */
};

static freshet_code execute(debug_table *table, int64_t *changed, freshet_error *err)
{
    if (table->sql.failed)
        return error_memory(err, CHANGING);
    return sql_execute(table->session, table->sql.bytes, changed, err);
}

/* ---- the views ----------------------------------------------------------------------------- */

/* The rows of a segment with the number that tells which row of a key is the newest. epoch_us() of
 * an infinite time is null. */
static void append_placed(debug_table *table, const segment *segment)
{
    if (table->n_shown < table->schema.n_fields) {
        text_format(&table->sql,
                    "SELECT *, c%u::HUGEINT * 1152921504606846976 + rowid + %" PRId64
                    " AS newest FROM \"__freshet\".s%" PRId64 " WHERE c%u IS NOT NULL",
                    table->n_shown, segment->base, segment->number, table->n_shown);
        return;
    }
    text_format(&table->sql,
                "SELECT *, coalesce(epoch_us(c%u), CASE WHEN c%u > '1970-01-01'::TIMESTAMP THEN "
                "9223372036854775807 ELSE -9223372036854775808 END)::HUGEINT * "
                "1152921504606846976 + rowid + %" PRId64 " AS newest FROM \"__freshet\".s%" PRId64,
                table->n_keys, table->n_keys, segment->base, segment->number);
}

static void append_table(debug_table *table)
{
    text_format(&table->sql, "CREATE OR REPLACE VIEW %s(%s) AS ", table->view, table->names.bytes);
    for (uint32_t i = 0; i < table->now.n; i++)
        text_format(&table->sql, "%sSELECT %s FROM \"__freshet\".s%" PRId64,
                    i == 0 ? "" : " UNION ALL ", table->shown.bytes, table->now.segments[i].number);
}

/* Each row once: without those that came again. */
static void append_new(debug_table *table)
{
    text_format(&table->sql, "CREATE OR REPLACE VIEW %s(%s) AS ", table->new, table->names.bytes);
    for (uint32_t i = 0; i < table->now.n; i++) {
        text_format(&table->sql, "%sSELECT %s FROM \"__freshet\".s%" PRId64,
                    i == 0 ? "" : " UNION ALL ", table->shown.bytes, table->now.segments[i].number);
        if (table->options.has_write_times)
            text_format(&table->sql, " WHERE NOT c%u", table->n_shown + 1);
    }
}

static void append_latest(debug_table *table)
{
    text_format(&table->sql, "CREATE OR REPLACE VIEW %s(%s) AS SELECT %s%s FROM (", table->latest,
                table->names.bytes, table->keys.bytes, table->newest.bytes);
    for (uint32_t i = 0; i < table->now.n; i++) {
        const segment *segment = &table->now.segments[i];
        if (i > 0)
            text_append_c(&table->sql, " UNION ALL ");
        if (segment->has_digest)
            text_format(&table->sql, "SELECT * FROM \"__freshet\".d%" PRId64, segment->number);
        else
            append_placed(table, segment);
    }
    text_format(&table->sql, ") GROUP BY %s", table->keys.bytes);
}

static freshet_code make_views(debug_table *table, freshet_error *err)
{
    text_reset(&table->sql);
    append_table(table);
    freshet_code code = execute(table, NULL, err);
    if (code != FRESHET_OK)
        return code;
    text_reset(&table->sql);
    append_new(table);
    code = execute(table, NULL, err);
    if (code != FRESHET_OK)
        return code;
    text_reset(&table->sql);
    append_latest(table);
    code = execute(table, NULL, err);
    if (code == FRESHET_OK)
        table->now.views_are_old = false;
    return code;
}

/* ---- digests ------------------------------------------------------------------------------- */

static freshet_code remove_digest(debug_table *table, const segment *segment, freshet_error *err)
{
    text_reset(&table->sql);
    text_format(&table->sql, "DROP TABLE \"__freshet\".d%" PRId64, segment->number);
    return execute(table, NULL, err);
}

/* The one number that the query in table->sql gives. */
static freshet_code ask_count(debug_table *table, int64_t *count, freshet_error *err)
{
    return table->sql.failed ? error_memory(err, CHANGING)
                             : sql_number(table->session, table->sql.bytes, count, err);
}

/* Have the first rows of the segment so few keys that its digest may be worth while? */
static freshet_code has_few_keys(debug_table *table, const segment *segment, bool *few,
                                 freshet_error *err)
{
    text_reset(&table->sql);
    text_format(
        &table->sql,
        "SELECT count(*) FROM (SELECT DISTINCT %s FROM (SELECT * FROM \"__freshet\".s%" PRId64
        " LIMIT %d))",
        table->keys.bytes, segment->number, DIGEST_SAMPLE);
    int64_t n_keys = 0;
    freshet_code code = ask_count(table, &n_keys, err);
    *few = n_keys <= DIGEST_SAMPLE / DIGEST_SHARE;
    return code;
}

/* Of a segment that is full and of which nothing has been trimmed: the newest number of each key
 * says where its row is, so the columns of all others are never read. */
static freshet_code make_digest(debug_table *table, segment *segment, freshet_error *err)
{
    bool few = false;
    freshet_code code = has_few_keys(table, segment, &few, err);
    if (code != FRESHET_OK || !few)
        return code;
    text_reset(&table->sql);
    text_format(&table->sql,
                "CREATE TABLE \"__freshet\".d%" PRId64 " AS SELECT s.*, m.newest FROM "
                "\"__freshet\".s%" PRId64 " s JOIN (SELECT max(newest) AS newest FROM (",
                segment->number, segment->number);
    append_placed(table, segment);
    text_format(&table->sql,
                ") GROUP BY %s) m ON s.rowid = (m.newest & (" PLACES " - 1))::BIGINT - %" PRId64,
                table->keys.bytes, segment->base);
    code = execute(table, NULL, err);
    if (code != FRESHET_OK)
        return code;
    int64_t n_keys = 0;
    text_reset(&table->sql);
    text_format(&table->sql, "SELECT count(*) FROM \"__freshet\".d%" PRId64, segment->number);
    code = ask_count(table, &n_keys, err);
    if (code != FRESHET_OK)
        return code;
    if (n_keys > segment->rows / DIGEST_SHARE) /* the first rows did not show it */
        return remove_digest(table, segment, err);
    segment->has_digest = true;
    return FRESHET_OK;
}

static freshet_code drop_digest(debug_table *table, segment *segment, freshet_error *err)
{
    if (!segment->has_digest)
        return FRESHET_OK;
    freshet_code code = remove_digest(table, segment, err);
    if (code == FRESHET_OK)
        segment->has_digest = false;
    table->now.views_are_old = true;
    return code;
}

/* ---- segments ------------------------------------------------------------------------------ */

static void forget_insert(debug_table *table)
{
    sql_statement_close(table->insert);
    table->insert = NULL;
}

static freshet_code add_segment(debug_table *table, freshet_error *err)
{
    contents *now = &table->now;
    assert(now->n < SEGMENTS_MAX);
    forget_insert(table);
    segment *full = now->n == 0 ? NULL : &now->segments[now->n - 1];
    if (full != NULL && full->trimmed == 0 && full->rows >= table->segment_rows) {
        freshet_code code = make_digest(table, full, err);
        if (code != FRESHET_OK)
            return code;
    }
    segment *added = &now->segments[now->n];
    *added = (segment){.number = now->next_number, .base = now->next_base};
    text_reset(&table->sql);
    text_format(&table->sql, "CREATE TABLE \"__freshet\".s%" PRId64 "(%s)", added->number,
                table->typed.bytes);
    freshet_code code = execute(table, NULL, err);
    if (code != FRESHET_OK)
        return code;
    now->n++;
    now->next_number++;
    now->views_are_old = true;
    return FRESHET_OK;
}

static int64_t rows_left(const segment *segment)
{
    return segment->rows - segment->trimmed;
}

static freshet_code drop_oldest(debug_table *table, freshet_error *err)
{
    contents *now = &table->now;
    segment *oldest = &now->segments[0];
    freshet_code code = drop_digest(table, oldest, err);
    if (code != FRESHET_OK)
        return code;
    text_reset(&table->sql);
    text_format(&table->sql, "DROP TABLE \"__freshet\".s%" PRId64, oldest->number);
    code = execute(table, NULL, err);
    if (code != FRESHET_OK)
        return code;
    now->rows -= rows_left(oldest);
    now->trimmed += rows_left(oldest);
    now->views_are_old = true;
    memmove(now->segments, now->segments + 1, --now->n * sizeof *now->segments);
    return FRESHET_OK;
}

/* The rows of a segment are in order of their rowids, but these change when DuckDB compacts it. */
static freshet_code trim_oldest(debug_table *table, int64_t n, freshet_error *err)
{
    contents *now = &table->now;
    segment *oldest = &now->segments[0];
    freshet_code code = drop_digest(table, oldest, err);
    if (code != FRESHET_OK)
        return code;
    text_reset(&table->sql);
    text_format(&table->sql,
                "DELETE FROM \"__freshet\".s%" PRId64 " WHERE rowid < (SELECT min(rowid) FROM "
                "\"__freshet\".s%" PRId64 ") + %" PRId64,
                oldest->number, oldest->number, n);
    int64_t changed = 0;
    code = execute(table, &changed, err);
    if (code != FRESHET_OK)
        return code;
    if (changed <= 0 || changed > n)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, table->view,
                         "the SQL engine removed %" PRId64 " rows of the debug table where %" PRId64
                         " were asked for",
                         changed, n);
    oldest->trimmed += changed;
    now->rows -= changed;
    now->trimmed += changed;
    return FRESHET_OK;
}

/* Takes the oldest rows away until no more than the limit are left. */
static freshet_code debug_trim(debug_table *table, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    while (code == FRESHET_OK && table->now.rows > table->options.rows) {
        int64_t over = table->now.rows - table->options.rows;
        if (table->now.n > 1 && over >= rows_left(&table->now.segments[0]))
            code = drop_oldest(table, err);
        else
            code = trim_oldest(table, over, err);
    }
    return code;
}

/* ---- appending ----------------------------------------------------------------------------- */

static freshet_code insert(debug_table *table, const batch *rows, uint32_t first,
                           freshet_error *err)
{
    contents *now = &table->now;
    segment *newest = &now->segments[now->n - 1];
    freshet_code code = FRESHET_OK;
    if (table->insert == NULL) {
        text_reset(&table->sql);
        text_format(&table->sql,
                    "INSERT INTO \"__freshet\".s%" PRId64 " SELECT * FROM \"" INPUT "\"",
                    newest->number);
        if (table->sql.failed)
            return error_memory(err, CHANGING);
        code = sql_command_prepare(table->session, table->sql.bytes, &table->insert, err);
    }
    if (code != FRESHET_OK)
        return code;
    sql_input_set(table->input, rows, first, rows->n_rows - first);
    code = sql_command_run(table->insert, NULL, err);
    sql_input_set(table->input, NULL, 0, 0);
    if (code != FRESHET_OK)
        return code;
    int64_t n = rows->n_rows - first;
    newest->rows += n;
    now->next_base += n;
    now->rows += n;
    now->trimmed += first;
    return FRESHET_OK;
}

static freshet_code change(debug_table *table, const batch *rows, uint32_t first, bool is_full,
                           freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (is_full && table->now.n == SEGMENTS_MAX)
        code = drop_oldest(table, err);
    if (code == FRESHET_OK && is_full)
        code = add_segment(table, err);
    if (code == FRESHET_OK)
        code = insert(table, rows, first, err);
    if (code == FRESHET_OK)
        code = debug_trim(table, err);
    if (code == FRESHET_OK && table->now.views_are_old)
        code = make_views(table, err);
    return code;
}

static void publish(debug_table *table)
{
    atomic_store(&table->rows, table->now.rows);
    atomic_store(&table->trimmed, table->now.trimmed);
}

/* Ends what BEGIN has begun: all of it counts, or nothing has changed. */
static freshet_code end_change(debug_table *table, const contents *before, freshet_code code,
                               freshet_error *err)
{
    if (code == FRESHET_OK)
        code = sql_execute(table->session, "COMMIT", NULL, err);
    if (code == FRESHET_OK)
        return code;
    sql_execute(table->session, "ROLLBACK", NULL, NULL); /* none is open after COMMIT */
    table->now = *before;
    return code;
}

/* One transaction around what was asked for; nothing has changed when it fails. */
static freshet_code append_once(debug_table *table, const batch *rows, uint32_t first,
                                freshet_error *err)
{
    const contents before = table->now;
    const segment *newest = &table->now.segments[table->now.n - 1];
    bool is_full = table->newest_failed || newest->rows >= table->segment_rows;
    freshet_code code;
    if (!is_full && table->now.rows + rows->n_rows <= table->options.rows) {
        code = insert(table, rows, first, err);
    } else {
        code = sql_execute(table->session, "BEGIN", NULL, err);
        if (code == FRESHET_OK)
            code = change(table, rows, first, is_full, err);
        code = end_change(table, &before, code, err);
    }
    table->newest_failed = code != FRESHET_OK;
    if (code != FRESHET_OK)
        forget_insert(table);
    return code;
}

/* Drops the oldest segment before its time. False where there is none but the newest. */
static bool give_up_oldest(debug_table *table)
{
    const contents before = table->now;
    if (before.n <= 1)
        return false;
    freshet_code code = sql_execute(table->session, "BEGIN", NULL, NULL);
    if (code == FRESHET_OK)
        code = drop_oldest(table, NULL);
    if (code == FRESHET_OK)
        code = make_views(table, NULL);
    if (end_change(table, &before, code, NULL) != FRESHET_OK)
        return false;
    if (!table->said_short_of_memory)
        log_say(LOG_WARNING, NULL,
                "the debug table %s is full at %" PRId64 " rows: its %g MiB of memory do not hold "
                "the %" PRId64
                " rows of its limit; the oldest go (set `memory` of `online` higher, "
                "or `rows` lower)",
                table->view, before.rows, (double)table->options.memory / (1 << 20),
                table->options.rows);
    table->said_short_of_memory = true;
    publish(table);
    return true;
}

/* At the commit DuckDB says so by an error of the transaction. */
static bool is_short_of_memory(freshet_code code, const freshet_error *found)
{
    return code == FRESHET_LIMIT ||
           (code == FRESHET_TRY_AGAIN && strstr(found->text, "could not allocate") != NULL);
}

freshet_code debug_append(debug_table *table, const batch *rows, freshet_error *err)
{
    if (rows->n_rows == 0)
        return FRESHET_OK;
    uint32_t first = 0; /* of a batch beyond the limit only the last rows are kept */
    if (rows->n_rows > table->options.rows)
        first = rows->n_rows - (uint32_t)table->options.rows;
    freshet_error found = {0};
    query_pool_lock(table->pool);
    freshet_code code = append_once(table, rows, first, &found);
    while (is_short_of_memory(code, &found) && give_up_oldest(table))
        code = append_once(table, rows, first, &found);
    query_pool_unlock(table->pool);
    if (code == FRESHET_OK)
        publish(table);
    else if (err != NULL)
        *err = found;
    return code;
}

/* ---- opening and closing ------------------------------------------------------------------- */

static freshet_code make_empty(debug_table *table, freshet_error *err)
{
    /* The engine checkpoints by itself behind a commit that changed a view, and then compresses the
     * whole table: a tenth of the time of windows. */
    freshet_code code = sql_execute(table->session, "SET checkpoint_threshold = '1TB'", NULL, err);
    if (code == FRESHET_OK)
        code = sql_execute(table->session, "CREATE SCHEMA \"__freshet\"", NULL, err);
    if (code == FRESHET_OK)
        code = sql_input_add(table->session, INPUT, &table->schema, NULL, 0, &table->input, err);
    if (code == FRESHET_OK)
        code = add_segment(table, err);
    if (code == FRESHET_OK)
        code = make_views(table, err);
    if (code == FRESHET_OK)
        code = sql_lock(table->engine, err);
    return code;
}

static freshet_code make_lists(debug_table *table, freshet_error *err)
{
    text_buffer *const lists[] = {&table->names, &table->shown, &table->typed, &table->keys,
                                  &table->newest};
    bool good = true;
    for (uint32_t i = 0; i < sizeof lists / sizeof *lists; i++)
        text_init(lists[i], VIEW_SQL_MAX);
    for (uint32_t i = 0; good && i < table->schema.n_fields; i++) {
        const char *name = sql_quote(table->arena, table->schema.fields[i].name);
        const char *type = sql_type_name(table->arena, table->schema.fields[i].type);
        const char *comma = i == 0 ? "" : ", ";
        good =
            name != NULL && type != NULL && text_format(&table->typed, "%sc%u %s", comma, i, type);
        if (good && i < table->n_shown)
            good = text_format(&table->names, "%s%s", comma, name) &&
                   text_format(&table->shown, "%sc%u", comma, i);
        if (good && i < table->n_keys)
            good = text_format(&table->keys, "%sc%u", comma, i);
        else if (good && i == table->n_keys && !table->options.has_write_times)
            good = text_format(&table->newest, ", max(c%u) AS c%u", i, i); /* it is the newest */
        else if (good && i < table->n_shown)
            good = text_format(&table->newest, ", arg_max_null(c%u, newest) AS c%u", i, i);
    }
    return good ? FRESHET_OK : error_memory(err, OPENING);
}

static bool set_names(debug_table *table, const char *feature_set, const schema *schema)
{
    table->arena = arena_open();
    if (table->arena == NULL)
        return false;
    table->schema = schema_keep(table->arena, schema);
    char *name = arena_format(table->arena, VIEW_PREFIX "%s", feature_set);
    char *latest = arena_format(table->arena, VIEW_PREFIX "%s_latest", feature_set);
    char *new = arena_format(table->arena, VIEW_PREFIX "%s_new", feature_set);
    if (name == NULL || latest == NULL || new == NULL || table->schema.fields == NULL)
        return false;
    table->view = sql_quote(table->arena, name);
    table->latest = sql_quote(table->arena, latest);
    table->new = sql_quote(table->arena, new);
    return table->view != NULL && table->latest != NULL && table->new != NULL;
}

freshet_code debug_open(const char *feature_set, const schema *schema, uint32_t n_keys,
                        const debug_options *options, debug_table **out, freshet_error *err)
{
    assert(n_keys > 0 && n_keys < schema->n_fields);
    debug_table *table = calloc(1, sizeof *table);
    if (table == NULL)
        return error_memory(err, OPENING);
    table->options = *options;
    table->n_keys = n_keys;
    table->n_shown = schema->n_fields - (options->has_write_times ? 2 : 0);
    table->segment_rows = options->rows / SEGMENTS;
    if (table->segment_rows < SEGMENT_ROWS_MIN)
        table->segment_rows = SEGMENT_ROWS_MIN;
    text_init(&table->sql, VIEW_SQL_MAX);
    freshet_code code =
        set_names(table, feature_set, schema) ? make_lists(table, err) : error_memory(err, OPENING);
    if (code == FRESHET_OK)
        code = sql_open(&(sql_options){.memory = options->memory}, &table->engine, err);
    if (code == FRESHET_OK)
        code = sql_session_open(table->engine, &table->session, err);
    if (code == FRESHET_OK)
        code = make_empty(table, err);
    if (code == FRESHET_OK)
        code = query_pool_open(table->engine, options->memory, &table->pool, err);
    if (code == FRESHET_OK)
        *out = table;
    else
        debug_close(table);
    return code;
}

void debug_close(debug_table *table)
{
    if (table == NULL)
        return;
    query_pool_close(table->pool);
    sql_statement_close(table->insert);
    sql_input_close(table->input);
    sql_session_close(table->session);
    sql_close(table->engine);
    text_release(&table->sql);
    text_release(&table->names);
    text_release(&table->shown);
    text_release(&table->typed);
    text_release(&table->keys);
    text_release(&table->newest);
    arena_close(table->arena);
    free(table);
}

int64_t debug_rows(const debug_table *table)
{
    return atomic_load(&table->rows);
}

int64_t debug_trimmed(const debug_table *table)
{
    return atomic_load(&table->trimmed);
}

freshet_code debug_query(debug_table *table, const char *sql, const freshet_query_options *options,
                         freshet_result **out, freshet_error *err)
{
    return query_pool_run(table->pool, sql, options, out, err);
}
