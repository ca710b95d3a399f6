/* divided_test.c - operators that are divided among instances, on a crew, give row for row and in
 * the same order what one instance gives: windows with refreshed and refused rows, stacks, seen
 * events, newest rows; through saves that are read by another number of instances. */
/* tsan */
#include "features/features_testing.h"

#include <stdlib.h>

#include "base/crew.h"
#include "features/divided.h"
#include "features/operator.h"

#define RUN_ROWS 3000u /* several times DIVIDED_ROWS_MIN */
#define SMALL_ROWS 40u
#define RUNS 4u
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
    const saved_key wanted = {.part = context, .key = key, .key_length = length};
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
        state_part_set_load(&parts[i], load_saved, (void *)(uintptr_t)parts[i].name);
    }
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
    text_release(&facts);
}

/* ---- a play ---------------------------------------------------------------------------------- */

/* 41 keys, times out of order by up to 7 seconds, some nulls, texts short and long, ids that come
 * again, some rows that are too late. */
static const char *some_rows(world *world, uint32_t first, uint32_t n)
{
    return arena_format(
        world->arena,
        "SELECT (i * 7919 %% 41)::BIGINT AS id, make_timestamp(((i - i * i * 31 %% 60 - CASE WHEN "
        "i %% 500 = 77 THEN 1000 ELSE 0 END) * 100000)::BIGINT) AS ts, CASE WHEN i %% 11 <> 0 THEN "
        "(i * 31 %% 101)::DOUBLE END AS x, CASE WHEN i %% 13 <> 0 THEN repeat('long ', i %% 5) || "
        "(i * 37 %% 150) END AS s FROM range(%u, %u) t(i)",
        first, first + n);
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
static const char *play(world *world, const char *set, bool stream, crew *first, crew *then)
{
    n_saved = 0;
    world->options.crew = first;
    if (open_set(world, stream, ROWS("(1, 0, 0, 'a')"), set) != FRESHET_OK)
        fail_msg("%s", world->said.bytes);
    if (stream)
        set_loads(world);
    for (uint32_t i = 0; i < RUNS; i++) {
        run_rows(world, some_rows(world, i * (RUN_ROWS + SMALL_ROWS + 1), RUN_ROWS));
        go_on(world);
        if (stream && i == RUNS / 2)
            restart(world, set, then);
        run_rows(world, some_rows(world, i * (RUN_ROWS + SMALL_ROWS + 1) + RUN_ROWS, SMALL_ROWS));
        go_on(world);
        run_rows(world,
                 some_rows(world, i * (RUN_ROWS + SMALL_ROWS + 1) + RUN_ROWS + SMALL_ROWS, 1));
        go_on(world);
    }
    run_rows(world, ROWS("(7, 7200000000, 1, 'far behind all')")); /* all keys lose their events */
    go_on(world);
    const uint64_t repeated = feature_set_measure(world->set).repeated;
    text_format(&world->said, "repeated %d%s\n", (int)repeated, repeated > 1000 ? ", many" : "");
    finish(world);
    const char *said = arena_text(world->arena, world->said.bytes);
    forget(world);
    return said;
}

/* ---- comparing ------------------------------------------------------------------------------- */

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static const char *sorted(world *world, const char *said)
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

typedef struct play_case {
    const char *set;
    bool batch, ranks, corrects;
    bool owes; /* rows of keys that lost events: in the order of instances */
    const char *seen;
} play_case;

static const play_case cases[] = {
    {TIME WINDOWS, true, false, false, false, "CO"},
    {TIME WINDOWS, false, false, true, false, "refused"},
    {"  keys: [{name: id, type: bigint}, {name: s, type: string}]\n" TIME
     "  features: [{name: f, from: x, window: {functions: [sum], over: [1 minute]}}]\n",
     false, false, false, false, "is null"},
    {"  keys: [{name: id, type: integer}]\n" TIME
     "  features: [{name: f, from: x, window: {functions: [min], over: [1 minute]}}]\n",
     false, false, false, false, "refused"},
    {TIME
     "  features: [{name: f, from: x, window: {functions: [{sum: \"decimal(4,1)\"}], over: [90 "
     "seconds]}}]\n",
     true, false, false, false, "cannot cast"},
    {TIME "  refresh: on_expiry\n" WINDOWS, false, false, false, true, "\nO"},
    {TIME "  deduplicate: {on: [s], within: 20 seconds}\n" WINDOWS, true, false, false, false,
     ", many"},
    {TIME "  features: [{name: x, type: double}]\n", true, true, false, false, "N"},
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
            world->options.ranks = cases[i].ranks;
            world->options.corrects = cases[i].corrects;
            const char *whole = play(world, cases[i].set, stream, NULL, NULL);
            if (stream && strstr(whole, cases[i].seen) == NULL)
                fail_msg("case %zu shows no \"%s\": %.900s", i, cases[i].seen,
                         whole + strlen(whole) / 2);
            crew *const by[][2] = {
                {crews[0], crews[0]}, {crews[1], crews[0]}, {NULL, crews[1]}, {crews[1], NULL}};
            for (size_t k = 0; k < sizeof by / sizeof *by; k++) {
                const char *divided = play(world, cases[i].set, stream, by[k][0], by[k][1]);
                if (cases[i].owes)
                    assert_same(i, stream, k, sorted(world, divided), sorted(world, whole));
                else
                    assert_same(i, stream, k, divided, whole);
            }
        }
    for (int i = 0; i < 2; i++)
        crew_close(crews[i]);
}

/* What is of several keys stays whole. */
static void some_are_never_divided(void **state)
{
    freshet_error err = {0};
    world *world = *state;
    crew *crew;
    uint32_t n;
    must(crew_open(3, &crew, &err), &err);
    world->options.crew = crew;
    open_stream(world, TIME "  features:\n"
                            "    - {name: f, from: x, window: {functions: [sum], over: [1 minute], "
                            "partition_by: [s]}}\n"
                            "    - {name: g, from: x, window: {functions: [sum], over: [1 "
                            "minute]}}\n");
    const state_part *parts = feature_set_state(world->set, &n);
    assert_int_equal(n, 2);
    assert_int_equal(parts[0].n_pieces + parts[1].n_pieces, 0);
    open_stream(world, TIME "  aggregated: {}\n  features: [{name: f, from: x, aggregate: "
                            "{functions: [sum]}}]\n");
    parts = feature_set_state(world->set, &n);
    assert_int_equal(n, 1);
    assert_int_equal(parts[0].n_pieces, 0);
    forget(world);
    crew_close(crew);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(instances_give_what_one_gives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(some_are_never_divided, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
