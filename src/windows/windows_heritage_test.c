/* windows_heritage_test.c - the first windows of a set that had none: what they know of newest
 * rows from before (windows_inherits), saved and restored, with corrections, and filled with the
 * past.
 */
#include "windows/windows_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "keyed/cells.h"

#define KEY INT64_C(7)
#define SECOND INT64_C(1000000)
#define BEGUN 1000 /* the windows begin behind it */

/* What a plain set kept of the one key. */
static struct {
    int64_t newest_us;
    uint32_t revision;
    bool is_there;
} kept;

static struct {
    arena *arena;
    windows_plan *plan;
    bool expires;
    bool masks; /* windows that are not full are null */
} it;

static freshet_code read_kept(const void *bytes, size_t length, int64_t *newest_us,
                              uint32_t *revision, freshet_error *err)
{
    (void)err;
    assert_int_equal(length, 4);
    assert_memory_equal(bytes, "kept", 4);
    *newest_us = kept.newest_us;
    *revision = kept.revision;
    return FRESHET_OK;
}

static freshet_code load_kept(void *context, const void *key, size_t length, text_buffer *into,
                              freshet_error *err)
{
    (void)context, (void)key, (void)length, (void)err;
    if (!kept.is_there)
        return FRESHET_END;
    text_append_c(into, "kept");
    return FRESHET_OK;
}

static freshet_code load_none(void *context, const void *key, size_t length, text_buffer *into,
                              freshet_error *err)
{
    (void)context, (void)key, (void)length, (void)into, (void)err;
    return FRESHET_END;
}

static void make_plan(bool corrects)
{
    static const type *keys[1];
    static field columns[1];
    static const windows_function functions[] = {{"sum", NULL}};
    static const char *const fixed[] = {"1 day"};
    static const uint32_t carried[] = {0};
    static windows_feature feature;
    keys[0] = type_simple(TYPE_BIGINT);
    columns[0] = (field){"v", type_simple(TYPE_BIGINT)};
    feature = (windows_feature){"f",   0, WINDOWS_NO_FILTER, WINDOW_FIXED, functions, 1,
                                fixed, 1, !it.masks};
    const windows_declaration declaration = {.keys = keys,
                                             .n_keys = 1,
                                             .columns = columns,
                                             .n_columns = 1,
                                             .features = &feature,
                                             .n_features = 1,
                                             .carried = carried,
                                             .n_carried = 1,
                                             .corrects = corrects};
    assert_int_equal(windows_plan_make(it.arena, &declaration, &it.plan, NULL), FRESHET_OK);
}

static windows_state *open_windows(bool inherits)
{
    const windows_options options = {.lateness_s = 3600, .expires = it.expires};
    windows_state *state;
    assert_int_equal(windows_open(it.plan, &options, &state, NULL), FRESHET_OK);
    state_part_set_load(windows_part(state), load_none, NULL);
    if (inherits) {
        windows_inherits(state, read_kept);
        state_part_set_heritage(windows_part(state), load_kept);
        windows_begin(state, BEGUN);
    }
    return state;
}

static int set_up(void **state)
{
    (void)state;
    memset(&it, 0, sizeof it);
    it.arena = arena_open();
    make_plan(false);
    kept.is_there = true;
    kept.newest_us = 900 * SECOND + 500000;
    kept.revision = 5;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_close(it.arena);
    return 0;
}

/* One row with the value v. Its sum and write timestamp are in the result. */
static windows_result apply(windows_state *state, int64_t event_us, int64_t v)
{
    column *columns = arena_zero(it.arena, 2, sizeof *columns);
    windows_result result;
    int64_t *times = arena_zero(it.arena, 1, sizeof *times);
    for (int i = 0; i < 2; i++)
        assert_int_equal(column_init(it.arena, &columns[i], type_simple(TYPE_BIGINT), 1, NULL),
                         FRESHET_OK);
    *(int64_t *)columns[0].data = KEY;
    *(int64_t *)columns[1].data = v;
    *times = event_us;
    const windows_input input = {1, columns, columns + 1, times};
    assert_int_equal(windows_apply(state, &input, it.arena, &result, NULL), FRESHET_OK);
    assert_int_equal(windows_check(state, NULL), FRESHET_OK);
    return result;
}

/* The key's bytes; in the arena. */
static text_buffer save(windows_state *state)
{
    const state_part *part = windows_part(state);
    uint32_t cursor = 0;
    state_key key;
    text_buffer bytes;
    text_init(&bytes, TEXT_LIMIT_DEFAULT);
    assert_true(state_part_next_dirty(part, &cursor, &key));
    assert_int_equal(state_part_save(part, &key, &bytes, NULL), FRESHET_OK);
    return bytes;
}

static void restore(windows_state *state, const text_buffer *bytes)
{
    text_buffer encoded;
    text_init(&encoded, 100);
    column column;
    assert_int_equal(column_init(it.arena, &column, type_simple(TYPE_BIGINT), 1, NULL), FRESHET_OK);
    *(int64_t *)column.data = KEY;
    cells_put(&encoded, &column, 0, true);
    assert_int_equal(state_part_restore(windows_part(state), encoded.bytes, encoded.length,
                                        bytes->bytes, bytes->length, NULL),
                     FRESHET_OK);
    text_release(&encoded);
}

static freshet_code fill(windows_state *state, const text_buffer *bytes, state_fill *out)
{
    text_buffer encoded;
    column column;
    text_init(&encoded, 100);
    assert_int_equal(column_init(it.arena, &column, type_simple(TYPE_BIGINT), 1, NULL), FRESHET_OK);
    *(int64_t *)column.data = KEY;
    cells_put(&encoded, &column, 0, true);
    const state_part *part = windows_part(state);
    assert_int_equal(
        part->ops->fill_open(part->table->options.self, part->layout, 950 * SECOND, NULL),
        FRESHET_OK);
    const freshet_code code = state_part_fill(part, encoded.bytes, encoded.length, bytes->bytes,
                                              bytes->length, out, NULL);
    text_release(&encoded);
    return code;
}

static void older_rows_do_not_become_newest(void **state)
{
    (void)state;
    windows_state *windows = open_windows(true);
    /* late, and late in the newest second: neither is newest, and nothing is given again */
    windows_result result = apply(windows, 800 * SECOND, 1);
    assert_int_equal(result.flags[0], 0);
    assert_int_equal(result.write_us[0], 800 * SECOND);
    assert_int_equal(result.n_refreshed, 0);
    result = apply(windows, 900 * SECOND, 2);
    assert_int_equal(result.flags[0], 0);
    assert_int_equal(result.n_refreshed, 0);
    /* through a checkpoint */
    text_buffer bytes = save(windows);
    windows_close(windows);
    windows = open_windows(true);
    restore(windows, &bytes);
    text_release(&bytes);
    result = apply(windows, 700 * SECOND, 4);
    assert_int_equal(result.flags[0], 0);
    assert_int_equal(result.n_refreshed, 0);
    /* of the same time the later arrival, behind all revisions */
    result = apply(windows, 900 * SECOND + 500000, 8);
    assert_int_equal(result.flags[0], WINDOWS_NEWEST);
    assert_int_equal(result.write_us[0], 900 * SECOND + 9);
    /* that row is known: it is given again */
    result = apply(windows, 800 * SECOND, 16);
    assert_int_equal(result.flags[0], WINDOWS_REFRESHED);
    assert_int_equal(result.n_refreshed, 1);
    assert_int_equal(result.refreshed[0].write_us, 900 * SECOND + 10);
    assert_int_equal(*(int64_t *)result.refreshed_carried[0].data, 8);
    windows_close(windows);
}

static void too_late_for_a_key_that_the_windows_never_saw(void **state)
{
    (void)state;
    windows_state *windows = open_windows(true);
    kept.newest_us = 5000 * SECOND;
    assert_int_equal(apply(windows, 1399 * SECOND, 1).flags[0], WINDOWS_LATE);
    assert_int_equal(apply(windows, 1400 * SECOND, 1).flags[0], 0);
    windows_close(windows);
    kept.is_there = false;
    windows = open_windows(true);
    assert_int_equal(apply(windows, 1 * SECOND, 1).flags[0], WINDOWS_NEWEST);
    windows_close(windows);
}

/* All rows that are there are corrected, the last of them, too: it is not the newest. */
static void corrections_of_rows_before_the_newest(void **state)
{
    (void)state;
    make_plan(true);
    windows_state *windows = open_windows(true);
    apply(windows, 800 * SECOND, 1);
    windows_result result = apply(windows, 700 * SECOND, 2);
    assert_int_equal(result.n_refreshed, 1);
    assert_int_equal(result.refreshed[0].event_us, 800 * SECOND);
    assert_int_equal(result.refreshed[0].flags, 0);
    assert_int_equal(*(int64_t *)result.refreshed_outputs[0].data, 3);
    windows_close(windows);
}

/* What such a row had nobody knows, so it cannot go out once more; later ones can. */
static void no_expiry_of_a_row_that_is_not_known(void **state)
{
    (void)state;
    windows_expired expired;
    it.expires = true;
    windows_state *windows = open_windows(true);
    apply(windows, 850 * SECOND, 1);
    assert_true(windows_expires(windows, 87251));
    assert_int_equal(windows_expire(windows, 87251, 10, it.arena, &expired, NULL), FRESHET_OK);
    assert_int_equal(expired.n, 0);
    apply(windows, 90000 * SECOND, 2);
    assert_int_equal(windows_expire(windows, 200000, 10, it.arena, &expired, NULL), FRESHET_OK);
    assert_int_equal(expired.n, 1);
    assert_int_equal(*(int64_t *)expired.carried[0].data, 2);
    windows_close(windows);
}

/* The state of the past, which ends with that row. */
static text_buffer past_until(int64_t newest_us)
{
    windows_state *windows = open_windows(false);
    apply(windows, 600 * SECOND, 100);
    apply(windows, newest_us, 200);
    text_buffer bytes = save(windows);
    windows_close(windows);
    return bytes;
}

static void filled_with_the_past(void **state)
{
    static const struct {
        int64_t past_us, sum; /* the sum behind a row of 960 */
        state_fill kind;
        bool has_late;    /* a late row came in between */
        bool gives_again; /* a late one behind the fill does */
    } cases[] = {
        {900 * SECOND + 500000, 301, FILL_DONE, false, true},
        {900 * SECOND + 500000, 303, FILL_DONE, true, true},
        /* the row that went out is not in it */
        {899 * SECOND, 1, FILL_SHORT, false, false},
        {899 * SECOND, 3, FILL_SHORT, true, false},
        /* it goes beyond what was known */
        {930 * SECOND, 301, FILL_DONE, false, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_buffer past = past_until(cases[i].past_us);
        windows_state *windows = open_windows(true);
        state_fill kind;
        if (cases[i].has_late)
            apply(windows, 850 * SECOND, 2);
        assert_int_equal(fill(windows, &past, &kind), FRESHET_OK);
        assert_int_equal(kind, cases[i].kind);
        assert_int_equal(windows_check(windows, NULL), FRESHET_OK);
        windows_result result = apply(windows, 870 * SECOND, 0);
        assert_int_equal(result.n_refreshed, cases[i].gives_again);
        if (cases[i].gives_again) {
            assert_int_equal(result.refreshed[0].event_us, cases[i].past_us);
            assert_int_equal(*(int64_t *)result.refreshed_carried[0].data, 200);
            assert_true(cases[i].past_us != kept.newest_us ||
                        result.refreshed[0].write_us > 900 * SECOND + 5);
        }
        result = apply(windows, 960 * SECOND, 1);
        assert_int_equal(result.write_us[0], 960 * SECOND);
        assert_int_equal(*(int64_t *)result.outputs[0].data, cases[i].sum);
        text_release(&past);
        windows_close(windows);
    }
}

/* The row that went out loses to the one that is given again, and that to what comes behind. */
static void filled_rows_are_given_again(void **unused)
{
    (void)unused;
    const windows_options options = {.lateness_s = 3600, .gives_again = true};
    windows_state *windows, *before = open_windows(false);
    windows_expired again;
    state_fill kind;
    apply(before, 900 * SECOND, 1);
    apply(before, 950 * SECOND, 2);
    text_buffer past = save(before);
    assert_int_equal(windows_open(it.plan, &options, &windows, NULL), FRESHET_OK);
    state_part_set_load(windows_part(windows), load_none, NULL);
    windows_begin(windows, BEGUN);
    apply(windows, 1009 * SECOND, 4);
    const windows_result went_out = apply(windows, 1009 * SECOND + 7, 8);
    assert_false(windows_owes_again(windows));
    for (int i = 0; i < 2; i++) { /* what is full is left as it is */
        assert_int_equal(fill(windows, &past, &kind), FRESHET_OK);
        assert_int_equal(kind, i == 0 ? FILL_DONE : FILL_NOTHING);
    }
    assert_true(windows_owes_again(windows));
    assert_int_equal(windows_give_again(windows, 10, it.arena, &again, NULL), FRESHET_OK);
    assert_false(windows_owes_again(windows));
    assert_int_equal(again.n, 1);
    assert_int_equal(((const int64_t *)again.keys[0].data)[0], KEY);
    assert_int_equal(((const int64_t *)again.carried[0].data)[0], 8);
    assert_int_equal(((const int64_t *)again.outputs[0].data)[0], 15);
    assert_int_equal(again.event_us[0], 1009 * SECOND + 7);
    assert_int_equal(again.write_us[0], went_out.write_us[0] + 1);
    const windows_result behind = apply(windows, 1009 * SECOND + 7, 16);
    assert_int_equal(behind.write_us[0], again.write_us[0] + 1);
    text_release(&past);
    windows_close(before);
    windows_close(windows);
}

/* The sum behind a row of 960, null as NONE; the key saved and read again in between. */
#define NONE INT64_MIN
static int64_t sum_behind(windows_state *windows)
{
    const windows_result result = apply(windows, 960 * SECOND, 1);
    return column_is_valid(&result.outputs[0], 0) ? *(int64_t *)result.outputs[0].data : NONE;
}

/* When all keys have been filled, one whose past does not fit still lacks it, whether it has had an
 * event since the change or not. */
static void what_does_not_fit_is_not_filled(void **state)
{
    static const struct {
        int64_t past_us, n_more; /* rows of the past behind that */
        state_fill kind;
        int64_t sum; /* without a late row */
    } cases[] = {
        {899 * SECOND, 0, FILL_SHORT, NONE},
        {900 * SECOND + 500000, 0, FILL_DONE, 301},
        {900 * SECOND + 500000, 1, FILL_DONE, 301},     /* that one the stream will bring */
        {900 * SECOND + 500000, 500, FILL_SHORT, NONE}, /* it has lost all that is of use */
    };
    (void)state;
    it.masks = true;
    make_plan(false);
    for (size_t i = 0; i < 2 * sizeof cases / sizeof *cases; i++) {
        windows_state *before = open_windows(false), *windows = open_windows(true);
        state_fill kind;
        apply(before, 600 * SECOND, 100);
        apply(before, cases[i / 2].past_us, 200);
        for (int64_t k = 0; k < cases[i / 2].n_more; k++)
            apply(before, (900000 + k) * SECOND, 1);
        text_buffer past = save(before);
        if (i % 2 == 1)
            apply(windows, 850 * SECOND, 2);
        assert_int_equal(fill(windows, &past, &kind), FRESHET_OK);
        assert_int_equal(kind, cases[i / 2].kind);
        windows_filled(windows, 1);
        text_buffer bytes = save(windows); /* and read again */
        windows_close(windows);
        windows = open_windows(true);
        restore(windows, &bytes);
        windows_filled(windows, 1);
        assert_int_equal(sum_behind(windows),
                         cases[i / 2].sum == NONE ? NONE : cases[i / 2].sum + (i % 2 == 1 ? 2 : 0));
        text_release(&past);
        text_release(&bytes);
        windows_close(before);
        windows_close(windows);
    }
}

static key_entry *only_entry(const windows_state *windows)
{
    uint32_t cursor = 0;
    const uint32_t index = keyed_next(&windows->keys, &cursor);
    return index == KEY_NONE ? NULL : keyed_at(&windows->keys, index);
}

/* What a past has behind the seam is the stream's to bring: no row of it is a key's newest one. */
static void a_past_beyond_the_seam_gives_no_newest_row(void **state)
{
    static const struct {
        int64_t first_us, own_us, newest_us; /* 0: none */
        bool lacks_newest;
    } cases[] = {
        {600 * SECOND, 0, 600 * SECOND, true},
        {600 * SECOND, 500 * SECOND, 600 * SECOND, true},
        {600 * SECOND, 700 * SECOND, 700 * SECOND, false},
        {1000 * SECOND, 0, 0, false}, /* nothing is known of such a key */
        {1000 * SECOND, 700 * SECOND, 700 * SECOND, false},
    };
    (void)state;
    kept.is_there = false;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        windows_state *before = open_windows(false), *windows = open_windows(true);
        state_fill kind;
        apply(before, cases[i].first_us, 1);
        apply(before, 2000 * SECOND, 2);
        text_buffer past = save(before);
        if (cases[i].own_us > 0)
            apply(windows, cases[i].own_us, 4);
        assert_int_equal(fill(windows, &past, &kind), FRESHET_OK);
        const key_entry *entry = only_entry(windows);
        assert_int_equal(entry != NULL, cases[i].newest_us > 0);
        if (entry != NULL) {
            assert_int_equal(entry->newest_us, cases[i].newest_us);
            assert_int_equal(entry->events.lacks_newest, cases[i].lacks_newest);
        }
        windows_filled(windows, 1);
        const windows_result result = apply(windows, 1500 * SECOND, 8);
        assert_int_equal(result.flags[0], WINDOWS_NEWEST);
        assert_int_equal(*(int64_t *)result.outputs[0].data,
                         8 + (cases[i].first_us < 1000 * SECOND ? 1 : 0) +
                             (cases[i].own_us > 0 ? 4 : 0));
        text_release(&past);
        windows_close(before);
        windows_close(windows);
    }
}

/* Own events of the second of the past's newest row stand behind it, others do not. */
static void own_events_behind_the_newest_row_of_the_past(void **state)
{
    (void)state;
    kept.is_there = false;
    windows_state *before = open_windows(false), *windows = open_windows(true);
    state_fill kind;
    apply(before, 900 * SECOND + 500000, 1);
    text_buffer past = save(before);
    apply(windows, 700 * SECOND, 2);
    apply(windows, 900 * SECOND + 1, 4);
    apply(windows, 800 * SECOND, 8);
    assert_int_equal(fill(windows, &past, &kind), FRESHET_OK);
    assert_int_equal(kind, FILL_DONE);
    assert_int_equal(only_entry(windows)->newest_us, 900 * SECOND + 500000);
    assert_int_equal(only_entry(windows)->newest_back, 1);
    assert_int_equal(only_entry(windows)->revision, 3);
    text_release(&past);
    windows_close(before);
    windows_close(windows);
}

static void what_windows_saved_tells_newest_rows(void **state)
{
    (void)state;
    windows_state *windows = open_windows(true);
    apply(windows, 900 * SECOND + 500001, 2);
    apply(windows, 800 * SECOND, 1);
    text_buffer bytes = save(windows);
    int64_t newest_us;
    uint32_t revision;
    assert_int_equal(windows_newest_of(bytes.bytes, bytes.length, &newest_us, &revision, NULL),
                     FRESHET_OK);
    assert_int_equal(newest_us, 900 * SECOND + 500001);
    assert_int_equal(revision, 7);
    for (size_t length = 0; length < bytes.length; length++)
        assert_int_equal(windows_newest_of(bytes.bytes, length, &newest_us, &revision, NULL),
                         FRESHET_FAILED);
    bytes.bytes[bytes.length - 1] ^= 1;
    assert_int_equal(windows_newest_of(bytes.bytes, bytes.length, &newest_us, &revision, NULL),
                     FRESHET_FAILED);
    text_release(&bytes);
    windows_close(windows);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(older_rows_do_not_become_newest),
        TEST(too_late_for_a_key_that_the_windows_never_saw),
        TEST(corrections_of_rows_before_the_newest),
        TEST(no_expiry_of_a_row_that_is_not_known),
        TEST(filled_with_the_past),
        TEST(filled_rows_are_given_again),
        TEST(what_does_not_fit_is_not_filled),
        TEST(a_past_beyond_the_seam_gives_no_newest_row),
        TEST(own_events_behind_the_newest_row_of_the_past),
        TEST(what_windows_saved_tells_newest_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
