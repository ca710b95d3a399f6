/* arguments.c - see arguments.h. One pass over the words; each is an option, the value that the
 * option before it asks for, or the operand.
 */
#include "cli/arguments.h"

#include <string.h>

#include "base/error.h"
#include "base/number.h"

#define OPTIONS_MAX 32
#define HELP_COLUMN 28

typedef struct parse {
    const verb *verb;
    char *const *next; /* of the words */
    char *const *end;
    char *into;
    const char *operand, *second;
    freshet_error *err;
} parse;

#define refuse(parse, ...) error_set((parse)->err, FRESHET_USAGE, FRESHET_STOP, NULL, __VA_ARGS__)

bool arguments_duration(const char *text, int64_t *duration_us)
{
    static const struct {
        const char *name;
        int64_t us;
    } units[] = {
        {"", 1000000},        {"s", 1000000},        {"second", 1000000},
        {"seconds", 1000000}, {"ms", 1000},          {"m", 60000000},
        {"minute", 60000000}, {"minutes", 60000000}, {"h", 3600000000},
        {"hour", 3600000000}, {"hours", 3600000000}, {"sec", 1000000},
        {"min", 60000000},    {"mins", 60000000},    {"us", 1},
    };
    const size_t length = strspn(text, "0123456789.");
    const char *rest = text + length + strspn(text + length, " ");
    double number;
    if (text[0] == '.' || !number_double(text, length, NUMBER_STRICT, &number))
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(rest, units[i].name) != 0)
            continue;
        double us = number * (double)units[i].us;
        if (!(us >= 1.0 && us <= (double)ARGUMENT_DURATION_MAX_US))
            return false;
        *duration_us = (int64_t)us;
        return true;
    }
    return false;
}

static freshet_code set_choice(parse *parse, const argument *argument, const char *value)
{
    uint32_t n = 0;
    for (; argument->choices[n] != NULL; n++) {
        if (strcmp(argument->choices[n], value) == 0) {
            *(int *)(void *)(parse->into + argument->offset) = (int)n;
            return FRESHET_OK;
        }
    }
    text_buffer list;
    text_init(&list, 256);
    for (uint32_t i = 0; i < n; i++)
        text_format(&list, "%s%s", i == 0 ? "" : i + 1 == n ? " or " : ", ", argument->choices[i]);
    freshet_code code = refuse(parse, "--%s must be %s, not \"%s\"", argument->name,
                               list.bytes == NULL ? "one of its choices" : list.bytes, value);
    text_release(&list);
    return code;
}

static freshet_code set_count(parse *parse, const argument *argument, const char *value)
{
    const char *at = value;
    int64_t count = 0;
    if (!number_digits(&at, value + strlen(value), false, &count) || *at != '\0' || count == 0 ||
        count > ARGUMENT_COUNT_MAX)
        return refuse(parse, "--%s must be a whole number from 1 to %u, not \"%s\"", argument->name,
                      ARGUMENT_COUNT_MAX, value);
    *(uint32_t *)(void *)(parse->into + argument->offset) = (uint32_t)count;
    return FRESHET_OK;
}

static freshet_code add_item(parse *parse, const argument *argument, const char *value)
{
    argument_list *list = (argument_list *)(void *)(parse->into + argument->offset);
    if (list->n == ARGUMENT_LIST_MAX)
        return refuse(parse, "--%s can be given %u times at most", argument->name,
                      ARGUMENT_LIST_MAX);
    list->items[list->n++] = value;
    return FRESHET_OK;
}

static freshet_code set_value(parse *parse, const argument *argument, const char *value)
{
    char *field = parse->into + argument->offset;
    switch (argument->kind) {
    case ARGUMENT_FLAG: *(bool *)(void *)field = true; return FRESHET_OK;
    case ARGUMENT_TEXT: *(const char **)(void *)field = value; return FRESHET_OK;
    case ARGUMENT_LIST: return add_item(parse, argument, value);
    case ARGUMENT_CHOICE: return set_choice(parse, argument, value);
    case ARGUMENT_COUNT: return set_count(parse, argument, value);
    case ARGUMENT_DURATION: break;
    }
    if (arguments_duration(value, (int64_t *)(void *)field))
        return FRESHET_OK;
    return refuse(parse, "--%s must be a time such as 10s, 500ms or 2m (at most 1h), not \"%s\"",
                  argument->name, value);
}

static freshet_code set_standards(parse *parse)
{
    for (const argument *argument = parse->verb->arguments; argument->name != NULL; argument++) {
        if (argument->standard != NULL) {
            freshet_code code = set_value(parse, argument, argument->standard);
            if (code != FRESHET_OK)
                return code;
        } else if (argument->kind == ARGUMENT_CHOICE) {
            *(int *)(void *)(parse->into + argument->offset) = -1;
        }
    }
    return FRESHET_OK;
}

static freshet_code unknown_option(const parse *parse, const char *name, size_t length)
{
    const char *names[OPTIONS_MAX];
    size_t n = 0;
    for (const argument *argument = parse->verb->arguments;
         argument->name != NULL && n < OPTIONS_MAX - 1; argument++)
        names[n++] = argument->name;
    names[n++] = "help";
    char given[64];
    if (length >= sizeof given)
        length = sizeof given - 1;
    memcpy(given, name, length);
    given[length] = '\0';
    const char *nearest = text_nearest(given, names, n);
    if (nearest == NULL)
        return refuse(parse, "freshet %s has no option --%s; see \"freshet %s --help\"",
                      parse->verb->name, given, parse->verb->name);
    return refuse(parse,
                  "freshet %s has no option --%s; did you mean --%s? See \"freshet %s --help\"",
                  parse->verb->name, given, nearest, parse->verb->name);
}

static const argument *find_option(const parse *parse, const char *name, size_t length)
{
    for (const argument *argument = parse->verb->arguments; argument->name != NULL; argument++) {
        if (strlen(argument->name) == length && memcmp(argument->name, name, length) == 0)
            return argument;
    }
    return NULL;
}

static freshet_code parse_option(parse *parse, const char *name)
{
    const char *equals = strchr(name, '=');
    size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const argument *argument = find_option(parse, name, length);
    if (argument == NULL)
        return unknown_option(parse, name, length);
    if (argument->kind == ARGUMENT_FLAG)
        return equals == NULL ? set_value(parse, argument, NULL)
                              : refuse(parse, "--%s takes no value; leave \"%s\" away",
                                       argument->name, equals);
    if (equals != NULL)
        return set_value(parse, argument, equals + 1);
    if (parse->next == parse->end)
        return refuse(parse, "--%s needs a value behind it; see \"freshet %s --help\"",
                      argument->name, parse->verb->name);
    freshet_code code = set_value(parse, argument, *parse->next++);
    while (code == FRESHET_OK && argument->takes_more && parse->operand != NULL &&
           parse->next < parse->end && (*parse->next)[0] != '-')
        code = set_value(parse, argument, *parse->next++);
    return code;
}

/* `-o`, with its value behind it. */
static freshet_code parse_letter(parse *parse, const char *letter)
{
    const argument *argument = parse->verb->arguments;
    while (argument->name != NULL && (argument->letter == '\0' || argument->letter != letter[0]))
        argument++;
    return argument->name == NULL || letter[1] != '\0'
               ? unknown_option(parse, letter, strlen(letter))
               : parse_option(parse, argument->name);
}

static freshet_code parse_operand(parse *parse, const char *word)
{
    if (parse->verb->operand == NULL)
        return refuse(parse,
                      "freshet %s takes options only, and no \"%s\"; see \"freshet %s --help\"",
                      parse->verb->name, word, parse->verb->name);
    if (parse->operand != NULL && parse->verb->second != NULL && parse->second == NULL) {
        parse->second = word;
        return FRESHET_OK;
    }
    if (parse->operand != NULL)
        return refuse(parse,
                      "freshet %s takes one %s, and \"%s\" is one too many; put quotes around "
                      "one that has blanks in it",
                      parse->verb->name, parse->verb->operand, word);
    parse->operand = word;
    return FRESHET_OK;
}

freshet_code arguments_parse(const verb *verb, int n_words, char *const *words, void *into,
                             freshet_error *err)
{
    parse parse = {.verb = verb, .next = words, .end = words + n_words, .into = into, .err = err};
    for (int i = 0; i < n_words && strcmp(words[i], "--") != 0; i++) {
        if (strcmp(words[i], "--help") == 0 || strcmp(words[i], "-h") == 0)
            return FRESHET_END;
    }
    freshet_code code = set_standards(&parse);
    bool options_end = false;
    while (parse.next < parse.end && code == FRESHET_OK) {
        const char *word = *parse.next++;
        if (options_end || word[0] != '-' || word[1] == '\0')
            code = parse_operand(&parse, word);
        else if (strcmp(word, "--") == 0)
            options_end = true;
        else if (word[1] == '-')
            code = parse_option(&parse, word + 2);
        else
            code = parse_letter(&parse, word + 1);
    }
    if (code != FRESHET_OK || verb->operand == NULL)
        return code;
    if (parse.operand == NULL && !verb->operand_is_optional)
        return refuse(&parse, "freshet %s needs %s; see \"freshet %s --help\"", verb->name,
                      verb->operand, verb->name);
    if (parse.second == NULL && verb->second != NULL)
        return refuse(&parse, "freshet %s needs %s and %s; see \"freshet %s --help\"", verb->name,
                      verb->operand, verb->second, verb->name);
    *(const char **)into = parse.operand;
    if (verb->second != NULL)
        ((const char **)into)[1] = parse.second;
    return FRESHET_OK;
}

static void help_option(const argument *argument, text_buffer *into)
{
    size_t start = into->length;
    if (argument->letter != '\0')
        text_format(into, "    -%c, --%s", argument->letter, argument->name);
    else
        text_format(into, "    --%s", argument->name);
    if (argument->kind == ARGUMENT_CHOICE) {
        for (uint32_t i = 0; argument->choices[i] != NULL; i++)
            text_format(into, "%c%s", i == 0 ? ' ' : '|', argument->choices[i]);
    } else if (argument->kind != ARGUMENT_FLAG) {
        text_format(into, " %s", argument->value);
    }
    size_t length = into->length - start;
    if (length + 2 > HELP_COLUMN) {
        text_append_char(into, '\n');
        length = 0;
    }
    text_format(into, "%*s%s", (int)(HELP_COLUMN - length), "", argument->doc);
    if (argument->standard != NULL)
        text_format(into, " (default: %s)", argument->standard);
    text_append_char(into, '\n');
}

void arguments_help(const verb *verb, text_buffer *into)
{
    text_format(into, "freshet %s", verb->name);
    if (verb->operand != NULL)
        text_format(into, " %s%s%s", verb->operand, verb->second == NULL ? "" : " ",
                    verb->second == NULL ? "" : verb->second);
    if (verb->arguments[0].name != NULL)
        text_append_c(into, " [OPTIONS]");
    text_format(into, "\n\n%s\n", verb->doc);
    if (verb->arguments[0].name != NULL)
        text_append_c(into, "\nOptions:\n");
    for (const argument *argument = verb->arguments; argument->name != NULL; argument++)
        help_option(argument, into);
    text_format(into, "\nExamples:\n%s", verb->examples);
}
