/* divided.h - an operator that is several: instances side by side, each with a part of the keys,
 * which run beside each other on the crew (base/crew.h).
 *
 * It stands in the place of the operator that it is made of (ops->whole), and gives the rows that
 * that one would give: those of a key in their order, all of a run in the order of the rows that
 * they come from. Rows that come of no row (groups, windows that end, keys that lose events) come
 * one instance behind the other, so only each key's are in their order. What is saved is the same,
 * too: facts are those of one of the instances, and a state part is one of pieces
 * (keyed/state_part.h), in which a key lies with the instance that owns it (keyed_owner). So a
 * state that was written by any number of instances is read by any other.
 */
#ifndef FRESHET_FEATURES_DIVIDED_H
#define FRESHET_FEATURES_DIVIDED_H

#include "features/operator.h"

/* What is to be opened for `ops`: one that divides it among as many instances as the crew of
 * options->set has workers; `ops` itself where there is one worker, or it cannot be divided. */
const operator_ops *divided_ops(const operator_ops *ops, const operator_options *options);

/* Runs of fewer rows are done by the loop's own thread, one instance after another. */
#define DIVIDED_ROWS_MIN 1024u

#endif
