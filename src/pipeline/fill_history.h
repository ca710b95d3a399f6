/* fill_history.h - the past of a stream from the history that it has written (fill.h): one row for
 * each event that the stream took, so windows can look at what plain features and those of SQL
 * have. */
#ifndef FRESHET_PIPELINE_FILL_HISTORY_H
#define FRESHET_PIPELINE_FILL_HISTORY_H

#include "pipeline/pipeline.h"
#include "readers/file/file.h"

typedef struct fill_past {
    const char *why;                  /* it cannot be read from there; NULL: it can */
    const char *folder;               /* of the history; NULL: none is declared */
    const char *path;                 /* the pattern of its files */
    declared_kind kind;               /* a reader of them */
    freshet_declaration *declaration; /* whose only reader they are */
} fill_past;

/* `checked` was opened to check. All in the arena, and as long as its declaration. */
freshet_code fill_history(const freshet_pipeline *checked, arena *arena, fill_past *out,
                          freshet_error *err);

/* fill_make.c: options as a declaration that says no more than the path has them. */
freshet_code fill_read_path(arena *arena, const declaration *declaration, const char *path,
                            file_options **out, freshet_error *err);

#endif
