/* meaning.c - see meaning.h: the decisions about all options, and the meanings of a declaration.
 *
 * COLUMNS. Slots that windows, groups and seen events look at are marked, then, from the last slot
 * to the first, those that a marked one is made of (feature_plan.h: always earlier ones). A marked
 * key or feature gives a meaning of its own, `from column cents as double`; a marked column of the
 * query what it is in the query (query_parts.h), and the types of the readers' columns that may be
 * read for it.
 *
 * OPTIONS that are meanings by themselves are found by going through the option tables.
 */
#include "features/meaning.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "declaration/blocks.h"
#include "declaration/value.h"
#include "features/feature_plan.h"
#include "preprocess/preprocess.h"
#include "source/query_parts.h"

#define MEANING "noting what the state is made of"

/* ---- the decisions --------------------------------------------------------------------------- */

typedef struct decision {
    const char *block, *option;
    meaning_fate fate;
    uint32_t needed_by; /* of MEANING_OWN: meaning_kept */
} decision;

#define SERVED(block, option)            \
    {                                    \
        block, option, MEANING_SERVED, 0 \
    }
#define COLUMN(block, option)            \
    {                                    \
        block, option, MEANING_COLUMN, 0 \
    }
#define COMPARED(block, option)            \
    {                                      \
        block, option, MEANING_COMPARED, 0 \
    }
#define OWN(block, option, kept)         \
    {                                    \
        block, option, MEANING_OWN, kept \
    }

static const decision decisions[] = {
    /* what a row is read from */
    COMPARED("reader", "id"), /* positions are by it */
    COMPARED("reader", "stream"),
    COMPARED("reader", "within"), /* the rows that are held for a join: their part's shape */
    COMPARED("reader_timestamp", "from"),
    COMPARED("reader_timestamp", "unit"),
    COMPARED("reader_timestamp", "mask"),
    OWN("reader", "on_cast_error", KEPT_ANY), /* which records are rows */
    COMPARED("filter", NULL),                 /* the steps of a reader, as a whole */
    COMPARED("replace", NULL),
    COMPARED("sql", NULL),
    COMPARED("explode_json_column", NULL),
    COMPARED("forward_fill", NULL),
    COMPARED("pivot", "group_by"),
    COMPARED("pivot", "mock_value"),
    COMPARED("pivot", "mock_type"),
    COMPARED("pivot", "forward_fill"),
    COMPARED("pivot", "keep_groups"),
    COMPARED("aggregate", "column"),
    COMPARED("aggregate", "function"),
    COLUMN("source", "query"),
    COLUMN("file", "schema"),
    COLUMN("value", "schema"),
    COLUMN("generate", "schema"),
    COLUMN("value", "format"), /* seen by its columns and their types */
    COLUMN("file", "format"),
    COLUMN("file", "type"),
    COLUMN("value", "type"),
    COLUMN("kafka", "headers"),
    OWN("file", "header", KEPT_ANY),
    OWN("file", "delimiter", KEPT_ANY),
    OWN("file", "null_text", KEPT_ANY),
    OWN("file", "escape", KEPT_ANY),
    OWN("file", "strict", KEPT_ANY),
    OWN("value", "delimiter", KEPT_ANY),
    OWN("value", "null_text", KEPT_ANY),
    OWN("value", "escape", KEPT_ANY),
    OWN("value", "strict", KEPT_ANY),
    OWN("kafka", "tombstones", KEPT_ANY),
    /* where it lies, and how it is fetched: positions know what was read */
    SERVED("file", "path"),
    SERVED("file", "order"),
    SERVED("file", "on_bad_file"),
    SERVED("file", "max_record_bytes"),
    SERVED("file", "compression"),
    SERVED("table", "path"),
    SERVED("table", "table"),
    SERVED("kafka", "topic"),
    SERVED("kafka", "topics"),
    SERVED("kafka", "pattern"),
    SERVED("kafka", "brokers"),
    SERVED("kafka", "start"),
    SERVED("kafka", "on_gap"),
    SERVED("kafka", "group"),
    SERVED("kafka", "memory"),
    SERVED("kafka", "max_message_bytes"),
    SERVED("kafka", "connect_timeout"),
    SERVED("kafka", "discover"),
    SERVED("kafka", "options"),
    SERVED("generate", "seed"), /* invented rows: other ones from here on */
    SERVED("generate", "rows"),
    SERVED("generate", "rate"),
    SERVED("generate", "key"),
    SERVED("generate", "keys"),
    SERVED("generate", "start"),
    SERVED("generate", "step"),
    SERVED("generate", "late"),
    SERVED("generate", "lateness"),
    /* what is made of it */
    SERVED("feature_set", "name"),
    SERVED("feature_set", "entity"),
    SERVED("feature_set", "description"),
    SERVED("feature_set", "deduplicate_rows"),                       /* batches only */
    OWN("feature_set", "on_cast_error", KEPT_WINDOWS | KEPT_GROUPS), /* which rows are counted */
    COMPARED("feature_set", "refresh"),
    SERVED("feature_set", "until_full"),
    COLUMN("key", "name"),
    COLUMN("key", "type"),
    COLUMN("key", "from"),
    COLUMN("key", "sql"),
    SERVED("key", "description"),
    COLUMN("timestamp", "from"),
    COLUMN("timestamp", "unit"),
    COLUMN("timestamp", "mask"),
    COMPARED("timestamp", "lateness"), /* less is served */
    SERVED("timestamp", "max_future"),
    SERVED("timestamp", "idle"),   /* who holds windows back */
    COMPARED("timestamp", "late"), /* to the dead letters or away is the same for windows */
    COLUMN("feature", "name"),
    COLUMN("feature", "type"),
    COLUMN("feature", "from"),
    COLUMN("feature", "sql"),
    COLUMN("feature", "filter"),
    SERVED("feature", "description"),
    COLUMN("function", "functions"),
    COLUMN("stack", "columns"), /* or the rows */
    COLUMN("stack", "is_regex"),
    COLUMN("h3", "lat"),
    COLUMN("h3", "lng"),
    COLUMN("h3", "resolutions"),
    COLUMN("h3", "with_stack"),
    COLUMN("h3", "zero_is_missing"),
    SERVED("window", "functions"), /* over the same values */
    COMPARED("window", "over"),    /* shorter ones are served */
    COMPARED("window", "mode"),
    SERVED("window", "until_full"),
    COLUMN("window", "partition_by"),
    COLUMN("window", "order_by"),
    SERVED("aggregate", "functions"),
    COMPARED("windows", "over"),
    COMPARED("windows", "slide"),
    SERVED("windows", "max_days"),
    OWN("windows", "emit", KEPT_GROUPS), /* which rows went out */
    COMPARED("pivot", "column"),         /* by the layout of the groups */
    COMPARED("pivot", "values"),
    COMPARED("distinct", "subset"),
    SERVED("distinct", "keep"),        /* each window chooses among its events anew */
    COMPARED("deduplicate", "on"),     /* another one begins anew */
    COMPARED("deduplicate", "within"), /* more of it counts from now on */
    /* where it goes, and all else */
    COMPARED("history", "partition_by"), /* the writer compares its folder */
    SERVED("history", "path"),
    SERVED("history", "layout"),
    SERVED("history", "format"),
    COMPARED("history", "corrections"), /* then each event's whole row is kept */
    SERVED("history", "interval_mode"), /* batches only */
    SERVED("history", "compression"),
    SERVED("history", "rows"),
    SERVED("history", "memory"),
    SERVED("writer", "select"),
    SERVED("writer", "validate"),
    SERVED("jsonl", "path"),
    SERVED("jsonl", "rows"),
    SERVED("kafka", "delivery"), /* the writer's; topics, brokers and the like are above */
    SERVED("kafka", "rows"),
    SERVED("kafka", "key"),
    SERVED("kafka", "write_to_entity"),
    SERVED("kafka", "transactional_id"), /* the writer compares it */
    SERVED("kafka", "spool"),
    SERVED("online", NULL), /* all of the block and those in it */
    SERVED("cassandra", NULL),
    SERVED("tls", NULL),
    SERVED("dead_letters", NULL),
    SERVED("checkpoint", NULL),
    SERVED("state", NULL),
    SERVED("compare", NULL),
    SERVED("http", NULL),
    SERVED("serve", NULL), /* its part of the state compares its columns */
    COMPARED("declaration", "pipeline"),
    SERVED("declaration", "plugins"), /* what a function does nobody can tell */
    SERVED("incremental", NULL),      /* batches only, which have no old state */
    COMPARED("bootstrap", "until"), /* these three by the checkpoint: rows were left out by them */
    COMPARED("bootstrap", "same"),
    COMPARED("bootstrap", "within"),
    SERVED("bootstrap", NULL), /* positions know what was read of it */
    COLUMN("macro", "name"),   /* what calls it is compared with the macro in its place */
    COLUMN("macro", "parameters"),
    COLUMN("macro", "sql"),
    COMPARED("declaration", "dialect"), /* the same text means another thing */
    SERVED("hook", NULL),               /* what it refuses from here on */
    SERVED("declaration", "version"),
    SERVED("declaration", "workers"),
    SERVED("batch", "memory"),
    SERVED("batch", "path"),
};

static const decision *find_decision(const char *block, const char *option)
{
    for (size_t i = 0; i < sizeof decisions / sizeof *decisions; i++) {
        const decision *decision = &decisions[i];
        if (strcmp(decision->block, block) == 0 &&
            (decision->option == NULL || strcmp(decision->option, option) == 0))
            return decision;
    }
    return NULL;
}

meaning_fate meaning_fate_of(const char *block, const char *option)
{
    const decision *decision = find_decision(block, option);
    return decision == NULL ? MEANING_UNDECIDED : decision->fate;
}

/* ---- collecting ------------------------------------------------------------------------------ */

typedef struct collector {
    const plan *plan;
    const meaning_sources *sources;
    arena *arena;
    meanings *out;
    bool *marked; /* by slot */
    bool *named;  /* by slot of the query's columns: is it one by whose name windows keep values? */
    query_parts query;
    bool no_memory;
} collector;

static void add_meaning(collector *collector, const place *at, const char *name, const char *text)
{
    meanings *out = collector->out;
    collector->no_memory |= name == NULL || text == NULL ||
                            !arena_reserve(collector->arena, &out->items, &out->capacity,
                                           out->n + UINT64_C(1), sizeof *out->items);
    if (!collector->no_memory)
        out->items[out->n++] = (meaning){.name = name, .text = text, .at = *at};
}

/* ---- what columns are made of ---------------------------------------------------------------- */

static void meaning_mark(const collector *collector, uint32_t slot)
{
    if (slot != NO_SLOT)
        collector->marked[slot] = true;
}

/* What windows and groups look at directly: they keep it by its name. */
static void mark_named(const collector *collector, uint32_t slot)
{
    meaning_mark(collector, slot);
    if (slot < collector->plan->n_source)
        collector->named[slot] = true;
}

static bool keeps(const collector *collector, uint32_t kept)
{
    return (collector->sources->kept & kept) != 0;
}

/* What is looked at directly. */
static void mark_roots(const collector *collector)
{
    const plan *plan = collector->plan;
    const feature_set_block *block = &collector->sources->declaration->feature_set;
    meaning_mark(collector, plan->timestamp_from);
    for (uint32_t i = 0; i < plan->n_keys && keeps(collector, ~(uint32_t)KEPT_SEEN); i++)
        meaning_mark(collector, plan->keys[i].to);
    for (uint32_t i = 0; keeps(collector, KEPT_SEEN) && i < block->deduplicate.on.n; i++)
        for (uint32_t slot = 0; slot < plan->n_source; slot++)
            if (strcasecmp(plan->slots[slot].name, block->deduplicate.on.items[i].value) == 0)
                meaning_mark(collector, slot);
    if (!keeps(collector, KEPT_WINDOWS | KEPT_GROUPS))
        return;
    for (uint32_t i = 0; i < plan->n_many; i++) {
        mark_named(collector, plan->many[i].values);
        meaning_mark(collector, plan->many[i].filter);
    }
    for (uint32_t v = 0; v < plan->n_views; v++) {
        mark_named(collector, plan->views[v].order);
        for (uint32_t i = 0; i < plan->views[v].n_keys; i++)
            mark_named(collector, plan->views[v].keys[i]);
    }
    if (!keeps(collector, KEPT_GROUPS))
        return;
    if (block->aggregated.has_pivot)
        mark_named(collector, plan->pivot);
    for (uint32_t i = 0; block->aggregated.has_distinct && i < block->aggregated.distinct.subset.n;
         i++)
        mark_named(collector, plan->distinct[i]);
}

/* Stacks before windows: each row that they make is counted. */
static void explain_stacks(collector *collector)
{
    const plan *plan = collector->plan;
    const place *at = &collector->sources->declaration->feature_set.name.at;
    const char *text = MEANING_NO_STACKS;
    bool any = false;
    if (!keeps(collector, ~(uint32_t)KEPT_SEEN))
        return;
    for (uint32_t i = 0; text != NULL && i < plan->n_stacks; i++) {
        const stack_step *stack = plan->stacks[i];
        if (plan_is_windowed(plan, stack->to))
            continue;
        meaning_mark(collector, stack->to);
        text = any ? arena_format(collector->arena, "%s, %s", text, stack->who) : stack->who;
        any = true;
    }
    add_meaning(collector, plan->n_stacks == 0 ? at : plan->stacks[0]->at, MEANING_OF_STACKS, text);
}

/* "column cents", "feature amount". */
static const char *slot_text(const collector *collector, uint32_t slot)
{
    const plan *plan = collector->plan;
    const bool is_key = slot > plan->timestamp && slot <= plan->timestamp + plan->n_keys;
    if (slot == plan->timestamp)
        return "the timestamp";
    return arena_format(collector->arena, "%s %s",
                        slot < plan->n_source ? "column"
                        : is_key              ? "key"
                                              : "feature",
                        plan->slots[slot].name);
}

static const char *name_of_type(const collector *collector, const type *type)
{
    const char *name = type_name(collector->arena, type);
    return name == NULL ? "?" : name;
}

static place place_of_cast(const collector *collector, uint32_t slot)
{
    const feature_set_block *block = &collector->sources->declaration->feature_set;
    const char *name = collector->plan->slots[slot].name;
    const key_block *keys = block->keys.items;
    const feature_block *features = block->features.items;
    const bool is_key = slot <= collector->plan->timestamp + collector->plan->n_keys;
    for (uint32_t i = 0; is_key && i < block->keys.n; i++)
        if (strcasecmp(keys[i].name.value, name) == 0)
            return keys[i].from.at;
    for (uint32_t i = 0; i < block->features.n; i++)
        if (strcasecmp(features[i].name.value, name) == 0)
            return features[i].from.at;
    return block->name.at;
}

static void explain_cast(collector *collector, const cast_step *cast)
{
    const place at = place_of_cast(collector, cast->to);
    const char *from = slot_text(collector, cast->from);
    meaning_mark(collector, cast->from);
    add_meaning(collector, &at, cast->who,
                from == NULL
                    ? NULL
                    : arena_format(collector->arena, "from %s as %s", from,
                                   name_of_type(collector, collector->plan->slots[cast->to].type)));
}

/* The slot of a name in the stage's input; NO_SLOT: it is a parameter, or a function's name. */
static uint32_t find_mention(const collector *collector, const stage *stage, const char *name)
{
    for (uint32_t i = 0; i < stage->n_slots; i++)
        if (strcasecmp(collector->plan->slots[stage->slots[i]].name, name) == 0)
            return stage->slots[i];
    return NO_SLOT;
}

/* Is the whole of it in the text, and not as a part of a longer name? */
static bool is_said(const char *text, const char *what)
{
    const size_t length = strlen(what);
    for (const char *at = text; (at = strstr(at, what)) != NULL; at++)
        if (at[length] == '\0' || at[length] == ',')
            return true;
    return false;
}

static void explain_sql(collector *collector, const stage *stage, const sql_feature *feature)
{
    const char *sql = sql_plain(collector->arena, feature->sql->value);
    const char *text =
        sql == NULL ? NULL
        : feature->is_filter
            ? sql
            : arena_format(collector->arena, "sql %s as %s", sql,
                           name_of_type(collector, collector->plan->slots[feature->to].type));
    for (uint32_t i = 0; text != NULL && i < feature->expression.n_mentions; i++) {
        const uint32_t slot = find_mention(collector, stage, feature->expression.mentions[i].name);
        if (slot == NO_SLOT)
            continue;
        meaning_mark(collector, slot);
        const char *what = slot_text(collector, slot);
        collector->no_memory |= what == NULL;
        if (slot >= collector->plan->n_source && what != NULL && !is_said(text, what))
            text = arena_format(collector->arena, "%s, of the %s", text, what);
    }
    /* another filter is another value, that fills anew; only what the same one reads is compared */
    const char *name = sql != NULL && feature->is_filter
                           ? arena_format(collector->arena, "the filter `%s`", sql)
                           : feature->who;
    add_meaning(collector, &feature->sql->at, name, text);
}

/* The feature that looks at the slot; else the feature set's name. */
static const place *place_of_look(const collector *collector, uint32_t slot)
{
    const plan *plan = collector->plan;
    for (uint32_t i = 0; i < plan->n_many; i++) {
        const feature_block *block = plan->many[i].block;
        if (plan->many[i].values == slot)
            return place_is_set(&block->from.at) ? &block->from.at : &block->name.at;
    }
    return &collector->sources->declaration->feature_set.name.at;
}

/* Is a feature of the column's name looked at, too? Then the column is kept by another name. */
static bool is_beside_feature(const collector *collector, uint32_t column)
{
    const plan *plan = collector->plan;
    for (uint32_t slot = plan->n_source; slot < plan->n_slots; slot++)
        if (collector->marked[slot] &&
            strcasecmp(plan->slots[slot].name, plan->slots[column].name) == 0)
            return true;
    return false;
}

/* What windows keep by the name of a column of the query: a feature of that name would stand in its
 * place. As of a feature that takes the column as it is, which is the same. */
static void explain_named(collector *collector)
{
    for (uint32_t slot = 0; slot < collector->plan->n_source; slot++) {
        const field *column = &collector->plan->slots[slot];
        if (collector->named[slot] && !is_beside_feature(collector, slot))
            add_meaning(collector, place_of_look(collector, slot),
                        arena_format(collector->arena, "feature \"%s\"", column->name),
                        arena_format(collector->arena, "from column %s as %s", column->name,
                                     name_of_type(collector, column->type)));
    }
}

static void explain_stack(collector *collector, const stack_step *stack)
{
    const char *text = "a row for each of";
    for (uint32_t i = 0; text != NULL && i < stack->n; i++) {
        const char *from = slot_text(collector, stack->from[i]);
        meaning_mark(collector, stack->from[i]);
        text = from == NULL
                   ? NULL
                   : arena_format(collector->arena, "%s%s %s", text, i == 0 ? "" : ",", from);
    }
    add_meaning(collector, stack->at, stack->who,
                text == NULL ? NULL
                             : arena_format(collector->arena, "%s as %s", text,
                                            name_of_type(collector,
                                                         collector->plan->slots[stack->to].type)));
}

/* What the step makes the slot of, where it makes it. */
static void explain_step(collector *collector, const step *step, uint32_t slot)
{
    const stage *stage = step->stage;
    if (step->stack != NULL && step->stack->to == slot)
        explain_stack(collector, step->stack);
    if (stage == NULL && step->stack == NULL && step->cast.to == slot)
        explain_cast(collector, &step->cast);
    for (uint32_t k = 0; stage != NULL && k < stage->n_features; k++)
        if (stage->features[k].to == slot)
            explain_sql(collector, stage, &stage->features[k]);
}

/* What that slot is, and what it is made of. */
static void explain_slot(collector *collector, uint32_t slot)
{
    const plan *plan = collector->plan;
    for (uint32_t i = 0; i < plan->n_keys; i++)
        if (plan->keys[i].to == slot && plan->keys[i].from != NO_SLOT)
            explain_cast(collector, &plan->keys[i]);
    for (unsigned phase = 0; phase < PHASE_WINDOWS; phase++)
        for (uint32_t i = 0; i < plan->steps[phase].n; i++)
            explain_step(collector, &plan->steps[phase].items[i], slot);
}

static void explain_time(collector *collector)
{
    static const char *const units[] = {"", " in s", " in ms", " in us"};
    const timestamp_block *block = &collector->sources->declaration->feature_set.timestamp;
    const char *mask = block->mask.value;
    const place *at = place_is_set(&block->from.at)
                          ? &block->from.at
                          : &collector->sources->declaration->feature_set.name.at;
    add_meaning(collector, at, "the timestamp",
                arena_format(collector->arena, "from column %s%s%s%s%s", block->from.value,
                             units[block->unit], mask == NULL ? "" : " by the mask \"",
                             mask == NULL ? "" : mask, mask == NULL ? "" : "\""));
}

/* ---- the query ------------------------------------------------------------------------------- */

static bool is_read(const collector *collector, const freshet_reader *reader)
{
    for (uint32_t i = 0; i < collector->query.n_words; i++)
        if (sql_word_names(&collector->query.words[i], reader->block->id.value))
            return true;
    return false;
}

/* Which SELECT of the query; "" of the first. */
static const char *select_name(const collector *collector, uint32_t select)
{
    return select == 0 ? "the query"
                       : arena_format(collector->arena, "SELECT %u of the query", select + 1);
}

static bool meaning_has_word(const query_parts *query, const char *wanted)
{
    for (uint32_t i = 0; i < query->n_words; i++)
        if (sql_word_is(&query->words[i], wanted))
            return true;
    return false;
}

/* The reader all of whose columns, as they are, the SELECT takes by one star; NULL: it is another
 * SELECT, or that cannot be told. */
static const freshet_reader *reader_of_star(const collector *collector, const query_select *select)
{
    const query_item *item = select->items;
    const bool is_star = select->n_items == 1 && item->name == NULL && item->n_words == 1 &&
                         sql_word_is(item->words, "*");
    const bool is_of_one = select->n_before == 0 && select->n_behind >= 2 &&
                           (select->n_behind == 2 || sql_word_is(&select->behind[2], "where"));
    for (uint32_t i = 0; is_star && is_of_one && i < collector->sources->n_readers; i++) {
        const freshet_reader *reader = collector->sources->readers[i];
        if (sql_word_names(&select->behind[1], reader->block->id.value))
            return reader->block->preprocess.n == 0 &&
                           reader->schema.n_fields == collector->plan->n_source
                       ? reader
                       : NULL;
    }
    return NULL;
}

/* What a column of the query is in one SELECT. A UNION ALL goes by places, so what a star gives
 * there depends on the order of its reader's columns; of one SELECT alone it is the name. */
static const char *column_text(const collector *collector, uint32_t select, uint32_t slot)
{
    const query_parts *query = &collector->query;
    const freshet_reader *reader =
        query->n_selects > 1 ? reader_of_star(collector, &query->selects[select]) : NULL;
    if (reader == NULL)
        return query_parts_column(collector->arena, query, select,
                                  collector->plan->slots[slot].name);
    const char *name = reader->schema.fields[slot].name;
    char *lower = arena_copy(collector->arena, name, strlen(name));
    for (char *at = lower; at != NULL && *at != '\0'; at++)
        *at = (char)tolower((unsigned char)*at);
    return lower;
}

/* Stars of a UNION whose columns cannot be told: the order of all columns of their readers. */
static void explain_orders(collector *collector)
{
    const query_parts *query = &collector->query;
    bool any = meaning_has_word(query, "union") && meaning_has_word(query, "*");
    for (uint32_t i = 0; any && query->is_split && i < query->n_selects; i++)
        if (reader_of_star(collector, &query->selects[i]) == NULL)
            break;
        else
            any = i + 1 < query->n_selects;
    for (uint32_t i = 0; any && i < collector->sources->n_readers; i++) {
        const freshet_reader *reader = collector->sources->readers[i];
        const char *text = is_read(collector, reader) ? "" : NULL;
        for (uint32_t k = 0; text != NULL && k < reader->schema.n_fields; k++)
            text = arena_format(collector->arena, "%s%s%s", text, k == 0 ? "" : ", ",
                                reader->schema.fields[k].name);
        if (is_read(collector, reader))
            add_meaning(collector, &reader->block->id.at,
                        arena_format(collector->arena, "the order of the columns of reader \"%s\"",
                                     reader->block->id.value),
                        text);
    }
}

static void explain_select(collector *collector, uint32_t select)
{
    const declared_text *query = &collector->sources->declaration->source.query;
    const char *of = select_name(collector, select);
    const uint32_t first = collector->out->n;
    collector->no_memory |= of == NULL;
    if (of == NULL)
        return;
    add_meaning(collector, &query->at, arena_format(collector->arena, "the rows of %s", of),
                query_parts_rows(collector->arena, &collector->query.selects[select]));
    for (uint32_t slot = 0; slot < collector->plan->n_source; slot++) {
        const char *name = collector->plan->slots[slot].name;
        if (collector->marked[slot])
            add_meaning(collector, &query->at,
                        arena_format(collector->arena, "column \"%s\" of %s", name, of),
                        column_text(collector, select, slot));
    }
    for (uint32_t i = first; i < collector->out->n; i++)
        collector->out->items[i].select = select;
}

static void explain_query(collector *collector)
{
    const declared_text *query = &collector->sources->declaration->source.query;
    collector->no_memory |=
        !query_parts_read(collector->arena, collector->sources->query, &collector->query);
    if (collector->no_memory)
        return;
    add_meaning(collector, &query->at, MEANING_OF_QUERY,
                sql_words_text(collector->arena, collector->query.words, collector->query.n_words));
    if (!collector->no_memory)
        collector->out->items[collector->out->n - 1].is_of_query = true;
    collector->out->is_query_split = collector->query.is_split;
    for (uint32_t i = 0; collector->query.is_split && i < collector->query.n_selects; i++)
        explain_select(collector, i);
    if (!collector->no_memory)
        explain_orders(collector);
}

/* ---- readers --------------------------------------------------------------------------------- */

/* May a reader's column be read for the rows, or for a column that is needed? */
static bool is_needed(const collector *collector, const char *column)
{
    const query_parts *query = &collector->query;
    if (!query->is_split)
        return true;
    for (uint32_t i = 0; i < query->n_selects; i++) {
        if (query_parts_reads(query, i, NULL, column))
            return true;
        for (uint32_t slot = 0; slot < collector->plan->n_source; slot++)
            if (collector->marked[slot] &&
                query_parts_reads(query, i, collector->plan->slots[slot].name, column))
                return true;
    }
    return false;
}

/* Are columns found by their place in a record? Those of CSV without a header, and of messages. */
static bool is_by_place(const block_kind *block, const char *from, unsigned depth)
{
    for (const option *option = block->options; option->name != NULL; option++) {
        const char *value = from + option->offset;
        if (option->kind == OPTION_BOOLEAN && strcmp(option->name, "header") == 0 &&
            !*(const bool *)(const void *)value)
            return true;
        if (depth > 0 && option->kind == OPTION_CHOICE && strcmp(option->name, "format") == 0 &&
            strcmp(option->choices[*(const int *)(const void *)value], "csv") == 0)
            return true;
        if (depth == 0 && option->kind == OPTION_BLOCK &&
            is_by_place(option->block, value, depth + 1))
            return true;
    }
    return false;
}

/* What becomes of the reader's rows before the query: with other steps they are other rows. */
static void explain_preprocess(collector *collector, const freshet_reader *reader)
{
    const bool any = reader->block->preprocess.n > 0;
    add_meaning(
        collector, any ? &reader->block->preprocess.places[0] : &reader->block->id.at,
        arena_format(collector->arena, "preprocess of reader \"%s\"", reader->block->id.value),
        any ? preprocess_text(collector->arena, reader->block) : "nothing");
}

static void explain_reader(collector *collector, const freshet_reader *reader)
{
    const char *id = reader->block->id.value;
    const declared_kind *kind = &reader->block->kind;
    const bool by_place = is_by_place(kind->kind, kind->options, 0);
    explain_preprocess(collector, reader);
    for (uint32_t i = 0; i < reader->schema.n_fields; i++) {
        const field *field = &reader->schema.fields[i];
        const char *type = type_name(collector->arena, field->type);
        if (by_place && type != NULL)
            type = arena_format(collector->arena, "%s, number %u of a record", type, i + 1);
        /* With steps the query's names are not the reader's. */
        if (reader->block->preprocess.n > 0 || is_needed(collector, field->name))
            add_meaning(collector, &reader->block->id.at,
                        arena_format(collector->arena, "column \"%s\" " MEANING_OF_READER "%s\"",
                                     field->name, id),
                        type);
    }
}

/* ---- options that are meanings --------------------------------------------------------------- */

static const char *value_text(const collector *collector, const option *option, const void *from,
                              place *at)
{
    const declared_text *text = from;
    const declared_list *list = from;
    char *number = NULL;
    const char *joined = "";
    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_SQL:
        *at = place_is_set(&text->at) ? text->at : *at;
        return text->value == NULL ? "" : text->value;
    case OPTION_BOOLEAN: return *(const bool *)from ? "true" : "false";
    case OPTION_CHOICE: return option->choices[*(const int *)from];
    case OPTION_INTEGER:
    case OPTION_DURATION:
    case OPTION_BYTES:
    case OPTION_MEMORY:
        number = arena_alloc(collector->arena, VALUE_TEXT_MAX);
        if (number != NULL)
            value_format(option->kind, *(const int64_t *)from, number);
        return number;
    case OPTION_TEXTS:
        for (uint32_t i = 0; joined != NULL && i < list->n; i++)
            joined = arena_format(collector->arena, "%s%s%s", joined, i == 0 ? "" : ", ",
                                  list->items[i].value);
        *at = list->n > 0 ? list->items[0].at : *at;
        return joined;
    default: return "";
    }
}

static void explain_options(collector *collector, const block_kind *block, const char *from,
                            const char *path, place at, unsigned depth);

/* Blocks inside: those that are there. Blocks of a list that are no readers have only columns. */
static void explain_nested(collector *collector, const option *option, const char *block,
                           const char *path, place at, unsigned depth)
{
    const char *from = block + option->offset;
    const declared_kind *kind = (const void *)from;
    const declared_blocks *list = (const void *)from;
    if (strcmp(option->name, "bootstrap") == 0)
        return; /* positions know what was read of it */
    if (option->kind == OPTION_KIND && kind->kind != NULL)
        explain_options(collector, kind->kind, kind->options, path, at, depth + 1);
    if (option->kind == OPTION_BLOCK &&
        (option->given_offset == 0 || *(const bool *)(block + option->given_offset - 1)))
        explain_options(collector, option->block, from,
                        depth == 0 ? ""
                                   : arena_format(collector->arena, "%s%s: ", path, option->name),
                        at, depth + 1);
    if (option->kind != OPTION_BLOCKS || strcmp(option->block->name, "reader") != 0)
        return;
    for (uint32_t i = 0; i < list->n && i < collector->sources->n_readers; i++) {
        const freshet_reader *reader = collector->sources->readers[i];
        if (is_read(collector, reader))
            explain_options(
                collector, option->block, (const char *)reader->block,
                arena_format(collector->arena, "reader \"%s\": ", reader->block->id.value),
                reader->block->id.at, depth + 1);
    }
}

static void explain_options(collector *collector, const block_kind *block, const char *from,
                            const char *path, place at, unsigned depth)
{
    if (path == NULL || depth > DECLARATION_DEPTH_MAX) {
        collector->no_memory |= path == NULL;
        return;
    }
    for (const option *option = block->options; option->name != NULL; option++) {
        const decision *decision = find_decision(block->name, option->name);
        place here = at;
        explain_nested(collector, option, from, path, at, depth);
        if (decision == NULL || decision->fate != MEANING_OWN ||
            !keeps(collector, decision->needed_by))
            continue;
        const char *text = value_text(collector, option, from + option->offset, &here);
        add_meaning(collector, &here, arena_format(collector->arena, "%s%s", path, option->name),
                    text);
    }
}

/* First, since with another dialect the texts of all SQL are others, too. */
static void explain_dialect(collector *collector)
{
    static const char *const names[] = {"duckdb", "spark"};
    const declaration *declaration = collector->sources->declaration;
    const place *at = place_is_set(&declaration->dialect_at) ? &declaration->dialect_at
                                                             : &declaration->feature_set.name.at;
    add_meaning(collector, at, "the dialect", names[declaration->dialect]);
}

/* `late: update` counts rows that the others leave out. */
static void explain_late(collector *collector)
{
    const feature_set_block *block = &collector->sources->declaration->feature_set;
    if (keeps(collector, ~(uint32_t)KEPT_NEWEST))
        add_meaning(collector, &block->name.at, "timestamp: late",
                    block->timestamp.late == ON_LATE_UPDATE ? "update" : "dead_letter or drop");
}

freshet_code meanings_collect(const plan *plan, const meaning_sources *sources, arena *arena,
                              meanings *out, freshet_error *err)
{
    collector collector = {.plan = plan,
                           .sources = sources,
                           .arena = arena,
                           .out = out,
                           .marked = arena_zero(arena, plan->n_slots + (size_t)1, sizeof(bool)),
                           .named = arena_zero(arena, plan->n_slots + (size_t)1, sizeof(bool))};
    *out = (meanings){0};
    if (sources->kept == 0)
        return FRESHET_OK;
    if (collector.marked == NULL || collector.named == NULL)
        return error_memory(err, MEANING);
    mark_roots(&collector);
    explain_dialect(&collector);
    explain_stacks(&collector);
    explain_time(&collector);
    for (uint32_t slot = plan->n_slots; slot > plan->n_source; slot--)
        if (collector.marked[slot - 1])
            explain_slot(&collector, slot - 1);
    explain_named(&collector);
    explain_query(&collector);
    for (uint32_t i = 0; !collector.no_memory && i < sources->n_readers; i++)
        if (is_read(&collector, sources->readers[i]))
            explain_reader(&collector, sources->readers[i]);
    if (!collector.no_memory)
        explain_options(&collector, &declaration_block, (const char *)sources->declaration, "",
                        sources->declaration->feature_set.name.at, 0);
    explain_late(&collector);
    return collector.no_memory ? error_memory(err, MEANING) : FRESHET_OK;
}

/* ---- columns of the output ------------------------------------------------------------------- */

/* The meaning that a step gives to its slot, with the type before it. */
static void explain_column(collector *collector, uint32_t slot)
{
    const plan *plan = collector->plan;
    meanings *out = collector->out;
    const uint32_t before = out->n;
    for (uint32_t i = 0; i < plan->n_keys; i++)
        if (plan->keys[i].to == slot && plan->keys[i].from != NO_SLOT)
            explain_cast(collector, &plan->keys[i]);
    for (unsigned phase = 0; phase < PLAN_PHASES; phase++)
        for (uint32_t i = 0; i < plan->steps[phase].n; i++)
            explain_step(collector, &plan->steps[phase].items[i], slot);
    for (uint32_t i = before; !collector->no_memory && i < out->n; i++) {
        out->items[i].text =
            arena_format(collector->arena, "%s\n%s",
                         name_of_type(collector, plan->slots[slot].type), out->items[i].text);
        collector->no_memory |= out->items[i].text == NULL;
    }
}

freshet_code meanings_columns(const plan *plan, const declaration *declaration, arena *arena,
                              meanings *out, freshet_error *err)
{
    const meaning_sources sources = {.declaration = declaration};
    collector collector = {.plan = plan,
                           .sources = &sources,
                           .arena = arena,
                           .out = out,
                           .marked = arena_zero(arena, plan->n_slots + (size_t)1, sizeof(bool))};
    *out = (meanings){0};
    if (collector.marked == NULL)
        return error_memory(err, MEANING);
    for (uint32_t i = 0; i < plan->n_output_slots; i++)
        explain_column(&collector, plan->output_slots[i]);
    return collector.no_memory ? error_memory(err, MEANING) : FRESHET_OK;
}
