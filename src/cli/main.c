/* main.c - the command `freshet`: finds the verb, parses its options, runs it.
 *
 * The exit code says what to do: 0 done, 1 failed, 2 called wrongly, 65 too many rows were refused,
 * 75 try again later, 78 change the declaration.
 */
#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cli/cli.h"

static const verb *const verbs[] = {
    &verb_init,          &verb_check,        &verb_run,          &verb_test_files,
    &verb_replay,        &verb_plan,         &verb_apply,        &verb_get,
    &verb_compare,       &verb_query,        &verb_shell,        &verb_serve,
    &verb_status,        &verb_show,         &verb_docs,         &verb_state_ls,
    &verb_state_inspect, &verb_state_verify, &verb_state_reset,  &verb_state_export,
    &verb_state_import,  &verb_state_fill,   &verb_training_set, &verb_schema,
    &verb_version,
};

#define N_VERBS (sizeof verbs / sizeof verbs[0])

static void overview(text_buffer *into)
{
    text_append_c(
        into, "freshet - streaming feature sets for machine learning\n\n"
              "A feature set is declared once in a YAML file; the same file runs as a batch over\n"
              "history or as a stream that never ends, and can be queried by SQL while it runs.\n\n"
              "Usage: freshet VERB [OPTIONS]\n\n");
    for (size_t i = 0; i < N_VERBS; i++) {
        char call[64];
        snprintf(call, sizeof call, "%s %s", verbs[i]->name,
                 verbs[i]->operand == NULL ? "" : verbs[i]->operand);
        text_format(into, "    %-22s %s\n", call, verbs[i]->summary);
    }
    text_append_c(into,
                  "\nTry:\n"
                  "    freshet check flights.yaml\n"
                  "    freshet run flights.yaml --debug\n"
                  "    freshet shell\n\n"
                  "\"freshet VERB --help\" tells all about a verb, with examples.\n"
                  "Exit codes: 0 done, 1 failed, 2 called wrongly, 65 too many rows refused,\n"
                  "75 try again later, 78 change the declaration.\n");
}

/* What is told of a verb, or of all (NULL). */
static int print_help(const verb *verb, FILE *to)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (verb == NULL)
        overview(&text);
    else
        arguments_help(verb, &text);
    bool good = !text.failed && fputs(text.bytes, to) >= 0;
    good = output_finish() && good;
    text_release(&text);
    return good ? 0 : 1;
}

/* Is the verb's name `word`, a blank, and another word? */
static bool begins_with_word(const char *name, const char *word)
{
    size_t length = strlen(word);
    return strncmp(name, word, length) == 0 && name[length] == ' ';
}

static const verb *find_verb(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    }
    return NULL;
}

/* Of a verb of two words only the first was given: those that there are. */
static int explain_group(const char *name, FILE *to)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (begins_with_word(verbs[i]->name, name))
            fprintf(to, "    freshet %-16s %s\n", verbs[i]->name, verbs[i]->summary);
    fprintf(to, "\n\"freshet %s VERB --help\" tells all about one.\n", name);
    return to == stdout && fflush(to) == 0 ? 0 : exit_code(FRESHET_USAGE);
}

static bool is_group(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++)
        if (begins_with_word(verbs[i]->name, name))
            return true;
    return false;
}

static int unknown_verb(const char *name)
{
    const char *names[N_VERBS];
    for (size_t i = 0; i < N_VERBS; i++)
        names[i] = verbs[i]->name;
    const char *nearest = text_nearest(name, names, N_VERBS);
    freshet_error err;
    if (nearest == NULL)
        error_set(&err, FRESHET_USAGE, FRESHET_STOP, NULL,
                  "there is no verb \"%s\"; \"freshet --help\" lists them", name);
    else
        error_set(&err, FRESHET_USAGE, FRESHET_STOP, NULL,
                  "there is no verb \"%s\"; did you mean \"%s\"? (\"freshet --help\" lists them)",
                  name, nearest);
    report_error(&err);
    return exit_code(FRESHET_USAGE);
}

static int run_verb(const verb *verb, int n_words, char *const *words)
{
    freshet_error err = {0};
    void *options = calloc(1, verb->size);
    freshet_code code = options == NULL ? error_memory(&err, "reading the command line")
                                        : arguments_parse(verb, n_words, words, options, &err);
    const bool wants_help = code == FRESHET_END;
    if (code == FRESHET_OK)
        code = verb->run(options, &err);
    free(options);
    return wants_help ? print_help(verb, stdout) : verb_end(code, &err);
}

/* Widths of characters need to know that text is UTF-8; nothing else of the locale is used. */
static void use_utf8(void)
{
    if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

/* Where the caller has closed one of the three, the next file that is opened would take its place,
 * and get our messages or rows. Nothing can be written to what stands there for stdout: rows are
 * not lost without a word. */
static void take_standard_streams(void)
{
    static const int modes[] = {O_RDONLY, O_RDONLY, O_RDWR};
    for (int fd = 0; fd < 3; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", modes[fd]) != fd)
            _exit(exit_code(FRESHET_FAILED));
}

int main(int argc, char **argv)
{
    take_standard_streams();
    use_utf8();
    signal(SIGPIPE, SIG_IGN); /* a client or reader that goes away is an error of write(2) */
    if (argc < 2) {
        print_help(NULL, stderr);
        return exit_code(FRESHET_USAGE);
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return print_help(NULL, stdout);
    if (strcmp(name, "--version") == 0)
        name = "version";
    int at = 1; /* of the verb among the words */
    bool wants_help = strcmp(name, "help") == 0;
    if (wants_help && argc == 2)
        return print_help(NULL, stdout);
    if (wants_help)
        name = argv[++at];
    char both[64];
    if (is_group(name)) {
        const char *second = at + 1 < argc ? argv[at + 1] : "";
        if (second[0] == '-' || second[0] == '\0')
            return explain_group(name, wants_help || second[0] == '-' ? stdout : stderr);
        snprintf(both, sizeof both, "%s %s", name, second);
        name = both;
        at++;
    }
    const verb *verb = find_verb(name);
    if (verb == NULL)
        return unknown_verb(name);
    return wants_help ? print_help(verb, stdout) : run_verb(verb, argc - at - 1, argv + at + 1);
}
