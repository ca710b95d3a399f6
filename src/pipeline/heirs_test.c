/* heirs_test.c - a set that gets windows, loses them and gets them again while its stream goes on,
 * with runs that end without a checkpoint in between: what an online store has at the end is each
 * key's newest row, as if one declaration had taken all rows. The store is a table in this process
 * that keeps the row of the greater write timestamp (cql_testing.h). */
#define _GNU_SOURCE /* nftw */
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/log.h"
#include "base/patience_testing.h"
#include "base/random_testing.h"
#include "pipeline/checkpoint_internal.h"
#include "pipeline/pipeline.h"
#include "writers/cassandra/cql_load.h"
#include "writers/cassandra/cql_testing.h"

#define N_KEYS 5
#define MANY INT64_C(17000)
#define BASE_S INT64_C(1704067200)
#define KEYS "{name: id, type: bigint}"
#define X 2u /* of the values of a row in the store: behind key and timestamp */

static const char *sink_text;
static char folder[200], state_folder[260];

#define YAML                                                             \
    "version: 1\n"                                                       \
    "pipeline: heirs\n"                                                  \
    "source:\n"                                                          \
    "  readers:\n"                                                       \
    "    - {id: ev, stream: true, file: {path: '%s/in', format: json,\n" \
    "         schema: {id: bigint, ts: bigint, x: double}}}\n"           \
    "  query: select * from ev\n"                                        \
    "feature_set:\n"                                                     \
    "  name: demo\n"                                                     \
    "  entity: thing\n"                                                  \
    "  keys: [%s]\n"                                                     \
    "  timestamp: {from: ts, unit: us, lateness: 1 hour}\n"              \
    "%s"                                                                 \
    "  features:\n"                                                      \
    "    - {name: x, type: double}\n"                                    \
    "    - %s\n"                                                         \
    "checkpoint: {interval: 1 day}\n"                                    \
    "dead_letters: {path: '%s/letters.jsonl'}\n"                         \
    "sink:\n"                                                            \
    "  writers:\n"                                                       \
    "    - %s\n"

#define ONLINE "online: {cassandra: {host: 127.0.0.1, keyspace: ks}}"

/* Each has one feature beside x, so that the write timestamp has one place among the values. */
static const struct {
    const char *set, *feature;
    bool has_windows;
} declarations[] = {
    {"", "{name: y, type: double, sql: x * 2}", false},
    {"", "{name: s, from: x, window: {functions: [sum], over: [1 hour]}}", true},
    {"  until_full: partial\n",
     "{name: c, from: x, window: {functions: [count], over: [2 events], mode: row_windows}}", true},
    {"  refresh: on_expiry\n", "{name: s, from: x, window: {functions: [sum], over: [3 seconds]}}",
     true},
};
#define N_DECLARATIONS (sizeof declarations / sizeof *declarations)

static int make_world(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/freshet-heirs.XXXXXX", parent ? parent : "/tmp");
    log_configure(LOG_ERROR + 1, LOG_TEXT);
    fake_begin();
    os_restore(); /* the pipeline's clock is that of the machine; all is answered at once */
    fake.delay_us = 0;
    fake.timestamp = 4;
    fake.n_columns = 7;
    static const char *const names[] = {"id",
                                        "timestamp",
                                        "x",
                                        "y",
                                        "s__sum_over_1_hour_fixed_windows",
                                        "c__count_over_2_events_row_windows",
                                        "s__sum_over_3_seconds_fixed_windows"};
    static const char *const types[] = {"bigint", "timestamp", "double", "double",
                                        "double", "bigint",    "double"};
    for (uint32_t i = 0; i < 7; i++)
        fake.columns[i] = (fake_column){names[i], i == 0 ? "partition_key" : "regular", types[i],
                                        i == 0 ? 0 : -1};
    cql_load_instead(&fake_cql_api);
    return mkdtemp(folder) == NULL;
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *where)
{
    (void)info, (void)type, (void)where;
    return remove(path);
}

static int remove_all(const char *path)
{
    return nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int remove_world(void **state)
{
    (void)state;
    fake_end();
    return remove_all(folder);
}

/* ---- rows, and what the store must have ------------------------------------------------------ */

typedef struct newest_row {
    int64_t event_us; /* INT64_MIN: no row yet */
    double x;
} newest_row;

typedef struct world {
    newest_row twin[N_KEYS];
    uint32_t n_rows;
    int64_t n_waiting; /* rows that no checkpoint knows of */
    int64_t second;    /* about which rows come */
    freshet_declaration *declaration;
    freshet_pipeline *pipeline;
} world;

static void put_row(world *world, FILE *file, int64_t key, int64_t event_us)
{
    const double x = ++world->n_rows;
    world->n_waiting++;
    fprintf(file, "{\"id\": %lld, \"ts\": %lld, \"x\": %.1f}\n", (long long)key,
            (long long)event_us, x);
    if (key < N_KEYS && event_us >= world->twin[key].event_us)
        world->twin[key] = (newest_row){event_us, x};
}

static FILE *open_rows(void)
{
    char path[300];
    snprintf(path, sizeof path, "%s/in", folder);
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
    /* one that grows: rows keep their order */
    snprintf(path, sizeof path, "%s/in/rows.jsonl", folder);
    FILE *file = fopen(path, "a");
    assert_non_null(file);
    return file;
}

static double real_of(const unsigned char *bytes)
{
    const int64_t bits = fake_bigint(bytes);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void check_store(const world *world, const char *when, uint64_t seed)
{
    for (int64_t key = 0; key < N_KEYS; key++) {
        const newest_row *twin = &world->twin[key];
        const fake_row *row = fake_row_of(key);
        if (twin->event_us == INT64_MIN) {
            assert_null(row);
            continue;
        }
        assert_non_null(row);
        if (real_of(row->bytes[X]) != twin->x)
            fail_msg("%s (seed %llu): key %lld has x %.1f, and its newest row %.1f", when,
                     (unsigned long long)seed, (long long)key, real_of(row->bytes[X]), twin->x);
    }
}

/* ---- runs ------------------------------------------------------------------------------------ */

/* Of that declaration, with these keys. */
static void open_run(world *world, uint32_t declared, const char *keys,
                     freshet_run_options *options)
{
    char text[3000];
    freshet_error err = {0};
    snprintf(text, sizeof text, YAML, folder, keys, declarations[declared].set,
             declarations[declared].feature, folder, sink_text);
    snprintf(state_folder, sizeof state_folder, "%s/state", folder);
    options->size = sizeof *options;
    options->state = state_folder;
    if (freshet_declaration_parse(text, strlen(text), "heirs.yaml", NULL, NULL, &world->declaration,
                                  &err) != FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
    if (freshet_pipeline_open(world->declaration, options, NULL, NULL, &world->pipeline, &err) !=
        FRESHET_OK)
        fail_msg("%s: %s", err.at, err.text);
}

static void begin_run(world *world, uint32_t declared, bool once)
{
    freshet_run_options options = {.once = once};
    open_run(world, declared, KEYS, &options);
}

static void close_run(world *world)
{
    freshet_pipeline_close(world->pipeline);
    freshet_declaration_close(world->declaration);
}

static void must(freshet_code code, const freshet_error *err)
{
    if (code != FRESHET_OK && code != FRESHET_END)
        fail_msg("%s: %s", err->at, err->text);
}

/* All rows that are there, with a checkpoint at the end. */
static void run_through(world *world, uint32_t declared)
{
    freshet_error err = {0};
    begin_run(world, declared, true);
    must(freshet_run(world->pipeline, &err), &err);
    assert_int_equal(freshet_counter(world->pipeline, FRESHET_ROWS_READ), world->n_waiting);
    world->n_waiting = 0;
    close_run(world);
}

/* The same, but it is killed then: the store has the rows, and no checkpoint knows of them. */
static void run_killed(world *world, uint32_t declared)
{
    freshet_error err = {0};
    const patience wait = patience_of(60);
    begin_run(world, declared, false);
    const uint64_t checkpoint = world->pipeline->checkpoint->number;
    while ((freshet_counter(world->pipeline, FRESHET_ROWS_READ) < world->n_waiting ||
            world->pipeline->delivery.pending || pipeline_owes(world->pipeline)) &&
           patience_lasts(&wait))
        must(pipeline_step(world->pipeline, 0, &err), &err);
    must(pipeline_flush(world->pipeline, &err), &err);
    assert_int_equal(freshet_counter(world->pipeline, FRESHET_ROWS_READ), world->n_waiting);
    assert_int_equal(world->pipeline->checkpoint->number, checkpoint);
    close_run(world);
}

static void begin_world(world *world)
{
    *world = (struct world){.second = BASE_S};
    sink_text = ONLINE;
    for (uint32_t i = 0; i < N_KEYS; i++)
        world->twin[i].event_us = INT64_MIN;
}

static void forget_world(void)
{
    char rows[300];
    snprintf(rows, sizeof rows, "%s/in", folder);
    assert_int_equal(remove_all(rows), 0);
    assert_int_equal(remove_all(state_folder), 0);
    for (uint32_t i = 0; i < fake.n_table; i++)
        fake_row_set(&fake.table[i], NULL, 0);
    fake.n_table = 0;
}

/* ---- by hand --------------------------------------------------------------------------------- */

static void rows_of(world *world, const int64_t rows[][2], uint32_t n)
{
    FILE *file = open_rows();
    for (uint32_t i = 0; i < n; i++)
        put_row(world, file, rows[i][0], BASE_S * 1000000 + rows[i][1]);
    assert_int_equal(fclose(file), 0);
}

#define ROWS_OF(world, ...)                                           \
    do {                                                              \
        static const int64_t rows[][2] = {__VA_ARGS__};               \
        rows_of(world, rows, (uint32_t)(sizeof rows / sizeof *rows)); \
    } while (0)

static int64_t write_us_of(int64_t key)
{
    return fake_bigint(fake_row_of(key)->bytes[fake.timestamp]) - BASE_S * 1000000;
}

static void the_first_windows_go_on_from_the_newest_row(void **state)
{
    (void)state;
    world world;
    begin_world(&world);
    ROWS_OF(&world, {0, 5000000}, {0, 5000000}, {0, 5000000}, {1, 5000000}, {1, 5000000});
    run_through(&world, 0);
    assert_int_equal(write_us_of(0), 5000002);
    /* Of the same second: newer by its place. And one that is older. Nothing is durable. */
    ROWS_OF(&world, {0, 5000000}, {1, 3000000});
    run_killed(&world, 1);
    assert_int_equal(write_us_of(0), 5000003);
    check_store(&world, "before the first checkpoint of the windows", 0);
    /* The same again, and one more. Windows count late rows, too. */
    ROWS_OF(&world, {1, 5000000});
    run_through(&world, 1);
    assert_int_equal(write_us_of(0), 5000003);
    assert_int_equal(write_us_of(1), 5000003);
    /* Keys that slept go over later, and once only. */
    ROWS_OF(&world, {2, 5000000});
    run_through(&world, 2);
    ROWS_OF(&world, {0, 5000000}, {2, 5000000}, {1, 4000000});
    run_through(&world, 0);
    check_store(&world, "without windows again", 0);
    assert_int_equal(write_us_of(0), 5000004);
    assert_int_equal(write_us_of(2), 5000001);
    forget_world();
}

static void expect_plan(world *world, uint32_t declared, const char *keys, const char *expected)
{
    freshet_run_options options = {.check = true};
    freshet_error err = {0};
    checkpoint_plan plan;
    text_buffer said;
    text_init(&said, TEXT_LIMIT_DEFAULT);
    open_run(world, declared, keys, &options);
    must(checkpoint_plan_make(world->pipeline, state_folder, &plan, &err), &err);
    for (uint32_t i = 0; i < plan.verdicts.n; i++) {
        const verdict *verdict = &plan.verdicts.items[i];
        if (strcmp(verdict->part, "newest") == 0 || strcmp(verdict->part, "windows") == 0)
            text_format(&said, "%s: %s: %.10s\n", verdict->part, verdict_words[verdict->kind],
                        verdict->said);
    }
    assert_string_equal(said.bytes, expected);
    text_release(&said);
    close_run(world);
}

/* The store has as many keys as know a newest row, each in one part. */
static freshet_code count_key(void *context, const store_entry *entry, freshet_error *err)
{
    (void)entry, (void)err;
    ++*(uint32_t *)context;
    return FRESHET_OK;
}

static uint32_t keys_in(const world *world, const char *part)
{
    uint32_t n = 0;
    assert_int_equal(
        store_visit(world->pipeline->checkpoint->store, STORE_STATE, part, count_key, &n, NULL),
        FRESHET_OK);
    return n;
}

/* Of more keys than one write takes. */
static void many_keys_go_over(void **state)
{
    (void)state;
    world world;
    begin_world(&world);
    FILE *file = open_rows();
    for (int64_t key = 0; key < MANY; key++)
        put_row(&world, file, key, BASE_S * 1000000);
    assert_int_equal(fclose(file), 0);
    run_through(&world, 1);
    begin_run(&world, 0, false);
    assert_int_equal(keys_in(&world, "newest"), MANY);
    close_run(&world);
    file = open_rows();
    for (int64_t key = 0; key < MANY; key += 1000)
        put_row(&world, file, key, BASE_S * 1000000);
    assert_int_equal(fclose(file), 0);
    run_through(&world, 0);
    for (int64_t key = 0; key < MANY; key += 500)
        assert_int_equal(write_us_of(key), key % 1000 == 0);
    forget_world();
}

/* A key as a run that was killed has left it in the part of the plain set, while the windows still
 * have it. */
static void put_stale(world *world, int64_t key)
{
    unsigned char encoded[9] = {1}, value[12] = {0};
    freshet_error err = {0};
    state_store *store = world->pipeline->checkpoint->store;
    memcpy(encoded + 1, &key, sizeof key);
    must(store_begin(store, &err), &err);
    must(
        store_put(store, STORE_STATE, "newest", encoded, sizeof encoded, value, sizeof value, &err),
        &err);
    must(store_commit(store, &err), &err);
    must(store_wait(store, &err), &err);
}

static void cut_short_the_windows_count(void **state)
{
    (void)state;
    world world;
    begin_world(&world);
    ROWS_OF(&world, {0, 5000000}, {0, 5000000}, {1, 5000000}, {1, 5000000});
    run_through(&world, 1);
    begin_run(&world, 1, false);
    assert_int_equal(keys_in(&world, "newest"), 0);
    put_stale(&world, 0);
    put_stale(&world, 1);
    assert_int_equal(keys_in(&world, "newest"), 2);
    close_run(&world);
    ROWS_OF(&world, {0, 5000000}); /* the old declaration again */
    run_through(&world, 1);
    assert_int_equal(write_us_of(0), 5000002);
    ROWS_OF(&world, {0, 5000000}, {1, 5000000}, {0, 4000000});
    run_through(&world, 0); /* the new one: keys as they were put down above are these keys */
    assert_int_equal(write_us_of(0), 5000003);
    assert_int_equal(write_us_of(1), 5000002);
    check_store(&world, "behind windows that were cut short", 0);
    begin_run(&world, 0, false);
    assert_int_equal(keys_in(&world, "newest"), 2);
    close_run(&world);
    forget_world();
}

/* Rows before went to files only. */
static void an_online_store_that_is_new(void **state)
{
    (void)state;
    char jsonl[300];
    world world;
    begin_world(&world);
    snprintf(jsonl, sizeof jsonl, "jsonl: {path: '%s/out.jsonl'}", folder);
    sink_text = jsonl;
    ROWS_OF(&world, {0, 5000000});
    run_through(&world, 0);
    sink_text = ONLINE;
    expect_plan(&world, 0, KEYS, "newest: fills from now on: which row \n");
    ROWS_OF(&world, {0, 4000000}, {0, 3000000}, {0, 4500000});
    run_through(&world, 0);
    assert_int_equal(write_us_of(0), 4000001);
    forget_world();
}

static bool take_shown(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

/* What is kept of the keys, wherever it is: in its order. */
static void expect_inspected(world *world, uint32_t declared, const char *first, const char *then)
{
    freshet_run_options options = {.check = true};
    freshet_error err = {0};
    state_store *store;
    text_buffer shown;
    text_init(&shown, TEXT_LIMIT_DEFAULT);
    checkpoint_search search = {
        .folder = state_folder, .limit = 10, .write = take_shown, .context = &shown};
    open_run(world, declared, KEYS, &options);
    must(store_open(state_folder, true, STORE_MEMORY_MIN, &store, &err), &err);
    must(checkpoint_inspect(world->pipeline, store, &search, &err), &err);
    const char *at = strstr(shown.bytes, first);
    if (at == NULL || strstr(at, then) == NULL)
        fail_msg("%s", shown.bytes);
    text_release(&shown);
    store_close(store);
    close_run(world);
}

#define OTHER_KEYS KEYS ", {name: k, type: bigint, from: x}"

static void plan_says_what_goes_on(void **state)
{
    (void)state;
    world world;
    begin_world(&world);
    ROWS_OF(&world, {0, 1});
    run_through(&world, 0);
    expect_plan(&world, 0, KEYS, "newest: served as it is: it keeps t\n");
    expect_plan(&world, 3, KEYS,
                "newest: served as it is: windows go\n"
                "windows: fills from now on: fills from\n");
    expect_plan(&world, 1, OTHER_KEYS,
                "newest: cannot be served: it keeps \"\n"
                "windows: fills from now on: fills from\n");
    run_through(&world, 2);
    expect_plan(&world, 2, KEYS,
                "newest: served as it is: windows go\n"
                "windows: fills from now on: fills from\n"); /* row windows: as long as it lasts */
    ROWS_OF(&world, {1, 2});
    run_through(&world, 2);
    expect_inspected(
        &world, 2,
        "{\"part\": \"windows\", \"key\": {\"id\": 1}, \"newest\": "
        "\"2024-01-01T00:00:00.000002Z\", \"revision\": 0, \"events\": [{\"second\": "
        "\"2024-01-01T00:00:00.000000Z\", \"x\": true}], \"known_from\": {\"events\": \"20",
        "\"row\": {\"x\": 2.0}}\n"
        "{\"part\": \"newest\", \"key\": {\"id\": 0}, \"newest\": "
        "\"2024-01-01T00:00:00.000001Z\", \"revision\": 0}\n");
    expect_plan(&world, 0, KEYS,
                "newest: served as it is: it goes on\n"
                "windows: removed: the declar\n");
    expect_plan(&world, 0, OTHER_KEYS,
                "newest: cannot be served: it keeps \"\n"
                "windows: removed: the declar\n");
    forget_world();
}

static void each_key_is_in_one_part(void **state)
{
    (void)state;
    world world;
    begin_world(&world);
    ROWS_OF(&world, {0, 1}, {1, 1}, {2, 1});
    run_through(&world, 0);
    ROWS_OF(&world, {1, 2}, {3, 1});
    run_through(&world, 1);
    begin_run(&world, 1, false);
    assert_int_equal(keys_in(&world, "newest"), 2);
    assert_int_equal(keys_in(&world, "windows"), 2);
    close_run(&world);
    begin_run(&world, 0, false);
    assert_int_equal(keys_in(&world, "newest"), 4);
    assert_int_equal(keys_in(&world, "windows"), 0);
    close_run(&world);
    forget_world();
}

/* ---- any declarations, rows and kills -------------------------------------------------------- */

static void put_rows(world *world)
{
    FILE *file = open_rows();
    const uint32_t n = random_below(12);
    for (uint32_t i = 0; i < n; i++) {
        const int64_t second = world->second - (int64_t)random_below(4);
        put_row(world, file, (int64_t)random_below(N_KEYS),
                second * 1000000 + (int64_t)random_below(3) * 250000);
        world->second += random_below(6) == 0;
    }
    assert_int_equal(fclose(file), 0);
}

/* Where windows were killed, windows go on: rows that no checkpoint knows of had higher revisions
 * than a set without windows gives them. */
static uint32_t next_declaration(uint32_t last, bool was_killed)
{
    uint32_t next;
    do
        next = random_below((uint32_t)N_DECLARATIONS);
    while (was_killed && declarations[last].has_windows && !declarations[next].has_windows);
    return next;
}

static void any_declarations_and_kills(void **state)
{
    (void)state;
    for (uint64_t chain = 1; chain <= 8; chain++) {
        random_state = chain;
        world world;
        bool is_killed = false;
        uint32_t declared = 0;
        begin_world(&world);
        for (uint32_t i = 0; i < 8; i++) {
            declared = next_declaration(declared, is_killed);
            is_killed = i < 7 && random_below(3) == 0;
            put_rows(&world);
            (is_killed ? run_killed : run_through)(&world, declared);
            check_store(&world, is_killed ? "after a kill" : "after a run", chain);
        }
        forget_world();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_windows_go_on_from_the_newest_row),
        cmocka_unit_test(each_key_is_in_one_part),
        cmocka_unit_test(plan_says_what_goes_on),
        cmocka_unit_test(many_keys_go_over),
        cmocka_unit_test(cut_short_the_windows_count),
        cmocka_unit_test(an_online_store_that_is_new),
        cmocka_unit_test(any_declarations_and_kills),
    };
    return cmocka_run_group_tests(tests, make_world, remove_world);
}
