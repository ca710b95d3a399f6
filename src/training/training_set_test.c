/* The call itself: its stop, what it says and leaves. The join is tested from outside, beside a
 * plain form (tests/e2e/training_set_test.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <freshet/freshet.h>
#include <stdatomic.h>

#include "sql/sql.h"

typedef struct rig {
    char folder[64], spine[96], history[96], output[96], work[104];
    const char *from[2], *keys[2];
    uint32_t n_said;
    char said[200];
    atomic_uint n_asked;
    unsigned stop_at; /* the question that is answered with yes, and all behind it; 0: none */
} rig;

static void rig_say(void *context, const char *sentence)
{
    rig *rig = context;
    rig->n_said++;
    snprintf(rig->said, sizeof rig->said, "%s", sentence);
}

static bool rig_cancelled(void *context)
{
    rig *rig = context;
    const unsigned n = atomic_fetch_add(&rig->n_asked, 1) + 1;
    return rig->stop_at > 0 && n >= rig->stop_at;
}

/* 20,000 rows of history and of a spine. */
static int rig_open(void **state)
{
    static rig rig;
    sql_engine *engine = NULL;
    sql_session *session = NULL;
    const sql_options options = {.external_access = true};
    char copy[600];
    rig = (struct rig){.folder = "/tmp/freshet-training-XXXXXX"};
    assert_non_null(mkdtemp(rig.folder));
    snprintf(rig.spine, sizeof rig.spine, "%s/spine.parquet", rig.folder);
    snprintf(rig.history, sizeof rig.history, "%s/h.parquet", rig.folder);
    snprintf(rig.output, sizeof rig.output, "%s/o.parquet", rig.folder);
    snprintf(rig.work, sizeof rig.work, "%s.freshet", rig.output);
    rig.from[0] = rig.history;
    rig.keys[0] = "h=id";
    assert_int_equal(sql_open(&options, &engine, NULL), FRESHET_OK);
    assert_int_equal(sql_session_open(engine, &session, NULL), FRESHET_OK);
    snprintf(
        copy, sizeof copy,
        "COPY (SELECT i AS id, make_timestamp(i) AS timestamp, i * 2 AS twice FROM "
        "range(20000) t(i)) TO '%s' (FORMAT parquet); COPY (SELECT i AS id, make_timestamp(i + "
        "i %% 2 - 1) AS timestamp FROM range(20000) t(i)) TO '%s' (FORMAT parquet)",
        rig.history, rig.spine);
    assert_int_equal(sql_execute(session, copy, NULL, NULL), FRESHET_OK);
    sql_session_close(session);
    sql_close(engine);
    *state = &rig;
    return 0;
}

static int rig_close(void **state)
{
    rig *rig = *state;
    unlink(rig->spine);
    unlink(rig->history);
    unlink(rig->output);
    return rmdir(rig->folder);
}

static freshet_training_options rig_options(rig *rig)
{
    return (freshet_training_options){.size = sizeof(freshet_training_options),
                                      .spine = rig->spine,
                                      .output = rig->output,
                                      .from = rig->from,
                                      .keys = rig->keys,
                                      .say = rig_say,
                                      .cancelled = rig_cancelled,
                                      .context = rig};
}

static void test_whole(void **state)
{
    rig *rig = *state;
    const freshet_training_options options = rig_options(rig);
    freshet_error err = {0};
    if (freshet_training_set(&options, &err) != FRESHET_OK)
        fail_msg("%s", err.text);
    assert_int_equal(rig->n_said, 2);
    assert_non_null(strstr(rig->said, "o.parquet: 20,000 rows"));
    assert_int_equal(access(rig->output, F_OK), 0);
    assert_int_not_equal(access(rig->work, F_OK), 0);
}

/* Wherever it is stopped, nothing is left; as often as it can be, it is asked. */
static void test_stopped(void **state)
{
    rig *rig = *state;
    const freshet_training_options options = rig_options(rig);
    unsigned n_stopped = 0;
    freshet_code code = FRESHET_TRY_AGAIN;
    for (rig->stop_at = 1; code != FRESHET_OK; rig->stop_at += rig->stop_at / 2 + 1) {
        atomic_store(&rig->n_asked, 0);
        code = freshet_training_set(&options, NULL);
        assert_true(code == FRESHET_OK || code == FRESHET_TRY_AGAIN);
        assert_int_equal(access(rig->output, F_OK) == 0, code == FRESHET_OK);
        assert_int_not_equal(access(rig->work, F_OK), 0);
        n_stopped += code == FRESHET_TRY_AGAIN;
    }
    assert_true(n_stopped > 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_whole, rig_open, rig_close),
        cmocka_unit_test_setup_teardown(test_stopped, rig_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
