/* macros.h - the SQL macros of a declaration: `macros: [divide(a, b): a / b]`.
 *
 * A macro is an SQL expression with parameters. Wherever SQL of the declaration calls it, the
 * expression takes the call's place, with the call's arguments in the place of the parameters. That
 * is done once, on words, when the declaration is read: whatever looks at the SQL behind that (the
 * dialect, the query's planner, what old state was made of) sees SQL without macros. So a macro may
 * hold all that may stand where it is called.
 *
 * Places are said in the text as it was written: what is wrong inside of a macro is shown at its
 * call.
 *
 * Order of calls: macros_expand once, when all blocks are read; then macros_written at any time.
 */
#ifndef FRESHET_DECLARATION_MACROS_H
#define FRESHET_DECLARATION_MACROS_H

#include "declaration/declaration_tree.h"

#define MACRO_PARAMETERS_MAX 64
#define MACRO_TEXT_MAX ((size_t)1 << 20) /* bytes of one SQL text with macros in place */
#define MACRO_NESTED_MAX 50              /* calls in arguments of calls */

/* The item `- divide(a, b): a / b` as {name: divide, parameters: [a, b], sql: a / b}. */
const node *macro_unfold(const node *item, problems *problems);

/* Checks the macros, and puts them into the place of their calls in all SQL of the declaration. */
void macros_expand(freshet_declaration *handle, problems *problems);

/* The SQL text as it was written, and in *offset (may be NULL) the byte there of that byte of the
 * text. A text without macros is as it was written. */
const char *macros_written(const declaration *declaration, const char *sql, size_t *offset);

#endif
