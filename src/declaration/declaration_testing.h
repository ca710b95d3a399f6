/* declaration_testing.h - helpers of this folder's tests: read text, and compare all problems as
 * one text. */
#ifndef FRESHET_DECLARATION_DECLARATION_TESTING_H
#define FRESHET_DECLARATION_DECLARATION_TESTING_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "declaration/registry_testing.h"

/* A declaration without mistakes that the tests change in one place each. */
static const char sound[] = "version: 1\n"
                            "pipeline: airport_delays\n"
                            "source:\n"
                            "  readers:\n"
                            "    - id: flights\n"
                            "      file: {path: data/flights, format: json}\n"
                            "      stream: true\n"
                            "    - id: airports\n"
                            "      file: {path: data/airports.csv, format: csv}\n"
                            "  query: |\n"
                            "    select f.origin\n"
                            "    from flights f\n"
                            "feature_set:\n"
                            "  name: airport_delays\n"
                            "  entity: airport\n"
                            "  keys:\n"
                            "    - {name: origin, type: string}\n"
                            "  timestamp: {from: sched_dep}\n"
                            "  features:\n"
                            "    - {name: dep_delay, type: double}\n"
                            "    - {name: is_late, type: boolean, sql: \"dep_delay > 15\"}\n"
                            "  on_cast_error: null\n"
                            "sink:\n"
                            "  writers:\n"
                            "    - online: {debug: true}\n";

/* Appends "7:3 sentence\n", without the file's name "d.yaml:". */
static inline void take_problem(void *context, const freshet_error *problem)
{
    const char *at = strncmp(problem->at, "d.yaml:", 7) == 0 ? problem->at + 7 : problem->at;
    text_format(context, "%s %s\n", at, problem->text);
}

static inline bool take_bytes(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

/* Reads text; the problems' lines are in `problems`. NULL where there are some. */
static inline freshet_declaration *read_bytes(const char *text, size_t length,
                                              text_buffer *problems)
{
    freshet_declaration *handle = NULL;
    freshet_error err = {0};
    text_init(problems, TEXT_LIMIT_DEFAULT);
    text_append_c(problems, "");
    freshet_code code = declaration_read(text, length, "d.yaml", ".", &fake_registry, take_problem,
                                         problems, &handle, &err);
    assert_true(code == FRESHET_OK || code == FRESHET_BAD_DECLARATION);
    assert_int_equal(code, err.code);
    assert_true((code == FRESHET_OK) == (handle != NULL));
    return handle;
}

/* What is wrong with the text, all of it. */
static inline void assert_problems(const char *text, size_t length, const char *expected)
{
    text_buffer problems;
    freshet_declaration *handle = read_bytes(text, length, &problems);
    const char *found = problems.bytes == NULL ? "" : problems.bytes;
    if (strcmp(found, expected) != 0)
        print_error("of this declaration:\n%.*s\n", (int)length, text);
    assert_string_equal(found, expected);
    text_release(&problems);
    freshet_declaration_close(handle);
}

/* Reads text without mistakes. */
static inline freshet_declaration *read_sound(const char *text)
{
    text_buffer problems;
    freshet_declaration *handle = read_bytes(text, strlen(text), &problems);
    if (handle == NULL)
        print_error("%s", problems.bytes);
    assert_non_null(handle);
    text_release(&problems);
    return handle;
}

/* `sound` with its first `from` replaced; the caller frees. */
static inline char *sound_with(const char *from, const char *to)
{
    const char *at = strstr(sound, from);
    assert_non_null(at);
    size_t size = sizeof sound + strlen(to);
    char *changed = malloc(size);
    assert_non_null(changed);
    snprintf(changed, size, "%.*s%s%s", (int)(at - sound), sound, to, at + strlen(from));
    return changed;
}

/* Puts a text over what is there, without its NUL. */
static inline void overwrite(char *at, const char *with)
{
    for (; *with != '\0'; with++)
        *at++ = *with;
}

static inline char *show_text_of(const freshet_declaration *handle)
{
    text_buffer shown;
    freshet_error err = {0};
    text_init(&shown, TEXT_LIMIT_DEFAULT);
    assert_int_equal(freshet_declaration_show(handle, take_bytes, &shown, &err), FRESHET_OK);
    assert_non_null(shown.bytes);
    return shown.bytes; /* malloc'd: the caller frees */
}

#endif
