/* query_result.h - what is behind a freshet_result: rows pulled piece by piece from whoever made
 * it.
 *
 * The maker (the debug table; a test) embeds this struct first in its own, zeroed, and fills in
 * schema, next and close. operate/result_rows.c does the rest: it walks the rows, converts cells
 * and prints. One thread at a time.
 */
#ifndef FRESHET_WRITERS_DEBUG_QUERY_RESULT_H
#define FRESHET_WRITERS_DEBUG_QUERY_RESULT_H

#include <freshet/freshet.h>

#include "base/batch.h"
#include "base/text.h"

struct freshet_result {
    const schema *schema;
    /* Puts the next rows into result->piece, valid until the next call or close; a piece of no rows
     * is allowed. FRESHET_END after the last; any other code ends the result, too. */
    freshet_code (*next)(freshet_result *result, freshet_error *err);
    /* Frees the maker's struct. */
    void (*close)(freshet_result *result);

    /* The walker's own, zero at first. */
    batch piece;
    uint32_t
        row; /* rows of the piece taken so far; the current one is row - 1; 0 = no current row */
    bool ended;
    text_buffer text; /* of the last freshet_result_text */
};

#endif
