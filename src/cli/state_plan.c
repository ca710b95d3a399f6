/* state_plan.c - see state_plan.h.
 *
 * THE DECLARATION'S DIFFERENCES are those of its normalised texts, line by line: the longest common
 * subsequence of the lines between the common beginning and the common end. Where these are very
 * many they count as all changed.
 */
#include "cli/state_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "declaration/declaration.h"
#include "pipeline/bootstrap.h"
#include "pipeline/pipeline.h"

#define PLANNING "planning for the state"
#define CELLS_MAX ((size_t)4 << 20)
#define FILLS "fills from "

/* ---- differences of two texts ---------------------------------------------------------------- */

typedef struct lines {
    const char **items; /* each ends at its line's end, or the text's */
    size_t n;
} lines;

static size_t line_length(const char *line)
{
    return strcspn(line, "\n");
}

static bool is_same_line(const char *a, const char *b)
{
    const size_t length = line_length(a);
    return length == line_length(b) && memcmp(a, b, length) == 0;
}

static bool take_lines(arena *arena, const char *text, lines *out)
{
    size_t n = 0;
    for (const char *at = text; *at != '\0'; n++) {
        at += line_length(at);
        at += *at == '\n';
    }
    *out = (lines){.items = arena_zero(arena, n + 1, sizeof *out->items), .n = n};
    for (size_t i = 0; out->items != NULL && i < n; i++) {
        out->items[i] = text;
        text += line_length(text);
        text += *text == '\n';
    }
    return out->items != NULL;
}

static void put_line(text_buffer *out, const char *before, char sign, const char *line)
{
    text_format(out, "%s%c %.*s\n", before, sign, (int)line_length(line), line);
}

/* common[i * (n_is + 1) + k]: how many lines was[i...] and is[k...] share, in order. */
static uint32_t *count_common(arena *arena, const lines *was, const lines *is)
{
    uint32_t *common = arena_zero(arena, (was->n + 1) * (is->n + 1), sizeof *common);
    for (size_t i = was->n; common != NULL && i-- > 0;)
        for (size_t k = is->n; k-- > 0;) {
            const uint32_t *below = &common[(i + 1) * (is->n + 1)];
            uint32_t *here = &common[i * (is->n + 1)];
            here[k] = is_same_line(was->items[i], is->items[k]) ? below[k + 1] + 1
                      : below[k] >= here[k + 1]                 ? below[k]
                                                                : here[k + 1];
        }
    return common;
}

static void put_differences(const lines *was, const lines *is, const uint32_t *common,
                            const char *before, text_buffer *out)
{
    size_t i = 0, k = 0;
    while (i < was->n || k < is->n) {
        if (common != NULL && i < was->n && k < is->n &&
            is_same_line(was->items[i], is->items[k])) {
            i++;
            k++;
        } else if (i < was->n &&
                   (k == is->n || common == NULL ||
                    common[(i + 1) * (is->n + 1) + k] >= common[i * (is->n + 1) + k + 1])) {
            put_line(out, before, '-', was->items[i++]);
        } else {
            put_line(out, before, '+', is->items[k++]);
        }
    }
}

freshet_code state_plan_differ(const char *was, const char *is, const char *before,
                               text_buffer *out, freshet_error *err)
{
    lines then, now;
    const uint32_t *common = NULL;
    arena *arena = arena_open();
    bool fine = arena != NULL && take_lines(arena, was, &then) && take_lines(arena, is, &now);
    while (fine && then.n > 0 && now.n > 0 && is_same_line(then.items[0], now.items[0])) {
        then = (lines){then.items + 1, then.n - 1};
        now = (lines){now.items + 1, now.n - 1};
    }
    while (fine && then.n > 0 && now.n > 0 &&
           is_same_line(then.items[then.n - 1], now.items[now.n - 1])) {
        then.n--;
        now.n--;
    }
    if (fine && (then.n + 1) * (now.n + 1) <= CELLS_MAX)
        fine = (common = count_common(arena, &then, &now)) != NULL;
    if (fine)
        put_differences(&then, &now, common, before, out);
    arena_close(arena);
    return fine && !out->failed ? FRESHET_OK : error_memory(err, PLANNING);
}

/* ---- verdicts -------------------------------------------------------------------------------- */

static void print_verdict(const verdict *verdict)
{
    char where[256] = "";
    const bool is_placed = verdict->at != NULL && place_is_set(verdict->at);
    const bool is_of_part = strcmp(verdict->part, verdict->subject) == 0; /* both "": of no part */
    const char *part = *verdict->part == '\0' && is_of_part ? "declaration" : verdict->part;
    const char *subject = is_of_part ? "" : verdict->subject;
    /* "fills from 2026-11-30 10:00:00 on" says which verdict it is by itself */
    const bool says_it = strncmp(verdict->said, FILLS, strlen(FILLS)) == 0;
    if (is_placed)
        place_text(verdict->at, where, sizeof where);
    output_format("--   %s%s%s%s%s%s%s%s%s\n", part, *part != '\0' && *subject != '\0' ? ": " : "",
                  subject, is_placed ? " (" : "", where, is_placed ? "): " : ": ",
                  says_it ? "" : verdict_words[verdict->kind], says_it ? "" : ": ", verdict->said);
}

/* Those of a part together, in the order in which the parts come first. */
static void print_verdicts(const evolution *verdicts)
{
    for (uint32_t i = 0; i < verdicts->n; i++) {
        bool is_printed = false;
        for (uint32_t k = 0; k < i; k++)
            is_printed |= strcmp(verdicts->items[k].part, verdicts->items[i].part) == 0;
        for (uint32_t k = i; !is_printed && k < verdicts->n; k++)
            if (strcmp(verdicts->items[k].part, verdicts->items[i].part) == 0)
                print_verdict(&verdicts->items[k]);
    }
}

static freshet_code print_declarations(const checkpoint_plan *plan, freshet_error *err)
{
    text_buffer out;
    if (plan->was == NULL || strcmp(plan->was, plan->is) == 0)
        return FRESHET_OK;
    text_init(&out, TEXT_LIMIT_DEFAULT);
    text_append_c(&out, "-- the declaration that the state was kept for, and this one:\n");
    freshet_code code = state_plan_differ(plan->was, plan->is, "--   ", &out, err);
    if (code == FRESHET_OK)
        return output_text(&out, PLANNING, err);
    text_release(&out);
    return code;
}

static void print_head(const checkpoint_plan *plan, bool is_as_it_is)
{
    text_buffer at;
    text_init(&at, 64);
    text_append_timestamp(&at, plan->at_us);
    output_format("-- the state in %s (checkpoint %" PRIu64 " of %s) %s\n", plan->folder,
                  plan->number, at.failed ? "?" : at.bytes,
                  plan->verdicts.counts[VERDICT_REFUSED] > 0 ? "cannot serve the declaration:"
                  : is_as_it_is                              ? "fits the declaration"
                                                             : "serves the declaration:");
    text_release(&at);
}

/* Where a new state begins. */
static void print_beginnings(const freshet_pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->n_readers; i++) {
        const reader_block *block = pipeline->readers[i].reader->block;
        text_buffer past;
        text_init(&past, TEXT_LIMIT_DEFAULT);
        bootstrap_tell(block, &past);
        if (past.length > 0)
            output_format("--   reader \"%s\"%s: its windows are filled from there\n",
                          block->id.value, past.bytes);
        text_release(&past);
    }
}

freshet_code state_plan_print(freshet_pipeline *pipeline, const char *state, uint32_t *n_changes,
                              bool *is_refused, freshet_error *err)
{
    checkpoint_plan plan;
    freshet_code code = checkpoint_plan_make(pipeline, state, &plan, err);
    const evolution *verdicts = &plan.verdicts;
    const uint32_t n_filled = verdicts->counts[VERDICT_FILLED];
    const uint32_t n = verdicts->n - verdicts->counts[VERDICT_SERVED] - n_filled;
    const bool is_as_it_is = n == 0 && (plan.was == NULL || strcmp(plan.was, plan.is) == 0);
    *is_refused = false;
    if (code == FRESHET_END) {
        if (plan.folder != NULL) {
            output_format("-- there is no state in %s yet: the first run makes it\n", plan.folder);
            print_beginnings(pipeline);
        } else if (pipeline->declaration->is_stream)
            output_format("-- this stream keeps no state, since no writer keeps its rows\n");
        return FRESHET_OK;
    }
    if (code != FRESHET_OK)
        return code;
    print_head(&plan, is_as_it_is);
    if (!is_as_it_is || n_filled > 0)
        print_verdicts(verdicts);
    *n_changes += n;
    *is_refused = verdicts->counts[VERDICT_REFUSED] > 0;
    return print_declarations(&plan, err);
}
