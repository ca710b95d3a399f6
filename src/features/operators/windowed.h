/* windowed.h - the windows of a feature set at work (operator.h), between the steps before and after them.
 *
 * STREAM. A run fills the slots of the windows' outputs for its rows, and puts behind each, as a further row, its
 * key's newest row where it has changed that; write_us and row_kinds are set. So what is output for a key comes in
 * the order of its write timestamps. From here on only the slots that are needed after windows are filled.
 *
 * EXPIRY. With `refresh: on_expiry` keys that have lost events by the second before which no row will come any more
 * are owed: go_on gives them as rows that begin behind the windows: for the online store, with the second of the loss as
 * their timestamp.
 *
 * BATCH. A run's rows are kept; finish gives them in pieces of WINDOWED_PIECE_ROWS, which begin behind the windows.
 *
 * LATENESS. A row that its lane's watermark lets pass is late all the same where the windows do not
 * hold its events any more: rows of one key from several lanes, of which one was idle.
 *
 * FACTS. What the windows of now can read of a state that was kept for those of then: the longest windows.
 */
#ifndef FRESHET_FEATURES_OPERATORS_WINDOWED_H
#define FRESHET_FEATURES_OPERATORS_WINDOWED_H

#include "features/operator.h"

#define WINDOWED_PIECE_ROWS 16384u

#endif
