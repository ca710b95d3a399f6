/* windowed_view.h - what the windows of a view are given of a run, and what becomes of what they
 * give; for windowed.c and windowed_batch.c. */
#ifndef FRESHET_FEATURES_OPERATORS_WINDOWED_VIEW_H
#define FRESHET_FEATURES_OPERATORS_WINDOWED_VIEW_H

#include "features/operator.h"
#include "windows/windows_state.h"

#define WINDOWED_PIECE_ROWS 16384u /* rows that are given at once without an input */

/* The slots that are needed from the windows on. */
void windowed_mark_slots(const plan *plan, bool *marked);

freshet_code windowed_make_input(run *run, const view *view, windows_input *input);

/* The outputs of a view become the slots that they are for. */
freshet_code windowed_fill_outputs(run *run, const view *view, const column *made);

/* What became of each row: it is refused where it has one of the flags that are asked for. */
freshet_code windowed_take_flags(freshet_operator *self, run *run, const uint8_t *flags,
                                 unsigned asked);

#endif
