/* suite.h - tests beside a declaration: rows in, expected rows out, with a clock of their own.
 *
 * A file with tests is a declaration with `tests:`, or a NAME.test.yaml that names its declaration.
 * Each test runs that declaration on the pipeline's own loop, as `freshet run` does, but for three
 * things: readers read the test's rows from files in a folder made for it (suite_stage.c), the
 * debug table stands in for all writers, and the clock is the test's (suite_clock.c). What came out
 * is then compared (suite_compare.c), and may be written into the file in the place of what was
 * expected (suite_update.c).
 *
 *   suite_has_tests and suite_run_file, in any order
 *
 * One thread, one suite at a time: the clock is the process's.
 */
#ifndef FRESHET_SUITE_SUITE_H
#define FRESHET_SUITE_SUITE_H

#include <freshet/freshet.h>

#include "base/text.h"

/* What became of one test; `text` says why it did not pass. Lives for the call. */
typedef struct suite_outcome {
    const char *file;
    const char *name;
    bool passed;
    bool updated; /* it did not pass, and the file says now what came out */
    const char *text;
    int64_t took_us;
} suite_outcome;

typedef struct suite_settings {
    const char *filter; /* only tests whose name holds this; NULL: all */
    bool update;
    freshet_problem_fn *problem; /* gets the problems of files */
    void (*outcome)(void *context, const suite_outcome *outcome);
    void *context; /* of both */
} suite_settings;

/* Runs the tests of a file. FRESHET_BAD_DECLARATION where the file, its declaration or a test in it
 * is none; then its other tests are not run. FRESHET_OK where tests failed: `outcome` was told.
 * `settings->update` changes the file once all of its tests have run. */
freshet_code suite_run_file(const char *path, const suite_settings *settings, uint32_t *n_tests,
                            freshet_error *err);

/* The test that runs is given up, as one that fails, and leaves no folder behind; no other begins.
 * Safe in a signal handler; for the rest of the process. */
void suite_stop(void);
bool suite_is_stopped(void);

/* True for a file whose name or content says that it holds tests. */
bool suite_has_tests(const char *path);

#endif
