/* engine_bench.c - the SQL engine alone: what one run of a statement costs, prepared once or anew
 * for each run, by the rows of a micro-batch.
 *
 *   engine_bench           as Freshet runs it: prepared once, unless its plan cannot be run again
 *   engine_bench anew      prepared for each run
 *
 * Prints microseconds of CPU a run, the least of three rounds. docs/internals/engine.md has the
 * figures that the choice of the engine's version rests on.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "sql/sql.h"

static const char tables[] =
    "CREATE TABLE dim AS SELECT i::DOUBLE lo, (i + 1)::DOUBLE hi, 'b' || i band, 'k' || (i % 5) k, "
    "TIMESTAMP '2020-01-01' + INTERVAL (i) HOUR s, i FROM range(3000) t(i); "
    "CREATE TABLE made AS SELECT 'k' || (i % 5) k, (i % 3000)::DOUBLE amount, "
    "TIMESTAMP '2020-01-05' + INTERVAL (i) MINUTE ts, i, 'user' || i u FROM range(20000) t(i)";

static const struct {
    const char *name, *sql;
} queries[] = {
    {"columns", "SELECT k, amount * 1.2 a, CASE WHEN amount > 50 THEN 1 ELSE 0 END c, upper(u) u, "
                "ts FROM e WHERE amount > 5"},
    {"join", "SELECT e.k, d.band, e.amount FROM e JOIN dim d ON e.i = d.i"},
    {"as-of join", "SELECT e.k, d.band, e.amount FROM e ASOF LEFT JOIN dim d ON e.k = d.k AND "
                   "e.ts >= d.s"},
    {"range join", "SELECT e.k, d.band, e.amount FROM e JOIN dim d ON e.amount >= d.lo AND "
                   "e.amount < d.hi"},
};

static const uint32_t sizes[] = {1, 1000, 10000};

static double cpu_us(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e6 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
}

static void must(freshet_code code, const freshet_error *err)
{
    if (code == FRESHET_OK)
        return;
    fprintf(stderr, "engine_bench: %s\n", err->text);
    exit(1);
}

static double measure(sql_session *session, const char *sql, uint32_t runs, bool anew)
{
    freshet_error err = {0};
    sql_statement *statement = NULL;
    arena *step = arena_open();
    batch out;
    double least = 1e12;
    must(sql_prepare(session, sql, &statement, NULL, &err), &err);
    for (int round = 0; round < 3; round++) {
        double begin = cpu_us();
        for (uint32_t i = 0; i < runs; i++) {
            if (anew) {
                sql_statement_close(statement);
                must(sql_prepare(session, sql, &statement, NULL, &err), &err);
            }
            arena_reset(step);
            must(sql_run(statement, step, &out, &err), &err);
        }
        double a_run = (cpu_us() - begin) / runs;
        least = a_run < least ? a_run : least;
    }
    sql_statement_close(statement);
    arena_close(step);
    return least;
}

int main(int argc, char **argv)
{
    freshet_error err = {0};
    sql_engine *engine = NULL;
    sql_session *session = NULL;
    sql_statement *all = NULL;
    sql_input *input = NULL;
    arena *arena = arena_open();
    batch rows;
    bool anew = argc > 1 && strcmp(argv[1], "anew") == 0;
    must(sql_open(NULL, &engine, &err), &err);
    must(sql_session_open(engine, &session, &err), &err);
    must(sql_execute(session, tables, NULL, &err), &err);
    must(sql_prepare(session, "FROM made", &all, NULL, &err), &err);
    must(sql_run(all, arena, &rows, &err), &err);
    must(sql_input_add(session, "e", sql_statement_schema(all), NULL, 0, &input, &err), &err);
    for (size_t q = 0; q < sizeof queries / sizeof *queries; q++) {
        for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
            sql_input_set(input, &rows, 5, sizes[s]);
            double us = measure(session, queries[q].sql, 500000 / (sizes[s] + 500), anew);
            printf("%-10s %6u rows: %7.0f us a run\n", queries[q].name, sizes[s], us);
        }
    }
    sql_statement_close(all);
    sql_input_close(input);
    sql_session_close(session);
    sql_close(engine);
    arena_close(arena);
    return 0;
}
