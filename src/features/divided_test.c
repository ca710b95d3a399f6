/* divided_test.c - operators that are divided among instances, on a crew, give row for row and in
 * the same order what one instance gives: windows with refreshed and refused rows, by keys of their
 * own, in an order of their own, seen events, newest rows; and key for key groups, rolling windows
 * and rows of keys that have lost events; through saves that are read by another number of
 * instances. */
/* tsan */
#include "features/features_testing.h"

#include <stdlib.h>

#include "base/crew.h"
#include "base/os.h"
#include "features/divided.h"
#include "features/operator.h"

#define RUN_ROWS 2100u /* more than twice DIVIDED_ROWS_MIN */
#define SMALL_ROWS 40u
#define RUNS 3u
#define SAVED_MAX 20000u

_Static_assert(RUN_ROWS > 2 * DIVIDED_ROWS_MIN && SMALL_ROWS < DIVIDED_ROWS_MIN, "both ways");

/* ---- a restart ------------------------------------------------------------------------------- */

typedef struct saved_key {
    const char *part;
    const char *key;
    size_t key_length;
    const char *bytes;
    size_t length;
} saved_key;

static saved_key saved[SAVED_MAX];
static uint32_t n_saved;

static int compare_saved(const void *a, const void *b)
{
    const saved_key *x = a, *y = b;
    const int parts = strcmp(x->part, y->part);
    if (parts != 0)
        return parts;
    if (x->key_length != y->key_length)
        return x->key_length < y->key_length ? -1 : 1;
    return memcmp(x->key, y->key, x->key_length);
}

/* From several tasks at once. */
static freshet_code load_saved(void *context, const void *key, size_t length, text_buffer *into,
                               freshet_error *err)
{
    const saved_key wanted = {
        .part = ((const state_part *)context)->name, .key = key, .key_length = length};
    (void)err;
    const saved_key *found = bsearch(&wanted, saved, n_saved, sizeof *saved, compare_saved);
    if (found == NULL)
        return FRESHET_END;
    text_append(into, found->bytes, found->length);
    return FRESHET_OK;
}

static void save_part(world *world, const state_part *part)
{
    freshet_error err = {0};
    uint32_t cursor = 0;
    state_key key;
    text_buffer bytes;
    text_init(&bytes, TEXT_LIMIT_DEFAULT);
    while (state_part_next_dirty(part, &cursor, &key)) {
        if (part->n_pieces > 0) /* as who saved it, so who reads and fills it */
            assert_int_equal(key.piece,
                             keyed_owner(keyed_hash(key.bytes, key.length), part->n_pieces));
        if (state_part_is_empty(part, &key))
            continue;
        assert_true(n_saved < SAVED_MAX);
        text_reset(&bytes);
        must(state_part_save(part, &key, &bytes, &err), &err);
        saved[n_saved++] = (saved_key){.part = arena_text(world->arena, part->name),
                                       .key = arena_copy(world->arena, key.bytes, key.length),
                                       .key_length = key.length,
                                       .bytes = arena_copy(world->arena, bytes.bytes, bytes.length),
                                       .length = bytes.length};
    }
    text_release(&bytes);
    state_part_clean(part);
}

static void set_loads(world *world)
{
    uint32_t n;
    const state_part *parts = feature_set_state(world->set, &n);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(parts[i].n_pieces,
                         world->options.crew == NULL ? 0 : crew_workers(world->options.crew));
        state_part_set_load(&parts[i], load_saved, (void *)&parts[i]);
    }
}

/* Keys that time alone changes are all brought. */
static void bring_listed(world *world)
{
    freshet_error err = {0};
    uint32_t n;
    const state_part *parts = feature_set_state(world->set, &n);
    for (uint32_t i = 0; i < n; i++)
        for (uint32_t k = 0; state_part_is_listed(&parts[i]) && k < n_saved; k++)
            if (strcmp(saved[k].part, parts[i].name) == 0)
                must(state_part_restore(&parts[i], saved[k].key, saved[k].key_length,
                                        saved[k].bytes, saved[k].length, &err),
                     &err);
}

/* What was written by the crew of before is read by another. */
static void restart(world *world, const char *set, crew *crew)
{
    freshet_error err = {0};
    uint32_t n;
    text_buffer facts, said = world->said;
    text_init(&facts, TEXT_LIMIT_DEFAULT);
    const state_part *parts = feature_set_state(world->set, &n);
    n_saved = 0;
    for (uint32_t i = 0; i < n; i++)
        save_part(world, &parts[i]);
    qsort(saved, n_saved, sizeof *saved, compare_saved);
    must(feature_set_save_facts(world->set, &facts, &err), &err);
    text_init(&world->said, TEXT_LIMIT_DEFAULT);
    world->options.crew = crew;
    open_stream(world, set);
    text_release(&world->said);
    world->said = said;
    must(feature_set_restore_facts(world->set, facts.bytes, facts.length, &err), &err);
    set_loads(world);
    bring_listed(world);
    text_release(&facts);
}

/* ---- a play ---------------------------------------------------------------------------------- */

/* 41 keys, times out of order by up to 7 seconds, some nulls, texts short and long, ids that come
 * again, some rows that are too late. */
static const char *some_rows(world *world, uint32_t step_us, uint32_t first, uint32_t n)
{
    return arena_format(
        world->arena,
        "SELECT (i * 7919 %% 41)::BIGINT AS id, make_timestamp(((i - i * i * 31 %% 60 - CASE WHEN "
        "i %% 500 = 77 THEN 1000 ELSE 0 END) * %u)::BIGINT) AS ts, CASE WHEN i %% 11 <> 0 THEN "
        "(i * 31 %% 101)::DOUBLE END AS x, CASE WHEN i %% 13 <> 0 THEN repeat('long ', i %% 5) || "
        "(i * 37 %% 150) END AS s FROM range(%u, %u) t(i)",
        step_us, first, first + n);
}

static void go_on(world *world)
{
    freshet_error err = {0};
    batch out;
    while (feature_set_owes(world->set)) {
        must(feature_set_go_on(world->set, world->arena, &out, refuse, world, &err), &err);
        say(world, &out);
    }
}

/* All that comes of the rows, by one crew until the middle, and then another. */
static const char *play(world *world, const char *set, uint32_t step_us, bool stream, crew *first,
                        crew *then)
{
    const uint32_t each = RUN_ROWS + SMALL_ROWS + 1;
    n_saved = 0;
    world->options.crew = first;
    if (open_set(world, stream, ROWS("(1, 0, 0, 'a')"), set) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
    if (stream)
        set_loads(world);
    for (uint32_t i = 0; i < RUNS; i++) {
        run_rows(world, some_rows(world, step_us, i * each, RUN_ROWS));
        go_on(world);
        if (stream && i == RUNS / 2)
            restart(world, set, then);
        run_rows(world, some_rows(world, step_us, i * each + RUN_ROWS, SMALL_ROWS));
        go_on(world);
        run_rows(world, some_rows(world, step_us, i * each + RUN_ROWS + SMALL_ROWS, 1));
        go_on(world);
    }
    run_rows(world, arena_format(world->arena, ROWS("(7, %llu, 1, 'far behind all')"),
                                 72000ull * step_us)); /* all keys lose their events */
    go_on(world);
    const uint64_t repeated = feature_set_measure(world->set).repeated;
    text_format(&world->said, "repeated %d%s\n", (int)repeated, repeated > 1000 ? ", many" : "");
    finish(world);
    const char *said = arena_text(world->arena, world->said.bytes);
    forget(world);
    while (world->n_statements > 0)
        sql_statement_close(world->statements[--world->n_statements]);
    return said;
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* The key of a row; of a refused one what it begins with. */
static int compare_keys(const char *x, const char *y)
{
    const char *a = strstr(x, "\"id\":"), *b = strstr(y, "\"id\":");
    a = a == NULL ? "refused," : a;
    b = b == NULL ? "refused," : b;
    const size_t n = strcspn(a, ","), m = strcspn(b, ",");
    return n != m ? (n < m ? -1 : 1) : memcmp(a, b, n);
}

static int compare_lines(const void *a, const void *b)
{
    const char *x = *(char *const *)a, *y = *(char *const *)b;
    const int keys = compare_keys(x, y);
    return keys != 0 ? keys : (x > y) - (x < y); /* as they stand in the text */
}

/* Key by key, the rows of each in their order. */
static const char *by_keys(world *world, const char *said)
{
    char *text = arena_text(world->arena, said), *rest = NULL, *into, *at;
    uint32_t n = 0, n_lines = 1;
    for (const char *line = said; (line = strchr(line, '\n')) != NULL; line++)
        n_lines++;
    char **lines = arena_zero(world->arena, n_lines, sizeof *lines);
    at = into = arena_alloc(world->arena, strlen(said) + 2);
    for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        lines[n++] = line;
    qsort(lines, n, sizeof *lines, compare_lines);
    for (uint32_t i = 0; i < n; i++)
        at += sprintf(at, "%s\n", lines[i]);
    return into;
}

static void assert_same(size_t number, int stream, size_t k, const char *got, const char *wanted)
{
    size_t i = 0, begin = 0;
    for (; got[i] != '\0' && got[i] == wanted[i]; i++)
        if (got[i] == '\n')
            begin = i + 1;
    if (got[i] != wanted[i])
        fail_msg("case %zu, stream %d, crews %zu: got:\n%.300s\nwanted:\n%.300s", number, stream, k,
                 got + begin, wanted + begin);
}

#define TIME "  timestamp: {from: ts, lateness: 5 seconds}\n"
#define WINDOWS                                                                             \
    "  features:\n"                                                                         \
    "    - {name: s, type: string}\n"                                                       \
    "    - {name: f, from: x, window: {functions: [sum, count], over: [10 seconds]}}\n"     \
    "    - {name: r, from: x, window: {functions: [collect_list], over: [3 events], mode: " \
    "row_windows}}\n"                                                                       \
    "    - {name: after, type: string, sql: \"s || f__count_over_10_seconds_fixed_windows\"}\n"

#define DAYS "  timestamp: {from: ts, lateness: 2 hours}\n"
#define DAY_STEP_US 100000000u
#define GROUPS                                                                         \
    "  features:\n"                                                                    \
    "    - {name: f, from: x, aggregate: {functions: [sum, count, {max: integer}]}}\n" \
    "    - {name: g, from: s, type: string, aggregate: {functions: [last]}, filter: \"x > 20\"}\n"

typedef struct play_case {
    const char *set, *seen;
    uint32_t step_us; /* 0: a tenth of a second */
    bool batch, ranks, corrects;
    bool owes; /* rows without an input: in the order of instances */
} play_case;

static const play_case cases[] = {
    {TIME WINDOWS, "CO", 0, true, false, false, false},
    {TIME WINDOWS, "refused", 0, false, false, true, false},
    {"  keys: [{name: id, type: bigint}, {name: s, type: string}]\n" TIME
     "  features: [{name: f, from: x, window: {functions: [sum], over: [1 minute]}}]\n",
     "is null", 0, false, false, false, false},
    {"  keys: [{name: id, type: integer}]\n" TIME
     "  features: [{name: f, from: x, window: {functions: [min], over: [1 minute]}}]\n",
     "refused", 0, false, false, false, false},
    {TIME
     "  features: [{name: f, from: x, window: {functions: [{sum: \"decimal(4,1)\"}], over: [90 "
     "seconds]}}]\n",
     "cannot cast", 0, true, false, false, false},
    {TIME "  refresh: on_expiry\n" WINDOWS, "\nO", 0, false, false, false, true},
    {TIME "  deduplicate: {on: [s], within: 20 seconds}\n" WINDOWS, ", many", 0, true, false, false,
     false},
    {TIME "  features: [{name: x, type: double}]\n", "N", 0, true, true, false, false},
    /* by keys of their own, null for some rows; in an order of their own; rows are refused by some
     * windows, and count in the others all the same */
    {TIME "  on_cast_error: dead_letter\n" WINDOWS
          "    - {name: o, from: x, window: {functions: [{sum: \"decimal(4,1)\"}, last], over: [40 "
          "seconds], partition_by: [s]}}\n"
          "    - {name: p, from: x, window: {functions: [count], over: [5 events], mode: "
          "row_windows, order_by: x, partition_by: [s]}}\n"
          "    - {name: q, from: s, window: {functions: [first], over: [3 events], mode: "
          "row_windows, order_by: x}}\n"
          "    - {name: both, sql: \"p__count_over_5_events_row_windows + "
          "f__count_over_10_seconds_fixed_windows\", type: bigint}\n",
     "cannot cast", 0, true, false, true, false},
    {TIME "  refresh: on_expiry\n" WINDOWS
          "    - {name: o, from: x, window: {functions: [sum], over: [40 seconds], partition_by: "
          "[s]}}\n",
     "\nO", 0, false, false, false, true},
    {TIME "  aggregated: {}\n" GROUPS, "refused", 0, true, false, false, true},
    {TIME "  aggregated: {windows: {over: [5 seconds, 20 seconds], slide: 5 seconds}}\n" GROUPS,
     "NO", 0, true, true, false, true},
    {TIME "  refresh: on_expiry\n"
          "  aggregated: {windows: {over: [10 seconds], slide: 5 seconds, emit: change}, distinct: "
          "{subset: [s]}}\n" GROUPS,
     "\nC", 0, true, false, true, true},
    {"  timestamp: {from: ts, lateness: 5 seconds, late: update}\n"
     "  aggregated: {windows: {over: [3 minutes], slide: 1 minute}, pivot: {column: s, values: "
     "[\"long 41\", \"7\"]}}\n"
     "  features: [{name: f, from: x, aggregate: {functions: [avg]}}]\n",
     "N", 0, true, false, false, true},
    {DAYS "  aggregated: {windows: {over: [1 day, 3 days], slide: 1 day}}\n" GROUPS, "NO",
     DAY_STEP_US, true, false, false, true},
    {DAYS "  deduplicate_rows: true\n"
          "  aggregated: {windows: {over: [2 days], slide: 1 day}}\n"
          "  features: [{name: f, from: x, aggregate: {functions: [count]}}]\n",
     "NO", DAY_STEP_US, true, false, false, true},
};

static void instances_give_what_one_gives(void **state)
{
    static const uint32_t workers[] = {2, 5};
    freshet_error err = {0};
    world *world = *state;
    crew *crews[2];
    for (int i = 0; i < 2; i++)
        must(crew_open(workers[i], &crews[i], &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (int stream = cases[i].batch ? 0 : 1; stream < 2; stream++) {
            const uint32_t step_us = cases[i].step_us == 0 ? 100000 : cases[i].step_us;
            world->options.ranks = cases[i].ranks;
            world->options.corrects = cases[i].corrects;
            const char *whole = play(world, cases[i].set, step_us, stream, NULL, NULL);
            if (stream && strstr(whole, cases[i].seen) == NULL)
                fail_msg("case %zu shows no \"%s\": %.900s", i, cases[i].seen,
                         whole + strlen(whole) / 2);
            crew *const by[][2] = {{crews[1], crews[0]}, {crews[0], NULL}, {NULL, crews[1]}};
            for (size_t k = 0; k < (stream ? 3 : 2); k++) {
                const char *divided =
                    play(world, cases[i].set, step_us, stream, by[k][0], by[k][1]);
                if (cases[i].owes)
                    assert_same(i, stream, k, by_keys(world, divided), by_keys(world, whole));
                else
                    assert_same(i, stream, k, divided, whole);
            }
        }
    for (int i = 0; i < 2; i++)
        crew_close(crews[i]);
}

static uint32_t count_refused(const char *said)
{
    uint32_t n = 0;
    for (const char *at = said; (at = strstr(at, "refused")) != NULL; at++)
        n++;
    return n;
}

/* ---- few rows ------------------------------------------------------------------------------- */

#define FEW_VALUES 4u
#define FEW_ROWS 48u

/* A fourth of the rows is refused by windows of keys of their own, before those of other keys see
 * them. These are so few that some instances have none. */
static const char *play_refused(world *world, crew *crew)
{
    world->options.crew = crew;
    open_stream(world, TIME
                "  on_cast_error: dead_letter\n"
                "  features:\n"
                "    - {name: o, from: x, window: {functions: [{sum: \"decimal(4,1)\"}], over: [1 "
                "second], partition_by: [s]}}\n"
                "    - {name: p, from: id, window: {functions: [count], over: [1 minute], "
                "partition_by: [x]}}\n"
                "    - {name: f, from: x, window: {functions: [max], over: [1 minute]}}\n");
    run_rows(world, arena_format(world->arena,
                                 "SELECT i::BIGINT AS id, make_timestamp(0) AS ts, CASE WHEN i %% "
                                 "%u = 0 THEN 7000 ELSE i %% %u END::DOUBLE AS x, 'key ' || i AS s "
                                 "FROM range(%u) t(i)",
                                 FEW_VALUES, FEW_VALUES, FEW_ROWS));
    const char *said = arena_text(world->arena, world->said.bytes);
    forget(world);
    return said;
}

static void instances_without_rows_have_refused_none(void **state)
{
    freshet_error err = {0};
    world *world = *state;
    crew *crew;
    must(crew_open(FEW_VALUES + 1, &crew, &err), &err);
    const char *whole = play_refused(world, NULL);
    assert_int_equal(count_refused(whole), FEW_ROWS / FEW_VALUES);
    assert_same(0, 1, 0, play_refused(world, crew), whole);
    crew_close(crew);
}

/* ---- what is of all keys --------------------------------------------------------------------- */

#define FEW_KEYS 20u
#define EXPIRING                                                                           \
    "  timestamp: {from: ts, lateness: 0 seconds, idle: 1 minute}\n  refresh: on_expiry\n" \
    "  features: [{name: f, from: x, window: {functions: [count], over: [10 seconds]}}]\n"

static int64_t clock_us;

static int64_t hand(void)
{
    return clock_us;
}

static void run_few(world *world, uint32_t lane, uint32_t first, uint32_t n, uint32_t second)
{
    static uint32_t lanes[FEW_KEYS];
    for (uint32_t i = 0; i < n; i++)
        lanes[i] = lane;
    world->lanes = lanes;
    run_rows(world, arena_format(world->arena,
                                 "SELECT i::BIGINT AS id, make_timestamp(%u000000) AS ts, 1.0 AS "
                                 "x, 'a' AS s FROM range(%u, %u) t(i)",
                                 second, first, first + n));
    world->lanes = NULL;
}

/* Key 0 was given for second 25 late, that of the others, too: rows before it are late, though the
 * partition that they come from lets them pass, and whosoever key theirs is. */
static const char *play_settled(world *world, crew *crew)
{
    int64_t (*monotonic_us)(void) = os.monotonic_us;
    os.monotonic_us = hand;
    clock_us = 0;
    world->options.crew = crew;
    open_stream(world, EXPIRING);
    run_few(world, 1, FEW_KEYS, 1, 1);
    run_few(world, 2, 0, 1, 2);
    clock_us = 100000000;
    run_few(world, 2, FEW_KEYS + 1, 1, 25);
    go_on(world);
    run_few(world, 1, 1, FEW_KEYS - 1, 20);
    go_on(world);
    const char *said = arena_text(world->arena, world->said.bytes);
    os.monotonic_us = monotonic_us;
    forget(world);
    return said;
}

static void what_was_given_makes_rows_of_all_keys_late(void **state)
{
    freshet_error err = {0};
    world *world = *state;
    crew *crew;
    must(crew_open(5, &crew, &err), &err);
    const char *whole = play_settled(world, NULL), *divided = play_settled(world, crew);
    assert_int_equal(count_refused(whole), FEW_KEYS - 1);
    assert_same(0, 1, 0, by_keys(world, divided), by_keys(world, whole));
    crew_close(crew);
}

/* What one key owes when the run is cut off is given by the next run, whosoever key it is. */
static void what_is_owed_is_given_after_a_restart(void **state)
{
    freshet_error err = {0};
    world *world = *state;
    crew *crews[2];
    must(crew_open(5, &crews[0], &err), &err);
    must(crew_open(2, &crews[1], &err), &err);
    for (uint32_t key = 0; key < FEW_KEYS; key++) {
        n_saved = 0;
        world->options.crew = crews[0];
        open_stream(world, EXPIRING);
        set_loads(world);
        run_few(world, 1, key, 1, 1);
        run_few(world, 1, FEW_KEYS, 1, 25);
        assert_true(feature_set_owes(world->set));
        restart(world, EXPIRING, crews[1]);
        assert_true(feature_set_owes(world->set));
        text_reset(&world->said);
        go_on(world);
        expect(world, arena_format(world->arena,
                                   "O-1 {\"id\":%u,\"timestamp\":\"1970-01-01T00:00:12.000000Z\","
                                   "\"f__count_over_10_seconds_fixed_windows\":0}\n",
                                   key));
    }
    forget(world);
    for (int i = 0; i < 2; i++)
        crew_close(crews[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(instances_give_what_one_gives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(instances_without_rows_have_refused_none, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_was_given_makes_rows_of_all_keys_late, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_owed_is_given_after_a_restart, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
