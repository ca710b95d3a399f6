/* expiry_test.c - keys that lose events while none come, against a naive twin: random streams in
 * random pieces, with keys that go cold and states that are restored from what was saved: with all
 * keys in memory that lose events, and with a list by which they are found. Then keys leave, and
 * states are restored, in the middle of an expiry, too.
 *
 * FRESHET_PIPELINES=n runs n pipelines instead of PIPELINES; FRESHET_SEED=s runs the one of seed s.
 */
#include "windows/expiry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random_testing.h"
#include "windows/windows_state.h"

#define PIPELINES 600u
#define KEYS 12u
#define EVENTS_MAX 400u
#define WINDOWS 3u
#define LIST_MAX 4096u

static const char *const spans[] = {"1 second", "10 seconds", "2 minutes"};
static const int64_t lengths[WINDOWS] = {1, 10, 120};

typedef struct twin {
    int64_t seconds[EVENTS_MAX];
    int64_t values[EVENTS_MAX];
    uint32_t n;
    int64_t newest_s;
    int64_t newest_value; /* of the later arrival */
    int64_t out_s;        /* the second of its last expiry */
    int64_t expected_s;   /* that of the one under way; INT64_MIN: none */
    char *saved;
    size_t saved_length;
} twin;

typedef struct listed {
    int64_t second, id;
} listed;

typedef struct pipeline {
    uint64_t random, seed;
    bool lists;
    listed list[LIST_MAX]; /* in their order */
    uint32_t n_listed;
    listed brought; /* up to which they have been brought */
    arena *arena;
    windows_plan *plan;
    windows_state *state;
    int64_t lateness_s, newest_s;
    twin twins[KEYS];
} pipeline;

static uint64_t draw(pipeline *p, uint64_t below)
{
    p->random ^= p->random << 13;
    p->random ^= p->random >> 7;
    p->random ^= p->random << 17;
    return p->random % below;
}

static void make_plan(pipeline *p)
{
    static const type *keys[1];
    static field fields[1];
    static windows_function functions[] = {{"count", "count"}, {"sum", "sum"}};
    static windows_feature features[2];
    static const uint32_t carried[] = {0};
    static const char *const rows[] = {"3 events"};
    keys[0] = type_simple(TYPE_BIGINT);
    fields[0] = (field){"x", type_simple(TYPE_BIGINT)};
    features[0] = (windows_feature){.name = "f",
                                    .filter = WINDOWS_NO_FILTER,
                                    .functions = functions,
                                    .n_functions = 2,
                                    .windows = spans,
                                    .n_windows = WINDOWS};
    features[1] = (windows_feature){.name = "r",
                                    .filter = WINDOWS_NO_FILTER,
                                    .mode = WINDOW_ROWS,
                                    .functions = functions,
                                    .n_functions = 1,
                                    .windows = rows,
                                    .n_windows = 1};
    windows_declaration declaration = {.keys = keys,
                                       .n_keys = 1,
                                       .columns = fields,
                                       .n_columns = 1,
                                       .features = features,
                                       .n_features = 2,
                                       .carried = carried,
                                       .n_carried = 1};
    assert_int_equal(windows_plan_make(p->arena, &declaration, &p->plan, NULL), FRESHET_OK);
}

/* ---- saving ---------------------------------------------------------------------------------- */

static freshet_code load_key(void *context, const void *key, size_t length, text_buffer *into,
                             freshet_error *err)
{
    const pipeline *p = context;
    int64_t id;
    (void)err;
    assert_int_equal(length, 9);
    memcpy(&id, (const char *)key + 1, sizeof id);
    if (p->twins[id].saved == NULL)
        return FRESHET_END;
    text_append(into, p->twins[id].saved, p->twins[id].saved_length);
    return FRESHET_OK;
}

static bool is_before(listed a, listed b)
{
    return a.second != b.second ? a.second < b.second : a.id < b.id;
}

static void list_key(pipeline *p, listed key)
{
    uint32_t at = 0;
    while (at < p->n_listed && is_before(p->list[at], key))
        at++;
    if (at < p->n_listed && !is_before(key, p->list[at]))
        return;
    assert_true(p->n_listed < LIST_MAX);
    memmove(&p->list[at + 1], &p->list[at], (p->n_listed - at) * sizeof *p->list);
    p->list[at] = key;
    p->n_listed++;
}

/* As checkpoint_bring does it. */
static freshet_code bring_keys(void *context, uint32_t piece, int64_t until, uint32_t most,
                               uint32_t *n, freshet_error *err)
{
    pipeline *p = context;
    const state_part *part = windows_part(p->state);
    (void)err, (void)piece;
    most = most < 3 ? most : 3;
    for (uint32_t i = 0; i < p->n_listed && *n < most && p->list[i].second <= until; i++) {
        char key[9] = {1};
        if (!is_before(p->brought, p->list[i]))
            continue;
        p->brought = p->list[i];
        ++*n;
        const twin *twin = &p->twins[p->list[i].id];
        memcpy(key + 1, &p->list[i].id, sizeof p->list[i].id);
        if (!state_part_has(part, key, sizeof key))
            assert_int_equal(
                state_part_restore(part, key, sizeof key, twin->saved, twin->saved_length, NULL),
                FRESHET_OK);
    }
    if (*n == 0)
        p->brought = (listed){until + 1, -1};
    return FRESHET_OK;
}

static void open_state(pipeline *p)
{
    windows_options options = {.lateness_s = p->lateness_s, .expires = true};
    assert_int_equal(windows_open(p->plan, &options, &p->state, NULL), FRESHET_OK);
    state_part_set_load(windows_part(p->state), load_key, p);
    if (p->lists)
        state_part_set_bring(windows_part(p->state), bring_keys);
    p->brought = (listed){INT64_MIN, -1};
}

static void save_all(pipeline *p)
{
    state_key key;
    uint32_t cursor = 0;
    while (state_part_next_dirty(windows_part(p->state), &cursor, &key)) {
        text_buffer bytes;
        int64_t id;
        text_init(&bytes, TEXT_LIMIT_DEFAULT);
        memcpy(&id, (const char *)key.bytes + 1, sizeof id);
        assert_int_equal(state_part_save(windows_part(p->state), &key, &bytes, NULL), FRESHET_OK);
        p->twins[id].saved = arena_copy(p->arena, bytes.bytes, bytes.length);
        p->twins[id].saved_length = bytes.length;
        text_release(&bytes);
        listed listed = {.id = id};
        const state_part *part = windows_part(p->state);
        if (p->lists && part->ops->listed(p->state, key.index, 0, &listed.second))
            list_key(p, listed);
    }
    state_part_clean(windows_part(p->state));
}

/* owed_s: INT64_MIN where nothing is. */
static void restart(pipeline *p, int64_t owed_s)
{
    const int64_t settled_s = windows_settled(p->state);
    windows_close(p->state);
    open_state(p);
    windows_settle(p->state, settled_s);
    windows_owe(p->state, owed_s);
    for (int64_t id = 0; id < KEYS && !p->lists; id++) {
        char key[9] = {1};
        if (p->twins[id].saved == NULL)
            continue;
        memcpy(key + 1, &id, sizeof id);
        assert_int_equal(state_part_restore(windows_part(p->state), key, sizeof key,
                                            p->twins[id].saved, p->twins[id].saved_length, NULL),
                         FRESHET_OK);
    }
}

/* What of the list is behind the keys that were brought goes with a checkpoint. */
static void sweep(pipeline *p)
{
    uint32_t n = 0;
    while (n < p->n_listed && !is_before(p->brought, p->list[n]))
        n++;
    memmove(p->list, &p->list[n], (p->n_listed - n) * sizeof *p->list);
    p->n_listed -= n;
}

static void disturb(pipeline *p, int64_t owed_s)
{
    state_key key;
    if (owed_s == INT64_MIN)
        sweep(p);
    save_all(p);
    if (draw(p, 2) == 0)
        restart(p, owed_s);
    for (uint64_t n = draw(p, KEYS); n > 0 && state_part_next_cold(windows_part(p->state), &key);
         n--)
        state_part_drop(windows_part(p->state), &key);
    assert_int_equal(windows_check(p->state, NULL), FRESHET_OK);
}

/* ---- the twin -------------------------------------------------------------------------------- */

static void twin_add(twin *twin, int64_t second, int64_t value)
{
    if (twin->n == 0 || second >= twin->newest_s) {
        twin->newest_s = second;
        twin->newest_value = value;
    }
    twin->seconds[twin->n] = second;
    twin->values[twin->n++] = value;
}

/* The last second up to `settled` in which it lost an event, if that has not been output. */
static int64_t twin_loss(const twin *twin, int64_t settled_s)
{
    int64_t last_s = INT64_MIN;
    for (uint32_t i = 0; i < twin->n; i++)
        for (uint32_t w = 0; w < WINDOWS; w++) {
            const int64_t lost_s = twin->seconds[i] + lengths[w] + 1;
            if (lost_s > twin->newest_s && lost_s <= settled_s && lost_s > last_s)
                last_s = lost_s;
        }
    return twin->n == 0 || last_s <= twin->out_s ? INT64_MIN : last_s;
}

static void check_outputs(pipeline *p, const windows_expired *out, uint32_t row, const twin *twin)
{
    for (uint32_t w = 0; w < WINDOWS; w++) {
        int64_t count = 0, sum = 0;
        for (uint32_t i = 0; i < twin->n; i++)
            if (twin->seconds[i] >= twin->expected_s - lengths[w]) {
                count++;
                sum += twin->values[i];
            }
        const column *sums = &out->outputs[WINDOWS + w];
        const int64_t counted = ((const int64_t *)out->outputs[w].data)[row];
        const int64_t summed = ((const int64_t *)sums->data)[row];
        if (counted != count || column_is_valid(sums, row) != (count > 0) ||
            (count > 0 && summed != sum))
            fail_msg("seed %llu: over %s at %lld: %lld rows, sum %lld, and not %lld, %lld",
                     (unsigned long long)p->seed, spans[w], (long long)twin->expected_s,
                     (long long)counted, (long long)summed, (long long)count, (long long)sum);
    }
    /* rows do not leave row windows by time */
    assert_int_equal(((const int64_t *)out->outputs[2 * WINDOWS].data)[row],
                     twin->n < 3 ? twin->n : 3);
    assert_int_equal(((const int64_t *)out->carried[0].data)[row], twin->newest_value);
    assert_int_equal(out->event_us[row], twin->expected_s * 1000000);
    assert_int_equal(out->write_us[row], twin->expected_s * 1000000 - 1);
}

static void expire(pipeline *p)
{
    const int64_t settled_s = p->newest_s - p->lateness_s;
    uint32_t expected = 0, n = 0;
    for (uint32_t key = 0; key < KEYS; key++) {
        p->twins[key].expected_s = twin_loss(&p->twins[key], settled_s);
        expected += p->twins[key].expected_s != INT64_MIN;
    }
    assert_int_equal(windows_reach(p->state, settled_s, NULL), FRESHET_OK);
    while (windows_expires(p->state, settled_s)) {
        windows_expired out;
        if (p->lists && draw(p, 3) == 0)
            disturb(p, settled_s);
        assert_int_equal(
            windows_expire(p->state, settled_s, 1 + (uint32_t)draw(p, KEYS), p->arena, &out, NULL),
            FRESHET_OK);
        for (uint32_t row = 0; row < out.n; row++, n++) {
            twin *twin = &p->twins[((const int64_t *)out.keys[0].data)[row]];
            if (twin->expected_s == INT64_MIN)
                fail_msg("seed %llu: an expiry that is none", (unsigned long long)p->seed);
            check_outputs(p, &out, row, twin);
            twin->out_s = twin->expected_s;
            twin->expected_s = INT64_MIN;
        }
    }
    if (n != expected)
        fail_msg("seed %llu: %u expiries, and not %u", (unsigned long long)p->seed, n, expected);
}

/* ---- running --------------------------------------------------------------------------------- */

static void apply(pipeline *p, uint32_t n, int64_t step_s)
{
    column keys[1], columns[1];
    int64_t event_us[16];
    windows_result result;
    assert_int_equal(column_init(p->arena, keys, type_simple(TYPE_BIGINT), n, NULL), FRESHET_OK);
    assert_int_equal(column_init(p->arena, columns, type_simple(TYPE_BIGINT), n, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < n; i++) {
        const int64_t id = (int64_t)draw(p, 1 + draw(p, KEYS)), value = (int64_t)draw(p, 1000);
        int64_t second = p->newest_s + (int64_t)draw(p, (uint64_t)step_s + 1);
        if (draw(p, 3) == 0)
            second = p->newest_s - (int64_t)draw(p, (uint64_t)p->lateness_s + 1);
        if (second > p->newest_s)
            p->newest_s = second;
        event_us[i] = second * 1000000;
        ((int64_t *)keys[0].data)[i] = id;
        ((int64_t *)columns[0].data)[i] = value;
        twin_add(&p->twins[id], second, value);
    }
    const windows_input input = {n, keys, columns, event_us};
    windows_hold(p->state, p->newest_s - p->lateness_s);
    assert_int_equal(windows_apply(p->state, &input, p->arena, &result, NULL), FRESHET_OK);
    for (uint32_t i = 0; i < n; i++)
        assert_int_equal(result.flags[i] & WINDOWS_LATE, 0);
}

static void run_pipeline(uint64_t seed)
{
    pipeline *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->arena = arena_open();
    p->seed = seed;
    p->random = seed * UINT64_C(0x9E3779B97F4A7C15) + 1;
    p->lists = draw(p, 2) == 0;
    p->lateness_s = (int64_t[]){0, 3, 40}[draw(p, 3)];
    const int64_t step_s = (int64_t[]){0, 2, 20, 300}[draw(p, 4)];
    for (uint32_t key = 0; key < KEYS; key++)
        p->twins[key].out_s = INT64_MIN;
    make_plan(p);
    open_state(p);
    for (uint32_t n = 0, piece; n + 16 < EVENTS_MAX; n += piece) {
        piece = 1 + (uint32_t)draw(p, 16);
        apply(p, piece, step_s);
        if (draw(p, 3) > 0)
            expire(p);
        if (draw(p, 4) == 0) {
            expire(p);
            disturb(p, INT64_MIN);
        }
    }
    windows_close(p->state);
    arena_close(p->arena);
    free(p);
}

static void keys_expire_as_their_twins(void **state)
{
    (void)state;
    random_seeds(run_pipeline, PIPELINES, "FRESHET_PIPELINES");
}

/* An earlier time counts; a later one does not; each comes once. */
static void times_come_in_their_order(void **state)
{
    memory memory = {.fail_after = -1};
    expiry expiry = {.memory = &memory};
    due time;
    (void)state;
    assert_false(expiry_due(&expiry, INT64_MAX));
    for (uint32_t i = 0; i < 5000; i++)
        assert_true(expiry_set(&expiry, i, (int64_t)(i * UINT64_C(7919) % 5003)));
    assert_true(expiry_set(&expiry, 7, -5) && expiry_set(&expiry, 8, 100000));
    assert_true(expiry_set(&expiry, 9, EXPIRY_NEVER));
    assert_int_equal(expiry_of(&expiry, 7), -5);
    assert_int_equal(expiry_of(&expiry, 5000), EXPIRY_NEVER);
    assert_false(expiry_take(&expiry, -6, &time));
    int64_t before = INT64_MIN;
    uint32_t n = 0;
    for (; expiry_take(&expiry, 5003, &time); n++) {
        assert_true(time.at >= before);
        before = time.at;
        assert_true(n > 0 || time.item == 7);
    }
    assert_int_equal(n, 5000);
    expiry_release(&expiry);
    assert_int_equal(memory.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_come_in_their_order),
        cmocka_unit_test(keys_expire_as_their_twins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
