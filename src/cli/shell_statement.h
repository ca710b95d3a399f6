/* shell_statement.h - cuts what is typed into the shell into SQL statements.
 *
 * Lines are fed one by one; a statement ends at a `;` outside of quotes ('...', "..."), dollar
 * quotes ($$...$$, $tag$...$tag$) and comments (-- to the end of the line, nested block comments).
 * Scanning goes on where it stopped, so that each byte is looked at once.
 *
 * Order of calls: statement_init, then statement_feed for each line and after it statement_next
 * until it gives false; statement_rest at the end of input; statement_reset drops what is there
 * (Ctrl-C); statement_release.
 */
#ifndef FRESHET_CLI_SHELL_STATEMENT_H
#define FRESHET_CLI_SHELL_STATEMENT_H

#include <stdbool.h>

#include "base/text.h"

#define STATEMENT_BYTES_MAX ((size_t)1 << 20)
#define STATEMENT_TAG_MAX 64 /* of a dollar quote, its two dollars included */

typedef struct statements {
    text_buffer pending;
    size_t scanned; /* bytes of pending that the scan has passed */
    size_t start;   /* where the next statement begins */
    char quote;     /* ' or " or $ when inside one, else 0 */
    uint32_t depth; /* of block comments */
    char tag[STATEMENT_TAG_MAX + 1];
    bool content; /* something besides blanks and comments since start */
} statements;

void statement_init(statements *statements);
/* `line` without its newline. False where the statement grew past STATEMENT_BYTES_MAX (it is
 * dropped) or memory is out. */
bool statement_feed(statements *statements, const char *line, size_t length);
/* The next complete statement, without its `;`; valid until the next feed, reset or release. Empty
 * ones are left out. */
bool statement_next(statements *statements, const char **sql);
/* What is there without a `;`, if there is more than blanks and comments. */
bool statement_rest(statements *statements, const char **sql);
/* True between statements: a line that begins with a dot is a command then. */
bool statement_is_empty(const statements *statements);
void statement_reset(statements *statements);
void statement_release(statements *statements);

#endif
