/* hooks.h - `hooks`: expectations of the rows that pass a place of the pipeline.
 *
 *     reader ── before ──► preprocess ── after ──► query ── after ──► feature set ...
 *     ... before ── features ── after ──► sink: before ──► each writer: before
 *
 * An expectation without an aggregate function is about each row, and is asked of each micro-batch;
 * one with an aggregate is about all rows. A stream asks it of each micro-batch that has rows. A
 * batch, and a reader that is loaded whole, ask it once, of all rows: the columns that such hooks
 * look at are gathered in a table of the SQL engine, and looked at when the last row has come.
 *
 * NOTHING IS WRITTEN of a micro-batch in which a hook fails: all of them are asked in the first
 * half of a step. Of a batch neither: what writers would show before its end is held back until
 * then (hooks_hold.c).
 *
 * Order of calls: open, behind the feature set and the writers' columns; then where the rows pass
 * hooks_read, hooks_source, hooks_made; hooks_loaded behind each load; hooks_end before a batch
 * shows anything; close, before the source. The pipeline's thread. A pipeline without hooks has
 * none of this: its `hooks` is NULL.
 */
#ifndef FRESHET_PIPELINE_HOOKS_H
#define FRESHET_PIPELINE_HOOKS_H

#include <freshet/freshet.h>

#include "base/batch.h"

typedef struct hooks hooks;
struct problems;

/* Reads the expectations; mistakes are added to problems, and FRESHET_BAD_DECLARATION is returned.
 * *out NULL: there are none. Readers are to give the columns that hooks look at, too. */
freshet_code hooks_open(freshet_pipeline *pipeline, struct problems *problems, hooks **out,
                        freshet_error *err);
void hooks_close(hooks *hooks);

/* The rows of a reader's batch from `first` on have been read: those that are refused go out of it,
 * to the step's rejects. */
freshet_code hooks_read(freshet_pipeline *pipeline, uint32_t reader, batch *rows, uint32_t first,
                        freshet_error *err);

/* A reader's table begins to be loaded anew; has all its rows. */
freshet_code hooks_load(freshet_pipeline *pipeline, uint32_t reader, freshet_error *err);
freshet_code hooks_loaded(freshet_pipeline *pipeline, uint32_t reader, freshet_error *err);

/* The query's rows, and the feature rows of the delivery. */
freshet_code hooks_source(freshet_pipeline *pipeline, batch *rows, freshet_error *err);
freshet_code hooks_made(freshet_pipeline *pipeline, freshet_error *err);

/* A batch has no more rows. May be called again. */
freshet_code hooks_end(freshet_pipeline *pipeline, freshet_error *err);

/* Are rows held back at the moment? hooks_hold: the delivery's rows are; its rejects go out.
 * hooks_give: the next of them are the delivery; FRESHET_END behind the last. hooks_release: that
 * begins, since all hooks hold. */
bool hooks_holds(const hooks *hooks);
bool hooks_gives(const hooks *hooks);
freshet_code hooks_hold(freshet_pipeline *pipeline, freshet_error *err);
freshet_code hooks_give(freshet_pipeline *pipeline, freshet_error *err);
freshet_code hooks_release(freshet_pipeline *pipeline, freshet_error *err);

#endif
