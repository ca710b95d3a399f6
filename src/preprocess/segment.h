/* segment.h - several steps in a row as one statement over an input of its own: a batch in, a batch
 * out.
 *
 * A row that fails is found by halves and refused, with the place of the reader's row that it was
 * made from. Order of calls: segment_open, segment_run as often as wanted, segment_close.
 */
#ifndef FRESHET_PREPROCESS_SEGMENT_H
#define FRESHET_PREPROCESS_SEGMENT_H

#include "preprocess/preprocess_step.h"

typedef struct segment segment;

/* Views that were made, in their order. */
typedef struct view_list {
    const char **names;
    uint32_t n, capacity;
} view_list;

/* Steps [first, end), and on a stream what stands between them and a step that remembers: what is
 * done behind the one before (`behind`, or NULL) and before the next (`ahead`, or NULL). */
typedef struct step_range {
    preprocess_step *behind, *ahead;
    uint32_t first, end;
} step_range;

/* The steps as views: what is in `from` is seen, through all of them, in the view `to`. */
freshet_code views_make(preprocess *chain, const step_range *range, const char *from,
                        const char *to, view_list *into, freshet_error *err);
/* The columns that the first of them sees. */
const schema *range_before(const preprocess *chain, const step_range *range);
/* Is there anything to do? */
bool range_is_empty(const step_range *range);
void views_drop(preprocess *chain, view_list *views);

/* `name` is not used by another. */
freshet_code segment_open(preprocess *chain, const char *name, const step_range *range,
                          segment **out, freshet_error *err);
void segment_close(segment *segment);

/* Refuses the reader's row that row `row` of `in` was made from. */
freshet_code segment_refuse(const preprocess *chain, const batch *in, uint32_t row,
                            const batch *raw, rejects *rejects, reason_code why,
                            const char *sentence, freshet_error *err);

/* What rejects are of: the reader's own batch. */
typedef struct segment_origin {
    const batch *raw;
    rejects *rejects;
} segment_origin;

/* `out` lives in `arena`, and its long texts until the next run. out->rows: of each the row of the
 * reader's batch, through in->rows where these are there; in the order of `in`. */
freshet_code segment_run(segment *segment, const batch *in, const segment_origin *origin,
                         arena *arena, batch *out, freshet_error *err);

#endif
