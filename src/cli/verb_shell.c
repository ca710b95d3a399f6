/* verb_shell.c - freshet shell: SQL to a running pipeline, line by line.
 *
 * On a terminal lines are edited and completed (shell_editor.h); anywhere else they are read as
 * they come, without a prompt. shell_statement.h finds the statements in the lines. A line that
 * begins with a dot is a command of the table below; so is a word of it alone where a statement
 * would begin.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/error.h"
#include "base/os.h"
#include "cli/cli.h"
#include "cli/completion.h"
#include "cli/shell_editor.h"
#include "cli/shell_statement.h"
#include "operate/query_client.h"

#define OUTPUT_PATH_MAX 4096

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
    bool timer;
    freshet_code worst; /* of a session without a terminal */
    shell_editor *editor;
    char *line; /* getline's, without a terminal */
    size_t line_size;
    FILE *output; /* of .output, or NULL: stdout */
    char output_path[OUTPUT_PATH_MAX];
    int output_problem; /* errno of a write to it; the rest of the result is dropped */
    completion tables;  /* both are asked for when they are wanted first */
    completion names;   /* of tables and columns, as SQL takes them */
} shell;

typedef struct shell_command {
    const char *name;
    const char *value; /* what may stand behind it, for the help */
    const char *doc;
    void (*run)(shell *shell, const char *value);
    const char *const *choices; /* of the value */
    bool takes_table;
    const char *word; /* means the same alone, without a dot */
} shell_command;

/* ---- asking ---- */

/* A connection that broke shows as an error of the next status too. */
static bool discard(void *context, const char *bytes, size_t length)
{
    (void)context;
    (void)bytes;
    (void)length;
    return true;
}

static bool gather(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

static void mistake(shell *shell, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void mistake(shell *shell, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("freshet: error: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    shell->worst = FRESHET_USAGE;
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

/* ---- where results go ---- */

/* Of a file that takes no more the rest of the result is dropped, so that the connection stays. */
static bool shell_write(void *context, const char *bytes, size_t length)
{
    shell *shell = context;
    if (shell->output == NULL)
        return output_write(NULL, bytes, length);
    if (shell->output_problem == 0 && length > 0 &&
        fwrite(bytes, 1, length, shell->output) != length)
        shell->output_problem = errno == 0 ? EIO : errno;
    return true;
}

/* Tells what went wrong with the file, and goes back to the terminal then. */
static void output_settle(shell *shell, bool closes)
{
    if (shell->output == NULL)
        return;
    if (fflush(shell->output) != 0 && shell->output_problem == 0)
        shell->output_problem = errno;
    const bool failed = shell->output_problem != 0;
    if (failed)
        fprintf(stderr,
                "freshet: error: cannot write all of the results to %s: %s; what follows goes to "
                "standard output\n",
                shell->output_path, strerror(shell->output_problem));
    shell->worst = failed ? FRESHET_FAILED : shell->worst;
    if (!failed && !closes)
        return;
    fclose(shell->output);
    shell->output = NULL;
    shell->output_problem = 0;
}

static void set_output(shell *shell, const char *value)
{
    output_settle(shell, true);
    if (value[0] == '\0')
        return;
    snprintf(shell->output_path, sizeof shell->output_path, "%s", value);
    shell->output = fopen(value, "we");
    if (shell->output == NULL)
        mistake(shell, "cannot write to %s: %s; results go to standard output", value,
                strerror(errno));
}

/* The end of each answer. */
static void answer_end(shell *shell, freshet_code code, const freshet_error *err)
{
    output_settle(shell, false);
    if (!output_finish()) {
        shell->worst = FRESHET_FAILED;
        shell->quit = true;
    } else if (code != FRESHET_OK) {
        note_failure(shell, code, err);
    }
}

static void shell_ask(shell *shell, const char *sql)
{
    freshet_error err;
    const int64_t start_us = os.monotonic_us();
    freshet_code code = query_client_ask(shell->client, sql, shell->format, shell->timeout_us,
                                         shell_write, shell, &err);
    answer_end(shell, code, &err);
    if (shell->timer && !shell->quit)
        fprintf(stderr, "(%.3f s)\n", (double)(os.monotonic_us() - start_us) / 1e6);
}

/* ---- names ---- */

/* Those of tables, and with `columns` those of columns, too, in quotes where SQL wants them. */
static void names_ask(shell *shell, bool columns, completion *into)
{
    static const char tables[] =
        "select table_name as name from information_schema.tables where table_schema = 'main' "
        "order by name";
    static const char all[] =
        "select distinct case when regexp_full_match(name, '[a-z_][a-z0-9_]*') and name not in "
        "(select keyword_name from duckdb_keywords() where keyword_category = 'reserved') "
        "then name else '\"' || replace(name, '\"', '\"\"') || '\"' end as name from "
        "(select table_name as name from information_schema.tables where table_schema = 'main' "
        "union all select column_name from information_schema.columns where table_schema = 'main')"
        " where not regexp_matches(name, '[\\x00-\\x1f\\x7f]') order by name";
    if (into->names.length > 0)
        return;
    text_buffer answer;
    text_init(&answer, COMPLETION_BYTES_MAX);
    if (query_client_ask(shell->client, columns ? all : tables, FRESHET_CSV, shell->timeout_us,
                         gather, &answer, NULL) == FRESHET_OK &&
        answer.bytes != NULL)
        completion_add_csv(into, answer.bytes);
    text_release(&answer);
}

/* The name of `names` that is nearest; NULL where none is near. */
static const char *nearest_name(const completion *names, const char *word)
{
    const char *near[256];
    size_t n = 0;
    for (size_t at = 0; at < names->names.length && n < 256;
         at += strlen(names->names.bytes + at) + 1)
        near[n++] = names->names.bytes + at;
    return text_nearest(word, near, n);
}

/* ---- commands ---- */

static void shell_tables(shell *shell, const char *value)
{
    (void)value;
    shell_ask(shell, "select table_name as name, table_type as type from information_schema.tables "
                     "where table_schema = 'main' order by name");
}

static bool table_is_there(shell *shell, const char *table)
{
    names_ask(shell, false, &shell->tables);
    if (completion_has(&shell->tables, table))
        return true;
    const char *nearest = nearest_name(&shell->tables, table);
    mistake(shell, "there is no table %s%s%s%s .tables lists them", table,
            nearest == NULL ? "" : "; did you mean ", nearest == NULL ? "" : nearest,
            nearest == NULL ? ";" : "?");
    return false;
}

static void shell_schema(shell *shell, const char *value)
{
    if (value[0] != '\0' && !table_is_there(shell, value))
        return;
    text_buffer sql;
    text_init(&sql, 65536);
    text_append_c(&sql, "select table_name as \"table\", column_name as \"column\", data_type as "
                        "type from information_schema.columns where table_schema = 'main'");
    if (value[0] != '\0')
        text_append_c(&sql, " and lower(table_name) = lower('");
    for (const char *c = value; *c != '\0'; c++)
        text_format(&sql, *c == '\'' ? "''" : "%c", *c);
    text_append_c(&sql, value[0] != '\0' ? "') " : " ");
    text_append_c(&sql, "order by table_name, ordinal_position");
    if (!sql.failed)
        shell_ask(shell, sql.bytes);
    text_release(&sql);
}

static void shell_status(shell *shell, const char *value)
{
    (void)value;
    freshet_error err;
    freshet_code code = query_client_status(shell->client, shell_write, shell, &err);
    shell_write(shell, "\n", 1);
    answer_end(shell, code, &err);
}

static void set_format(shell *shell, const char *value)
{
    for (int i = 0; format_choices[i] != NULL; i++) {
        if (strcmp(format_choices[i], value) == 0) {
            shell->format = (freshet_format)i;
            return;
        }
    }
    mistake(shell, "the format must be table, json, csv or line: .format json");
}

static const char *const timer_choices[] = {"on", "off", NULL};

static void set_timer(shell *shell, const char *value)
{
    const bool on = strcmp(value, "on") == 0;
    if (!on && strcmp(value, "off") != 0)
        mistake(shell, "the timer is on or off: .timer on");
    else
        shell->timer = on;
}

static void leave(shell *shell, const char *value)
{
    (void)value;
    shell->quit = true;
}

static void shell_help(shell *shell, const char *value);

static const shell_command commands[] = {
    {".tables", NULL, "the tables and views there are", shell_tables, NULL, false, NULL},
    {".schema", "[TABLE]", "their columns and types", shell_schema, NULL, true, NULL},
    {".format", "FORMAT", "print results as table, json, csv or line", set_format, format_choices,
     false, NULL},
    {".output", "[FILE]", "write results into FILE; without FILE here again", set_output, NULL,
     false, NULL},
    {".timer", "on|off", "tell how long each statement takes", set_timer, timer_choices, false,
     NULL},
    {".status", NULL, "the pipeline's counters, as JSON", shell_status, NULL, false, NULL},
    {".help", NULL, "this", shell_help, NULL, false, "help"},
    {".quit", NULL, "leave (.exit and Ctrl-D do, too)", leave, NULL, false, "quit"},
    {".exit", NULL, NULL, leave, NULL, false, "exit"},
};

#define N_COMMANDS (sizeof commands / sizeof *commands)

/* What others call them. */
static const struct {
    const char *word;
    const char *ours;
} foreign[] = {
    {"\\q", ".quit"},        {"\\d", ".schema"},        {"\\dt", ".tables"},
    {"\\d+", ".schema"},     {"\\dv", ".tables"},       {"\\l", ".tables"},
    {"\\x", ".format line"}, {"\\timing", ".timer on"}, {"\\?", ".help"},
    {"\\h", ".help"},        {"\\o", ".output FILE"},   {"\\s", ".status"},
    {".mode", ".format"},    {".once", ".output FILE"}, {".describe", ".schema"},
    {".columns", ".schema"}, {".time", ".timer on"},    {"?", ".help"},
};

static void shell_help(shell *shell, const char *value)
{
    (void)shell;
    (void)value;
    output_format("Statements are SQL and end with a semicolon; they may take several lines.\n"
                  "Tab completes names of tables and columns. Ctrl-C drops what was typed.\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        char call[32];
        snprintf(call, sizeof call, "%s %s", commands[i].name,
                 commands[i].value == NULL ? "" : commands[i].value);
        if (commands[i].doc != NULL)
            output_format("    %-16s %s\n", call, commands[i].doc);
    }
    output_finish();
}

static void unknown_command(shell *shell, const char *name)
{
    const char *names[N_COMMANDS];
    const char *nearest = NULL;
    for (size_t i = 0; i < N_COMMANDS; i++)
        names[i] = commands[i].name;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        nearest = strcmp(foreign[i].word, name) == 0 ? foreign[i].ours : nearest;
    nearest = nearest == NULL ? text_nearest(name, names, N_COMMANDS) : nearest;
    if (nearest == NULL)
        mistake(shell, "there is no command %s; .help lists them", name);
    else
        mistake(shell, "there is no command %s; did you mean %s? .help lists them", name, nearest);
}

/* Cuts blanks, and where that is asked for semicolons, off the end. */
static char *trimmed(char *text, const char *what)
{
    text += strspn(text, " \t");
    size_t length = strlen(text);
    while (length > 0 && strchr(what, text[length - 1]) != NULL)
        text[--length] = '\0';
    return text;
}

/* A line with a dot in front. */
static void command_line(shell *shell, char *line)
{
    char *name = trimmed(line, " \t\r");
    char *value = name + strcspn(name, " \t");
    if (*value != '\0')
        *value++ = '\0';
    value = trimmed(value, strcmp(name, ".output") == 0 ? " \t" : " \t;");
    trimmed(name, ";");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i].name, name) == 0) {
            commands[i].run(shell, value);
            return;
        }
    }
    unknown_command(shell, name);
}

/* A word alone, where a statement would begin. */
static const shell_command *command_of_word(char *line)
{
    const char *word = trimmed(line, " \t\r;");
    for (size_t i = 0; i < N_COMMANDS; i++)
        if (commands[i].word != NULL && strcasecmp(commands[i].word, word) == 0)
            return &commands[i];
    return NULL;
}

/* False where the line is no command. */
static bool take_command(shell *shell, const char *line, size_t length)
{
    char *copy = strndup(line, length);
    if (copy == NULL)
        return false;
    const bool is_command =
        strchr(".\\?", copy[strspn(copy, " \t")]) != NULL && copy[strspn(copy, " \t")] != '\0';
    const shell_command *word = is_command ? NULL : command_of_word(copy);
    if (is_command)
        command_line(shell, copy);
    else if (word != NULL)
        word->run(shell, "");
    free(copy);
    return is_command || word != NULL;
}

/* ---- completion ---- */

/* What may stand before the cursor in a line that begins with a dot. */
static void complete_command(shell *shell, const char *line, size_t word, completion *into)
{
    if (memchr(line, ' ', word) == NULL) {
        for (size_t i = 0; i < N_COMMANDS; i++)
            completion_add(into, commands[i].name, strlen(commands[i].name));
        return;
    }
    for (size_t i = 0; i < N_COMMANDS; i++) {
        const size_t length = strlen(commands[i].name);
        if (strncmp(line, commands[i].name, length) != 0 || line[length] != ' ')
            continue;
        for (const char *const *choice = commands[i].choices; choice != NULL && *choice != NULL;
             choice++)
            completion_add(into, *choice, strlen(*choice));
        if (!commands[i].takes_table)
            continue;
        names_ask(shell, false, &shell->tables);
        text_append(&into->names,
                    shell->tables.names.bytes == NULL ? "" : shell->tables.names.bytes,
                    shell->tables.names.length);
    }
}

static uint32_t shell_complete(void *context, const char *line, size_t cursor, text_buffer *rest,
                               text_buffer *list)
{
    shell *shell = context;
    size_t word = completion_word(line, cursor);
    if (line[0] != '.' || !statement_is_empty(&shell->statements)) {
        if (word == cursor)
            return 0; /* all that there is helps nobody */
        names_ask(shell, true, &shell->names);
        return completion_find(&shell->names, line + word, cursor - word, rest, list);
    }
    completion fitting;
    completion_init(&fitting);
    word = word == 1 ? 0 : word; /* the dot is a part of it */
    complete_command(shell, line, word, &fitting);
    const uint32_t n = completion_find(&fitting, line + word, cursor - word, rest, list);
    completion_release(&fitting);
    return n;
}

/* ---- lines ---- */

static const char *shell_prompt(void *context)
{
    const shell *shell = context;
    return statement_is_empty(&shell->statements) ? "freshet> " : "     ...> ";
}

/* The next line without its newline; NULL at the end of input. */
static const char *read_line(shell *shell, size_t *length, bool *dropped)
{
    const char *line;
    *dropped = false;
    if (shell->editor != NULL) {
        line = shell_editor_read(shell->editor, dropped);
        *length = line == NULL ? 0 : strlen(line);
    } else {
        ssize_t got = getline(&shell->line, &shell->line_size, stdin);
        line = got < 0 ? NULL : shell->line;
        *length = got < 0 ? 0 : (size_t)got;
    }
    if (line != NULL && *length > 0 && line[*length - 1] == '\n')
        *length -= 1;
    return line;
}

static void take_line(shell *shell, const char *line, size_t length)
{
    if (statement_is_empty(&shell->statements) && take_command(shell, line, length))
        return;
    if (!statement_feed(&shell->statements, line, length)) {
        mistake(shell, "the statement is longer than %zu bytes and was dropped",
                STATEMENT_BYTES_MAX);
        return;
    }
    const char *sql;
    while (!shell->quit && statement_next(&shell->statements, &sql))
        shell_ask(shell, sql);
}

static void converse(shell *shell)
{
    size_t length = 0;
    bool dropped;
    const char *line;
    while (!shell->quit && (line = read_line(shell, &length, &dropped)) != NULL) {
        if (dropped)
            statement_reset(&shell->statements);
        else
            take_line(shell, line, length);
    }
    const char *sql;
    if (!shell->quit && !shell->interactive && statement_rest(&shell->statements, &sql))
        shell_ask(shell, sql);
    output_settle(shell, true);
}

static void shell_release(shell *shell)
{
    shell_editor_close(shell->editor);
    query_client_close(shell->client);
    statement_release(&shell->statements);
    completion_release(&shell->tables);
    completion_release(&shell->names);
    free(shell->line);
}

static freshet_code shell_run(const void *arguments, freshet_error *err)
{
    const shell_arguments *given = arguments;
    shell shell = {.format = format_or_default(given->format), .timeout_us = given->timeout_us};
    const shell_editor_uses uses = {shell_prompt, shell_complete, &shell};
    freshet_code code = query_client_open(given->pipeline, &shell.client, err);
    if (code != FRESHET_OK)
        return code;
    statement_init(&shell.statements);
    completion_init(&shell.tables);
    completion_init(&shell.names);
    shell.interactive = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    if (shell.interactive && (shell.editor = shell_editor_open(&uses)) == NULL) {
        error_memory(err, "starting the line editor");
        shell.worst = FRESHET_FAILED;
    } else {
        if (shell.interactive)
            printf("The pipeline %s. End statements with a semicolon; .help helps.\n",
                   query_client_pipeline(shell.client));
        converse(&shell);
    }
    shell_release(&shell);
    return shell.interactive && shell.worst != FRESHET_FAILED ? FRESHET_OK : shell.worst;
}

const verb verb_shell = {
    .name = "shell",
    .summary = "ask a running pipeline, interactively",
    .doc =
        "Sends SQL to a pipeline that runs in debug mode on this machine, statement by statement;\n"
        "each ends with a semicolon. Lines can be edited, completed by Tab, and are remembered in\n"
        "$XDG_STATE_HOME/freshet/history (else ~/.local/state/freshet/history). Without a "
        "terminal\n"
        "the statements are read from standard input, and the exit code tells of the last "
        "failure.\n"
        ".help lists the commands. When the pipeline ends, so does the shell, with exit code 1.",
    .examples = "    freshet shell\n"
                "    freshet shell --pipeline flights --format csv < questions.sql\n",
    .arguments = shell_options,
    .size = sizeof(shell_arguments),
    .run = shell_run,
};
