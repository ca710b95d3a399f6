/* compare.c - see compare.h. */
#include "compare/compare.h"

#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"
#include "compare/history_rows.h"

#define COMPARING_STORES "comparing the online store with the history"
#define MEMORY (INT64_C(1) << 30)
#define THREADS_MAX 8
#define PART_KEYS 500000 /* that one query compares */
#define ROUND_PAUSE_MS 500

/* A table of the engine, and the way into it. */
typedef struct compare_table {
    sql_session *session;
    schema schema;
    sql_input *input;
    sql_statement *insert;
} compare_table;

struct compare_rows {
    compare_table online;
};

typedef struct comparison {
    const compare_request *request;
    outcome *outcome;
    arena *arena; /* of the whole comparison */
    arena *round; /* of one round */
    arena *piece; /* of one piece of rows */
    sql_engine *engine;
    sql_session *session; /* reads */
    sql_session *writes;  /* what is found while reading */
    compare_rows rows;
    compare_table again, later; /* keys to be asked for again; to be looked at again */
    history_files before, files, fresh, kept;
    history_sql sql;
    judge_rules rules;
    bool is_last;   /* what should not be counts now */
    int64_t n_left; /* in both of these */
} comparison;

/* ---- tables ---------------------------------------------------------------------------------- */

static freshet_code compare_table_open(compare_table *table, sql_session *session, arena *arena,
                                       const char *name, const char *input, const schema *schema,
                                       freshet_error *err)
{
    const char *sql = arena_format(arena, "INSERT INTO %s SELECT * FROM %s", name, input);
    table->session = session;
    table->schema = *schema;
    freshet_code code = sql == NULL ? error_memory(err, COMPARING_STORES)
                                    : sql_table_create(session, name, schema, err);
    if (code == FRESHET_OK)
        code = sql_input_add(session, input, schema, NULL, 0, &table->input, err);
    return code == FRESHET_OK ? sql_command_prepare(session, sql, &table->insert, err) : code;
}

static void compare_table_close(compare_table *table)
{
    if (table->insert != NULL)
        sql_statement_close(table->insert);
    if (table->input != NULL)
        sql_input_close(table->input);
}

/* The batch's first columns are the table's. */
static freshet_code compare_table_put(compare_table *table, const batch *rows, freshet_error *err)
{
    batch as = *rows;
    as.schema = table->schema;
    if (rows->n_rows == 0)
        return FRESHET_OK;
    sql_input_set(table->input, &as, 0, as.n_rows);
    freshet_code code = sql_command_run(table->insert, NULL, err);
    sql_input_set(table->input, NULL, 0, 0);
    return code;
}

freshet_code compare_rows_add(compare_rows *rows, const batch *of, freshet_error *err)
{
    return compare_table_put(&rows->online, of, err);
}

/* k0, k1 ..., t, f0, f1 ... */
static freshet_code plain_schema(arena *arena, const compare_request *request, schema *out,
                                 freshet_error *err)
{
    const uint32_t n = request->schema->n_fields;
    field *fields = arena_zero(arena, n + (size_t)1, sizeof *fields);
    if (fields == NULL)
        return error_memory(err, COMPARING_STORES);
    for (uint32_t i = 0; i < n; i++) {
        fields[i].type = request->schema->fields[i].type;
        fields[i].name = i < request->n_keys ? arena_format(arena, "k%u", i)
                         : i == request->n_keys
                             ? "t"
                             : arena_format(arena, "f%u", i - request->n_keys - 1);
        if (fields[i].name == NULL)
            return error_memory(err, COMPARING_STORES);
    }
    *out = (schema){.n_fields = n, .fields = fields};
    return FRESHET_OK;
}

static freshet_code open_tables(comparison *it, freshet_error *err)
{
    schema all, keys;
    freshet_code code = plain_schema(it->arena, it->request, &all, err);
    if (code != FRESHET_OK)
        return code;
    keys = (schema){.n_fields = it->request->n_keys, .fields = all.fields};
    code = sql_table_create(it->session, "asked", &keys, err);
    if (code == FRESHET_OK)
        code = compare_table_open(&it->rows.online, it->writes, it->arena, "online", "incoming",
                                  &all, err);
    if (code == FRESHET_OK)
        code =
            compare_table_open(&it->again, it->writes, it->arena, "again", "repeated", &keys, err);
    if (code == FRESHET_OK)
        code =
            compare_table_open(&it->later, it->writes, it->arena, "later", "delayed", &keys, err);
    return code;
}

/* More than MEMORY waits in a folder of its own, which DuckDB makes and removes. */
static freshet_code use_folder(comparison *it, freshet_error *err)
{
    const char *folder = getenv("TMPDIR");
    const char *path =
        arena_format(it->arena, "%s/freshet-compare-%ld",
                     folder == NULL || *folder == '\0' ? "/tmp" : folder, (long)getpid());
    const char *literal = path == NULL ? NULL : sql_literal(it->arena, path);
    const char *sql =
        literal == NULL ? NULL : arena_format(it->arena, "SET temp_directory = %s", literal);
    return sql == NULL ? error_memory(err, COMPARING_STORES)
                       : sql_execute(it->session, sql, NULL, err);
}

static freshet_code compare_open(comparison *it, freshet_error *err)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const sql_options options = {.threads = cores < 1             ? 1
                                            : cores > THREADS_MAX ? THREADS_MAX
                                                                  : (uint32_t)cores,
                                 .memory = MEMORY,
                                 .external_access = true};
    it->arena = arena_open();
    it->round = arena_open();
    it->piece = arena_open();
    if (it->arena == NULL || it->round == NULL || it->piece == NULL)
        return error_memory(err, COMPARING_STORES);
    freshet_code code = sql_open(&options, &it->engine, err);
    if (code == FRESHET_OK)
        code = sql_session_open(it->engine, &it->session, err);
    if (code == FRESHET_OK)
        code = sql_session_open(it->engine, &it->writes, err);
    if (code == FRESHET_OK)
        code = use_folder(it, err);
    return code == FRESHET_OK ? open_tables(it, err) : code;
}

static void compare_close(comparison *it)
{
    compare_table_close(&it->rows.online);
    compare_table_close(&it->again);
    compare_table_close(&it->later);
    if (it->writes != NULL)
        sql_session_close(it->writes);
    if (it->session != NULL)
        sql_session_close(it->session);
    sql_close(it->engine);
    arena_close(it->piece);
    arena_close(it->round);
    arena_close(it->arena);
}

static freshet_code compare_execute(comparison *it, const char *sql, freshet_error *err)
{
    return sql == NULL ? error_memory(err, COMPARING_STORES)
                       : sql_execute(it->session, sql, NULL, err);
}

static freshet_code compare_number(comparison *it, const char *sql, int64_t *out,
                                   freshet_error *err)
{
    return sql == NULL ? error_memory(err, COMPARING_STORES)
                       : sql_number(it->session, sql, out, err);
}

/* ---- the keys -------------------------------------------------------------------------------- */

static freshet_code look_at_history(comparison *it, arena *arena, const history_files *files,
                                    freshet_error *err)
{
    it->sql.request = it->request;
    it->sql.relation = history_relation(arena, files);
    return it->sql.relation == NULL ? error_memory(err, COMPARING_STORES)
                                    : history_describe(it->session, arena, &it->sql, err);
}

static freshet_code choose_of_history(comparison *it, freshet_error *err)
{
    int64_t n = 0;
    freshet_code code = compare_number(it, history_count_keys(it->round, &it->sql), &n, err);
    return code == FRESHET_OK
               ? compare_execute(it, history_choose_keys(it->round, &it->sql, n), err)
               : code;
}

static freshet_code compare_find(comparison *it, freshet_error *err)
{
    const compare_store *store = it->request->store;
    sql_statement *statement = NULL;
    batch keys;
    freshet_code code =
        sql_prepare(it->session, "SELECT DISTINCT * FROM asked", &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_run(statement, it->round, &keys, err);
    if (code == FRESHET_OK && keys.n_rows > 0)
        code = store->find(store->context, &keys, &it->rows, err);
    if (statement != NULL)
        sql_statement_close(statement);
    return code;
}

/* The store's rows of keys of both sides, or of those that were given. */
static freshet_code ask_first(comparison *it, freshet_error *err)
{
    const compare_request *request = it->request;
    const compare_store *store = request->store;
    freshet_code code;
    if (request->keys != NULL) {
        code = compare_execute(it, history_keys_of(it->round, request, request->keys), err);
        if (code == FRESHET_FAILED && err != NULL) { /* 1 is for rows that differ */
            const freshet_error problem = *err;
            code =
                error_set(err, FRESHET_USAGE, FRESHET_STOP, request->keys,
                          "the keys cannot be read, of which the file must have a column each: %s",
                          problem.text);
        }
        return code == FRESHET_OK ? compare_find(it, err) : code;
    }
    if (request->n_sample == 0) {
        code = store->choose(store->context, 0, request->seed, &it->rows, err);
        return code == FRESHET_OK
                   ? compare_execute(it, history_other_keys(it->round, &it->sql), err)
                   : code;
    }
    code = choose_of_history(it, err);
    if (code == FRESHET_OK)
        code = compare_find(it, err);
    return code == FRESHET_OK
               ? store->choose(store->context, request->n_sample, request->seed, &it->rows, err)
               : code;
}

/* Again those that did not agree. Rows that the history did not have stay as they are: what it has
 * of that moment is known when it is further. */
static freshet_code ask_again(comparison *it, freshet_error *err)
{
    freshet_code code = compare_execute(it, history_next_round(it->round, it->request), err);
    it->n_left = 0;
    return code == FRESHET_OK ? compare_find(it, err) : code;
}

/* ---- judging --------------------------------------------------------------------------------- */

static bool pair_number(const batch *rows, uint32_t column, uint32_t row, int64_t *out)
{
    const struct column *cells = &rows->columns[column];
    *out = ((const int64_t *)cells->data)[row];
    return column_is_valid(cells, row);
}

static void read_pair(const comparison *it, const batch *rows, uint32_t row, outcome_pair *out)
{
    const uint32_t n_keys = it->request->n_keys;
    const uint32_t n = it->request->schema->n_fields - n_keys - 1;
    judge_pair *times = &out->times;
    int64_t kept_us;
    *out = (outcome_pair){.row = row,
                          .keys = rows->columns,
                          .online = rows->columns + n_keys + 2,
                          .history = rows->columns + n_keys + 2 + n + 3,
                          .rules = &it->rules};
    times->is_online = ((const uint8_t *)rows->columns[n_keys].data)[row] != 0;
    pair_number(rows, n_keys + 1, row, &times->online_us);
    times->has_before = pair_number(rows, n_keys + 2 + n, row, &times->before_us);
    times->has_at = pair_number(rows, n_keys + 2 + n + 1, row, &times->at_us);
    times->is_kept =
        pair_number(rows, n_keys + 2 + n + 2, row, &kept_us) && kept_us == times->before_us;
}

static compare_class judge_pair_of(const comparison *it, const outcome_pair *pair)
{
    const schema *schema = it->request->schema;
    const uint32_t first = it->request->n_keys + 1;
    compare_class class = judge_times(&it->rules, &pair->times);
    for (uint32_t f = first; class == COMPARED_EQUAL && f < schema->n_fields; f++)
        if (!it->outcome->uncompared[f] &&
            !judge_cells(&it->rules, &pair->online[f - first], pair->row, &pair->history[f - first],
                         pair->row))
            class = COMPARED_DIFFERENT;
    return class;
}

/* Keys that are left for the next round. */
static freshet_code leave_keys(comparison *it, compare_table *table, const batch *rows,
                               const uint32_t *which, uint32_t n, freshet_error *err)
{
    batch keys;
    if (n == 0)
        return FRESHET_OK;
    it->n_left += n;
    freshet_code code = batch_gather(rows, which, n, &keys, COMPARING_STORES, err);
    return code == FRESHET_OK ? compare_table_put(table, &keys, err) : code;
}

static freshet_code judge_rows(comparison *it, const batch *rows, freshet_error *err)
{
    uint32_t *again = arena_alloc(it->piece, (2 * (size_t)rows->n_rows + 1) * sizeof *again);
    if (again == NULL)
        return error_memory(err, COMPARING_STORES);
    uint32_t *later = again + rows->n_rows;
    uint32_t n_again = 0, n_later = 0;
    freshet_code code = FRESHET_OK;
    for (uint32_t row = 0; code == FRESHET_OK && row < rows->n_rows; row++) {
        outcome_pair pair;
        read_pair(it, rows, row, &pair);
        const compare_class class = judge_pair_of(it, &pair);
        if (!it->is_last && (class == COMPARED_AHEAD || class == COMPARED_UNKNOWN))
            later[n_later++] = row;
        else if (!it->is_last && compare_class_fails(class))
            again[n_again++] = row;
        else
            code = outcome_add(it->outcome, class, &pair, err);
    }
    if (code == FRESHET_OK)
        code = leave_keys(it, &it->again, rows, again, n_again, err);
    return code == FRESHET_OK ? leave_keys(it, &it->later, rows, later, n_later, err) : code;
}

static freshet_code judge_part(comparison *it, const char *sql, freshet_error *err)
{
    sql_statement *statement = NULL;
    sql_cursor *cursor = NULL;
    batch rows;
    freshet_code code = sql == NULL ? error_memory(err, COMPARING_STORES)
                                    : sql_prepare(it->session, sql, &statement, NULL, err);
    if (code == FRESHET_OK)
        code = sql_cursor_open(statement, &cursor, err);
    while (code == FRESHET_OK) {
        arena_reset(it->piece);
        code = sql_next(cursor, it->piece, &rows, err);
        if (code == FRESHET_OK)
            code = judge_rows(it, &rows, err);
    }
    if (cursor != NULL)
        sql_cursor_close(cursor);
    if (statement != NULL)
        sql_statement_close(statement);
    return code == FRESHET_END ? FRESHET_OK : code;
}

/* Files that are not there any more: a batch has replaced them. */
static freshet_code tell_replaced(comparison *it, freshet_code code, freshet_error *err)
{
    history_files now, gone;
    if (history_files_list(it->session, it->request->history, it->round, &now, NULL) !=
            FRESHET_OK ||
        history_files_new(&it->files, &now, it->round, &gone, NULL) != FRESHET_OK || gone.n == 0)
        return code;
    return error_set(err, FRESHET_TRY_AGAIN, FRESHET_STOP, it->request->history,
                     "files of the history in %s were replaced while they were read: compare again",
                     it->request->history);
}

static freshet_code judge_all(comparison *it, freshet_error *err)
{
    int64_t n = 0;
    freshet_code code = compare_execute(it, history_make_wanted(it->round, it->request), err);
    if (code == FRESHET_OK)
        code = compare_number(it, "SELECT count(*) FROM wanted", &n, err);
    history_parts of = {.parts = (uint32_t)(n / PART_KEYS) + 1,
                        .fresh = &it->fresh,
                        .kept = it->request->store->kept_us == INT64_MIN ? NULL : &it->kept,
                        .now_us = it->rules.now_us};
    for (; code == FRESHET_OK && of.part < of.parts; of.part++)
        code = judge_part(it, history_pairs(it->round, &it->sql, &of), err);
    return code;
}

/* ---- rounds ---------------------------------------------------------------------------------- */

/* The history as it is behind the store's answers. */
static freshet_code look_behind(comparison *it, freshet_error *err)
{
    const char *folder = it->request->history;
    freshet_code code = history_files_list(it->session, folder, it->round, &it->files, err);
    if (code == FRESHET_OK)
        code = history_files_new(&it->files, &it->before, it->round, &it->fresh, err);
    if (code == FRESHET_OK && it->request->store->kept_us != INT64_MIN)
        code =
            history_files_since(&it->files, it->request->store->kept_us, it->round, &it->kept, err);
    if (code == FRESHET_OK)
        code = look_at_history(it, it->round, &it->files, err);
    if (code == FRESHET_OK)
        code = compare_number(it, history_last_time(it->round, &it->sql), &it->rules.end_us, err);
    for (uint32_t f = 0; code == FRESHET_OK && f < it->request->schema->n_fields; f++)
        it->outcome->uncompared[f] = it->sql.columns[f].quoted == NULL;
    return code;
}

/* The files before the store is asked; a stream that has just begun may have none yet. */
static freshet_code look_before(comparison *it, int64_t until_us, freshet_error *err)
{
    const char *folder = it->request->history;
    for (;;) {
        freshet_code code = history_files_list(it->session, folder, it->arena, &it->before, err);
        if (code != FRESHET_OK || it->before.n > 0)
            return code;
        if (os.monotonic_us() >= until_us)
            return error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, folder,
                             "the history in %s has no files: there is nothing to compare with",
                             folder);
        os.poll(NULL, 0, ROUND_PAUSE_MS);
    }
}

static freshet_code compare_round(comparison *it, bool is_first, freshet_error *err)
{
    freshet_code code = FRESHET_OK;
    if (code == FRESHET_OK && is_first)
        code = look_at_history(it, it->round, &it->before, err);
    it->files = it->before;
    if (code == FRESHET_OK)
        code = is_first ? ask_first(it, err) : ask_again(it, err);
    it->rules.now_us = os.now_us();
    if (code == FRESHET_OK)
        code = look_behind(it, err);
    if (code == FRESHET_OK)
        code = judge_all(it, err);
    it->outcome->asked_us = it->rules.now_us;
    it->outcome->end_us = it->rules.end_us;
    it->outcome->n_files = it->files.n;
    return code == FRESHET_FAILED ? tell_replaced(it, code, err) : code;
}

freshet_code compare_run(const compare_request *request, outcome *outcome, freshet_error *err)
{
    const int64_t until_us = os.monotonic_us() + request->wait_us;
    comparison it = {.request = request,
                     .outcome = outcome,
                     .rules = {.unit_us = request->store->unit_us,
                               .ttl_us = request->ttl_us,
                               .end_us = INT64_MIN,
                               .grace_us = request->grace_us,
                               .tolerance = request->tolerance}};
    outcome->seed = request->seed;
    freshet_code code = compare_open(&it, err);
    if (code == FRESHET_OK)
        code = look_before(&it, until_us, err);
    for (bool is_first = true; code == FRESHET_OK; is_first = false) {
        it.is_last = os.monotonic_us() >= until_us;
        code = compare_round(&it, is_first, err);
        if (code != FRESHET_OK || it.n_left == 0)
            break;
        os.poll(NULL, 0, ROUND_PAUSE_MS);
        arena_reset(it.round);
    }
    compare_close(&it);
    return code;
}
