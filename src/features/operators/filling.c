/* filling.c - see filling.h. */
#include "features/operators/filling.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "declaration/blocks.h"

#define WINDOWS_SAID 4u /* of a feature: the others are counted */

int64_t filling_newest_s(const evolution *evolution)
{
    const int64_t us = evolution->newest_us;
    return us == EVOLUTION_NO_ROW ? INT64_MIN : us / 1000000 - (us % 1000000 < 0);
}

const char *filling_time(int64_t second, char into[FILLING_TIME_MAX])
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (second > INT64_MAX / 1000000 || second < INT64_MIN / 1000000)
        text_append_c(&text, "nobody knows when");
    else
        text_append_timestamp(&text, second * 1000000);
    snprintf(into, FILLING_TIME_MAX, "%.19s", text.failed ? "?" : text.bytes);
    if (strlen(into) > 10 && into[10] == 'T')
        into[10] = ' ';
    text_release(&text);
    return into;
}

/* ---- one output ------------------------------------------------------------------------------ */

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

/* From when on what the output needs is known; and, *at, the second from which on rows have the
 * whole window: INT64_MIN: all have it, INT64_MAX: that depends on the key's events. */
static int64_t output_from(const filling *filling, uint32_t output, int64_t *at)
{
    const window_look *look = &filling->windows->looks[output];
    const int64_t whole = look->mode == WINDOW_ROLLING
                              ? filling->numbers->whole
                              : layout_whole(filling->numbers, &filling->reach);
    int64_t from = layout_since(filling->arena, filling->windows, filling->numbers, output);
    *at = INT64_MIN;
    if (look->mode == WINDOW_ROWS) {
        if (look->length > layout_whole_rows(filling->numbers, &filling->reach) && whole > from)
            from = whole;
        if (from != LAYOUT_ALWAYS)
            *at = INT64_MAX;
        return from;
    }
    from = whole > from ? whole : from;
    if (from != LAYOUT_ALWAYS)
        *at = plus(from, look->length);
    if (*at <= filling->settled && *at != INT64_MAX)
        *at = INT64_MIN;
    return from;
}

/* ---- one feature ----------------------------------------------------------------------------- */

typedef struct said_windows {
    const char *texts[WINDOWS_SAID];
    int64_t at[WINDOWS_SAID];
    uint32_t n, n_more;
    int64_t from; /* the latest of all */
    bool is_partial, by_rows, some_full;
} said_windows;

/* The text of the window of an output that is number k of its feature's. */
static const char *window_text(const filling *filling, const feature_block *feature, uint32_t k)
{
    const declared_list *over = filling->over == NULL ? &feature->window.over : filling->over;
    return over->n > 0 ? over->items[k % over->n].value : "the rows of one time";
}

static void note_window(said_windows *said, const char *text, int64_t at)
{
    for (uint32_t i = 0; i < said->n; i++)
        if (strcmp(said->texts[i], text) == 0) {
            said->at[i] = at > said->at[i] ? at : said->at[i];
            return;
        }
    if (said->n == WINDOWS_SAID) {
        said->n_more++;
        return;
    }
    said->texts[said->n] = text;
    said->at[said->n++] = at;
}

/* The first second that does not begin before that time. */
static int64_t second_of_time(const filling *filling, int64_t time)
{
    if (time == INT64_MAX)
        return time;
    return time / filling->per_second + (time % filling->per_second > 0);
}

static void put_windows(const filling *filling, const said_windows *said, text_buffer *into)
{
    for (uint32_t i = 0; i < said->n; i++) {
        char time[FILLING_TIME_MAX];
        text_format(into, "%s\"%s\" %s until ", i == 0 ? "" : ", ", said->texts[i],
                    said->is_partial ? "holds what is known" : "is null");
        if (said->at[i] == INT64_MAX)
            text_append_c(into, said->by_rows ? "a key has had as many" : "it is full");
        else
            text_append_c(into, filling_time(second_of_time(filling, said->at[i]), time));
    }
    if (said->n_more > 0)
        text_format(into, " and %" PRIu32 " more", said->n_more);
}

static void note_outputs(const filling *filling, uint32_t from, uint32_t to, said_windows *said)
{
    for (uint32_t i = from; i < to; i++) {
        const window_look *look = &filling->windows->looks[i];
        int64_t at;
        const int64_t since = output_from(filling, i, &at);
        said->some_full |= at == INT64_MIN;
        if (at == INT64_MIN)
            continue;
        said->from = since > said->from ? since : said->from;
        said->by_rows |= look->mode == WINDOW_ROWS;
        said->is_partial |= look->is_partial;
        note_window(said, window_text(filling, filling->of[from]->block, i - from), at);
    }
}

/* Outputs [from, to) are the feature's. */
static bool say_feature(const filling *filling, uint32_t from, uint32_t to)
{
    const feature_block *feature = filling->of[from]->block;
    said_windows said = {.from = INT64_MIN};
    note_outputs(filling, from, to, &said);
    if (said.n == 0)
        return false;
    char time[FILLING_TIME_MAX], subject[200];
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (said.from == INT64_MAX)
        text_append_c(&text, "fills from now on: ");
    else
        text_format(&text,
                    "fills from %s on: ", filling_time(second_of_time(filling, said.from), time));
    put_windows(filling, &said, &text);
    if (said.some_full)
        text_append_c(&text, "; the rest of it is served as it is");
    const windows_pivot *pivot = filling->windows->pivot;
    snprintf(subject, sizeof subject, "feature \"%s\"%s%s%s", feature->name.value,
             pivot == NULL ? "" : " of \"",
             pivot == NULL ? "" : pivot->names[filling->windows->looks[from].part],
             pivot == NULL ? "" : "\"");
    evolution_say(filling->out, filling->part, VERDICT_FROM_NOW, &feature->name.at, subject, "%s",
                  text.failed ? "fills from now on" : text.bytes);
    text_release(&text);
    return true;
}

uint32_t filling_say_features(const filling *filling)
{
    const uint32_t n = filling->windows->outputs.n_fields;
    uint32_t n_said = 0;
    for (uint32_t from = 0, to; from < n; from = to) {
        to = from;
        while (to < n && filling->of[to] == filling->of[from] &&
               filling->windows->looks[to].part == filling->windows->looks[from].part)
            to++;
        n_said += say_feature(filling, from, to);
    }
    return n_said;
}

uint32_t filling_say_gone(const filling *filling)
{
    uint32_t n = 0;
    for (uint32_t i = 0; filling->last != NULL && i < filling->last->n_slots; i++) {
        const layout_line *line = &filling->last->slots[i];
        bool is_taken = line->word != LAYOUT_VALUE && line->word != LAYOUT_THERE;
        for (uint32_t k = 0; k < filling->windows->n_slots; k++)
            is_taken |= filling->last->from[k] == i;
        if (is_taken || layout_is_asked(filling->last, i, filling->windows))
            continue;
        char subject[200];
        snprintf(subject, sizeof subject, "\"%s\"%s%s", line->name,
                 *line->filter == '\0' ? "" : " where ", line->filter);
        evolution_say(filling->out, filling->part, VERDICT_REMOVED, NULL, subject,
                      "no window looks at it any more, and what is kept of it goes as keys come; "
                      "one that does again would fill anew");
        n++;
    }
    return n;
}
