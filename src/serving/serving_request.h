/* serving_request.h - a request for feature vectors, in the form of Feast's /get-online-features:
 *
 *   {"features": ["spending:amount", "spending:is_large"],
 *    "entities": {"customer": ["ana", "ben"]}, "full_feature_names": false}
 *
 * The feature set's name, a colon, the feature's name; for each key of these sets, in `entities`, a
 * list of values, all of the same length: the first of each list are the keys of the first row.
 *
 * Read by yyjson, which needs no depth of stack; everything has a bound below. What is wrong is one
 * sentence and an HTTP status: 400 no such form, 404 a name that there is not, 413 too much, 422 a
 * form that is right and cannot be answered.
 */
#ifndef FRESHET_SERVING_SERVING_REQUEST_H
#define FRESHET_SERVING_SERVING_REQUEST_H

#include "base/batch.h"

#include <yyjson.h>

#define SERVING_BODY_MAX ((size_t)1 << 20)
#define SERVING_FEATURES_MAX 2048u
#define SERVING_ENTITIES_MAX 4096u   /* values in a list */
#define SERVING_KEYS_MAX 64u         /* lists */
#define SERVING_CELLS_MAX (1u << 18) /* features times values */
#define SERVING_SETS_MAX 64u         /* in one process */
#define SERVING_SENTENCE_MAX 1024u

struct serving_rows;
struct serving_store;

/* A feature set, and where its rows are. */
typedef struct serving_set {
    const char *name;
    schema schema; /* keys, timestamp, the features that are served */
    uint32_t n_keys;
    int64_t max_age_us;          /* 0: rows of any age */
    struct serving_rows *rows;   /* NULL: it has none in memory */
    struct serving_store *store; /* what is not there is asked of it; NULL: it is nowhere */
} serving_set;

typedef struct serving_wanted {
    uint32_t set;
    uint32_t field; /* of its schema */
} serving_wanted;

typedef struct serving_keys {
    const char *name;
    yyjson_val *values; /* a list of n_rows */
} serving_keys;

typedef struct serving_request {
    yyjson_doc *document;
    const serving_wanted *features;
    uint32_t n_features;
    serving_keys keys[SERVING_KEYS_MAX];
    uint32_t n_keys;
    uint32_t n_rows;
    bool has_full_names;
} serving_request;

typedef struct serving_refusal {
    unsigned status; /* of HTTP */
    char sentence[SERVING_SENTENCE_MAX];
} serving_refusal;

/* False: it is refused. All that is found is in the arena, or in the document, which is to be freed
 * in any case. */
bool serving_request_read(const serving_set *sets, uint32_t n_sets, const char *body, size_t length,
                          arena *arena, serving_request *out, serving_refusal *why);
void serving_request_free(serving_request *request);

/* The set's key columns, with a row for each of the values; `absent`: a bit is set where one of a
 * row's keys is null. False: a list is missing, or a value is not of the key's type. */
bool serving_request_keys(const serving_request *request, const serving_set *set, arena *arena,
                          column *keys, uint64_t *absent, serving_refusal *why);

/* Notes a refusal; returns false. */
bool serving_refuse(serving_refusal *why, unsigned status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
