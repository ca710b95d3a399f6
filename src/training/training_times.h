/* training_times.h - times and keys of spine and history as SQL that compares them. */
#ifndef FRESHET_TRAINING_TRAINING_TIMES_H
#define FRESHET_TRAINING_TRAINING_TIMES_H

#include "training/training.h"

/* A time as a whole number of microseconds since 1970, or of nanoseconds; null where it is none,
 * cut off where it has finer digits. `column` is quoted. In the arena; NULL where memory is out. */
const char *training_time(arena *arena, const char *column, const char *type, bool is_nanos);

/* The spine's column as a value of the type that the key has in the history; null where no value of
 * that type is equal to it. NULL and an error where the types have no equal values. `is_csv`: the
 * column is a text of a CSV file. */
freshet_code training_key_value(const training *training, const training_history *set,
                                const training_key *key, const char *type, const char **out,
                                freshet_error *err);

#endif
