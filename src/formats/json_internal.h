/* json_internal.h - what json.c and json_plain.c share; no other file but their tests includes it.
 *
 * A `shape` is what the decoder knows of one kind of object: the record itself, or a struct within
 * it. It finds the column of a key: first by `places`, what the same place of the object before
 * held, then in an open hash table of the names. Each shape belongs to one type in the tree of
 * types, so it is never in use twice at a time.
 */
#ifndef FRESHET_FORMATS_JSON_INTERNAL_H
#define FRESHET_FORMATS_JSON_INTERNAL_H

#include <string.h>

#include <yyjson.h>

#include "formats/format.h"

#define PLACES_MAX 128
#define PLACE_KEY_MAX 31
#define PATH_BYTES_MAX 256

enum { FIELD_IGNORED = -1 };

/* The key seen last at one place of an object; length 255 where none was. */
typedef struct place_hint {
    char key[PLACE_KEY_MAX + 2]; /* with a quote and a colon behind it */
    uint8_t length;
    bool is_plain; /* it stands in the text of a record as it is */
    int32_t field;
} place_hint;

typedef struct shape shape;

typedef struct shape_field {
    const char *name;
    uint32_t name_length;
    uint32_t seen; /* the stamp of the object that had the field last */
    bool used;
    bool is_known; /* some object has had it */
    shape *child;  /* of the struct in it, or NULL */
} shape_field;

struct shape {
    shape_field *fields;
    uint32_t n_fields;
    uint32_t n_used;
    uint32_t *slots; /* hash table of field index + 1 */
    uint32_t slot_mask;
    uint32_t stamp;
    bool all_known; /* of those that are used, by a plain record */
    place_hint places[PLACES_MAX];
};

/* Why a value does not fit, filled in where that is found; the path grows on the way out. */
typedef struct misfit {
    const type *type;
    yyjson_val *found;
    const char *hint;
    char path[PATH_BYTES_MAX];
} misfit;

typedef struct json_decoder {
    decoder base;
    shape *root;
    arena *own;       /* the shapes */
    bool exact;       /* numbers are read as text */
    bool stays_exact; /* from now on: a schema that needs it once will need it again */
    bool strict;
    bool tries_plain;    /* json_plain.c first; tests say false */
    uint32_t pause;      /* so many records are not tried, */
    uint32_t next_pause; /* and so many behind the next that is not plain */
    void *scratch;       /* yyjson's values, used again for each record: SCRATCH_BYTES */
    misfit misfit;
} json_decoder;

/* The column of the key, or FIELD_IGNORED; the second remembers it at its place, too. */
int32_t json_look_up(const shape *it, const char *key, size_t length);
int32_t json_remember_key(shape *it, size_t place, const char *key, size_t length);

/* Another object begins. */
void json_next_stamp(shape *it);

/* Row into->n_rows from a record of plain values (json_plain.c). False: it is none, or not a good
 * one, and nothing has happened but that cells of the row were written. */
bool json_decode_plain(json_decoder *decoder, const char *raw, size_t length);

static inline bool json_same_key(const char *a, const char *b, size_t length)
{
    uint64_t x, y;

    if (length < 4) {
        for (size_t i = 0; i < length; i++)
            if (a[i] != b[i])
                return false;
        return true;
    }
    if (length < 8)
        return text_four(a) == text_four(b) &&
               text_four(a + length - 4) == text_four(b + length - 4);
    for (size_t i = 0; i + 8 <= length; i += 8) {
        memcpy(&x, a + i, 8);
        memcpy(&y, b + i, 8);
        if (x != y)
            return false;
    }
    memcpy(&x, a + length - 8, 8);
    memcpy(&y, b + length - 8, 8);
    return x == y;
}

#endif
