/* arguments.h - a small declarative parser of command lines, which all verbs use.
 *
 * A verb is described by a table of options, one row each, and a struct that they are parsed into
 * by offset. The table also gives the verb's --help and the "did you mean" of a misspelt option.
 * Accepted forms: --name value, --name=value, --flag, -x value of an option that has a letter,
 * --help and -h, and `--` before operands that begin with a dash; a lone `-` is an operand. Of an
 * option given twice the last one counts, but for a list, which takes all.
 *
 * Order of calls: arguments_parse() into zeroed memory of verb.size bytes, in which options that
 * are not given keep their `standard`.
 */
#ifndef FRESHET_CLI_ARGUMENTS_H
#define FRESHET_CLI_ARGUMENTS_H

#include <freshet/freshet.h>

#include "base/text.h"

#define ARGUMENT_COUNT_MAX 1000000000u
#define ARGUMENT_LIST_MAX 32u
#define ARGUMENT_DURATION_MAX_US (INT64_C(3600) * 1000000)

typedef enum argument_kind {
    ARGUMENT_FLAG,    /* bool */
    ARGUMENT_TEXT,    /* const char *, into argv */
    ARGUMENT_LIST,    /* argument_list: given any number of times */
    ARGUMENT_CHOICE,  /* int, an index into choices; -1 where not given and no standard */
    ARGUMENT_COUNT,   /* uint32_t, from 1 to ARGUMENT_COUNT_MAX; 0 where not given */
    ARGUMENT_DURATION /* int64_t microseconds: 500ms, 10s, 2m, "3 seconds"; 10 is 10 seconds */
} argument_kind;

typedef struct argument_list {
    const char *items[ARGUMENT_LIST_MAX];
    uint32_t n;
} argument_list;

typedef struct argument {
    const char *name; /* without the dashes; NULL ends a table */
    argument_kind kind;
    char letter; /* -x is the same; 0: there is none */
    /* ARGUMENT_LIST: behind the operand it takes all words up to the next option, `--from a b` */
    bool takes_more;
    size_t offset;
    const char *value;          /* what --help calls the value, where it has one but no choices */
    const char *doc;            /* one line */
    const char *standard;       /* the default, as it would be typed; NULL: none */
    const char *const *choices; /* ARGUMENT_CHOICE: NULL-terminated */
} argument;

/* The beginning of a row: the argument's name, its kind, and the member of the verb's struct that
 * gets its value. */
#define ARGUMENT(named, of_kind, arguments_struct, member) \
    .name = (named), .kind = ARGUMENT_##of_kind, .offset = offsetof(arguments_struct, member)

typedef struct verb {
    const char *name;    /* one word, or two: "state ls" */
    const char *operand; /* as --help shows it; it goes to the struct's first member, a const */
    bool operand_is_optional; /* char *, which is NULL where it is not given. NULL: takes none */
    const char *second;       /* NULL, or one more, which must be given: to the second member */
    const char *summary;      /* one line, for `freshet --help` */
    const char *doc;          /* paragraphs, for `freshet VERB --help` */
    const char *examples;     /* lines, each a command */
    const argument *arguments;
    size_t size; /* of the struct that is parsed into */
    /* Leaves its error in *err, for main to tell; none where it has told all by itself. */
    freshet_code (*run)(const void *arguments, freshet_error *err);
} verb;

/* Parses the words after the verb. FRESHET_USAGE with a sentence in err; FRESHET_END where --help
 * was asked for. */
freshet_code arguments_parse(const verb *verb, int n_words, char *const *words, void *into,
                             freshet_error *err);

/* "10s", "500 ms", "2 minutes", or a number of seconds; false where it is none or too long. */
bool arguments_duration(const char *text, int64_t *duration_us);

/* The text of `freshet VERB --help`. */
void arguments_help(const verb *verb, text_buffer *into);

#endif
