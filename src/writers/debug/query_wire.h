/* query_wire.h - the rows of a query on their way out of the process that ran it (query_child.h).
 *
 * A query's process writes frames into a pipe, and its reader takes them one by one:
 *
 *     SCHEMA  PIECE*  END        ERROR in the place of any, and last
 *
 * Bytes are those of this machine: both ends are the same program. A frame is at most
 * WIRE_FRAME_MAX bytes; the writer makes pieces of fewer rows where they would be larger.
 */
#ifndef FRESHET_WRITERS_DEBUG_QUERY_WIRE_H
#define FRESHET_WRITERS_DEBUG_QUERY_WIRE_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "base/text.h"

#define WIRE_FRAME_MAX ((size_t)256 << 20)
#define WIRE_PIECE_BYTES ((size_t)4 << 20) /* a piece of several rows is not larger */

typedef enum wire_kind { WIRE_SCHEMA = 1, WIRE_PIECE, WIRE_END, WIRE_ERROR } wire_kind;

/* Writing, to a blocking descriptor: false where the reader is gone. */
bool wire_send(int fd, wire_kind kind, const char *bytes, size_t length);
bool wire_send_error(int fd, const freshet_error *problem);
bool wire_send_schema(int fd, const schema *schema, freshet_error *err);
/* All rows of the batch. FRESHET_LIMIT where one row alone is too large; FRESHET_END where the
 * reader is gone. */
freshet_code wire_send_rows(int fd, const batch *rows, arena *scratch, text_buffer *text,
                            freshet_error *err);

/* The next frame, its bytes in the arena. FRESHET_END where the writer is gone without an END. */
freshet_code wire_receive(int fd, arena *arena, wire_kind *kind, const char **bytes, size_t *length,
                          freshet_error *err);
/* What is in such a frame; what is cut is FRESHET_FAILED. Texts of rows point into the bytes. */
freshet_code wire_read_error(const char *bytes, size_t length, freshet_error *err);
freshet_code wire_read_schema(arena *arena, const char *bytes, size_t length, schema *out,
                              freshet_error *err);
freshet_code wire_read_rows(arena *arena, const char *bytes, size_t length, const schema *schema,
                            batch *out, freshet_error *err);

#endif
