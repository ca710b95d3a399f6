/* training_slots.h - the slots of a spine: its keys by number, and of each key the times in order.
 *
 * A function of SQL, training_slot(key number, time), gives the first slot of the key whose time is
 * that or later; null where all are before it. A slot's number is its place among all.
 *
 * Order of calls: training_slots_add once an engine, {training_slots_load, statements that call the
 * function}*. Statements may call it from several threads, while nothing is loaded.
 */
#ifndef FRESHET_TRAINING_TRAINING_SLOTS_H
#define FRESHET_TRAINING_TRAINING_SLOTS_H

#include "sql/sql.h"

typedef struct training_slots {
    arena *arena;
    int64_t *times;   /* of each slot */
    uint64_t *starts; /* of each key its first slot, and behind the last key the number of slots */
    uint64_t n, n_keys;
} training_slots;

/* Bytes that a slot takes here, at most: each may be of a key of its own. */
#define TRAINING_SLOT_BYTES 16

freshet_code training_slots_add(training_slots *slots, sql_session *session, freshet_error *err);
/* From the `n` rows of `sql`: key number and time, in their order; n_keys keys, each with a slot.
 */
freshet_code training_slots_load(training_slots *slots, sql_session *session, const char *sql,
                                 int64_t n, int64_t n_keys, freshet_error *err);
void training_slots_release(training_slots *slots);

#endif
