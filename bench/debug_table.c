/* debug_table.c - measures the debug table: what src/writers/debug/debug.c was decided by.
 *
 *     cmake --build build/release --target debug_table, and then in build/release/bench:
 *
 *     debug_table append KEYS
 *         3,000,000 rows in batches of 10,000, the row limit at 1,000,000: rows/s of the table, and
 *         of one table that is trimmed by DELETE and CHECKPOINT
 *     debug_table memory KEYS
 *         the same with 10,000,000 rows: memory of the process on the way
 *     debug_table query KEYS
 *         the usual queries over a full table, at rest
 *     debug_table busy KEYS MS
 *         each of them every MS milliseconds from another thread while rows are appended at full
 *         speed; and what that costs the appending
 *     debug_table forms KEYS
 *         ways to write the view of the newest rows
 *
 * Rows: key string, timestamp, two doubles, a bigint, a string of 20 to 25 bytes. KEYS is 100 or
 * 1000000, say.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "sql/sql.h"
#include "writers/debug/debug.h"

#define LIMIT INT64_C(1000000)
#define BATCH_ROWS 10000u
#define BATCHES 50u /* made beforehand, and used again and again */
#define TABLE "online_feature_store__bench"
#define SOME_KEY "'user00000007'"

static int64_t keys;
static schema columns;
static batch made[BATCHES];
static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static double now_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void must(freshet_code code, const freshet_error *err)
{
    if (code != FRESHET_OK && code != FRESHET_END) {
        fprintf(stderr, "%s\n", err->text);
        exit(1);
    }
}

static long resident_mb(void)
{
    long all = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == NULL || fscanf(file, "%ld %ld", &all, &resident) != 2)
        resident = 0;
    if (file != NULL)
        fclose(file);
    return resident * 4 / 1024;
}

static void make_batches(arena *arena)
{
    static field fields[6];
    fields[0] = (field){"key", type_simple(TYPE_STRING)};
    fields[1] = (field){"timestamp", type_simple(TYPE_TIMESTAMP)};
    fields[2] = (field){"f1", type_simple(TYPE_DOUBLE)};
    fields[3] = (field){"f2", type_simple(TYPE_BIGINT)};
    fields[4] = (field){"f3", type_simple(TYPE_DOUBLE)};
    fields[5] = (field){"f4", type_simple(TYPE_STRING)};
    columns = (schema){6, fields};
    int64_t n = 0;
    for (uint32_t b = 0; b < BATCHES; b++) {
        must(batch_init(&made[b], arena, &columns, BATCH_ROWS, NULL), NULL);
        made[b].n_rows = BATCH_ROWS;
        column *c = made[b].columns;
        for (uint32_t i = 0; i < BATCH_ROWS; i++, n++) {
            char *key =
                arena_format(arena, "user%08" PRId64, (int64_t)(random_next() % (uint64_t)keys));
            char *text =
                arena_format(arena, "a text of %d bytes or so", (int)(random_next() % 100000));
            ((cell_text *)c[0].data)[i] = text_of(key, (uint32_t)strlen(key));
            ((int64_t *)c[1].data)[i] =
                1700000000000000 + n * 1000 + (int64_t)(random_next() % 1000000);
            ((double *)c[2].data)[i] = (double)n * 0.5;
            ((int64_t *)c[3].data)[i] = n;
            ((double *)c[4].data)[i] = (double)(random_next() % 1000) / 7;
            ((cell_text *)c[5].data)[i] = text_of(text, (uint32_t)strlen(text));
        }
    }
}

static debug_table *table_open(void)
{
    debug_table *table = NULL;
    freshet_error err;
    debug_options options = {.rows = LIMIT, .memory = INT64_C(1) << 30};
    must(debug_open("bench", &columns, 1, &options, &table, &err), &err);
    return table;
}

/* Appends rows; the seconds that it took. */
static double append(debug_table *table, int64_t n_rows, double *longest)
{
    freshet_error err;
    double start = now_s();
    for (int64_t n = 0; n < n_rows; n += BATCH_ROWS) {
        double before = now_s();
        must(debug_append(table, &made[n / BATCH_ROWS % BATCHES], &err), &err);
        double took = now_s() - before;
        if (longest != NULL && took > *longest)
            *longest = took;
    }
    return now_s() - start;
}

/* ---- append and memory --------------------------------------------------------------------- */

/* The other way: one table, the oldest rows deleted, a CHECKPOINT for each tenth of the limit. */
static void append_to_one(int64_t n_rows)
{
    sql_engine *engine = NULL;
    sql_session *session = NULL;
    sql_input *input = NULL;
    sql_statement *insert = NULL;
    freshet_error err;
    must(sql_open(NULL, &engine, &err), &err);
    must(sql_session_open(engine, &session, &err), &err);
    must(sql_table_create(session, "t", &columns, &err), &err);
    must(sql_input_add(session, "rows_in", &columns, NULL, 0, &input, &err), &err);
    must(sql_command_prepare(session, "INSERT INTO t SELECT * FROM rows_in", &insert, &err), &err);
    double start = now_s(), longest = 0;
    int64_t total = 0, first = 0, since = 0;
    for (int64_t n = 0; n < n_rows; n += BATCH_ROWS) {
        double before = now_s();
        sql_input_set(input, &made[n / BATCH_ROWS % BATCHES], 0, BATCH_ROWS);
        int64_t over = total + BATCH_ROWS - LIMIT;
        if (over > 0)
            must(sql_execute(session, "BEGIN", NULL, &err), &err);
        must(sql_command_run(insert, NULL, &err), &err);
        total += BATCH_ROWS;
        if (over > 0) {
            char sql[100];
            snprintf(sql, sizeof sql, "DELETE FROM t WHERE rowid < %" PRId64, first + over);
            must(sql_execute(session, sql, NULL, &err), &err);
            must(sql_execute(session, "COMMIT", NULL, &err), &err);
            first += over;
            total -= over;
            since += over;
        }
        if (since >= LIMIT / 10) { /* it numbers the rows anew */
            must(sql_execute(session, "CHECKPOINT", NULL, &err), &err);
            since = first = 0;
        }
        if (now_s() - before > longest)
            longest = now_s() - before;
    }
    double took = now_s() - start;
    printf("one table:   %.2f M rows/s, longest batch %.1f ms, %ld MB\n",
           (double)n_rows / took / 1e6, longest * 1e3, resident_mb());
    sql_statement_close(insert);
    sql_input_close(input);
    sql_session_close(session);
    sql_close(engine);
}

static void measure_append(void)
{
    debug_table *table = table_open();
    double longest = 0;
    double took = append(table, 3000000, &longest);
    printf("debug table: %.2f M rows/s, longest batch %.1f ms, %ld MB\n", 3.0 / took, longest * 1e3,
           resident_mb());
    debug_close(table);
    append_to_one(3000000);
}

static void measure_memory(void)
{
    debug_table *table = table_open();
    for (int i = 1; i <= 10; i++) {
        append(table, 1000000, NULL);
        printf("%2d,000,000 rows: %ld MB\n", i, resident_mb());
    }
    debug_close(table);
}

/* ---- queries ------------------------------------------------------------------------------- */

static const char *const queries[] = {
    "select count(*) from " TABLE,
    "select count(*), max(f2) from " TABLE " where key = " SOME_KEY,
    "select * from " TABLE "_latest where key = " SOME_KEY,
    "select f2 from " TABLE "_latest where key = " SOME_KEY,
    "select count(*) from " TABLE "_latest",
    "select sum(f1), max(f4) from " TABLE "_latest",
};
#define N_QUERIES (sizeof queries / sizeof *queries)

static double ask(debug_table *table, const char *sql)
{
    freshet_result *result = NULL;
    freshet_error err;
    double start = now_s();
    freshet_code code = debug_query(table, sql, NULL, &result, &err);
    while (code == FRESHET_OK)
        code = freshet_result_next(result, &err);
    must(code, &err);
    freshet_result_close(result);
    return now_s() - start;
}

static int compare(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static void print_times(const char *sql, double *times, size_t n)
{
    qsort(times, n, sizeof *times, compare);
    printf("%8.2f ms median, %8.2f ms longest of %3zu  %s\n", times[n / 2] * 1e3,
           times[n - 1] * 1e3, n, sql);
}

static void measure_queries(void)
{
    debug_table *table = table_open();
    append(table, 1250000, NULL);
    for (size_t q = 0; q < N_QUERIES; q++) {
        double times[21];
        for (size_t i = 0; i < 21; i++)
            times[i] = ask(table, queries[q]);
        print_times(queries[q], times, 21);
    }
    debug_close(table);
}

typedef struct asker {
    debug_table *table;
    const char *sql;
    int pause_ms;
    atomic_bool stop;
    double times[10000];
    size_t n;
} asker;

static void *ask_on(void *context)
{
    asker *asker = context;
    while (!atomic_load(&asker->stop) && asker->n < 10000) {
        asker->times[asker->n++] = ask(asker->table, asker->sql);
        usleep((useconds_t)asker->pause_ms * 1000);
    }
    return NULL;
}

/* Rounds with and without queries take turns, so that noise of the machine meets both. */
static void measure_busy(int pause_ms)
{
    enum { ROUNDS = 5 };
    debug_table *table = table_open();
    append(table, 1250000, NULL);
    for (size_t q = 0; q < N_QUERIES; q++) {
        static asker asker;
        double alone[ROUNDS], busy[ROUNDS];
        asker.n = 0;
        for (int round = 0; round < ROUNDS; round++) {
            alone[round] = append(table, 2000000, NULL);
            asker.table = table;
            asker.sql = queries[q];
            asker.pause_ms = pause_ms;
            atomic_store(&asker.stop, false);
            pthread_t thread;
            pthread_create(&thread, NULL, ask_on, &asker);
            busy[round] = append(table, 2000000, NULL);
            atomic_store(&asker.stop, true);
            pthread_join(thread, NULL);
        }
        qsort(alone, ROUNDS, sizeof *alone, compare);
        qsort(busy, ROUNDS, sizeof *busy, compare);
        printf("appending alone %.2f M rows/s, with the query %.2f\n", 2 / alone[ROUNDS / 2],
               2 / busy[ROUNDS / 2]);
        print_times(queries[q], asker.times, asker.n);
    }
    debug_close(table);
}

/* ---- forms of the view --------------------------------------------------------------------- */

#define PLACED                                                                                  \
    "(SELECT *, rowid AS place, epoch_us(timestamp)::HUGEINT * 1152921504606846976 + rowid AS " \
    "newest FROM t)"

static const struct {
    const char *name, *sql;
} forms[] = {
    {"row_number",
     "SELECT key, timestamp, f1, f2, f3, f4 FROM " PLACED " QUALIFY row_number() OVER "
     "(PARTITION BY key ORDER BY timestamp DESC, place DESC) = 1"},
    {"arg_max of a struct",
     "SELECT key, x.timestamp, x.f1, x.f2, x.f3, x.f4 FROM (SELECT key, arg_max({timestamp: "
     "timestamp, "
     "f1: f1, f2: f2, f3: f3, f4: f4}, newest) AS x FROM " PLACED " GROUP BY key)"},
    {"arg_max_null of each column",
     "SELECT key, max(timestamp) AS timestamp, arg_max_null(f1, newest) AS f1, arg_max_null(f2, "
     "newest) AS "
     "f2, arg_max_null(f3, newest) AS f3, arg_max_null(f4, newest) AS f4 FROM " PLACED
     " GROUP BY key"},
    {"semi join", "SELECT key, timestamp, f1, f2, f3, f4 FROM " PLACED
                  " SEMI JOIN (SELECT key, max(newest) AS newest FROM " PLACED
                  " GROUP BY key) USING (key, newest)"},
};

static void measure_forms(void)
{
    sql_engine *engine = NULL;
    sql_session *session = NULL;
    sql_input *input = NULL;
    sql_statement *statement = NULL;
    freshet_error err;
    arena *arena = arena_open();
    must(sql_open(NULL, &engine, &err), &err);
    must(sql_session_open(engine, &session, &err), &err);
    must(sql_table_create(session, "t", &columns, &err), &err);
    must(sql_input_add(session, "rows_in", &columns, NULL, 0, &input, &err), &err);
    for (int64_t n = 0; n < LIMIT; n += BATCH_ROWS) {
        sql_input_set(input, &made[n / BATCH_ROWS % BATCHES], 0, BATCH_ROWS);
        must(sql_execute(session, "INSERT INTO t SELECT * FROM rows_in", NULL, &err), &err);
    }
    static const char *const asks[] = {"SELECT f2 FROM (%s) WHERE key = " SOME_KEY,
                                       "SELECT count(*) FROM (%s)",
                                       "SELECT sum(f1), max(f4) FROM (%s)"};
    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++)
        for (size_t q = 0; q < 3; q++) {
            char sql[4000];
            snprintf(sql, sizeof sql, asks[q], forms[f].sql);
            double times[7];
            for (size_t i = 0; i < 7; i++) {
                batch result;
                double start = now_s();
                must(sql_prepare(session, sql, &statement, NULL, &err), &err);
                must(sql_run(statement, arena, &result, &err), &err);
                sql_statement_close(statement);
                times[i] = now_s() - start;
            }
            char name[80];
            snprintf(name, sizeof name, "%s: %s", forms[f].name,
                     q == 0   ? "one key"
                     : q == 1 ? "count(*)"
                              : "all rows");
            print_times(name, times, 7);
        }
    arena_close(arena);
    sql_input_close(input);
    sql_session_close(session);
    sql_close(engine);
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    keys = argc > 2 ? strtoll(argv[2], NULL, 10) : 0;
    if (keys <= 0) {
        fprintf(stderr, "usage: debug_table append|memory|query|forms KEYS, or busy KEYS MS\n");
        return 2;
    }
    arena *arena = arena_open();
    make_batches(arena);
    if (strcmp(what, "append") == 0)
        measure_append();
    else if (strcmp(what, "memory") == 0)
        measure_memory();
    else if (strcmp(what, "query") == 0)
        measure_queries();
    else if (strcmp(what, "busy") == 0)
        measure_busy(argc > 3 ? atoi(argv[3]) : 100);
    else
        measure_forms();
    arena_close(arena);
    return 0;
}
