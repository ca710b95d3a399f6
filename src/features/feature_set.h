/* feature_set.h - rows of the source become feature rows: keys, timestamp, features, cast to their
 * types.
 *
 * Output columns: the keys, `timestamp`, the features in their order. Features are computed in
 * declaration order over one growing row: the source's columns, then `timestamp`, keys and each
 * feature as soon as it is computed, under its own name, so that a later feature sees an earlier
 * one (and one that has the name of a source column hides that from later ones). A feature is a
 * column (`from`), cast to its type by our own casts (cast.h), or an SQL expression, evaluated by
 * the SQL engine and then cast. Consecutive SQL features that do not need each other are evaluated
 * by one statement.
 *
 * A row is refused (rejects) when its key or timestamp is null or does not cast, when a feature
 * does not cast and on_cast_error is dead_letter, or when its SQL fails. It never stops the batch.
 */
#ifndef FRESHET_FEATURES_FEATURE_SET_H
#define FRESHET_FEATURES_FEATURE_SET_H

#include "declaration/declaration.h"
#include "sql/sql.h"

typedef struct feature_set feature_set;

/* Resolves names and types against the source's columns and prepares the expressions; mistakes
 * (unknown columns with "did you mean", bad SQL, types that cannot be cast) are added to problems
 * at their places; then *out is NULL and FRESHET_BAD_DECLARATION is returned. The set is closed
 * before the session and the declaration. */
freshet_code feature_set_open(const freshet_declaration *declaration, sql_session *session,
                              const schema *input, problems *problems, feature_set **out,
                              freshet_error *err);
void feature_set_close(feature_set *set);

/* Keys, timestamp, features: the first n_keys columns are keys, column n_keys is the timestamp. */
const schema *feature_set_schema(const feature_set *set);
uint32_t feature_set_n_keys(const feature_set *set);

/* Computes `in` (a batch of the source's schema; in->rows may be NULL) into `out`, whose rows[] are
 * those of `in` without the refused ones. Each refused row is given to refuse() with one sentence
 * that names the column and the value, once, in no certain order. `out` lives in `arena`, shares
 * columns with `in`, and lives until the next feature_set_run: long texts that SQL has made are its
 * own. */
typedef freshet_code feature_refuse_fn(void *context, const batch *in, uint32_t row,
                                       const char *reason, freshet_error *err);
freshet_code feature_set_run(feature_set *set, arena *arena, const batch *in, batch *out,
                             feature_refuse_fn *refuse, void *context, freshet_error *err);

#endif
