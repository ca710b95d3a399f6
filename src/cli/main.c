/* main.c - the command `freshet`: finds the verb, parses its options, runs it.
 *
 * The exit code says what to do: 0 done, 1 failed, 2 called wrongly, 75 try again later, 78 change
 * the declaration.
 */
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "cli/cli.h"

static const verb *const verbs[] = {&verb_check, &verb_run,    &verb_query,  &verb_shell,
                                    &verb_show,  &verb_schema, &verb_version};

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
        text_format(into, "    %-16s %s\n", call, verbs[i]->summary);
    }
    text_append_c(into, "\nTry:\n"
                        "    freshet check flights.yaml\n"
                        "    freshet run flights.yaml --debug\n"
                        "    freshet shell\n\n"
                        "\"freshet VERB --help\" tells all about a verb, with examples.\n"
                        "Exit codes: 0 done, 1 failed, 2 called wrongly, 75 try again later,\n"
                        "78 change the declaration.\n");
}

static int print_overview(FILE *to)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    overview(&text);
    bool good = !text.failed && fputs(text.bytes, to) >= 0 && fflush(to) == 0;
    text_release(&text);
    return good ? 0 : 1;
}

static int print_help(const verb *verb)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    arguments_help(verb, &text);
    if (!text.failed)
        output_write(NULL, text.bytes, text.length);
    bool good = output_finish() && !text.failed;
    text_release(&text);
    return good ? 0 : 1;
}

static const verb *find_verb(const char *name)
{
    for (size_t i = 0; i < N_VERBS; i++) {
        if (strcmp(verbs[i]->name, name) == 0)
            return verbs[i];
    }
    return NULL;
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
    freshet_error err;
    void *options = calloc(1, verb->size);
    if (options == NULL) {
        error_memory(&err, "reading the command line");
        report_error(&err);
        return 1;
    }
    freshet_code code = arguments_parse(verb, n_words, words, options, &err);
    int exit_status;
    if (code == FRESHET_END) {
        exit_status = print_help(verb);
    } else if (code != FRESHET_OK) {
        report_error(&err);
        exit_status = exit_code(code);
    } else {
        exit_status = exit_code(verb->run(options));
    }
    free(options);
    return exit_status;
}

/* Widths of characters need to know that text is UTF-8; nothing else of the locale is used. */
static void use_utf8(void)
{
    if (setlocale(LC_CTYPE, "") == NULL || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
}

int main(int argc, char **argv)
{
    use_utf8();
    signal(SIGPIPE, SIG_IGN); /* a client or reader that goes away is an error of write(2) */
    if (argc < 2) {
        print_overview(stderr);
        return exit_code(FRESHET_USAGE);
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        return print_overview(stdout);
    if (strcmp(name, "--version") == 0)
        name = "version";
    const verb *verb = NULL;
    if (strcmp(name, "help") == 0) {
        if (argc == 2)
            return print_overview(stdout);
        verb = find_verb(argv[2]);
        return verb == NULL ? unknown_verb(argv[2]) : print_help(verb);
    }
    verb = find_verb(name);
    return verb == NULL ? unknown_verb(name) : run_verb(verb, argc - 2, argv + 2);
}
