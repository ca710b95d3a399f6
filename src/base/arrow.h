/* arrow.h - columns as the structs of the Arrow C Data Interface, and back.
 *
 *     ours             Arrow format            also taken
 *     boolean          b
 *     integer, bigint  i, l
 *     float, double    f, g
 *     decimal(w,s)     d:w,s (128 bits)
 *     string, binary   u, z                    U, Z (offsets of 64 bits)
 *     date             tdD
 *     timestamp        tsu: (no zone, UTC)     tsu:ZONE
 *     array<T>         +l, child "element"     +L
 *     struct<...>      +s, a child a field
 *
 * What is given away owns its memory: it was copied, and whoever has it calls its `release`, once,
 * whenever that is. What is taken is copied, too, and stays its owner's. A struct that was moved or
 * released has `release` NULL.
 *
 * Dictionaries, views, run ends and all other formats are refused by name.
 */
#ifndef FRESHET_BASE_ARROW_H
#define FRESHET_BASE_ARROW_H

#include <freshet/freshet.h>

#include "base/batch.h"

/* The type as a schema named `name`; FRESHET_NO_MEMORY. */
freshet_code arrow_give_type(const type *type, const char *name, struct ArrowSchema *out,
                             freshet_error *err);

/* The first n cells. FRESHET_LIMIT where a column of texts or arrays is too long for offsets of 32
 * bits. */
freshet_code arrow_give(const column *column, uint64_t n, struct ArrowArray *out,
                        freshet_error *err);

/* The same for all columns of a batch as one struct, a child a column. */
freshet_code arrow_give_batch_type(const schema *schema, struct ArrowSchema *out,
                                   freshet_error *err);
freshet_code arrow_give_batch(const batch *batch, struct ArrowArray *out, freshet_error *err);

/* The type of a schema, in the arena. FRESHET_USAGE for a format that Freshet does not have: the
 * text begins with the format, for a sentence of the caller's ("... gave the Arrow format ..."). */
freshet_code arrow_take_type(arena *arena, const struct ArrowSchema *schema, const type **out,
                             freshet_error *err);

/* Fills the rows [0, array->length) of `into`, a column that was made by column_init for the
 * schema's type with room for them. FRESHET_USAGE where the array is not what the schema says, as
 * far as that can be seen: lengths, numbers of buffers and children, offsets, UTF-8, digits of
 * decimals. */
freshet_code arrow_take(arena *arena, const struct ArrowSchema *schema,
                        const struct ArrowArray *array, column *into, freshet_error *err);

#endif
