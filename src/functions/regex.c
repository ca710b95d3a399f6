/* regex.c - see regex.h.
 *
 * A pattern is parsed into a tree, the tree is written as a program of a few kinds of steps, and
 * the program is run by all its threads at once, character by character (Thompson's construction;
 * Rob Pike's way to keep the groups). The threads stand in the order in which a machine that goes
 * back on failure would try them; so the first one to match cuts off those behind it, and wins when
 * those before it have died. A step is entered at most once a character: time is bounded by
 * text x program.
 *
 * Two things make the usual patterns fast. A pattern of plain characters alone is searched for by
 * bytes. For others, which bytes a match can begin with is worked out once, and while no thread is
 * alive the text is skipped up to one of them.
 *
 * regex_parse.c makes the tree.
 */
#define _GNU_SOURCE
#include "functions/regex.h"

#include <string.h>

#include "base/error.h"
#include "functions/letter_class.h"
#include "functions/regex_internal.h"
#include "functions/spark_rows.h"

typedef enum step_kind {
    STEP_SET,
    STEP_SPLIT,
    STEP_JUMP,
    STEP_SAVE,
    STEP_PLACE,
    STEP_MATCH
} step_kind;

typedef struct step {
    step_kind kind;
    uint32_t x, y; /* SPLIT: the first choice and the second; JUMP: x; SAVE: x; PLACE: x */
    const regex_set *set;
} step;

typedef struct threads {
    uint32_t n;
    uint32_t *steps;
    int64_t *saves;  /* of each thread, n_saves */
    uint32_t *where; /* of each step: its place among the threads, if it is there */
} threads;

struct regex {
    uint32_t n_groups; /* without the whole */
    uint32_t n_steps;
    step *steps;
    threads now, next;
    uint32_t *stack;
    int64_t *kept; /* what a SAVE on the stack puts back */
    int64_t *best;
    const char *plain; /* a pattern of plain characters; NULL: it is none */
    size_t plain_length;
    bool begins[256];
    bool begins_anywhere;
};

/* ---- writing the program --------------------------------------------------------------------- */

typedef struct writer {
    arena *arena;
    step *steps;
    uint32_t n, capacity;
    freshet_error *err;
    freshet_code code;
} writer;

static void grow(writer *writer)
{
    uint32_t capacity = writer->capacity == 0 ? 64 : writer->capacity * 2;
    step *steps = arena_alloc(writer->arena, capacity * sizeof *steps);
    if (steps == NULL) {
        writer->code = error_memory(writer->err, REGEX_COMPILING);
        return;
    }
    if (writer->n > 0)
        memcpy(steps, writer->steps, writer->n * sizeof *steps);
    writer->steps = steps;
    writer->capacity = capacity;
}

static uint32_t add(writer *writer, step step)
{
    if (writer->code != FRESHET_OK)
        return 0;
    if (writer->n == REGEX_STEPS_MAX) {
        writer->code = error_set(writer->err, FRESHET_USAGE, FRESHET_STOP, NULL,
                                 "the pattern is too large: its repetitions written out have more "
                                 "than %u steps",
                                 REGEX_STEPS_MAX);
        return 0;
    }
    if (writer->n == writer->capacity)
        grow(writer);
    if (writer->code != FRESHET_OK)
        return 0;
    writer->steps[writer->n] = step;
    return writer->n++;
}

static void write_node(writer *writer, const regex_node *node);

static void write_choice(writer *writer, const regex_node *node)
{
    uint32_t last = UINT32_MAX;
    for (const regex_node *one = node->child; one != NULL; one = one->next) {
        uint32_t split = one->next != NULL ? add(writer, (step){.kind = STEP_SPLIT}) : UINT32_MAX;
        if (split != UINT32_MAX)
            writer->steps[split].x = writer->n;
        write_node(writer, one);
        if (one->next == NULL || writer->code != FRESHET_OK)
            break;
        last = add(writer, (step){.kind = STEP_JUMP, .x = last}); /* a chain, put right below */
        writer->steps[split].y = writer->n;
    }
    while (last != UINT32_MAX && writer->code == FRESHET_OK) {
        uint32_t before = writer->steps[last].x;
        writer->steps[last].x = writer->n;
        last = before;
    }
}

static void set_split(writer *writer, uint32_t split, bool lazy, uint32_t inside, uint32_t behind)
{
    if (writer->code != FRESHET_OK)
        return;
    writer->steps[split].x = lazy ? behind : inside;
    writer->steps[split].y = lazy ? inside : behind;
}

static void write_repeat(writer *writer, const regex_node *node)
{
    uint32_t splits = UINT32_MAX;
    for (uint32_t i = 0; i < node->least && writer->code == FRESHET_OK; i++)
        write_node(writer, node->child);
    if (node->most == UINT32_MAX) {
        uint32_t split = add(writer, (step){.kind = STEP_SPLIT}), inside = writer->n;
        write_node(writer, node->child);
        add(writer, (step){.kind = STEP_JUMP, .x = split});
        set_split(writer, split, node->lazy, inside, writer->n);
        return;
    }
    for (uint32_t i = node->least; i < node->most && writer->code == FRESHET_OK; i++) {
        splits = add(writer, (step){.kind = STEP_SPLIT, .x = splits, .y = writer->n + 1});
        write_node(writer, node->child);
    }
    while (splits != UINT32_MAX && writer->code == FRESHET_OK) {
        uint32_t before = writer->steps[splits].x;
        set_split(writer, splits, node->lazy, writer->steps[splits].y, writer->n);
        splits = before;
    }
}

/* Recursion: as deep as the tree, at most REGEX_DEPTH_MAX groups. */
static void write_node(writer *writer, const regex_node *node)
{
    switch (node->kind) {
    case NODE_EMPTY: break;
    case NODE_SET: add(writer, (step){.kind = STEP_SET, .set = &node->set}); break;
    case NODE_PLACE: add(writer, (step){.kind = STEP_PLACE, .x = node->place}); break;
    case NODE_SERIES:
        for (const regex_node *one = node->child; one != NULL; one = one->next)
            write_node(writer, one);
        break;
    case NODE_CHOICE: write_choice(writer, node); break;
    case NODE_REPEAT: write_repeat(writer, node); break;
    case NODE_GROUP:
        add(writer, (step){.kind = STEP_SAVE, .x = node->group * 2});
        write_node(writer, node->child);
        add(writer, (step){.kind = STEP_SAVE, .x = node->group * 2 + 1});
        break;
    }
}

/* ---- what a match can begin with ------------------------------------------------------------- */

static void mark_begins(regex *regex, const regex_set *set)
{
    for (uint32_t i = 0; i < set->n; i++) {
        char bytes[4];
        uint32_t from = set->ranges[i].first, to = set->ranges[i].last;
        for (uint32_t c = from; c <= to && c < 0x80; c++)
            regex->begins[c] = true;
        if (to < 0x80)
            continue;
        write_character(from < 0x80 ? 0x80 : from, bytes);
        unsigned first = (unsigned char)bytes[0];
        write_character(to, bytes);
        for (unsigned byte = first; byte <= (unsigned char)bytes[0]; byte++)
            regex->begins[byte] = true;
    }
}

/* Follows what takes no character from the beginning on. */
static void find_begins(regex *regex)
{
    uint32_t n = 0;
    memset(regex->next.where, 0, regex->n_steps * sizeof *regex->next.where);
    regex->stack[n++] = 0;
    while (n > 0) {
        uint32_t at = regex->stack[--n];
        const step *step = &regex->steps[at];
        if (regex->next.where[at])
            continue;
        regex->next.where[at] = 1;
        switch (step->kind) {
        case STEP_SET: mark_begins(regex, step->set); break;
        case STEP_SPLIT: regex->stack[n++] = step->y; /* fall through */
        case STEP_JUMP: regex->stack[n++] = step->x; break;
        case STEP_PLACE:
        case STEP_SAVE: regex->stack[n++] = at + 1; break;
        case STEP_MATCH: regex->begins_anywhere = true; break;
        }
    }
}

/* ---- compiling ------------------------------------------------------------------------------- */

static bool make_threads(arena *arena, threads *threads, uint32_t n_steps, uint32_t n_saves)
{
    threads->steps = arena_zero(arena, n_steps, sizeof *threads->steps);
    threads->where = arena_zero(arena, n_steps, sizeof *threads->where);
    threads->saves = arena_zero(arena, (size_t)n_steps * n_saves, sizeof *threads->saves);
    return threads->steps != NULL && threads->where != NULL && threads->saves != NULL;
}

/* Memory for the run: of two kinds of entries on the stack at most two a step. */
static bool make_room(arena *arena, regex *regex)
{
    uint32_t n_saves = (regex->n_groups + 1) * 2;
    regex->stack = arena_zero(arena, (size_t)regex->n_steps * 2 + 2, sizeof *regex->stack);
    regex->kept = arena_zero(arena, (size_t)regex->n_steps * 2 + 2, sizeof *regex->kept);
    regex->best = arena_zero(arena, n_saves, sizeof *regex->best);
    return regex->stack != NULL && regex->kept != NULL && regex->best != NULL &&
           make_threads(arena, &regex->now, regex->n_steps, n_saves) &&
           make_threads(arena, &regex->next, regex->n_steps, n_saves);
}

/* A series of single characters is searched for by bytes. */
static void find_plain(arena *arena, regex *regex, const regex_node *root, size_t pattern_length)
{
    const regex_node *one = root->kind == NODE_SERIES ? root->child : root;
    size_t length = 0;
    char *bytes = arena_alloc(arena, pattern_length * 4 + 1);
    for (; bytes != NULL && one != NULL; one = root->kind == NODE_SERIES ? one->next : NULL) {
        if (one->kind != NODE_SET || one->set.n != 1 ||
            one->set.ranges[0].first != one->set.ranges[0].last)
            return;
        length += write_character(one->set.ranges[0].first, bytes + length);
    }
    if (length > 0) {
        regex->plain = bytes;
        regex->plain_length = length;
    }
}

freshet_code regex_compile(arena *arena, const char *pattern, size_t length, regex **out,
                           freshet_error *err)
{
    regex_node *root;
    regex *regex = arena_zero(arena, 1, sizeof *regex);
    if (regex == NULL)
        return error_memory(err, REGEX_COMPILING);
    freshet_code code = regex_parse(arena, pattern, length, &root, &regex->n_groups, err);
    if (code != FRESHET_OK)
        return code;
    find_plain(arena, regex, root, length);
    if (regex->plain != NULL) {
        *out = regex;
        return FRESHET_OK;
    }
    writer writer = {.arena = arena, .err = err};
    grow(&writer); /* there is always a first step, though it may be a wrong one */
    if (writer.code != FRESHET_OK)
        return writer.code;
    write_node(&writer, root);
    add(&writer, (step){.kind = STEP_MATCH});
    if (writer.code != FRESHET_OK)
        return writer.code;
    regex->steps = writer.steps;
    regex->n_steps = writer.n;
    if (!make_room(arena, regex))
        return error_memory(err, REGEX_COMPILING);
    find_begins(regex);
    *out = regex;
    return FRESHET_OK;
}

uint32_t regex_n_groups(const regex *regex)
{
    return regex->n_groups;
}

/* ---- places ---------------------------------------------------------------------------------- */

static bool is_line_end(uint32_t c)
{
    return c == '\n' || c == '\r' || c == 0x85 || c == 0x2028 || c == 0x2029;
}

static bool is_word(uint32_t c)
{
    if (c < 0x80)
        return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
               (c >= 'A' && c <= 'Z');
    return letter_is(c, "L") || letter_is(c, "Nd");
}

static uint32_t character_before(const char *text, size_t at)
{
    size_t begin = at - 1;
    while (begin > 0 && at - begin < 4 && ((unsigned char)text[begin] & 0xC0) == 0x80)
        begin--;
    const char *from = text + begin;
    return take_character(&from, text + at);
}

static uint32_t character_behind(const char *text, size_t length, size_t at)
{
    const char *from = text + at;
    return take_character(&from, text + length);
}

/* At the end, or before a line's end that is the last. */
static bool at_last_line_end(const char *text, size_t length, size_t at)
{
    if (at == length)
        return true;
    const char *from = text + at;
    uint32_t c = take_character(&from, text + length);
    if (c == '\r' && from < text + length && *from == '\n')
        return from + 1 == text + length;
    if (c == '\n' && at > 0 && text[at - 1] == '\r')
        return false;
    return is_line_end(c) && from == text + length;
}

static bool is_boundary(const char *text, size_t length, size_t at)
{
    bool before = at > 0 && is_word(character_before(text, at));
    bool behind = at < length && is_word(character_behind(text, length, at));
    return before != behind;
}

static bool at_line_begin(const char *text, size_t length, size_t at)
{
    if (at == 0)
        return true;
    if (at == length)
        return false;
    if (text[at - 1] == '\r' && text[at] == '\n')
        return false;
    return is_line_end(character_before(text, at));
}

static bool at_line_end(const char *text, size_t length, size_t at)
{
    if (at == length)
        return true;
    if (at > 0 && text[at - 1] == '\r' && text[at] == '\n')
        return false;
    return is_line_end(character_behind(text, length, at));
}

static bool is_at_place(regex_place place, const char *text, size_t length, size_t at)
{
    switch (place) {
    case PLACE_BEGIN: return at == 0;
    case PLACE_LINE_BEGIN: return at_line_begin(text, length, at);
    case PLACE_END: return at == length;
    case PLACE_LAST_LINE_END: return at_last_line_end(text, length, at);
    case PLACE_LINE_END: return at_line_end(text, length, at);
    case PLACE_WORD_EDGE: return is_boundary(text, length, at);
    case PLACE_NO_WORD_EDGE: return !is_boundary(text, length, at);
    }
    return false;
}

/* ---- running --------------------------------------------------------------------------------- */

static bool set_has(const regex_set *set, uint32_t c)
{
    if (c < 128)
        return (set->low[c >> 6] >> (c & 63) & 1) != 0;
    uint32_t low = 0, high = set->n;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (set->ranges[middle].last < c)
            low = middle + 1;
        else
            high = middle;
    }
    return low < set->n && set->ranges[low].first <= c;
}

typedef struct run {
    regex *regex;
    const char *text;
    size_t length;
    uint32_t n_saves;
} run;

static bool is_there(const threads *threads, uint32_t step)
{
    return threads->where[step] < threads->n && threads->steps[threads->where[step]] == step;
}

#define PUT_BACK (1u << 31) /* on the stack with the number of a save: its old value is in kept */

/* Adds what can be reached from a step without a character, in order of preference. `saves` is
 * changed on the way and put back. A step that only leads on holds its place among the threads,
 * too, so that it is not entered again. */
static void enter(run *run, threads *into, uint32_t first, size_t at, int64_t *saves)
{
    regex *regex = run->regex;
    uint32_t n = 0;
    regex->stack[n++] = first;
    while (n > 0) {
        uint32_t number = regex->stack[--n];
        if ((number & PUT_BACK) != 0) {
            saves[number & ~PUT_BACK] = regex->kept[n];
            continue;
        }
        if (is_there(into, number))
            continue;
        into->where[number] = into->n;
        into->steps[into->n] = number;
        int64_t *mine = into->saves + (size_t)into->n * run->n_saves;
        into->n++;
        const step *step = &regex->steps[number];
        switch (step->kind) {
        case STEP_JUMP: regex->stack[n++] = step->x; break;
        case STEP_SPLIT:
            regex->stack[n++] = step->y;
            regex->stack[n++] = step->x;
            break;
        case STEP_SAVE:
            if (step->x < run->n_saves) {
                regex->kept[n] = saves[step->x];
                regex->stack[n++] = step->x | PUT_BACK;
                saves[step->x] = (int64_t)at;
            }
            regex->stack[n++] = number + 1;
            break;
        case STEP_PLACE:
            if (is_at_place((regex_place)step->x, run->text, run->length, at))
                regex->stack[n++] = number + 1;
            break;
        case STEP_SET:
        case STEP_MATCH:
            if (run->n_saves > 0)
                memcpy(mine, saves, run->n_saves * sizeof *saves);
            break;
        }
    }
}

/* One character for all threads: true where one of them has matched before it. */
static bool advance(run *run, size_t at, size_t behind, uint32_t c, bool is_end)
{
    regex *regex = run->regex;
    regex->next.n = 0;
    for (uint32_t i = 0; i < regex->now.n; i++) {
        uint32_t number = regex->now.steps[i];
        const step *step = &regex->steps[number];
        int64_t *saves = regex->now.saves + (size_t)i * run->n_saves;
        if (step->kind == STEP_SET && !is_end && set_has(step->set, c)) {
            enter(run, &regex->next, number + 1, behind, saves);
        } else if (step->kind == STEP_MATCH) {
            if (run->n_saves > 0) {
                memcpy(regex->best, saves, run->n_saves * sizeof *saves);
                regex->best[1] = (int64_t)at;
            }
            return true;
        }
    }
    return false;
}

static bool run_threads(run *run, size_t from)
{
    regex *regex = run->regex;
    int64_t fresh[REGEX_GROUPS_MAX * 2];
    bool matched = false;
    size_t at = from;
    regex->now.n = 0;
    for (;;) {
        while (!matched && regex->now.n == 0 && !regex->begins_anywhere && at < run->length &&
               !regex->begins[(unsigned char)run->text[at]])
            at++;
        if (!matched) {
            for (uint32_t i = 0; i < run->n_saves; i++)
                fresh[i] = -1;
            fresh[0] = (int64_t)at;
            enter(run, &regex->now, 0, at, fresh);
        }
        if (regex->now.n == 0)
            return matched;
        const char *next = run->text + at;
        bool is_end = at == run->length;
        uint32_t c = is_end ? 0 : take_character(&next, run->text + run->length);
        size_t behind = (size_t)(next - run->text);
        if (advance(run, at, behind, c, is_end)) {
            matched = true;
            if (run->n_saves == 0)
                return true;
        }
        if (is_end)
            return matched;
        threads before = regex->now;
        regex->now = regex->next;
        regex->next = before;
        at = behind;
    }
}

bool regex_find(regex *regex, const char *text, size_t length, size_t from, int64_t *spans,
                uint32_t n_spans)
{
    if (regex->plain != NULL) {
        int64_t at = find_bytes(text, length, from, regex->plain, regex->plain_length);
        if (at >= 0 && n_spans > 0) {
            spans[0] = at;
            spans[1] = at + (int64_t)regex->plain_length;
        }
        return at >= 0;
    }
    if (from > length)
        return false;
    run run = {.regex = regex, .text = text, .length = length, .n_saves = n_spans * 2};
    if (!run_threads(&run, from))
        return false;
    for (uint32_t i = 0; i < n_spans * 2; i++)
        spans[i] = regex->best[i];
    return true;
}

bool regex_next(const char *text, size_t length, const int64_t *spans, size_t *from)
{
    size_t end = (size_t)spans[1];
    if (spans[0] == spans[1]) {
        if (end >= length)
            return false;
        end += character_length((unsigned char)text[end]);
    }
    *from = end < length ? end : length;
    return true;
}
