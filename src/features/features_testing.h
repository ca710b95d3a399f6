/* features_testing.h - helpers of this folder's tests: a feature set from its declaration, rows by
 * SQL, and all that comes of them as one text. */
#ifndef FRESHET_FEATURES_FEATURES_TESTING_H
#define FRESHET_FEATURES_FEATURES_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "declaration/registry_testing.h"
#include "features/feature_set.h"
#include "functions/functions.h"

typedef struct world {
    sql_engine *engine;
    sql_session *session;
    arena *arena;
    freshet_declaration *declaration;
    feature_set *set;
    sql_statement *statements[1024];
    uint32_t n_statements;
    uint32_t *lanes;
    batch in;                    /* the rows of open_set */
    const batch *running;        /* what is being run: refused rows are of it */
    bool places;                 /* problems are said with theirs */
    feature_set_options options; /* those that a test sets before open_set */
    text_buffer said;            /* problems, refusals and rows, a line each */
} world;

static inline int set_up(void **state)
{
    static world world;
    memset(&world, 0, sizeof world);
    world.options = (feature_set_options){.first_us = INT64_MIN, .last_us = INT64_MAX};
    assert_int_equal(sql_open(NULL, &world.engine, NULL), FRESHET_OK);
    assert_int_equal(sql_session_open(world.engine, &world.session, NULL), FRESHET_OK);
    assert_int_equal(functions_create(world.session, NULL), FRESHET_OK);
    world.arena = arena_open();
    text_init(&world.said, TEXT_LIMIT_DEFAULT);
    *state = &world;
    return 0;
}

static inline void forget(world *world)
{
    feature_set_close(world->set);
    freshet_declaration_close(world->declaration);
    world->set = NULL;
    world->declaration = NULL;
    text_reset(&world->said);
}

static inline int tear_down(void **state)
{
    world *world = *state;
    forget(world);
    for (uint32_t i = 0; i < world->n_statements; i++)
        sql_statement_close(world->statements[i]);
    text_release(&world->said);
    arena_close(world->arena);
    sql_session_close(world->session);
    sql_close(world->engine);
    return 0;
}

static inline void must(freshet_code code, const freshet_error *err)
{
    if (code != FRESHET_OK)
        fail_msg("code %d: %s", code, err->text);
}

static inline void on_problem(void *context, const freshet_error *problem)
{
    world *world = context;
    if (world->places)
        text_format(&world->said, "%s: ", problem->at);
    text_format(&world->said, "%s\n", problem->text);
}

#define ROWS(values)                                                                     \
    "SELECT id::BIGINT AS id, make_timestamp(us::BIGINT) AS ts, x::DOUBLE AS x, s FROM " \
    "(VALUES " values ") t(id, us, x, s)"
#define S "000000" /* seconds, as microseconds */

/* The rows of a query; they live as long as the world. */
static inline batch rows_of(world *world, const char *sql)
{
    freshet_error err = {0};
    batch rows;
    sql_statement **statement = &world->statements[world->n_statements++];
    assert_true(world->n_statements <= 1024);
    must(sql_prepare(world->session, sql, statement, NULL, &err), &err);
    must(sql_run(*statement, world->arena, &rows, &err), &err);
    return rows;
}

/* The key is a bigint "id", unless the set says others. */
static inline freshet_code open_set(world *world, bool stream, const char *input, const char *set)
{
    freshet_error err = {0};
    forget(world);
    const char *text = arena_format(
        world->arena,
        "version: 1\n"
        "pipeline: p\n"
        "source:\n"
        "  readers: [{id: e, file: {path: e.jsonl}%s}]\n"
        "  query: select * from e\n"
        "sink: {writers: [{online: {debug: true}}]}\n"
        "feature_set:\n"
        "  name: g\n"
        "  entity: e\n"
        "%s%s",
        stream ? ", stream: true" : "",
        strncmp(set, "  keys:", 7) == 0 ? "" : "  keys: [{name: id, type: bigint}]\n", set);
    if (declaration_read(text, strlen(text), "t.yaml", ".", &fake_registry, on_problem, world,
                         &world->declaration, &err) != FRESHET_OK)
        return FRESHET_BAD_DECLARATION;
    world->in = rows_of(world, input);
    problems *problems = problems_open(world->arena);
    feature_set_options options = world->options;
    options.declaration = world->declaration;
    options.session = world->session;
    options.input = &world->in.schema;
    freshet_code code = feature_set_open(&options, problems, &world->set, &err);
    if (code == FRESHET_BAD_DECLARATION)
        problems_report(problems, on_problem, world, &err);
    else
        must(code, &err);
    assert_int_equal(world->set == NULL, code != FRESHET_OK);
    return code;
}

static inline void open_stream(world *world, const char *set)
{
    if (open_set(world, true, ROWS("(1, 0, 0, 'a')"), set) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
}

static inline freshet_code refuse(void *context, const feature_refusal *refused, freshet_error *err)
{
    world *world = context;
    (void)err;
    assert_true(world->running == NULL || refused->in == world->running);
    assert_in_range(refused->code, 0, REASON_COUNT - 1);
    text_format(&world->said, "refused %u", refused->row);
    if (refused->stacked.copies > 0)
        text_format(&world->said, " (%u of %u)", refused->stacked.copy, refused->stacked.copies);
    text_format(&world->said, ": %s\n", refused->reason);
    return FRESHET_OK;
}

/* N new, O for the online store, C a correction; then how far the write time is from the
 * timestamp. */
static inline void say(world *world, const batch *out)
{
    freshet_error err = {0};
    const int64_t *time_us = out->columns[feature_set_n_keys(world->set)].data;
    for (uint32_t i = 0; i < out->n_rows; i++) {
        if (out->row_kinds != NULL)
            text_format(&world->said, "%s%s%s%+lld ", out->row_kinds[i] & ROW_NEW ? "N" : "",
                        out->row_kinds[i] & ROW_CORRECTION ? "C" : "",
                        out->row_kinds[i] & ROW_ONLINE ? "O" : "",
                        (long long)(out->write_us[i] - time_us[i]));
        must(batch_row_to_json(out, i, &world->said, &err), &err);
        text_append_char(&world->said, '\n');
    }
}

static inline void run_batch(world *world, const batch *in, batch *out)
{
    freshet_error err = {0};
    world->running = in;
    must(feature_set_run(world->set, world->arena, in, out, refuse, world, &err), &err);
    world->running = NULL;
    say(world, out);
}

static inline void run_rows(world *world, const char *sql)
{
    batch in = rows_of(world, sql), out;
    in.lanes = world->lanes;
    run_batch(world, &in, &out);
}

static inline void finish(world *world)
{
    freshet_error err = {0};
    batch out;
    freshet_code code;
    while ((code = feature_set_finish(world->set, world->arena, &out, refuse, world, &err)) ==
           FRESHET_OK)
        say(world, &out);
    assert_int_equal(code, FRESHET_END);
}

static inline void expect(world *world, const char *said)
{
    const char *got = world->said.bytes == NULL ? "" : world->said.bytes;
    if (strcmp(got, said) != 0)
        fail_msg("got:\n%sexpected:\n%s", got, said);
    text_reset(&world->said);
    text_append_c(&world->said, "");
}

#endif
