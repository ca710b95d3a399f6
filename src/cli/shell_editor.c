/* shell_editor.c - see shell_editor.h. */
#include "cli/shell_editor.h"

#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "cli/completion.h"

#define HISTORY_LINES 1000
#define HISTORY_PATH_MAX 4096
#define LIST_BYTES_MAX ((size_t)8 << 20)
#define LIST_LINES_MAX 20u

struct shell_editor {
    shell_editor_uses uses;
    EditLine *lines;
    History *history;
    char history_path[HISTORY_PATH_MAX];
    bool dropped;
};

static shell_editor *editor_of(EditLine *lines)
{
    void *data = NULL;
    el_get(lines, EL_CLIENTDATA, &data);
    return data;
}

static char *editor_prompt(EditLine *lines)
{
    static char prompt[64];
    const shell_editor *editor = editor_of(lines);
    snprintf(prompt, sizeof prompt, "%s", editor->uses.prompt(editor->uses.context));
    return prompt;
}

static unsigned char editor_cancel(EditLine *lines, wint_t key)
{
    (void)key;
    editor_of(lines)->dropped = true;
    return CC_NEWLINE;
}

/* Below the line that is edited, which is drawn again behind it. */
static bool show_list(const text_buffer *list)
{
    struct winsize size;
    const bool has_size = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    text_buffer shown;
    text_init(&shown, LIST_BYTES_MAX);
    text_append_char(&shown, '\n');
    completion_show(list, has_size ? size.ws_col : 80, LIST_LINES_MAX, &shown);
    const bool good = !shown.failed && fputs(shown.bytes, stdout) >= 0 && fflush(stdout) == 0;
    text_release(&shown);
    return good;
}

static unsigned char editor_complete(EditLine *lines, wint_t key)
{
    (void)key;
    const shell_editor *editor = editor_of(lines);
    const LineInfo *line = el_line(lines);
    unsigned char does = CC_REFRESH_BEEP;
    text_buffer rest, list;
    text_init(&rest, LIST_BYTES_MAX);
    text_init(&list, LIST_BYTES_MAX);
    const uint32_t n = editor->uses.complete(editor->uses.context, line->buffer,
                                             (size_t)(line->cursor - line->buffer), &rest, &list);
    if (rest.length > 0 && !rest.failed && el_insertstr(lines, rest.bytes) == 0)
        does = CC_REFRESH;
    else if (n > 1 && rest.length == 0 && !list.failed && show_list(&list))
        does = CC_REDISPLAY;
    text_release(&rest);
    text_release(&list);
    return does;
}

/* ---- the history ---- */

/* Makes every folder above the file `path`, for the user only. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

/* None without a home. */
static void find_history(shell_editor *editor)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length = 0;
    if (state != NULL && state[0] == '/')
        length = snprintf(editor->history_path, HISTORY_PATH_MAX, "%s/freshet/history", state);
    else if (home != NULL && home[0] == '/')
        length = snprintf(editor->history_path, HISTORY_PATH_MAX, "%s/.local/state/freshet/history",
                          home);
    if (length <= 0 || length >= HISTORY_PATH_MAX)
        editor->history_path[0] = '\0';
}

static void history_load(shell_editor *editor)
{
    HistEvent event;
    history(editor->history, &event, H_SETSIZE, HISTORY_LINES);
    history(editor->history, &event, H_SETUNIQUE, 1);
    find_history(editor);
    if (editor->history_path[0] != '\0')
        history(editor->history, &event, H_LOAD, editor->history_path);
}

static void history_save(shell_editor *editor)
{
    HistEvent event;
    if (editor->history_path[0] == '\0')
        return;
    make_folders(editor->history_path);
    if (history(editor->history, &event, H_SAVE, editor->history_path) < 0)
        fprintf(stderr, "freshet: the history could not be written to %s: %s\n",
                editor->history_path, strerror(errno));
}

/* ---- the editor ---- */

/* libedit puts the terminal into its own modes (-d) when it begins to read keys, behind the prompt,
 * and into the others (-x) behind each line. What is typed in these waits for it: it is not echoed,
 * which would be shown twice, and Ctrl-C is no signal in them either. */
static void set_keys(shell_editor *editor)
{
    EditLine *lines = editor->lines;
    el_set(lines, EL_CLIENTDATA, editor);
    el_set(lines, EL_PROMPT, editor_prompt);
    el_set(lines, EL_EDITOR, "emacs");
    el_set(lines, EL_HIST, history, editor->history);
    el_wset(lines, EL_ADDFN, L"freshet-cancel", L"Drop what was typed", editor_cancel);
    el_wset(lines, EL_ADDFN, L"freshet-complete", L"Complete the word", editor_complete);
    el_set(lines, EL_BIND, "^C", "freshet-cancel", NULL);
    el_set(lines, EL_BIND, "^I", "freshet-complete", NULL);
    el_set(lines, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(lines, EL_SETTY, "-d", "-isig", NULL);
    el_set(lines, EL_SETTY, "-x", "-icanon", "-echo", "intr=", NULL);
}

shell_editor *shell_editor_open(const shell_editor_uses *uses)
{
    shell_editor *editor = calloc(1, sizeof *editor);
    if (editor == NULL)
        return NULL;
    editor->uses = *uses;
    editor->history = history_init();
    editor->lines = el_init("freshet", stdin, stdout, stderr);
    if (editor->lines == NULL || editor->history == NULL) {
        shell_editor_close(editor);
        return NULL;
    }
    history_load(editor);
    set_keys(editor);
    signal(SIGINT, SIG_IGN); /* by other ways: a statement has its own limit of time */
    return editor;
}

const char *shell_editor_read(shell_editor *editor, bool *dropped)
{
    int count = 0;
    editor->dropped = false;
    const char *line = el_gets(editor->lines, &count);
    if (line == NULL || count <= 0) {
        fputs("\n", stdout);
        return NULL;
    }
    *dropped = editor->dropped;
    if (editor->dropped) {
        fputs("\n", stdout);
    } else if (line[strspn(line, " \t\n")] != '\0') {
        HistEvent event;
        history(editor->history, &event, H_ENTER, line);
    }
    return line;
}

void shell_editor_close(shell_editor *editor)
{
    if (editor == NULL)
        return;
    if (editor->history != NULL) {
        if (editor->lines != NULL)
            history_save(editor);
        history_end(editor->history);
    }
    if (editor->lines != NULL)
        el_end(editor->lines);
    free(editor);
}
