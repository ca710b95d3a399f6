/* suite_internal.h - what the files of this folder share.
 *
 *   suite.c          a file: its tests, one after the other
 *   suite_clock.c    the clock of a test
 *   suite_rows.c     rows as JSON: of the test, of a query
 *   suite_stage.c    the declaration, changed so that it reads the test's rows
 *   suite_play.c     one test: its steps on the pipeline's loop
 *   suite_compare.c  expected rows and those that came, and what differs, for people
 *   suite_update.c   the file with what came in the place of what was expected
 *
 * All of a file lives in one arena, but for parsed rows (suite_rows).
 */
#ifndef FRESHET_SUITE_SUITE_INTERNAL_H
#define FRESHET_SUITE_SUITE_INTERNAL_H

#include <yyjson.h>

#include "base/arena.h"
#include "declaration/declaration_tree.h"
#include "suite/suite.h"

/* ---- the clock ------------------------------------------------------------------------------- */

/* From now on the process's clocks are the test's: the wall clock stands at now_us, the monotonic
 * one goes on. */
void suite_clock_begin(int64_t now_us);
void suite_clock_advance(int64_t by_us);
/* While a query waits for its process, the clocks are real. */
void suite_clock_pause(void);
void suite_clock_resume(void);
void suite_clock_end(void);

/* ---- rows ------------------------------------------------------------------------------------ */

typedef struct suite_rows {
    yyjson_doc **docs; /* one a row */
    uint32_t n, capacity;
    bool failed;        /* memory is out */
    bool keeps_written; /* numbers stay as they are written (raw): of expectations */
} suite_rows;

void rows_add(suite_rows *rows, const char *json, size_t length);
/* The last row takes the place of row i. */
void rows_last_to(suite_rows *rows, uint32_t i);
void rows_release(suite_rows *rows);
static inline yyjson_val *rows_at(const suite_rows *rows, uint32_t i)
{
    return yyjson_doc_get_root(rows->docs[i]);
}

/* What a YAML node means as JSON: plain scalars that are numbers, true, false or null are these. */
bool node_append_json(const node *node, text_buffer *into);

/* A list of maps as rows; problems where it is something else. NULL: no rows. */
bool rows_of_node(const node *list, const char *what, problems *problems, suite_rows *into);

/* ---- a file ---------------------------------------------------------------------------------- */

/* NAME.test.yaml, as its table reads it. */
typedef struct suite_block {
    declared_text declaration;
    declared_properties env;
    declared_blocks tests; /* of test_block */
} suite_block;

typedef struct suite_edit {
    const node *list; /* what is written anew */
    char *text;       /* its lines, without indentation */
} suite_edit;

typedef struct suite_file {
    const char *path;
    const char *declaration_path;
    freshet_declaration *declaration; /* as it is */
    const struct declaration *parsed;
    arena *arena;
    problems *problems;
    const suite_settings *settings;
    suite_edit *edits;
    uint32_t n_edits, edits_capacity;
    bool *was_set; /* of each variable of `env`: it is ours */
} suite_file;

extern const block_kind suite_file_block;

void update_add(suite_file *file, const node *list, const suite_rows *rows,
                const suite_rows *expected);
freshet_code update_write(suite_file *file, freshet_error *err);

/* ---- a test on its stage ---------------------------------------------------------------------*/

/* How the rows of a test run. */
typedef enum play_mode {
    PLAY_AS_WRITTEN, /* step by step, as the declaration says */
    PLAY_BATCH,      /* all rows at once, no reader streams */
    PLAY_AT_ONCE,    /* all rows at once, as a stream that ends */
    PLAY_ROW_BY_ROW, /* the same, a row of each reader in a micro-batch */
    PLAY_RESTARTED   /* as a stream that ends behind each step, and begins again */
} play_mode;

typedef struct stage_reader {
    const char *id;
    bool has_maps, has_text; /* what the test gives it */
    const char *ending;      /* of its files' names */
    text_buffer schema;      /* "name: type" of what the maps have, made as they are read */
    uint32_t n_files;
} stage_reader;

typedef struct stage {
    suite_file *file;
    const test_block *test;
    play_mode mode;
    char folder[1024];
    stage_reader *readers; /* one for each of the declaration */
    uint32_t n_readers;
    freshet_declaration *declaration; /* changed */
} stage;

/* A folder of its own, and the declaration that reads from there. */
freshet_code stage_open(suite_file *file, const test_block *test, play_mode mode, stage *stage,
                        freshet_error *err);
/* The rows of a step (`rows`, `given`) as new files; NULL: none. */
freshet_code stage_add_rows(stage *stage, const node *rows, freshet_error *err);
void stage_close(stage *stage);
/* Problems of the test: unknown readers, no rows, expectations that nothing would look at. */
void stage_check(suite_file *file, const test_block *test, const place *at);
const char *stage_path(const stage *stage, const char *name);

/* What came out so far. */
typedef struct outcome {
    suite_rows history, online, letters;
    int64_t late;
    const char *waits_for; /* NULL: nothing is held back */
} outcome;

void outcome_release(outcome *outcome);

/* Looks at what came out, at a place of the test where something is expected. */
typedef void play_look_fn(void *context, const expect_block *expect, const outcome *outcome);

/* Runs the test to its end, and gives what came out then in *last, which the caller releases. */
freshet_code play_test(suite_file *file, const test_block *test, play_mode mode, play_look_fn *look,
                       void *context, outcome *last, freshet_error *err);

/* ---- comparing ------------------------------------------------------------------------------- */

/* Appends to `report` what differs, and true if nothing does. `partial`: texts need only hold what
 * is expected. */
bool compare_rows(const suite_rows *expected, const suite_rows *got, bool partial,
                  text_buffer *report);

#endif
