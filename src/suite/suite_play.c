/* suite_play.c - one test: its rows and steps on the pipeline's own loop.
 *
 * The pipeline runs in debug mode, so that the debug table has the rows, and keeps its state in the
 * stage's folder. A step's rows are a new file for each reader; then the loop turns until nothing
 * moves any more: no bytes wait, no counter changes, for a few turns in a row. `advance` moves the
 * clock and lets it turn again. A restart looks at the table first, since that goes with the
 * process: rows of the history are those of all tables, of the newest rows the later time counts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/os.h"
#include "base/timestamp.h"
#include "pipeline/pipeline.h"
#include "suite/suite_internal.h"

#define SCHEMA_LOOKED_MAX 1000u
#define QUIET_TURNS 5
#define TURN_WAIT_US INT64_C(2000)
#define SETTLE_MAX_US INT64_C(60000000)

typedef struct play {
    suite_file *file;
    const test_block *test;
    play_mode mode;
    stage stage;
    freshet_pipeline *pipeline;
    outcome kept; /* of the pipelines before this one */
    uint32_t n_keys;
    play_look_fn *look;
    void *context;
} play;

void outcome_release(outcome *outcome)
{
    rows_release(&outcome->history);
    rows_release(&outcome->online);
    rows_release(&outcome->letters);
}

/* ---- the loop ---------------------------------------------------------------------------------*/

static int64_t count_all(const freshet_pipeline *pipeline)
{
    return freshet_counter(pipeline, FRESHET_ROWS_READ) +
           freshet_counter(pipeline, FRESHET_TABLE_ROWS) +
           freshet_counter(pipeline, FRESHET_DEAD_LETTERS) +
           freshet_counter(pipeline, FRESHET_ROWS_LATE) +
           freshet_counter(pipeline, FRESHET_BATCHES);
}

/* Turns until nothing moves; FRESHET_END is a good end. */
static freshet_code settle(freshet_pipeline *pipeline, freshet_error *err)
{
    const int64_t begun_us = os.monotonic_us();
    int64_t counted = -1;
    for (int quiet = 0; quiet < QUIET_TURNS;) {
        const freshet_code code = freshet_step(pipeline, os.monotonic_us() + TURN_WAIT_US, err);
        if (code == FRESHET_END)
            return FRESHET_OK;
        if (code != FRESHET_OK)
            return code;
        const int64_t now = count_all(pipeline);
        const bool moves = now != counted || pipeline_has_more(pipeline) ||
                           freshet_counter(pipeline, FRESHET_LAG_BYTES) > 0;
        quiet = moves ? 0 : quiet + 1;
        counted = now;
        if (suite_is_stopped())
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL, "stopped by a signal");
        if (os.monotonic_us() - begun_us > SETTLE_MAX_US)
            return error_set(err, FRESHET_FAILED, FRESHET_STOP, NULL,
                             "the pipeline did not come to rest within %d seconds",
                             (int)(SETTLE_MAX_US / 1000000));
    }
    return FRESHET_OK;
}

static freshet_code open_play(play *play, bool is_last, freshet_error *err)
{
    const bool ends =
        play->mode == PLAY_AT_ONCE || play->mode == PLAY_ROW_BY_ROW || play->mode == PLAY_RESTARTED;
    const bool streams = freshet_declaration_is_stream(play->stage.declaration);
    const declaration *parsed = play->file->parsed;
    const bool hands_over = !parsed->is_stream && parsed->has_state;
    const freshet_run_options options = {
        .size = sizeof options,
        .debug = true,
        .once = ends,
        .drain = ends && is_last,
        .step_rows = play->mode == PLAY_ROW_BY_ROW ? 1 : 0,
        .state = streams || hands_over ? stage_path(&play->stage, "state") : NULL,
        .checkpoint = hands_over ? 0 : -1,
    };
    return freshet_pipeline_open(play->stage.declaration, &options, play->file->settings->problem,
                                 play->file->settings->context, &play->pipeline, err);
}

/* ---- columns that there are not ---------------------------------------------------------------*/

/* `row` is a map: each key must be one of the columns. */
static void check_keys(const play *play, const node *row, const schema *columns, const char *whose)
{
    for (const node *cell = row->first; cell != NULL; cell = cell->next) {
        const char *names[SCHEMA_LOOKED_MAX];
        uint32_t n = 0;
        bool known = false;
        for (uint32_t i = 0; i < columns->n_fields; i++) {
            known = known || strcmp(columns->fields[i].name, cell->key) == 0;
            if (n < SCHEMA_LOOKED_MAX)
                names[n++] = columns->fields[i].name;
        }
        const char *near = known ? NULL : text_nearest(cell->key, names, n);
        if (!known)
            problem_add(play->file->problems, &cell->key_at, "%s has no column \"%s\"%s%s%s", whose,
                        cell->key, near == NULL ? "" : "; did you mean \"",
                        near == NULL ? "" : near, near == NULL ? "" : "\"?");
    }
}

static void check_list(const play *play, const node *list, const schema *columns, const char *whose)
{
    const node *row = list == NULL || list->kind != NODE_LIST ? NULL : list->first;
    for (; row != NULL; row = row->next)
        check_keys(play, row, columns, whose);
}

static void check_given(const play *play, const node *rows)
{
    const node *of = rows == NULL || rows->kind != NODE_MAP ? NULL : rows->first;
    for (; of != NULL; of = of->next)
        for (uint32_t i = 0; i < play->pipeline->n_readers; i++) {
            const freshet_reader *reader = play->pipeline->readers[i].reader;
            char whose[128];
            snprintf(whose, sizeof whose, "the reader \"%.80s\"", of->key);
            if (strcmp(reader->block->id.value, of->key) == 0)
                check_list(play, of, &reader->schema, whose);
        }
}

static void check_expected(const play *play, const expect_block *expect)
{
    const schema *columns = feature_set_schema(play->pipeline->features);
    check_list(play, expect->online.value, columns, "the feature set");
    check_list(play, expect->history.value, columns, "the feature set");
}

static freshet_code check_columns(const play *play, freshet_error *err)
{
    const test_step_block *steps = play->test->steps.items;
    check_given(play, play->test->given.value);
    check_expected(play, &play->test->expect);
    for (uint32_t i = 0; i < play->test->steps.n; i++) {
        check_given(play, steps[i].rows.value);
        check_expected(play, &steps[i].expect);
    }
    return problems_report(play->file->problems, play->file->settings->problem,
                           play->file->settings->context, err);
}

/* ---- what came out ----------------------------------------------------------------------------*/

static bool play_take_line(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

static void add_lines(suite_rows *rows, const char *text)
{
    while (*text != '\0') {
        const char *end = strchr(text, '\n');
        const size_t length = end == NULL ? strlen(text) : (size_t)(end - text);
        if (length > 0)
            rows_add(rows, text, length);
        text += length + (end != NULL);
    }
}

static freshet_code query_rows(play *play, const char *view, suite_rows *into, freshet_error *err)
{
    char sql[256];
    text_buffer lines;
    freshet_result *result = NULL;
    snprintf(sql, sizeof sql, "select * from \"online_feature_store__%s%s\"",
             freshet_declaration_feature_set(play->stage.declaration), view);
    text_init(&lines, TEXT_LIMIT_DEFAULT);
    suite_clock_pause();
    freshet_code code = freshet_query(play->pipeline, sql, NULL, &result, err);
    if (code == FRESHET_OK)
        code = freshet_result_print(result, FRESHET_JSON, play_take_line, &lines, err);
    freshet_result_close(result);
    suite_clock_resume();
    if (code == FRESHET_OK && lines.length > 0)
        add_lines(into, lines.bytes);
    if (code == FRESHET_OK && (lines.failed || into->failed))
        code = error_memory(err, "reading the rows of a test");
    text_release(&lines);
    return code;
}

static freshet_code read_letters(play *play, suite_rows *into, freshet_error *err)
{
    const char *path = stage_path(&play->stage, "letters.jsonl");
    FILE *file = path == NULL ? NULL : fopen(path, "re");
    if (path == NULL)
        return error_memory(err, "reading the dead letters of a test");
    if (file == NULL && errno == ENOENT)
        return FRESHET_OK; /* no row was refused */
    if (file == NULL)
        return error_system(err, "cannot read the dead letters", path);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    char piece[4096];
    for (size_t n; (n = fread(piece, 1, sizeof piece, file)) > 0;)
        text_append(&text, piece, n);
    fclose(file);
    if (text.length > 0)
        add_lines(into, text.bytes);
    const bool failed = text.failed || into->failed;
    text_release(&text);
    return failed ? error_memory(err, "reading the dead letters of a test") : FRESHET_OK;
}

static int64_t count_late(const freshet_pipeline *pipeline)
{
    int64_t late = freshet_counter(pipeline, FRESHET_ROWS_LATE);
    for (uint32_t i = 0; freshet_reason(i) != NULL; i++)
        if (strcmp(freshet_reason(i), "late") == 0)
            late += freshet_dead_letters(pipeline, i);
    return late;
}

static bool same_key(const play *play, yyjson_val *a, yyjson_val *b)
{
    const key_block *keys = play->file->parsed->feature_set.keys.items;
    for (uint32_t i = 0; i < play->n_keys; i++) {
        yyjson_val *of_a = yyjson_obj_get(a, keys[i].name.value);
        if (of_a != NULL && !yyjson_equals(of_a, yyjson_obj_get(b, keys[i].name.value)))
            return false;
    }
    return true;
}

static bool is_newer(yyjson_val *row, yyjson_val *than)
{
    const char *a = yyjson_get_str(yyjson_obj_get(row, "timestamp"));
    const char *b = yyjson_get_str(yyjson_obj_get(than, "timestamp"));
    return a == NULL || b == NULL || strcmp(a, b) >= 0; /* one form, of one length */
}

static void copy_row(suite_rows *into, yyjson_val *row)
{
    size_t length = 0;
    char *text = yyjson_val_write(row, 0, &length);
    if (text == NULL)
        into->failed = true;
    else
        rows_add(into, text, length);
    free(text);
}

/* The row of the same key among the first n; n where there is none. */
static uint32_t play_find_key(const play *play, const suite_rows *rows, uint32_t n, yyjson_val *row)
{
    uint32_t i = 0;
    while (i < n && !same_key(play, row, rows_at(rows, i)))
        i++;
    return i;
}

/* The rows that earlier tables had, and no newer one of their key came since. */
static void add_kept(const play *play, outcome *into)
{
    const uint32_t n = into->online.n;
    for (uint32_t i = 0; i < play->kept.history.n; i++)
        copy_row(&into->history, rows_at(&play->kept.history, i));
    for (uint32_t i = 0; i < play->kept.online.n; i++) {
        yyjson_val *kept = rows_at(&play->kept.online, i);
        const uint32_t now = play_find_key(play, &into->online, n, kept);
        if (now < n && is_newer(rows_at(&into->online, now), kept))
            continue;
        copy_row(&into->online, kept);
        if (now < n)
            rows_last_to(&into->online, now);
    }
    into->late += play->kept.late;
}

static freshet_code look_now(play *play, outcome *into, freshet_error *err)
{
    freshet_error who = {0};
    *into = (outcome){0};
    freshet_code code = query_rows(play, "_new", &into->history, err);
    if (code == FRESHET_OK)
        code = query_rows(play, "_latest", &into->online, err);
    if (code == FRESHET_OK)
        code = read_letters(play, &into->letters, err);
    if (code != FRESHET_OK)
        return code;
    into->late = count_late(play->pipeline);
    add_kept(play, into);
    if (freshet_waits_for(play->pipeline, &who))
        into->waits_for = arena_text(play->file->arena, who.text);
    if (into->history.failed || into->online.failed)
        return error_memory(err, "reading the rows of a test");
    return FRESHET_OK;
}

static freshet_code play_look_at(play *play, const expect_block *expect, freshet_error *err)
{
    outcome now = {0};
    freshet_code code = look_now(play, &now, err);
    if (code == FRESHET_OK)
        play->look(play->context, expect, &now);
    outcome_release(&now);
    return code;
}

/* ---- steps ------------------------------------------------------------------------------------*/

static freshet_code begin_again(play *play, bool is_last, freshet_error *err)
{
    outcome now = {0};
    freshet_code code = freshet_checkpoint(play->pipeline, err);
    if (code == FRESHET_OK)
        code = look_now(play, &now, err);
    if (code != FRESHET_OK) {
        outcome_release(&now);
        return code;
    }
    outcome_release(&play->kept);
    play->kept = now;
    freshet_pipeline_close(play->pipeline);
    play->pipeline = NULL;
    code = open_play(play, is_last, err);
    return code == FRESHET_OK ? settle(play->pipeline, err) : code;
}

static freshet_code play_step(play *play, const test_step_block *step, freshet_error *err)
{
    freshet_code code = stage_add_rows(&play->stage, step->rows.value, err);
    if (code == FRESHET_OK && step->rows.value != NULL)
        code = settle(play->pipeline, err);
    if (code == FRESHET_OK && step->advance_us > 0) {
        suite_clock_advance(step->advance_us);
        code = settle(play->pipeline, err);
    }
    if (code == FRESHET_OK && step->restart)
        code = begin_again(play, true, err);
    if (code == FRESHET_OK && step->has_expect)
        code = play_look_at(play, &step->expect, err);
    return code;
}

static freshet_code play_as_written(play *play, freshet_error *err)
{
    const test_step_block *steps = play->test->steps.items;
    const bool streams = play->file->parsed->is_stream;
    freshet_code code = stage_add_rows(&play->stage, play->test->given.value, err);
    for (uint32_t i = 0; !streams && i < play->test->steps.n && code == FRESHET_OK; i++)
        code = stage_add_rows(&play->stage, steps[i].rows.value, err);
    if (code == FRESHET_OK)
        code = open_play(play, true, err);
    if (code == FRESHET_OK)
        code = check_columns(play, err);
    if (code == FRESHET_OK)
        code = settle(play->pipeline, err);
    for (uint32_t i = 0; streams && i < play->test->steps.n && code == FRESHET_OK; i++)
        code = play_step(play, &steps[i], err);
    if (code == FRESHET_OK && play->test->has_expect)
        code = play_look_at(play, &play->test->expect, err);
    return code;
}

/* All rows, but for PLAY_RESTARTED: then a run for those of each step. */
static freshet_code play_whole(play *play, freshet_error *err)
{
    const test_step_block *steps = play->test->steps.items;
    const uint32_t n = play->test->steps.n;
    const bool in_steps = play->mode == PLAY_RESTARTED;
    freshet_code code = stage_add_rows(&play->stage, play->test->given.value, err);
    for (uint32_t i = 0; !in_steps && i < n && code == FRESHET_OK; i++)
        code = stage_add_rows(&play->stage, steps[i].rows.value, err);
    if (code == FRESHET_OK)
        code = open_play(play, !in_steps || n == 0, err);
    if (code == FRESHET_OK)
        code = settle(play->pipeline, err);
    for (uint32_t i = 0; in_steps && i < n && code == FRESHET_OK; i++) {
        code = stage_add_rows(&play->stage, steps[i].rows.value, err);
        if (code == FRESHET_OK)
            code = begin_again(play, i + 1 == n, err);
    }
    return code;
}

static int64_t begin_us(const test_block *test)
{
    int64_t us = 0;
    if (test->now.value != NULL && timestamp_parse(test->now.value, strlen(test->now.value), &us))
        return us;
    return os.now_us();
}

freshet_code play_test(suite_file *file, const test_block *test, play_mode mode, play_look_fn *look,
                       void *context, outcome *last, freshet_error *err)
{
    play play = {.file = file,
                 .test = test,
                 .mode = mode,
                 .look = look,
                 .context = context,
                 .n_keys = file->parsed->feature_set.keys.n};
    freshet_code code = stage_open(file, test, mode, &play.stage, err);
    suite_clock_begin(begin_us(test));
    if (code == FRESHET_OK)
        code = mode == PLAY_AS_WRITTEN ? play_as_written(&play, err) : play_whole(&play, err);
    if (code == FRESHET_OK && last != NULL)
        code = look_now(&play, last, err);
    freshet_pipeline_close(play.pipeline);
    suite_clock_end();
    outcome_release(&play.kept);
    stage_close(&play.stage);
    return code;
}
