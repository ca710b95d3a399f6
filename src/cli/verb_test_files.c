/* verb_test_files.c - freshet test PATH: the tests beside declarations, and a report of them. */
#define _GNU_SOURCE /* nftw */
#include <errno.h>
#include <ftw.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/log.h"
#include "cli/cli.h"
#include "operate/signals.h"
#include "suite/suite.h"

#define TEST_FILES_MAX 10000u

typedef struct test_arguments {
    const char *path;
    const char *filter;
    const char *junit;
    bool update;
} test_arguments;

static const argument test_options[] = {
    {ARGUMENT("filter", TEXT, test_arguments, filter), .value = "TEXT",
     .doc = "only tests whose name holds this text"},
    {ARGUMENT("update", FLAG, test_arguments, update),
     .doc = "write what came out into the files, in the place of what was expected"},
    {ARGUMENT("junit", TEXT, test_arguments, junit), .value = "FILE",
     .doc = "write a report in JUnit's XML, for CI"},
    {.name = NULL},
};

/* ---- the files --------------------------------------------------------------------------------*/

static struct {
    char *paths[TEST_FILES_MAX];
    uint32_t n;
    bool failed;
    bool unread; /* some folder could not be looked into, which was told */
} found;         /* nftw hands nothing on */

static int note_file(const char *path, const struct stat *status, int kind, struct FTW *at)
{
    struct stat target;
    (void)status;
    if (kind == FTW_SL && stat(path, &target) == 0 && S_ISREG(target.st_mode))
        kind = FTW_F; /* folders behind a link are not followed: they might come back here */
    if ((kind == FTW_D || kind == FTW_DNR) && at->level > 0 && path[at->base] == '.')
        return kind == FTW_D ? FTW_SKIP_SUBTREE : FTW_CONTINUE;
    if (kind == FTW_DNR) {
        freshet_error problem = {0};
        errno = EACCES;
        error_system(&problem, "cannot look for tests in", path);
        report_error(&problem);
        found.unread = true;
    }
    if (kind != FTW_F || !suite_has_tests(path) || found.n == TEST_FILES_MAX)
        return FTW_CONTINUE;
    found.paths[found.n] = strdup(path);
    found.failed = found.failed || found.paths[found.n] == NULL;
    found.n += found.paths[found.n] != NULL;
    return FTW_CONTINUE;
}

static int test_by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static freshet_code find_files(const char *path, freshet_error *err)
{
    struct stat status;
    if (stat(path, &status) != 0)
        return error_system(err, "cannot open", path);
    if (!S_ISDIR(status.st_mode)) {
        found.paths[found.n++] = strdup(path);
        return found.paths[0] == NULL ? error_memory(err, "looking for tests") : FRESHET_OK;
    }
    if (nftw(path, note_file, 16, FTW_ACTIONRETVAL | FTW_PHYS) != 0)
        return error_system(err, "cannot look for tests in", path);
    qsort(found.paths, found.n, sizeof *found.paths, test_by_name);
    if (found.failed)
        return error_memory(err, "looking for tests");
    return found.n > 0 ? FRESHET_OK
                       : error_set(err, FRESHET_FAILED, FRESHET_STOP, path,
                                   "there are no tests in this folder: write them in "
                                   "NAME.test.yaml, or under `tests:` of a declaration");
}

/* ---- the report -------------------------------------------------------------------------------*/

typedef struct test_report {
    uint32_t n_passed, n_failed, n_updated;
    uint32_t n_errors;    /* files whose tests could not be run */
    text_buffer cases;    /* of JUnit */
    text_buffer problems; /* of the file at hand */
} test_report;

static void append_xml(text_buffer *into, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '<')
            text_append_c(into, "&lt;");
        else if (c == '>')
            text_append_c(into, "&gt;");
        else if (c == '&')
            text_append_c(into, "&amp;");
        else if (c == '"')
            text_append_c(into, "&quot;");
        else if (c >= ' ' || c == '\n' || c == '\t')
            text_append_char(into, (char)c);
    }
}

static void note_case(test_report *report, const suite_outcome *outcome)
{
    text_append_c(&report->cases, "  <testcase classname=\"");
    append_xml(&report->cases, outcome->file);
    text_append_c(&report->cases, "\" name=\"");
    append_xml(&report->cases, outcome->name);
    text_format(&report->cases, "\" time=\"%.3f\"", (double)outcome->took_us / 1e6);
    if (outcome->passed) {
        text_append_c(&report->cases, "/>\n");
        return;
    }
    text_append_c(&report->cases, ">\n    <failure message=\"what came is not what is expected\">");
    append_xml(&report->cases, outcome->text);
    text_append_c(&report->cases, "</failure>\n  </testcase>\n");
}

/* A file whose tests could not be run, with what was said of it. */
static void note_error(test_report *report, const char *path)
{
    report->n_errors++;
    text_append_c(&report->cases, "  <testcase classname=\"");
    append_xml(&report->cases, path);
    text_append_c(&report->cases,
                  "\" name=\"the file\">\n    <error message=\"its tests could not be run\">");
    append_xml(&report->cases, report->problems.length == 0 ? "" : report->problems.bytes);
    text_append_c(&report->cases, "</error>\n  </testcase>\n");
}

static void tell_outcome(void *context, const suite_outcome *outcome)
{
    test_report *report = context;
    const char *word = outcome->passed ? "ok      " : outcome->updated ? "updated " : "FAILED  ";
    report->n_passed += outcome->passed;
    report->n_updated += outcome->updated;
    report->n_failed += !outcome->passed && !outcome->updated;
    output_format("%s  %s: %s (%.2f s)\n", word, outcome->file, outcome->name,
                  (double)outcome->took_us / 1e6);
    if (!outcome->passed)
        output_format("%s", outcome->text);
    fflush(stdout);
    note_case(report, outcome);
}

static freshet_code write_junit(const char *path, const test_report *report, freshet_error *err)
{
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return error_system(err, "cannot write", path);
    fprintf(file,
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
            "<testsuite name=\"freshet\" tests=\"%u\" failures=\"%u\" errors=\"%u\">\n%s"
            "</testsuite>\n",
            report->n_passed + report->n_failed + report->n_updated + report->n_errors,
            report->n_failed, report->n_errors,
            report->cases.length == 0 ? "" : report->cases.bytes);
    const bool good = ferror(file) == 0;
    return fclose(file) == 0 && good ? FRESHET_OK : error_system(err, "cannot write", path);
}

static uint32_t n_told; /* problems of files */

static void tell_problem(void *context, const freshet_error *problem)
{
    test_report *report = context;
    if (problem->code == FRESHET_OK)
        return;
    n_told++;
    report_error(problem);
    text_format(&report->problems, "%s%s%s\n", problem->at, problem->at[0] == '\0' ? "" : ": ",
                problem->text);
}

static freshet_code run_files(const test_arguments *given, test_report *report, freshet_error *err)
{
    const suite_settings settings = {.filter = given->filter,
                                     .update = given->update,
                                     .problem = tell_problem,
                                     .outcome = tell_outcome,
                                     .context = report};
    freshet_code code = FRESHET_OK;
    uint32_t n = 0;
    for (uint32_t i = 0; i < found.n && !suite_is_stopped(); i++) {
        freshet_error problem = {0};
        const uint32_t told = n_told;
        text_reset(&report->problems);
        const freshet_code one = suite_run_file(found.paths[i], &settings, &n, &problem);
        if (one == FRESHET_OK)
            continue;
        if (n_told == told)
            tell_problem(report, &problem);
        note_error(report, found.paths[i]);
        code = one;
    }
    if (code != FRESHET_OK) {
        *err = (freshet_error){.code = code}; /* its problems are told */
        return code;
    }
    if (n == 0)
        return error_set(err, FRESHET_FAILED, FRESHET_STOP, given->path,
                         given->filter == NULL
                             ? "there are no tests in this file: write them under `tests:`, or in "
                               "a file NAME.test.yaml (docs/guide/tests.md)"
                             : "no test has a name that holds what --filter says");
    return FRESHET_OK;
}

static void stop_tests(void *context)
{
    (void)context;
    suite_stop();
}

static freshet_code test_run(const void *arguments, freshet_error *err)
{
    const test_arguments *given = arguments;
    test_report report = {0};
    text_init(&report.cases, TEXT_LIMIT_DEFAULT);
    text_init(&report.problems, TEXT_LIMIT_DEFAULT);
    log_configure(LOG_ERROR, LOG_TEXT);
    freshet_code code = signals_install(stop_tests, NULL, err);
    if (code == FRESHET_OK)
        code = find_files(given->path == NULL ? "." : given->path, err);
    if (code == FRESHET_OK)
        code = run_files(given, &report, err);
    if (given->junit != NULL && (code == FRESHET_OK || code == FRESHET_BAD_DECLARATION)) {
        const freshet_code wrote = write_junit(given->junit, &report, err);
        code = wrote == FRESHET_OK ? code : wrote;
    }
    if (report.n_passed + report.n_failed + report.n_updated > 0)
        output_format("%u passed, %u failed%s", report.n_passed, report.n_failed,
                      report.n_updated == 0 ? "\n" : "");
    if (report.n_updated > 0)
        output_format(", %u updated\n", report.n_updated);
    for (uint32_t i = 0; i < found.n; i++)
        free(found.paths[i]);
    text_release(&report.cases);
    text_release(&report.problems);
    signals_remove();
    if (code == FRESHET_OK && (report.n_failed > 0 || found.unread)) {
        *err = (freshet_error){.code = FRESHET_FAILED}; /* told above */
        code = FRESHET_FAILED;
    }
    return code;
}

const verb verb_test_files = {
    .name = "test",
    .operand = "PATH",
    .operand_is_optional = true,
    .summary = "run the tests that stand beside declarations",
    .doc =
        "PATH is a declaration with `tests:`, a file NAME.test.yaml, or a folder, in which all\n"
        "such files are found (the working directory where it is left out). Each test gives rows\n"
        "to the declaration's readers and says what must come out: the newest rows, the history,\n"
        "late rows, dead letters. It runs on the same loop as `freshet run`, offline, with a "
        "clock\n"
        "of its own, and leaves nothing behind. What differs is shown cell by cell.\n"
        "Exit codes: 0 all passed, 1 some failed, 78 a file or a declaration is wrong.\n"
        "See docs/guide/tests.md.",
    .examples = "    freshet test orders.yaml\n"
                "    freshet test features --junit report.xml\n"
                "    freshet test orders.test.yaml --filter late --update\n",
    .arguments = test_options,
    .size = sizeof(test_arguments),
    .run = test_run,
};
