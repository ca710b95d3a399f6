/* fuzz_declaration.c - arbitrary bytes as a declaration.
 *
 * Whatever the bytes are, reading them gives a declaration, or problems, each with a place and a
 * sentence. A declaration that was read is shown, and what is shown must read back and show the
 * same again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "declaration/registry_testing.h"

static void demand(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "does not hold: %s\n", what);
        abort();
    }
}

static void on_problem(void *context, const freshet_error *problem)
{
    (void)context;
    demand(problem->code == FRESHET_BAD_DECLARATION, "a problem is FRESHET_BAD_DECLARATION");
    demand(problem->at[0] != '\0' && problem->text[0] != '\0', "a problem has place and sentence");
    demand(text_is_utf8(problem->text, strlen(problem->text)), "a sentence is UTF-8");
}

static bool append(void *context, const char *bytes, size_t length)
{
    return text_append(context, bytes, length);
}

static void look_inside(const freshet_declaration *handle)
{
    const declaration *read = declaration_of(handle);
    for (size_t offset = 0; offset <= strlen(read->source.query.value); offset++) {
        place at = declaration_place_in(handle, &read->source.query, offset);
        demand(at.line > 0 && at.column > 0, "a byte of the query has a place");
    }
}

static freshet_declaration *read_text(const char *bytes, size_t length)
{
    freshet_declaration *handle = NULL;
    freshet_error err = {0};
    freshet_code code = declaration_read(bytes, length, "fuzz.yaml", ".", &fake_registry,
                                         on_problem, NULL, &handle, &err);
    demand((code == FRESHET_OK) == (handle != NULL), "a handle comes with OK, and only then");
    demand(code == FRESHET_OK || err.code == code, "the error has the code returned");
    return handle;
}

static void show(const freshet_declaration *handle, text_buffer *into)
{
    freshet_error err;
    text_init(into, TEXT_LIMIT_DEFAULT);
    demand(freshet_declaration_show(handle, append, into, &err) == FRESHET_OK, "it can be shown");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    freshet_declaration *first = read_text((const char *)data, size);
    if (first == NULL)
        return 0;
    look_inside(first);
    text_buffer shown;
    show(first, &shown);
    freshet_declaration *second = read_text(shown.bytes, shown.length);
    demand(second != NULL, "what is shown reads back");
    text_buffer again;
    show(second, &again);
    demand(strcmp(shown.bytes, again.bytes) == 0, "what is shown reads back the same");
    text_release(&shown);
    text_release(&again);
    freshet_declaration_close(first);
    freshet_declaration_close(second);
    return 0;
}
