/* suite.c - see suite.h: a file's tests, one after the other. */
#include "suite/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "declaration/read.h"
#include "pipeline/pipeline.h"
#include "suite/suite_internal.h"

static volatile sig_atomic_t is_stopped;

void suite_stop(void)
{
    is_stopped = 1;
}

bool suite_is_stopped(void)
{
    return is_stopped != 0;
}

/* ---- one test ---------------------------------------------------------------------------------*/

typedef struct judgement {
    suite_file *file;
    const test_block *test;
    text_buffer report;
    uint32_t n_failed, n_updated;
} judgement;

static void say_where(judgement *judgement, const place *at, const char *what)
{
    char where[300];
    text_format(&judgement->report, "    %s: %s: ", place_text(at, where, sizeof where), what);
}

/* Rows that became dead letters are often why others are missing. */
static void say_refused(judgement *judgement, const suite_rows *letters)
{
    yyjson_val *first = rows_at(letters, 0);
    const char *code = yyjson_get_str(yyjson_obj_get(first, "code"));
    const char *reason = yyjson_get_str(yyjson_obj_get(first, "reason"));
    text_format(&judgement->report, "      %u rows became dead letters; the first: %s: %.300s\n",
                letters->n, code == NULL ? "" : code, reason == NULL ? "" : reason);
}

static void judge_rows(judgement *judgement, const declared_node *list, const char *what,
                       const outcome *outcome, const suite_rows *got)
{
    if (list->value == NULL)
        return;
    text_buffer differs;
    suite_rows expected = {.keeps_written = true};
    text_init(&differs, TEXT_LIMIT_DEFAULT);
    rows_of_node(list->value, what, judgement->file->problems, &expected);
    const bool is_letters = strcmp(what, "dead_letters") == 0;
    if (!compare_rows(&expected, got, is_letters, &differs)) {
        judgement->n_failed++;
        say_where(judgement, &list->value->at, what);
        text_append(&judgement->report, differs.bytes, differs.length);
        if (outcome->waits_for != NULL)
            text_format(&judgement->report, "      rows wait: %s\n", outcome->waits_for);
        if (!is_letters && outcome->letters.n > 0)
            say_refused(judgement, &outcome->letters);
        if (judgement->file->settings->update && !is_letters) {
            update_add(judgement->file, list->value, got, &expected);
            judgement->n_updated++;
        }
    }
    rows_release(&expected);
    text_release(&differs);
}

static void judge(void *context, const expect_block *expect, const outcome *outcome)
{
    judgement *judgement = context;
    judge_rows(judgement, &expect->online, "online", outcome, &outcome->online);
    judge_rows(judgement, &expect->history, "history", outcome, &outcome->history);
    judge_rows(judgement, &expect->dead_letters, "dead_letters", outcome, &outcome->letters);
    if (place_is_set(&expect->late_at) && outcome->late != expect->late) {
        judgement->n_failed++;
        say_where(judgement, &expect->late_at, "late");
        text_format(&judgement->report, "%lld expected, %lld came\n", (long long)expect->late,
                    (long long)outcome->late);
    }
}

static void compare_play(judgement *judgement, const outcome *batch, play_mode mode,
                         const char *name)
{
    outcome other = {0};
    freshet_error err = {0};
    text_buffer differs;
    text_init(&differs, TEXT_LIMIT_DEFAULT);
    if (play_test(judgement->file, judgement->test, mode, NULL, NULL, &other, &err) != FRESHET_OK) {
        judgement->n_failed++;
        text_format(&judgement->report, "    batch_equals_stream: %s failed: %s\n", name, err.text);
    } else if (!compare_rows(&batch->history, &other.history, false, &differs)) {
        judgement->n_failed++;
        text_format(&judgement->report,
                    "    batch_equals_stream: the history of %s is not the batch's (which is "
                    "\"expected\" here): %s",
                    name, differs.bytes);
    } else if (!compare_rows(&batch->online, &other.online, false, &differs)) {
        judgement->n_failed++;
        text_format(&judgement->report,
                    "    batch_equals_stream: the newest rows of %s are not the batch's (which "
                    "are \"expected\" here): %s",
                    name, differs.bytes);
    }
    outcome_release(&other);
    text_release(&differs);
}

static void compare_batch_and_stream(judgement *judgement)
{
    static const struct {
        play_mode mode;
        const char *name;
    } plays[] = {{PLAY_AT_ONCE, "a stream that gets all at once"},
                 {PLAY_ROW_BY_ROW, "a stream in micro-batches of one row"},
                 {PLAY_RESTARTED, "a stream that is restarted behind each step"}};
    outcome batch = {0};
    freshet_error err = {0};
    if (play_test(judgement->file, judgement->test, PLAY_BATCH, NULL, NULL, &batch, &err) !=
        FRESHET_OK) {
        judgement->n_failed++;
        text_format(&judgement->report, "    batch_equals_stream: the batch failed: %s\n",
                    err.text);
    } else {
        for (size_t i = 0; i < sizeof plays / sizeof *plays && judgement->n_failed == 0; i++)
            compare_play(judgement, &batch, plays[i].mode, plays[i].name);
    }
    outcome_release(&batch);
}

static freshet_code run_test(suite_file *file, const test_block *test, freshet_error *err)
{
    judgement judgement = {.file = file, .test = test};
    freshet_error problem = {0};
    const int64_t begun_us = os.monotonic_us();
    text_init(&judgement.report, TEXT_LIMIT_DEFAULT);
    freshet_code code = play_test(file, test, PLAY_AS_WRITTEN, judge, &judgement, NULL, &problem);
    const bool is_bad = code == FRESHET_BAD_DECLARATION || code == FRESHET_NO_MEMORY;
    if (code != FRESHET_OK && !is_bad) {
        judgement.n_failed++;
        text_format(&judgement.report, "    the run failed: %s%s%s\n", problem.at,
                    problem.at[0] == '\0' ? "" : ": ", problem.text);
    }
    if (code == FRESHET_OK && test->batch_equals_stream && judgement.n_failed == 0)
        compare_batch_and_stream(&judgement);
    const suite_outcome told = {
        .file = file->path,
        .name = test->name.value,
        .passed = judgement.n_failed == 0,
        .updated = judgement.n_failed > 0 && judgement.n_updated == judgement.n_failed,
        .text = judgement.report.length == 0 ? "" : judgement.report.bytes,
        .took_us = os.monotonic_us() - begun_us,
    };
    if (!is_bad)
        file->settings->outcome(file->settings->context, &told);
    else if (err != NULL)
        *err = problem;
    text_release(&judgement.report);
    return is_bad ? code : FRESHET_OK;
}

/* ---- a file -----------------------------------------------------------------------------------*/

static freshet_code suite_read_text(const char *path, arena *arena, const char **out,
                                    size_t *length, freshet_error *err)
{
    int fd = os.open(path, O_RDONLY, 0);
    if (fd < 0)
        return error_system(err, "cannot open the tests", path);
    char *text = arena_alloc(arena, DECLARATION_BYTES_MAX + 1);
    const ssize_t n = text == NULL ? -1 : os_read_all(fd, text, DECLARATION_BYTES_MAX);
    freshet_code code = text == NULL ? error_memory(err, "reading tests")
                        : n < 0      ? error_system(err, "cannot read the tests", path)
                                     : FRESHET_OK;
    os.close(fd);
    if (code == FRESHET_OK && text != NULL) {
        text[n] = '\0';
        *out = text;
        *length = (size_t)n;
    }
    return code;
}

/* For this file only: the next one may say other values. */
static freshet_code set_environment(suite_file *file, const declared_properties *env,
                                    freshet_error *err)
{
    file->was_set = arena_zero(file->arena, env->n + 1, sizeof *file->was_set);
    if (file->was_set == NULL)
        return error_memory(err, "setting the variables of tests");
    for (uint32_t i = 0; i < env->n; i++) {
        const char *name = env->items[i].name;
        const bool is_new = getenv(name) == NULL;
        if (setenv(name, env->items[i].value.value, 0) != 0)
            return error_system(err, "cannot set the variable", name);
        file->was_set[i] = is_new;
    }
    return FRESHET_OK;
}

static void clear_environment(const suite_file *file, const declared_properties *env)
{
    for (uint32_t i = 0; file->was_set != NULL && i < env->n; i++)
        if (file->was_set[i])
            unsetenv(env->items[i].name);
}

/* A path of the file, which is relative to the file's folder. */
static const char *beside(const suite_file *file, const char *path)
{
    const char *slash = strrchr(file->path, '/');
    return path[0] == '/' || slash == NULL
               ? path
               : arena_format(file->arena, "%.*s/%s", (int)(slash - file->path), file->path, path);
}

/* Reads the file: its own tests and declaration, or those of a file beside it. */
static freshet_code read_file(suite_file *file, suite_block *suite, freshet_error *err)
{
    const char *text = NULL;
    size_t length = 0;
    freshet_code code = suite_read_text(file->path, file->arena, &text, &length, err);
    if (code != FRESHET_OK)
        return code;
    tree *tree = arena_zero(file->arena, 1, sizeof *tree);
    if (tree == NULL)
        return error_memory(err, "reading tests");
    tree_init(tree, file->arena, file->problems);
    if (!yaml_read(tree, text, length, arena_text(file->arena, file->path)))
        return problems_report(file->problems, file->settings->problem, file->settings->context,
                               err);
    if (node_find(tree->root, "source") != NULL) {
        file->declaration_path = file->path;
        return FRESHET_OK; /* its tests are read with it */
    }
    read_block_tree(tree->root, &suite_file_block, registry_of_engine(), file->problems, suite);
    if (suite->declaration.value != NULL)
        file->declaration_path = beside(file, suite->declaration.value);
    if (suite->declaration.value != NULL && file->declaration_path == NULL)
        return error_memory(err, "reading tests");
    return problems_report(file->problems, file->settings->problem, file->settings->context, err);
}

static bool is_wanted(const suite_file *file, const test_block *test)
{
    return file->settings->filter == NULL ||
           strstr(test->name.value, file->settings->filter) != NULL;
}

static freshet_code run_tests(suite_file *file, const declared_blocks *tests, uint32_t *n_tests,
                              freshet_error *err)
{
    const test_block *items = tests->items;
    for (uint32_t i = 0; i < tests->n; i++)
        stage_check(file, &items[i], &tests->places[i]);
    freshet_code code =
        problems_report(file->problems, file->settings->problem, file->settings->context, err);
    for (uint32_t i = 0; i < tests->n && code == FRESHET_OK; i++) {
        if (!is_wanted(file, &items[i]))
            continue;
        ++*n_tests;
        code = run_test(file, &items[i], err);
        if (code == FRESHET_OK && suite_is_stopped())
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, file->path,
                             "stopped by a signal, before all tests had run");
    }
    return code == FRESHET_OK ? update_write(file, err) : code;
}

freshet_code suite_run_file(const char *path, const suite_settings *settings, uint32_t *n_tests,
                            freshet_error *err)
{
    suite_block suite = {0};
    suite_file file = {.path = path, .settings = settings, .arena = arena_open()};
    file.problems = file.arena == NULL ? NULL : problems_open(file.arena);
    if (file.problems == NULL) {
        arena_close(file.arena);
        return error_memory(err, "reading tests");
    }
    freshet_code code = read_file(&file, &suite, err);
    if (code == FRESHET_OK)
        code = set_environment(&file, &suite.env, err);
    if (code == FRESHET_OK)
        code = freshet_declaration_load(file.declaration_path, settings->problem, settings->context,
                                        &file.declaration, err);
    file.parsed = declaration_of(file.declaration);
    if (code == FRESHET_OK)
        code = run_tests(&file, file.declaration_path == path ? &file.parsed->tests : &suite.tests,
                         n_tests, err);
    freshet_declaration_close(file.declaration);
    clear_environment(&file, &suite.env);
    arena_close(file.arena);
    return code;
}

bool suite_has_tests(const char *path)
{
    static const char ending[] = ".test.yaml";
    const size_t length = strlen(path);
    if (length >= sizeof ending && strcmp(path + length - (sizeof ending - 1), ending) == 0)
        return true;
    if (length < 5 || strcmp(path + length - 5, ".yaml") != 0)
        return false;
    FILE *file = fopen(path, "re");
    char line[512];
    bool found = false;
    while (file != NULL && !found && fgets(line, sizeof line, file) != NULL)
        found = strncmp(line, "tests:", 6) == 0;
    if (file != NULL)
        fclose(file);
    return found;
}
