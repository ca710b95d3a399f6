/* letter_lines.h - the lines of a file of dead letters, one by one, and the file without some.
 *
 * letters_visit gives each whole line of a part of a file, in order; a half line at its end is not
 * given. letters_rewrite gives each line of a file that nobody writes to meanwhile (the caller has
 * its lock), and puts a new file in its place without those that were not wanted; one of which all
 * lines are wanted stays as it is. What a process that was killed leaves is PATH.new, which the
 * next call overwrites.
 *
 * letter_read takes a line apart. One thread at a time.
 */
#ifndef FRESHET_OPERATE_LETTER_LINES_H
#define FRESHET_OPERATE_LETTER_LINES_H

#include <freshet/freshet.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/batch.h"

#define LETTER_LINE_MAX ((size_t)64 << 20)
#define LETTER_START "{\"at\":\""

/* Gets a line without its newline. In letters_visit FRESHET_END ends the visit, which then is OK;
 * in letters_rewrite false in *keep leaves the line out. */
typedef freshet_code letter_line_fn(void *context, const char *line, size_t length, bool *keep,
                                    freshet_error *err);

/* The lines of [from, to). */
freshet_code letters_visit(int file, const char *path, off_t from, off_t to, letter_line_fn *line,
                           void *context, freshet_error *err);
/* *changed: whether a line was left out. Where no line is left the file is removed. */
freshet_code letters_rewrite(int file, const char *path, letter_line_fn *line, void *context,
                             bool *changed, freshet_error *err);

/* Whose letter it is: the run's text where the line is a letter of the pipeline, else NULL. */
const char *letter_run(const char *line, size_t length, const char *pipeline, size_t *run_length);

/* A letter, as it stands in the file. Texts live in the arena; NULL where there is none. */
typedef struct letter {
    const char *run;
    int64_t number; /* in its run, from 1 */
    const char *reader;
    const char *partition;
    int64_t offset; /* -1: none */
    int64_t part;   /* which of the query's rows of this record, from 1; 0: all of them */
    int64_t parts;
    row_copy stacked; /* which of the rows that stacks made of that; copies 0: all of them */
    reason_code code;
    const char *raw;
    size_t raw_length;
    bool is_whole;    /* the record is there, and not cut */
    bool has_message; /* as in reject */
    const char *key;
    size_t key_length;
    int64_t message_us;
    int message_kind;
} letter;

/* FRESHET_FAILED for a line that is no letter. */
freshet_code letter_read(arena *arena, const char *line, size_t length, letter *into,
                         freshet_error *err);

#endif
