/* completion.h - what a word that was begun on the shell's line may become.
 *
 * A list of names (commands, tables, columns) is asked for those that begin with a word, whatever
 * the case. Names that SQL needs in quotes stand in the list with them, and are found by a word
 * that begins with the quote.
 *
 * Order of calls: completion_init, completion_add or completion_add_csv, completion_find as often
 * as wanted, completion_release.
 */
#ifndef FRESHET_CLI_COMPLETION_H
#define FRESHET_CLI_COMPLETION_H

#include <stdbool.h>

#include "base/text.h"

#define COMPLETION_BYTES_MAX ((size_t)4 << 20) /* of all names; what is more is left out */

typedef struct completion {
    text_buffer names; /* each with a NUL behind it */
} completion;

void completion_init(completion *completion);
void completion_release(completion *completion);
void completion_add(completion *completion, const char *name, size_t length);
/* Each record of a CSV of one column, without its header. */
void completion_add_csv(completion *completion, const char *csv);
bool completion_has(const completion *completion, const char *name);

/* The names that begin with the word: how many. Appends to `rest` what all of them have behind it,
 * and to `list` the names themselves, each with a NUL behind it. */
uint32_t completion_find(const completion *completion, const char *word, size_t length,
                         text_buffer *rest, text_buffer *list);

/* Where the word of SQL begins that ends before `cursor`; `cursor` where there is none. */
size_t completion_word(const char *line, size_t cursor);

/* Appends the list in as many columns as fit the width, in `lines_max` lines at most; where there
 * are more, the last line says how many. */
void completion_show(const text_buffer *list, uint32_t width, uint32_t lines_max,
                     text_buffer *into);

#endif
