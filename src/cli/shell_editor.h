/* shell_editor.h - lines typed on a terminal: edited, completed by Tab, remembered.
 *
 * Over libedit. The history outlives the session, in $XDG_STATE_HOME/freshet/history, else
 * ~/.local/state/freshet/history. The terminal sends no SIGINT, neither while a line is edited nor
 * while a statement is answered: Ctrl-C is a key that drops what was typed, also what was typed
 * ahead.
 *
 * Order of calls: shell_editor_open, shell_editor_read until NULL, shell_editor_close. One in a
 * process.
 */
#ifndef FRESHET_CLI_SHELL_EDITOR_H
#define FRESHET_CLI_SHELL_EDITOR_H

#include "base/text.h"

/* What the editor asks for; all with `context`. */
typedef struct shell_editor_uses {
    const char *(*prompt)(void *context);
    /* As completion_find, of the word before the cursor. */
    uint32_t (*complete)(void *context, const char *line, size_t cursor, text_buffer *rest,
                         text_buffer *list);
    void *context;
} shell_editor_uses;

typedef struct shell_editor shell_editor;

/* NULL without memory. */
shell_editor *shell_editor_open(const shell_editor_uses *uses);
/* The next line, with its newline; *dropped: Ctrl-C ended it, and what was typed before it is void,
 * too. NULL at the end (Ctrl-D). Valid until the next call. */
const char *shell_editor_read(shell_editor *editor, bool *dropped);
/* NULL is fine. */
void shell_editor_close(shell_editor *editor);

#endif
