/* problems.c - the mistakes of one declaration, collected, sorted by place and reported in one go.
 *
 * At most DECLARATION_PROBLEMS_MAX are kept (of warnings, WARNINGS_MAX); one more line then says
 * how many mistakes there are. The same sentence at the same place is reported once (an alias makes
 * the reader see a mistake twice).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "declaration/declaration.h"

#define WARNINGS_MAX 20u

typedef struct problem {
    place at;
    uint32_t sequence;
    freshet_error error;
} problem;

struct problems {
    arena *arena;
    uint32_t n_found; /* mistakes */
    uint32_t n_kept;  /* of these, and the warnings */
    uint32_t n_warnings;
    problem *kept[DECLARATION_PROBLEMS_MAX];
};

const char *place_text(const place *at, char *into, size_t size)
{
    if (at == NULL || size == 0)
        return "";
    char end[32] = "";
    const char *name = at->path != NULL ? at->path : "";
    if (at->line != 0) {
        snprintf(end, sizeof end, ":%" PRIu32 ":%" PRIu32, at->line, at->column);
        name = at->file == NULL ? "" : at->file;
    }
    /* Of a very long path the end says more than the beginning. */
    size_t length = strlen(name);
    size_t room = size > strlen(end) + 4 ? size - strlen(end) - 4 : 0;
    const char *cut = "";
    if (length > room) {
        name += length - room;
        while (((unsigned char)*name & 0xC0) == 0x80)
            name++;
        cut = "...";
    }
    snprintf(into, size, "%s%s%s", cut, name, end);
    return into;
}

problems *problems_open(arena *arena)
{
    problems *made = arena_zero(arena, 1, sizeof *made);
    if (made != NULL)
        made->arena = arena;
    return made;
}

static void problems_keep(problems *problems, const place *at, freshet_code code,
                          const char *format, va_list args)
{
    problem *made = arena_zero(problems->arena, 1, sizeof *made);
    const char *text = arena_vformat(problems->arena, format, args);
    if (made == NULL || text == NULL)
        return;
    char where[sizeof made->error.at];
    if (at != NULL)
        made->at = *at;
    made->sequence = problems->n_kept;
    error_set(&made->error, code, FRESHET_STOP, place_text(at, where, sizeof where), "%s", text);
    problems->kept[problems->n_kept++] = made;
}

bool problem_add(problems *problems, const place *at, const char *format, ...)
{
    problems->n_found++;
    if (problems->n_kept == DECLARATION_PROBLEMS_MAX)
        return false;
    va_list args;
    va_start(args, format);
    problems_keep(problems, at, FRESHET_BAD_DECLARATION, format, args);
    va_end(args);
    return false;
}

void problem_warn(problems *problems, const place *at, const char *format, ...)
{
    if (problems->n_warnings == WARNINGS_MAX || problems->n_kept == DECLARATION_PROBLEMS_MAX)
        return;
    problems->n_warnings++;
    va_list args;
    va_start(args, format);
    problems_keep(problems, at, FRESHET_OK, format, args);
    va_end(args);
}

uint32_t problems_count(const problems *problems)
{
    return problems->n_found;
}

void problems_join(problems *into, const problems *from)
{
    for (uint32_t i = 0; i < from->n_kept; i++) {
        const problem *each = from->kept[i];
        if (each->error.code == FRESHET_OK)
            problem_warn(into, &each->at, "%s", each->error.text);
        else
            problem_add(into, &each->at, "%s", each->error.text);
    }
    into->n_found += from->n_found - (from->n_kept - from->n_warnings);
}

/* By line and column; problems of built declarations have none and stay in the order found. */
static int compare(const void *a, const void *b)
{
    const problem *left = *(problem *const *)a;
    const problem *right = *(problem *const *)b;
    if (left->at.line != right->at.line)
        return left->at.line < right->at.line ? -1 : 1;
    if (left->at.column != right->at.column)
        return left->at.column < right->at.column ? -1 : 1;
    return left->sequence < right->sequence ? -1 : 1;
}

static bool is_same(const problem *a, const problem *b)
{
    return strcmp(a->error.at, b->error.at) == 0 && strcmp(a->error.text, b->error.text) == 0;
}

freshet_code problems_report(problems *problems, freshet_problem_fn *fn, void *context,
                             freshet_error *err)
{
    if (arena_failed(problems->arena))
        return error_memory(err, "collecting the problems of the declaration");
    if (problems->n_kept == 0)
        return FRESHET_OK;

    qsort(problems->kept, problems->n_kept, sizeof(void *), compare);
    for (uint32_t i = 0; fn != NULL && i < problems->n_kept; i++)
        if (i == 0 || !is_same(problems->kept[i - 1], problems->kept[i]))
            fn(context, &problems->kept[i]->error);
    if (problems->n_found == 0)
        return FRESHET_OK;
    uint32_t n_mistakes = problems->n_kept - problems->n_warnings;
    if (fn != NULL && problems->n_found > n_mistakes) {
        freshet_error rest;
        memset(&rest, 0, sizeof rest);
        const char *file = problems->kept[0]->at.file;
        error_set(&rest, FRESHET_BAD_DECLARATION, FRESHET_STOP, file == NULL ? "" : file,
                  "... and %" PRIu32 " more problems; correct these first",
                  problems->n_found - n_mistakes);
        fn(context, &rest);
    }
    uint32_t first = 0;
    while (first + 1 < problems->n_kept && problems->kept[first]->error.code == FRESHET_OK)
        first++;
    if (err != NULL)
        *err = problems->kept[first]->error;
    return FRESHET_BAD_DECLARATION;
}
