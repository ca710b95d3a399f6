/* verb_shell.c - freshet shell: SQL to a running pipeline, line by line.
 *
 * On a terminal lines are edited by libedit, with a history that outlives the session; anywhere
 * else they are read as they come, without a prompt. In the editor the terminal sends no signals:
 * Ctrl-C is a key, bound to dropping what was typed. shell_statement.h finds the statements in the
 * lines.
 */
#include <errno.h>
#include <histedit.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wchar.h>

#include "base/error.h"
#include "cli/cli.h"
#include "cli/shell_statement.h"
#include "operate/query_client.h"

#define HISTORY_LINES 1000
#define HISTORY_PATH_MAX 4096

typedef struct shell_arguments {
    const char *pipeline;
    int format;
    int64_t timeout_us;
} shell_arguments;

static const argument shell_options[] = {
    {ARGUMENT("pipeline", TEXT, shell_arguments, pipeline), .value = "NAME",
     .doc = "which pipeline, where several run"},
    {ARGUMENT("format", CHOICE, shell_arguments, format), .choices = format_choices,
     .doc = "default: table on a terminal, else json (an object a line)"},
    {ARGUMENT("timeout", DURATION, shell_arguments, timeout_us), .value = "TIME", .standard = "10s",
     .doc = "how long a query may run"},
    {.name = NULL},
};

typedef struct shell {
    query_client *client;
    freshet_format format;
    int64_t timeout_us;
    statements statements;
    bool interactive;
    bool quit;
    freshet_code worst; /* of a session without a terminal */
    EditLine *editor;
    History *history;
    char history_path[HISTORY_PATH_MAX];
    bool interrupted; /* by Ctrl-C, the line just read */
    char *line;       /* getline's, without a terminal */
    size_t line_size;
} shell;

static const char help[] =
    "Statements are SQL and end with a semicolon; they may take several lines.\n"
    "    .tables          the tables and views there are\n"
    "    .format FORMAT   print results as table, json or csv\n"
    "    .status          the pipeline's counters, as JSON\n"
    "    .help            this\n"
    "    .quit            leave (Ctrl-D does too); Ctrl-C drops what was typed\n";

/* ---- lines from a terminal ---- */

static shell *editor_shell(EditLine *editor)
{
    void *data = NULL;
    el_get(editor, EL_CLIENTDATA, &data);
    return data;
}

static char *editor_prompt(EditLine *editor)
{
    static char first[] = "freshet> ";
    static char more[] = "     ...> ";
    return statement_is_empty(&editor_shell(editor)->statements) ? first : more;
}

static unsigned char editor_cancel(EditLine *editor, wint_t key)
{
    (void)key;
    editor_shell(editor)->interrupted = true;
    return CC_NEWLINE;
}

/* Makes every folder above the file `path`, for the user only. */
static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

/* $XDG_STATE_HOME/freshet/history, else ~/.local/state/freshet/history; none without a home. */
static void find_history(shell *shell)
{
    const char *state = getenv("XDG_STATE_HOME");
    const char *home = getenv("HOME");
    int length = 0;
    if (state != NULL && state[0] == '/')
        length = snprintf(shell->history_path, HISTORY_PATH_MAX, "%s/freshet/history", state);
    else if (home != NULL && home[0] == '/')
        length = snprintf(shell->history_path, HISTORY_PATH_MAX, "%s/.local/state/freshet/history",
                          home);
    if (length <= 0 || length >= HISTORY_PATH_MAX)
        shell->history_path[0] = '\0';
}

static bool editor_open(shell *shell)
{
    HistEvent event;
    shell->editor = el_init("freshet", stdin, stdout, stderr);
    shell->history = history_init();
    if (shell->editor == NULL || shell->history == NULL)
        return false;
    history(shell->history, &event, H_SETSIZE, HISTORY_LINES);
    history(shell->history, &event, H_SETUNIQUE, 1);
    find_history(shell);
    if (shell->history_path[0] != '\0')
        history(shell->history, &event, H_LOAD, shell->history_path);
    el_set(shell->editor, EL_CLIENTDATA, shell);
    el_set(shell->editor, EL_PROMPT, editor_prompt);
    el_set(shell->editor, EL_EDITOR, "emacs");
    el_set(shell->editor, EL_HIST, history, shell->history);
    el_wset(shell->editor, EL_ADDFN, L"freshet-cancel", L"Drop what was typed", editor_cancel);
    el_set(shell->editor, EL_BIND, "^C", "freshet-cancel", NULL);
    el_set(shell->editor, EL_BIND, "^R", "em-inc-search-prev", NULL);
    el_set(shell->editor, EL_SETTY, "-d", "-isig", NULL);
    signal(SIGINT, SIG_IGN); /* while a query runs: it has its own time limit */
    return true;
}

static void editor_close(shell *shell)
{
    HistEvent event;
    if (shell->history != NULL && shell->history_path[0] != '\0') {
        make_folders(shell->history_path);
        if (history(shell->history, &event, H_SAVE, shell->history_path) < 0)
            fprintf(stderr, "freshet: the history could not be written to %s: %s\n",
                    shell->history_path, strerror(errno));
    }
    if (shell->history != NULL)
        history_end(shell->history);
    if (shell->editor != NULL)
        el_end(shell->editor);
}

/* ---- a line, from wherever ---- */

static const char *read_edited(shell *shell, size_t *length)
{
    int count = 0;
    shell->interrupted = false;
    const char *line = el_gets(shell->editor, &count);
    if (line == NULL || count <= 0) {
        fputs("\n", stdout);
        return NULL;
    }
    *length = strlen(line);
    if (shell->interrupted) {
        fputs("\n", stdout);
    } else if (strspn(line, " \t\n") < *length) {
        HistEvent event;
        history(shell->history, &event, H_ENTER, line);
    }
    return line;
}

/* The next line without its newline; NULL at the end of input. */
static const char *read_line(shell *shell, size_t *length)
{
    const char *line;
    if (shell->editor != NULL) {
        line = read_edited(shell, length);
    } else {
        ssize_t got = getline(&shell->line, &shell->line_size, stdin);
        line = got < 0 ? NULL : shell->line;
        *length = got < 0 ? 0 : (size_t)got;
    }
    if (line != NULL && *length > 0 && line[*length - 1] == '\n')
        *length -= 1;
    return line;
}

/* ---- what a line says ---- */

/* A connection that broke shows as an error of the next status too. */
static bool discard(void *context, const char *bytes, size_t length)
{
    (void)context;
    (void)bytes;
    (void)length;
    return true;
}

static bool pipeline_is_there(shell *shell)
{
    return query_client_status(shell->client, discard, NULL, NULL) == FRESHET_OK;
}

static void note_failure(shell *shell, freshet_code code, const freshet_error *err)
{
    shell->worst = code;
    if (code != FRESHET_USAGE && !pipeline_is_there(shell)) {
        fprintf(stderr, "freshet: error: the pipeline %s has ended, and the shell with it\n",
                query_client_pipeline(shell->client));
        shell->worst = FRESHET_FAILED;
        shell->quit = true;
        return;
    }
    report_error(err);
}

static void shell_ask(shell *shell, const char *sql)
{
    freshet_error err;
    freshet_code code = query_client_ask(shell->client, sql, shell->format, shell->timeout_us,
                                         output_write, NULL, &err);
    if (!output_finish()) {
        shell->worst = FRESHET_FAILED;
        shell->quit = true;
    } else if (code != FRESHET_OK) {
        note_failure(shell, code, &err);
    }
}

static void show_status(shell *shell)
{
    freshet_error err;
    freshet_code code = query_client_status(shell->client, output_write, NULL, &err);
    output_format("\n");
    if (code != FRESHET_OK)
        note_failure(shell, code, &err);
    output_finish();
}

static void set_format(shell *shell, const char *name)
{
    for (int i = 0; format_choices[i] != NULL; i++) {
        if (strcmp(format_choices[i], name) == 0) {
            shell->format = (freshet_format)i;
            return;
        }
    }
    fprintf(stderr, "freshet: error: the format must be table, json or csv: .format json\n");
    shell->worst = FRESHET_USAGE;
}

static void command(shell *shell, char *line)
{
    char *rest = NULL;
    const char *name = strtok_r(line, " \t", &rest);
    const char *value = strtok_r(NULL, " \t", &rest);
    if (strcmp(name, ".quit") == 0 || strcmp(name, ".exit") == 0) {
        shell->quit = true;
    } else if (strcmp(name, ".help") == 0) {
        output_format("%s", help);
        output_finish();
    } else if (strcmp(name, ".tables") == 0) {
        shell_ask(shell,
                  "select table_name as name, table_type as type from information_schema.tables "
                  "where table_schema = 'main' order by name");
    } else if (strcmp(name, ".format") == 0) {
        set_format(shell, value == NULL ? "" : value);
    } else if (strcmp(name, ".status") == 0) {
        show_status(shell);
    } else {
        fprintf(stderr, "freshet: error: there is no command %s; .help lists them\n", name);
        shell->worst = FRESHET_USAGE;
    }
}

static void take_line(shell *shell, const char *line, size_t length)
{
    if (line[0] == '.' && statement_is_empty(&shell->statements)) {
        char *copy = strndup(line, length);
        if (copy != NULL)
            command(shell, copy);
        free(copy);
        return;
    }
    if (!statement_feed(&shell->statements, line, length)) {
        fprintf(stderr, "freshet: error: the statement is longer than %zu bytes and was dropped\n",
                STATEMENT_BYTES_MAX);
        shell->worst = FRESHET_USAGE;
        return;
    }
    const char *sql;
    while (!shell->quit && statement_next(&shell->statements, &sql))
        shell_ask(shell, sql);
}

static void converse(shell *shell)
{
    size_t length = 0;
    const char *line;
    while (!shell->quit && (line = read_line(shell, &length)) != NULL) {
        if (shell->interrupted)
            statement_reset(&shell->statements);
        else
            take_line(shell, line, length);
    }
    const char *sql;
    if (!shell->quit && !shell->interactive && statement_rest(&shell->statements, &sql))
        shell_ask(shell, sql);
}

static freshet_code shell_run(const void *arguments, freshet_error *err)
{
    const shell_arguments *given = arguments;
    shell shell = {.format = format_or_default(given->format), .timeout_us = given->timeout_us};
    freshet_code code = query_client_open(given->pipeline, &shell.client, err);
    if (code != FRESHET_OK)
        return code;
    statement_init(&shell.statements);
    shell.interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (shell.interactive && !editor_open(&shell)) {
        error_memory(err, "starting the line editor");
        shell.worst = FRESHET_FAILED;
    } else {
        if (shell.interactive)
            printf("The pipeline %s. End statements with a semicolon; .help helps.\n",
                   query_client_pipeline(shell.client));
        converse(&shell);
    }
    editor_close(&shell);
    query_client_close(shell.client);
    statement_release(&shell.statements);
    free(shell.line);
    return shell.interactive && shell.worst != FRESHET_FAILED ? FRESHET_OK : shell.worst;
}

const verb verb_shell = {
    .name = "shell",
    .summary = "ask a running pipeline, interactively",
    .doc =
        "Sends SQL to a pipeline that runs in debug mode on this machine, statement by statement;\n"
        "each ends with a semicolon. Lines can be edited and are remembered in\n"
        "$XDG_STATE_HOME/freshet/history (else ~/.local/state/freshet/history). Without a "
        "terminal\n"
        "the statements are read from standard input, and the exit code tells of the last "
        "failure.\n"
        "When the pipeline ends, so does the shell, with exit code 1.",
    .examples = "    freshet shell\n"
                "    freshet shell --pipeline flights --format csv < questions.sql\n",
    .arguments = shell_options,
    .size = sizeof(shell_arguments),
    .run = shell_run,
};
