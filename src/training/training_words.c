/* training_words.c - options of one set: "SET=value" and "value" for all (training.h). */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "declaration/value.h"
#include "training/training.h"

/* Is it "SET<separator>..."? */
static bool word_is_of(const char *word, const char *set, char separator)
{
    const size_t length = strlen(set);
    return strncmp(word, set, length) == 0 && word[length] == separator;
}

const char *training_word(const char *const *words, const char *set, bool bare)
{
    const char *of_all = NULL, *of_set = NULL;
    for (; words != NULL && *words != NULL; words++) {
        if (word_is_of(*words, set, '='))
            of_set = *words + strlen(set) + 1;
        else if (bare && strchr(*words, '=') == NULL)
            of_all = *words;
    }
    return of_set == NULL ? of_all : of_set;
}

/* How an option is written whose sets end with this. */
static const char *form_of(char separator)
{
    return separator == '.' ? "SET.KEY=COLUMN" : separator == ':' ? "SET:FEATURE,..." : "SET=...";
}

/* `name`: of the set that is not there; NULL: the word names none. */
static freshet_code refuse_set(const training *training, const char *name, const char *word,
                               const char *what, char separator, freshet_error *err)
{
    const char *names[TRAINING_SETS_MAX];
    text_buffer list;
    text_init(&list, 400);
    for (uint32_t i = 0; i < training->n_sets; i++) {
        names[i] = training->sets[i].name;
        text_format(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    const char *sets = list.length == 0 ? "" : list.bytes;
    const char *near = name == NULL ? NULL : text_nearest(name, names, training->n_sets);
    freshet_code code =
        name == NULL
            ? error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                        "--%s %s: it must be %s of one of these sets: %s", what, word,
                        form_of(separator), sets)
            : error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                        "--%s %s: there is no set \"%s\"%s%s%s; it must be %s of one of these: %s",
                        what, word, name, near == NULL ? "" : ", did you mean \"",
                        near == NULL ? "" : near, near == NULL ? "" : "\"?", form_of(separator),
                        sets);
    text_release(&list);
    return code;
}

freshet_code training_check_words(const training *training, const char *const *words,
                                  const char *what, char separator, bool bare, freshet_error *err)
{
    for (; words != NULL && *words != NULL; words++) {
        const char *end =
            *words + strcspn(*words, separator == '.' ? ".=" : (char[]){separator, 0});
        if (*end == '\0' && bare)
            continue;
        if (*end != separator)
            return refuse_set(training, NULL, *words, what, separator, err);
        char name[DECLARATION_NAME_MAX + 1] = "";
        const size_t length = (size_t)(end - *words);
        memcpy(name, *words, length < sizeof name ? length : sizeof name - 1);
        bool is_there = false;
        for (uint32_t i = 0; i < training->n_sets; i++)
            is_there |= word_is_of(*words, training->sets[i].name, separator);
        if (!is_there)
            return refuse_set(training, name, *words, what, separator, err);
    }
    return FRESHET_OK;
}

freshet_code training_split(training *training, const char *text, const char ***out, uint32_t *n,
                            freshet_error *err)
{
    size_t room = 2;
    for (const char *c = text; *c != '\0'; c++)
        room += *c == ',';
    *out = arena_zero(training->arena, room, sizeof **out);
    *n = 0;
    while (*out != NULL) {
        const char *end = text + strcspn(text, ",");
        const char *from = text + strspn(text, " ");
        size_t length = from < end ? (size_t)(end - from) : 0;
        while (length > 0 && from[length - 1] == ' ')
            length--;
        if (length > 0 && ((*out)[(*n)++] = arena_copy(training->arena, from, length)) == NULL)
            break;
        if (*end == '\0')
            return FRESHET_OK;
        text = end + 1;
    }
    return error_memory(err, TRAINING_DOING);
}

freshet_code training_duration(const char *text, const char *what, int64_t *into_us,
                               freshet_error *err)
{
    const char *wrong = value_number(OPTION_DURATION, text, into_us);
    return wrong == NULL ? FRESHET_OK
                         : error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                                     "--%s is \"%s\", but it %s", what, text, wrong);
}
