/* query_parts.c - see query_parts.h. */
#include "source/query_parts.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* ---- splitting ------------------------------------------------------------------------------- */

typedef struct splitter {
    arena *arena;
    query_parts *parts;
    uint32_t at; /* word */
    bool no_memory;
} splitter;

static const sql_word *word_at(const splitter *splitter, uint32_t at)
{
    return at < splitter->parts->n_words ? &splitter->parts->words[at] : NULL;
}

/* Is it this word, outside of all brackets? */
static bool is_top(const splitter *splitter, uint32_t at, const char *lower)
{
    const sql_word *word = word_at(splitter, at);
    return word != NULL && word->depth == 0 && sql_word_is(word, lower);
}

/* Does FROM stand there, and not the end of IS [NOT] DISTINCT FROM? */
static bool is_from(const splitter *splitter, uint32_t at)
{
    return is_top(splitter, at, "from") && !(at > 0 && is_top(splitter, at - 1, "distinct"));
}

static bool is_star(const query_item *item)
{
    for (uint32_t i = 0; i < item->n_words; i++) {
        const sql_word *word = &item->words[i];
        const bool is_first = i == 0 || sql_word_is(word - 1, ".");
        if (word->depth == item->words[0].depth && is_first &&
            (sql_word_is(word, "*") || sql_word_is(word, "columns")))
            return true;
    }
    return false;
}

/* The word that names the item: behind AS, or the last one of a.b.c. NULL: none does. */
static const sql_word *find_name(const query_item *item)
{
    const sql_word *last = &item->words[item->n_words - 1];
    if (last->kind == SQL_WORD_OTHER)
        return NULL;
    if (item->n_words > 1 && sql_word_is(last - 1, "as"))
        return last;
    for (uint32_t i = 0; i < item->n_words; i++)
        if (i % 2 == 0 ? item->words[i].kind == SQL_WORD_OTHER : !sql_word_is(&item->words[i], "."))
            return NULL;
    return item->n_words % 2 == 1 ? last : NULL;
}

/* An item of words [first, end). */
static bool add_item(splitter *splitter, query_select *select, uint32_t first, uint32_t end)
{
    query_item item = {.words = word_at(splitter, first), .n_words = end - first};
    if (first >= end)
        return false;
    if (!is_star(&item)) {
        const sql_word *name = find_name(&item);
        if (name == NULL)
            return false;
        item.name = sql_word_name(splitter->arena, name);
        splitter->no_memory |= item.name == NULL;
    }
    splitter->no_memory |= !arena_reserve(splitter->arena, &select->items, &select->capacity,
                                          select->n_items + UINT64_C(1), sizeof item);
    if (splitter->no_memory)
        return false;
    select->items[select->n_items++] = item;
    return true;
}

static bool split_list(splitter *splitter, query_select *select)
{
    uint32_t first = splitter->at, at = splitter->at;
    for (;; at++) {
        const bool is_end = word_at(splitter, at) == NULL || is_from(splitter, at) ||
                            is_top(splitter, at, "union") || is_top(splitter, at, "where");
        if (!is_end && !is_top(splitter, at, ","))
            continue;
        if (!add_item(splitter, select, first, at))
            return false;
        first = at + 1;
        if (is_end)
            break;
    }
    splitter->at = at;
    return true;
}

/* Words outside of brackets that make something else of a query. */
static bool is_strange(const splitter *splitter, uint32_t at)
{
    static const char *const strange[] = {"intersect", "except", "recursive", NULL};
    for (const char *const *word = strange; *word != NULL; word++)
        if (is_top(splitter, at, *word))
            return true;
    return false;
}

/* One SELECT, up to its UNION ALL or the end. */
static bool split_select(splitter *splitter)
{
    query_parts *parts = splitter->parts;
    query_select select = {.before = word_at(splitter, splitter->at)};
    const uint32_t first = splitter->at;
    if (is_top(splitter, first, "with") && first == 0)
        while (word_at(splitter, splitter->at) != NULL && !is_top(splitter, splitter->at, "select"))
            splitter->at++;
    select.n_before = splitter->at - first;
    if (!is_top(splitter, splitter->at, "select") || is_top(splitter, splitter->at + 1, "distinct"))
        return false;
    splitter->at++;
    if (!split_list(splitter, &select))
        return false;
    select.behind = word_at(splitter, splitter->at);
    const uint32_t behind = splitter->at;
    while (word_at(splitter, splitter->at) != NULL && !is_top(splitter, splitter->at, "union"))
        splitter->at++;
    select.n_behind = splitter->at - behind;
    splitter->no_memory |= !arena_reserve(splitter->arena, &parts->selects, &parts->capacity,
                                          parts->n_selects + UINT64_C(1), sizeof select);
    if (splitter->no_memory)
        return false;
    parts->selects[parts->n_selects++] = select;
    return true;
}

static bool split(splitter *splitter)
{
    for (uint32_t at = 0; word_at(splitter, at) != NULL; at++)
        if (is_strange(splitter, at))
            return false;
    while (split_select(splitter)) {
        if (word_at(splitter, splitter->at) == NULL)
            return true;
        if (!is_top(splitter, splitter->at + 1, "all") ||
            is_top(splitter, splitter->at + 2, "by")) /* UNION, or ALL BY NAME */
            return false;
        splitter->at += 2;
    }
    return false;
}

bool query_parts_read(arena *arena, const char *sql, query_parts *out)
{
    *out = (query_parts){0};
    out->words = sql_words(arena, sql, &out->n_words);
    if (out->words == NULL)
        return false;
    while (out->n_words > 0 && sql_word_is(&out->words[out->n_words - 1], ";"))
        out->n_words--;
    splitter splitter = {.arena = arena, .parts = out};
    out->is_split = split(&splitter);
    return !splitter.no_memory;
}

/* ---- looking --------------------------------------------------------------------------------- */

/* The one item of that name; NULL: there is none, or there are several. */
static const query_item *find_item(const query_select *select, const char *name)
{
    const query_item *found = NULL;
    for (uint32_t i = 0; select->items != NULL && i < select->n_items; i++) {
        const query_item *item = &select->items[i];
        if (item->name == NULL || strcasecmp(item->name, name) != 0)
            continue;
        if (found != NULL)
            return NULL;
        found = item;
    }
    return found;
}

static bool has_star(const query_select *select)
{
    for (uint32_t i = 0; select->items != NULL && i < select->n_items; i++)
        if (select->items[i].name == NULL)
            return true;
    return false;
}

/* The column's only item in that SELECT; NULL: stars, or it cannot be told. */
static const query_item *item_of(const query_parts *parts, uint32_t select, const char *name)
{
    const query_select *first = &parts->selects[0], *there = &parts->selects[select];
    const query_item *item = find_item(first, name);
    if (select == 0 || item == NULL)
        return item;
    if (has_star(first) || has_star(there) || first->n_items != there->n_items)
        return NULL;
    return &there->items[item - first->items];
}

/* Does the column come by the stars of the SELECT alone? */
static bool is_by_star(const query_parts *parts, uint32_t select, const char *name)
{
    if (parts->n_selects > 1 || !has_star(&parts->selects[select]))
        return false;
    const query_select *there = &parts->selects[select];
    for (uint32_t i = 0; there->items != NULL && i < there->n_items; i++) {
        const char *other = there->items[i].name;
        if (other != NULL && strcasecmp(other, name) == 0)
            return false;
    }
    return true;
}

/* `a`, `"A"` and the a of `*` are the same column, and so are those of `t.`. */
static const char *plain_column(arena *arena, const sql_word *table, const char *name)
{
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    if (table != NULL)
        text_format(&text, "%s.", sql_words_text(arena, table, 1));
    for (; *name != '\0'; name++)
        text_append_char(&text, (char)tolower((unsigned char)*name));
    const char *made = text_keep(&text, arena);
    return made;
}

/* An item with a name. */
static const char *item_text(arena *arena, const query_item *item)
{
    const bool has_table = item->n_words == 3 && sql_word_is(&item->words[1], ".");
    const sql_word *column = &item->words[item->n_words - 1];
    if ((item->n_words != 1 && !has_table) || column->kind == SQL_WORD_OTHER)
        return sql_words_text(arena, item->words, item->n_words);
    const char *name = sql_word_name(arena, column);
    return name == NULL ? NULL : plain_column(arena, has_table ? item->words : NULL, name);
}

/* The only star of a SELECT, where it is `*` or `t.*` and no more; else NULL. */
static const query_item *plain_star(const query_select *select)
{
    const query_item *star = NULL;
    for (uint32_t i = 0; select->items != NULL && i < select->n_items; i++) {
        const query_item *item = &select->items[i];
        if (item->name != NULL)
            continue;
        const bool is_plain = sql_word_is(&item->words[item->n_words - 1], "*") &&
                              (item->n_words == 1 || item->n_words == 3);
        if (star != NULL || !is_plain)
            return NULL;
        star = item;
    }
    return star;
}

const char *query_parts_column(arena *arena, const query_parts *parts, uint32_t select,
                               const char *name)
{
    const query_select *there = &parts->selects[select];
    const query_item *only = item_of(parts, select, name);
    if (only != NULL)
        return item_text(arena, only);
    const bool stars = is_by_star(parts, select, name);
    const query_item *star = stars ? plain_star(there) : NULL;
    if (star != NULL)
        return plain_column(arena, star->n_words == 3 ? star->words : NULL, name);
    const char *text = NULL;
    for (uint32_t i = 0; there->items != NULL && i < there->n_items; i++) {
        const query_item *item = &there->items[i];
        if (stars && item->name != NULL)
            continue;
        const char *more = sql_words_text(arena, item->words, item->n_words);
        if (more == NULL)
            return NULL;
        text = text == NULL ? more : arena_format(arena, "%s, %s", text, more);
        if (text == NULL)
            return NULL;
    }
    return text;
}

const char *query_parts_rows(arena *arena, const query_select *select)
{
    const char *before = sql_words_text(arena, select->before, select->n_before);
    const char *behind = sql_words_text(arena, select->behind, select->n_behind);
    if (before == NULL || behind == NULL)
        return NULL;
    return *before == '\0' ? behind : arena_format(arena, "%s ... %s", before, behind);
}

static bool names_column(const sql_word *words, uint32_t n, const char *column)
{
    for (uint32_t i = 0; i < n; i++)
        if (sql_word_names(&words[i], column) || sql_word_is(&words[i], "natural") ||
            sql_word_is(&words[i], "columns"))
            return true;
    return false;
}

bool query_parts_reads(const query_parts *parts, uint32_t select, const char *name,
                       const char *column)
{
    if (!parts->is_split)
        return true;
    const query_select *there = &parts->selects[select];
    if (name == NULL)
        return names_column(there->before, there->n_before, column) ||
               names_column(there->behind, there->n_behind, column);
    const query_item *only = item_of(parts, select, name);
    if (only != NULL)
        return names_column(only->words, only->n_words, column);
    if (!is_by_star(parts, select, name))
        return true;
    for (uint32_t i = 0; there->items != NULL && i < there->n_items; i++)
        if (there->items[i].name == NULL &&
            names_column(there->items[i].words, there->items[i].n_words, column))
            return true;
    return strcasecmp(name, column) == 0;
}

bool query_select_names(const query_select *select, const char *reader)
{
    for (uint32_t i = 0; i < select->n_before; i++)
        if (sql_word_names(&select->before[i], reader))
            return true;
    for (uint32_t i = 0; i < select->n_behind; i++)
        if (sql_word_names(&select->behind[i], reader))
            return true;
    return false;
}
