/* handle.h - what is behind the public freshet_declaration; for this folder only.
 *
 * handle_open, then nodes are put into `tree` (by yaml.c or builder.c), then it is finished once,
 * which fills `parsed`; freshet_declaration_close releases it all. One thread at a time.
 */
#ifndef FRESHET_DECLARATION_HANDLE_H
#define FRESHET_DECLARATION_HANDLE_H

#include "base/text.h"
#include "declaration/declaration_tree.h"

struct freshet_declaration {
    arena *arena;       /* everything below, and this struct's own texts */
    tree tree;          /* tree.problems: what was wrong before the tables came into play */
    declaration parsed; /* once finished */
    bool finished;
    user_function *functions, **functions_end; /* in the order in which they were added */
};

/* A new handle with an empty tree; NULL where memory is out. */
freshet_declaration *handle_open(void);

/* Gives a finished text to `write` and releases it; `doing` says what, for errors ("writing the
 * declaration"). */
freshet_code text_hand_over(text_buffer *text, const char *doing, freshet_write_fn *write,
                            void *context, freshet_error *err);

#endif
