/* reader_conformance_testing.h - what reader.h promises, as tests that any reader gets by one line:
 *
 *     static const conformance mine = {.name = "mine", .make = make_mine, .n_rows = 20};
 *     ... const struct CMUnitTest tests[] = {READER_CONFORMANCE(mine)}; ...
 *
 * `make` gives a rig (reader_testing.h) over the same `n_rows` rows and bad records each time, in
 * the mode READ_ALL and of at least two columns. `fault`, where there is one, makes the k-th thing
 * that the reader asks of the outside fail, once.
 */
#ifndef FRESHET_READERS_READER_CONFORMANCE_TESTING_H
#define FRESHET_READERS_READER_CONFORMANCE_TESTING_H

#include "readers/reader_testing.h"

#define CONFORMANCE_POLLS_MAX \
    10000 /* without a row, waiting included: more is a reader that hangs */

typedef struct conformance {
    const char *name;
    uint32_t n_rows; /* bad records included */
    rig *(*make)(void);
    void (*free)(rig *rig);
    void (*fault)(rig *rig, unsigned k);
    bool fault_passes; /* what fails is tried again within: no poll need tell of it */
} conformance;

/* To the end; `limit` rows a poll at most. */
static inline freshet_code conformance_read(rig *rig, uint32_t limit, size_t max_bytes)
{
    unsigned idle = 0;
    freshet_code code = FRESHET_OK;

    while (code == FRESHET_OK) {
        uint32_t before = rig->n_rows + rig->n_rejects;
        code = rig_poll(rig, limit, max_bytes);
        idle = rig->n_rows + rig->n_rejects > before ? 0 : idle + 1;
        assert_true(idle < CONFORMANCE_POLLS_MAX);
        if (code == FRESHET_OK && !rig->more)
            rig_wait(rig);
    }
    return code;
}

static inline void conformance_read_well(rig *rig, uint32_t limit, size_t max_bytes)
{
    if (conformance_read(rig, limit, max_bytes) != FRESHET_END)
        fail_msg("%s: %s", rig->err.at, rig->err.text);
}

/* All that a reader gives: rows, and then reasons. The caller frees it. */
static inline char *conformance_given(const rig *rig)
{
    size_t n = rig->rows.length, m = rig->reasons.length;
    char *all = malloc(n + m + 1);

    assert_non_null(all);
    if (n > 0)
        memcpy(all, rig->rows.bytes, n);
    if (m > 0)
        memcpy(all + n, rig->reasons.bytes, m);
    all[n + m] = '\0';
    return all;
}

static inline char *conformance_whole(const conformance *it)
{
    rig *rig = it->make();
    rig_open(rig);
    conformance_read_well(rig, BATCH_ROWS_MAX, SIZE_MAX);
    if (rig->n_rows + rig->n_rejects != it->n_rows)
        fail_msg("%s gives %u rows and %u rejects", it->name, rig->n_rows, rig->n_rejects);
    char *all = conformance_given(rig);
    it->free(rig);
    return all;
}

static inline void conformance_compare(const rig *rig, const char *whole)
{
    char *all = conformance_given(rig);

    assert_string_equal(all, whole);
    free(all);
}

/* describe, open, {poll, positions}, close: also without some of these, and again. */
static inline void reader_keeps_the_order_of_calls(void **state)
{
    const conformance *it = *state;
    char *whole = conformance_whole(it);
    rig *rig = it->make();
    reader_positions none;

    assert_int_equal(rig_describe(rig), FRESHET_OK);
    assert_true(rig->reader->schema.n_fields >= 2);
    rig_close(rig); /* described only */
    rig_open(rig);
    rig_close(rig); /* not read */
    rig_open(rig);
    rig_poll(rig, 1, SIZE_MAX);
    rig_close(rig); /* in the middle */
    rig_forget(rig);
    rig_open(rig);
    conformance_read_well(rig, BATCH_ROWS_MAX, SIZE_MAX);
    conformance_compare(rig, whole);
    rig_keep_positions(rig);
    assert_int_equal(rig->ops->positions(rig->reader, rig->kept, false, &none, NULL), FRESHET_OK);
    assert_int_equal(none.n, 0);  /* nothing has moved since */
    rig->ops->close(rig->reader); /* and the same described reader opens again */
    assert_int_equal(rig->ops->open(rig->reader, &rig->positions, &rig->err), FRESHET_OK);
    conformance_read_well(rig, BATCH_ROWS_MAX, SIZE_MAX);
    conformance_compare(rig, whole);
    it->free(rig);
    free(whole);
}

/* Positions saved after any poll: a reader that is opened there gives the rest, no row twice and
 * none lost. */
static inline void reader_goes_on_at_its_positions(void **state)
{
    const conformance *it = *state;
    char *whole = conformance_whole(it);

    for (uint32_t stop = 0; stop <= it->n_rows; stop++) {
        rig *rig = it->make();
        rig_open(rig);
        while (rig->n_rows + rig->n_rejects < stop && !rig->ended) {
            freshet_code code = rig_poll(rig, stop - rig->n_rows - rig->n_rejects, SIZE_MAX);
            assert_true(code == FRESHET_OK || code == FRESHET_END);
            if (!rig->ended && !rig->more)
                rig_wait(rig);
        }
        rig_reopen(rig);
        conformance_read_well(rig, BATCH_ROWS_MAX, SIZE_MAX);
        conformance_compare(rig, whole);
        it->free(rig);
    }
    free(whole);
}

/* ... and after every poll. */
static inline void reader_goes_on_at_each_position(void **state)
{
    const conformance *it = *state;
    char *whole = conformance_whole(it);
    rig *rig = it->make();
    unsigned idle = 0;

    rig_open(rig);
    while (!rig->ended) {
        uint32_t before = rig->n_rows + rig->n_rejects;
        freshet_code code = rig_poll(rig, 3, SIZE_MAX);
        assert_true(code == FRESHET_OK || code == FRESHET_END);
        if (rig->n_rows + rig->n_rejects > before && !rig->ended)
            rig_reopen(rig);
        else if (!rig->ended)
            rig_wait(rig);
        assert_true(idle++ < CONFORMANCE_POLLS_MAX);
    }
    conformance_compare(rig, whole);
    it->free(rig);
    free(whole);
}

static inline void reader_keeps_its_limits(void **state)
{
    static const uint32_t rows[] = {1, 2, 3, 7, BATCH_ROWS_MAX};
    const conformance *it = *state;
    char *whole = conformance_whole(it);

    for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
        rig *rig = it->make();
        rig_open(rig);
        if (i % 2 == 0) { /* rows: rig_poll looks at each poll */
            conformance_read_well(rig, rows[i / 2], SIZE_MAX);
        } else { /* bytes: a record or two over is fine, all at once is not */
            while (rig->n_rows + rig->n_rejects == 0)
                assert_int_equal(rig_poll(rig, BATCH_ROWS_MAX, 1), FRESHET_OK);
            assert_true(rig->n_rows + rig->n_rejects <= 2);
            conformance_read_well(rig, BATCH_ROWS_MAX, 100);
        }
        conformance_compare(rig, whole);
        it->free(rig);
    }
    free(whole);
}

/* The k-th call of the system fails, for each k: every row comes once all the same, whether polled
 * again or opened again at the positions. */
static inline void reader_survives_failures(void **state)
{
    const conformance *it = *state;
    char *whole;
    unsigned failed = 0;

    if (it->fault == NULL)
        skip();
    whole = conformance_whole(it);
    for (unsigned k = 0; k < 24; k++) {
        rig *rig = it->make();
        rig_open(rig);
        it->fault(rig, k / 2);
        freshet_code code = conformance_read(rig, 3, SIZE_MAX);
        os_restore();
        failed += code != FRESHET_END;
        if (code != FRESHET_END && k % 2 == 0)
            rig_reopen(rig);
        if (code != FRESHET_END)
            conformance_read_well(rig, 3, SIZE_MAX);
        conformance_compare(rig, whole);
        it->free(rig);
        rig = it->make(); /* close after the failure */
        if (rig_try_open(rig) == FRESHET_OK) {
            it->fault(rig, k / 2);
            rig_poll(rig, 1, SIZE_MAX);
        }
        it->free(rig);
    }
    assert_true(failed > 0 || it->fault_passes);
    free(whole);
}

static inline void reader_leaves_unused_columns_null(void **state)
{
    const conformance *it = *state;
    rig *rig = it->make();
    bool used[16] = {false, true, true, true, true, true, true, true,
                     true,  true, true, true, true, true, true, true};
    char first[160];

    rig->used = used;
    rig_open(rig);
    assert_true(rig->reader->schema.n_fields <= 16);
    snprintf(first, sizeof first, "{\"%s\":null,\"%s\":", rig->reader->schema.fields[0].name,
             rig->reader->schema.fields[1].name);
    conformance_read_well(rig, 7, SIZE_MAX);
    uint32_t n = 0, n_others = 0;
    for (const char *at = rig->rows.bytes; (at = strstr(at, first)) != NULL; at++) {
        n++;
        n_others += strncmp(at + strlen(first), "null", 4) != 0;
    }
    assert_true(n > 0);
    assert_int_equal(n, rig->n_rows);
    assert_true(n_others > 0);
    it->free(rig);
}

#define READER_CONFORMANCE_TEST(TEST, X)              \
    {                                                 \
#TEST ": " #X, TEST, NULL, NULL, (void *)&(X) \
    }
#define READER_CONFORMANCE(X)                                        \
    READER_CONFORMANCE_TEST(reader_keeps_the_order_of_calls, X),     \
        READER_CONFORMANCE_TEST(reader_goes_on_at_its_positions, X), \
        READER_CONFORMANCE_TEST(reader_goes_on_at_each_position, X), \
        READER_CONFORMANCE_TEST(reader_keeps_its_limits, X),         \
        READER_CONFORMANCE_TEST(reader_survives_failures, X),        \
        READER_CONFORMANCE_TEST(reader_leaves_unused_columns_null, X)

#endif
