/* read.c - one generic reader of trees by option tables.
 *
 * A block is read in four passes over its table and its node: keys that no option has (with the
 * nearest that one has), then each option in the table's order, from its node or from its default,
 * then what is missing, then the block's own check. A mistake never ends the reading; it leaves the
 * field at its default, so that all mistakes of a declaration are found in one go. One mistake
 * gives one problem: an option is not called missing when a misspelt key near it was just reported.
 *
 * The reading nests as deep as the tables do (BLOCK_DEPTH_MAX); only a schema nests on input, as
 * deep as TYPE_DEPTH_MAX.
 */
#define _GNU_SOURCE /* strcasestr */
#include "declaration/read.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "declaration/value.h"

#define QUOTED_BYTES_MAX 60 /* of a value, in a message */
#define OPTIONS_MAX 64      /* in one table: one bit each */
#define COLUMN_NAME_MAX 256 /* bytes of a column's name in a schema */

typedef struct reading {
    const block_kind *blocks[BLOCK_DEPTH_MAX]; /* that are being read, from the outside in */
    arena *arena;
    problems *problems;
    const registry *registry;
    uint32_t depth;
} reading;

/* What is being read: a block's table, the node (NULL: it is not there, defaults only), its
 * place. */
typedef struct block_reading {
    const block_kind *block;
    const node *map;
    const place *at;
    char *into;
    uint64_t suggested; /* options that a misspelt key was near to */
    bool unknown;       /* a key was unknown */
} block_reading;

static void read_block(reading *reading, const block_kind *block, const node *map, const place *at,
                       void *into);

const block_kind *const *registry_kinds(const registry *registry, const char *kinds)
{
    static const block_kind *const none[] = {NULL};
    const block_kind *const *list = strcmp(kinds, "readers") == 0 ? registry->readers
                                    : strcmp(kinds, "steps") == 0 ? registry->steps
                                                                  : registry->writers;
    return list == NULL ? none : list;
}

/* ---- words for messages --------------------------------------------------------------------- */

/* printf into the arena; "" where memory is out. */
#define formatted(reading, ...) or_empty(arena_format((reading)->arena, __VA_ARGS__))

static const char *or_empty(const char *text)
{
    return text == NULL ? "" : text;
}

/* A value as a message shows it: in quotes, cut, without control characters. */
static const char *quoted(reading *reading, const option *option, const char *value)
{
    if (option->secret)
        return "what was given";
    size_t length = strlen(value);
    bool cut = length > QUOTED_BYTES_MAX;
    if (cut) {
        length = QUOTED_BYTES_MAX;
        while (length > 0 && ((unsigned char)value[length] & 0xC0) == 0x80)
            length--;
    }
    const char *text = formatted(reading, "\"%.*s%s\"", (int)length, value, cut ? "..." : "");
    for (char *c = (char *)text; *c != '\0'; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
    return text;
}

/* The nearest of `candidates`; what differs by case only is nearest. */
static const char *nearest(const char *word, const char *const *candidates, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcasecmp(word, candidates[i]) == 0)
            return candidates[i];
    return text_nearest(word, candidates, n);
}

static const char *did_you_mean(reading *reading, const char *near)
{
    return near == NULL ? "" : formatted(reading, "; did you mean \"%s\"?", near);
}

/* "json, csv or parquet" */
static const char *enumerate(reading *reading, const char *const *words, size_t n, const char *last)
{
    const char *text = n == 0 ? "" : words[0];
    for (size_t i = 1; i < n; i++)
        text = formatted(reading, "%s%s%s", text, i + 1 == n ? last : ", ", words[i]);
    return text;
}

/* The index of a word in a NULL-terminated list, or -1. */
static int index_of(const char *const *words, const char *word)
{
    for (int i = 0; words[i] != NULL; i++)
        if (strcmp(words[i], word) == 0)
            return i;
    return -1;
}

/* The problem of a value: "<name>" cannot be "<value>": it <what>. */
static void wrong_value(reading *reading, const option *option, const node *given, const char *what)
{
    problem_add(reading->problems, &given->at, "\"%s\" cannot be %s: it %s", option->name,
                quoted(reading, option, given->value), what);
}

/* ---- scalars -------------------------------------------------------------------------------- */

/* These give what is wrong with a value, or NULL. */

static const char *read_choice(reading *reading, const option *option, const char *value, int *into)
{
    size_t n = 0;
    int chosen = index_of(option->choices, value);
    if (chosen >= 0) {
        *into = chosen;
        return NULL;
    }
    while (option->choices[n] != NULL)
        n++;
    const char *near = option->secret ? NULL : nearest(value, option->choices, n);
    return formatted(reading, "must be %s%s", enumerate(reading, option->choices, n, " or "),
                     did_you_mean(reading, near));
}

/* A type in { } that was cut at a comma: {type: decimal(10,2)}. */
static bool is_cut(const char *value)
{
    const char *open = strpbrk(value, "(<");
    return open != NULL && strpbrk(open, ")>") == NULL;
}

static const char *read_type(reading *reading, const char *value, const type **into)
{
    *into = type_parse(reading->arena, value);
    if (*into != NULL)
        return NULL;
    if (is_cut(value))
        return "is cut at a comma: put the whole type in quotes, as in \"decimal(10,2)\"";
    return formatted(reading,
                     "must be boolean, integer, bigint, float, double, decimal(width,scale), "
                     "string, binary, date, timestamp, array<type> or struct<name: type>%s",
                     did_you_mean(reading, type_suggest(value)));
}

static const char *read_number(reading *reading, const option *option, const char *value,
                               int64_t *into)
{
    int64_t number = 0;
    const char *wrong = value_number(option->kind, value, &number);
    bool bounded = option->minimum != 0 || option->maximum != 0;
    if (wrong != NULL)
        return wrong;
    const bool is_share = option->kind == OPTION_MEMORY && number < 0;
    if (!bounded || is_share || (number >= option->minimum && number <= option->maximum)) {
        *into = number;
        return NULL;
    }
    char least[VALUE_TEXT_MAX];
    char most[VALUE_TEXT_MAX];
    value_format(option->kind, option->minimum, least);
    value_format(option->kind, option->maximum, most);
    if (option->minimum == option->maximum)
        return formatted(reading, "must be %s", least);
    if (option->maximum == INT64_MAX)
        return formatted(reading, "must be at least %s", least);
    return formatted(reading, "must be from %s to %s", least, most);
}

static const char *read_text(reading *reading, const option *option, const node *given,
                             declared_text *into)
{
    const char *value = given->value;
    bool empty = value[option->kind == OPTION_SQL ? strspn(value, " \t\r\n") : 0] == '\0';
    bool may_be_empty = option->kind == OPTION_TEXT && !option->required;
    const char *wrong = option->kind == OPTION_NAME && !empty ? value_name(value) : NULL;
    into->at = given->at;
    if (empty && !may_be_empty)
        problem_add(reading->problems, &given->at, "\"%s\" must not be empty", option->name);
    else if (wrong == NULL)
        into->value = value;
    return wrong;
}

static void read_scalar(reading *reading, const option *option, const node *given, void *into)
{
    const char *wrong = NULL;
    switch (option->kind) {
    case OPTION_TEXT:
    case OPTION_NAME:
    case OPTION_SQL: wrong = read_text(reading, option, given, into); break;
    case OPTION_BOOLEAN: wrong = value_boolean(given->value, into); break;
    case OPTION_INTEGER:
    case OPTION_DURATION:
    case OPTION_BYTES:
    case OPTION_MEMORY: wrong = read_number(reading, option, given->value, into); break;
    case OPTION_CHOICE: wrong = read_choice(reading, option, given->value, into); break;
    case OPTION_TYPE:
        ((declared_type *)into)->at = given->at;
        wrong = read_type(reading, given->value, &((declared_type *)into)->value);
        break;
    default: break;
    }
    if (wrong != NULL)
        wrong_value(reading, option, given, wrong);
}

/* ---- lists of texts ------------------------------------------------------------------------- */

static void read_texts(reading *reading, const option *option, const node *given,
                       declared_list *into)
{
    if (given->kind == NODE_MAP) {
        problem_add(reading->problems, &given->at,
                    "\"%s\" must be a value or a list of values, not a map of options",
                    option->name);
        return;
    }
    uint32_t n = given->kind == NODE_LIST ? given->n : 1;
    if (n == 0 && option->required) {
        problem_add(reading->problems, &given->at, "\"%s\" needs at least one value", option->name);
        return;
    }
    into->items = arena_zero(reading->arena, n, sizeof *into->items);
    if (into->items == NULL)
        return;
    const node *item = given->kind == NODE_LIST ? given->first : given;
    for (uint32_t i = 0; i < n; i++, item = item->next) {
        if (item->broken)
            continue;
        if (item->kind != NODE_SCALAR || node_is_null(item))
            problem_add(reading->problems, &item->at, "an item of \"%s\" must be a single value",
                        option->name);
        else
            into->items[into->n++] = (declared_text){item->value, item->at};
    }
}

/* ---- properties ----------------------------------------------------------------------------- */

bool property_is_secret(const char *name)
{
    static const char *const words[] = {"password", "secret",     ".pem",
                                        "token",    "credential", "oauthbearer.config"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(name, words[i]) != NULL)
            return true;
    return false;
}

static void read_properties(reading *reading, const option *option, const node *given,
                            declared_properties *into)
{
    if (given->kind != NODE_MAP) {
        problem_add(reading->problems, &given->at,
                    "\"%s\" must be a map of names and values, as in {%s}", option->name,
                    option->example == NULL ? "name: value" : "name: \"value\"");
        return;
    }
    into->items = arena_zero(reading->arena, given->n, sizeof *into->items);
    if (into->items == NULL)
        return;
    for (const node *item = given->first; item != NULL; item = item->next) {
        if (item->broken)
            continue;
        if (item->kind != NODE_SCALAR || node_is_null(item))
            problem_add(reading->problems, &item->at, "\"%.60s\" must have a single value",
                        item->key);
        else
            into->items[into->n++] =
                (declared_property){item->key, {item->value, item->at}, item->key_at};
    }
}

/* ---- functions of windows and aggregates --------------------------------------------------- */

/* `avg`, or `{count: bigint}`. */
static void read_function(reading *reading, const option *option, const node *item,
                          declared_blocks *into)
{
    static const struct option typed = {.name = "type", .kind = OPTION_TYPE};
    const node *named = item->kind == NODE_MAP ? item->first : item;
    bool one = item->kind == NODE_MAP ? item->n == 1 && named->kind == NODE_SCALAR
                                      : item->kind == NODE_SCALAR && !node_is_null(item);
    if (!one) {
        problem_add(reading->problems, &item->at,
                    "an item of \"%s\" must be a function's name, such as avg, or one name and the "
                    "type of its values, such as {count: bigint}",
                    option->name);
        return;
    }
    if (item->broken || named->broken)
        return;
    function_block *made = &((function_block *)into->items)[into->n];
    *made = (function_block){.name = {item->value, item->at}, .type = {NULL, item->at}};
    if (item->kind == NODE_MAP) {
        made->name = (declared_text){named->key, named->key_at};
        node type = *named;
        type.value = node_is_null(named) ? "" : named->value;
        read_scalar(reading, &typed, &type, &made->type);
    }
    into->places[into->n++] = item->at;
}

static void read_functions(reading *reading, const option *option, const node *given,
                           declared_blocks *into)
{
    bool is_list = given->kind == NODE_LIST;
    uint32_t n = is_list ? given->n : 1;
    if (n == 0) {
        problem_add(reading->problems, &given->at, "\"%s\" needs at least one function",
                    option->name);
        return;
    }
    into->items = arena_zero(reading->arena, n, sizeof(function_block));
    into->places = arena_zero(reading->arena, n, sizeof *into->places);
    if (into->items == NULL || into->places == NULL)
        return;
    const node *item = is_list ? given->first : given;
    for (uint32_t i = 0; i < n; i++, item = item->next)
        read_function(reading, option, item, into);
}

/* ---- schemas -------------------------------------------------------------------------------- */

/* Columns are told apart without regard to case. Equal keys of a map were reported with the
 * YAML. */
static void report_clashes(reading *reading, given_name *names, uint32_t n, bool is_map)
{
    names_sort(names, n, true);
    for (uint32_t i = 1; i < n; i++) {
        const char *before = names[i - 1].name;
        if (names[i].first != NULL && !(is_map && strcmp(before, names[i].name) == 0))
            problem_add(reading->problems, names[i].at,
                        "the column \"%.60s\" has the name of the column \"%.60s\", since SQL does "
                        "not tell capital letters apart: remove one",
                        names[i].name, before);
    }
}

static void check_map_names(reading *reading, const node *map)
{
    given_name *names = arena_zero(reading->arena, map->n, sizeof *names);
    if (names == NULL)
        return;
    uint32_t n = 0;
    for (const node *child = map->first; child != NULL; child = child->next, n++)
        names[n] = (given_name){.name = child->key, .at = &child->key_at, .order = n};
    report_clashes(reading, names, n, true);
}

static bool check_name(reading *reading, const char *name, const place *at)
{
    if (name[0] == '\0')
        return problem_add(reading->problems, at, "a column must have a name");
    if (strlen(name) > COLUMN_NAME_MAX)
        return problem_add(reading->problems, at,
                           "the name of a column can have %d bytes, and this one has more",
                           COLUMN_NAME_MAX);
    if (strncasecmp(name, "__freshet", 9) == 0)
        return problem_add(reading->problems, at,
                           "the column \"%.60s\" cannot be used: names that begin with __freshet "
                           "are Freshet's own",
                           name);
    return true;
}

/* The names inside of a type that was written as text; as deep as TYPE_DEPTH_MAX. */
static void check_type_names(reading *reading, const type *type, const place *at)
{
    if (type->n_fields == 0)
        return;
    given_name *names = arena_zero(reading->arena, type->n_fields, sizeof *names);
    if (names == NULL)
        return;
    bool ok = true;
    for (uint32_t i = 0; i < type->n_fields; i++) {
        names[i] = (given_name){.name = type->fields[i].name, .at = at, .order = i};
        ok = ok && check_name(reading, type->fields[i].name, at);
        check_type_names(reading, type->fields[i].type, at);
    }
    report_clashes(reading, names, type->n_fields, false);
}

static uint32_t type_depth(const type *type)
{
    uint32_t depth = 0;
    for (uint32_t i = 0; i < type->n_fields; i++) {
        uint32_t below = type_depth(type->fields[i].type) + 1; /* bounded by TYPE_DEPTH_MAX twice */
        if (below > depth)
            depth = below;
    }
    return depth;
}

static bool read_fields(reading *reading, const node *map, uint32_t depth, field *fields,
                        place *places, uint32_t *n);

static const type *read_field_type(reading *reading, const node *given, uint32_t depth)
{
    if (given->broken)
        return NULL;
    if (given->kind == NODE_LIST || node_is_null(given)) {
        problem_add(reading->problems, &given->at,
                    "the column \"%.60s\" must have a type, such as bigint, or a map of its "
                    "fields; an array is written array<type>, one of structs "
                    "\"array<struct<name: type, other: type>>\"",
                    given->key);
        return NULL;
    }
    const type *type = NULL;
    if (given->kind == NODE_SCALAR) {
        const option column = {.name = formatted(reading, "%.60s", given->key)};
        const char *wrong = read_type(reading, given->value, &type);
        if (wrong != NULL)
            wrong_value(reading, &column, given, wrong);
        else
            check_type_names(reading, type, &given->at);
    } else if (depth < TYPE_DEPTH_MAX) {
        field *fields = arena_zero(reading->arena, given->n, sizeof *fields);
        uint32_t n = 0;
        if (fields != NULL && read_fields(reading, given, depth + 1, fields, NULL, &n))
            type = type_struct(reading->arena, fields, n);
    }
    if ((type == NULL && depth >= TYPE_DEPTH_MAX) ||
        (type != NULL && depth + type_depth(type) > TYPE_DEPTH_MAX)) {
        problem_add(reading->problems, &given->at, "types can be nested %d deep, no further",
                    TYPE_DEPTH_MAX);
        return NULL;
    }
    return type;
}

/* The rest of a type in { } that was cut at a comma: {a: decimal(10,2)} has the keys "a" and
 * "2)". */
static bool is_rest_of_cut(const node *before, const node *child)
{
    return before != NULL && node_is_null(child) && before->kind == NODE_SCALAR &&
           before->style == SCALAR_PLAIN && is_cut(before->raw);
}

/* Reads the fields of a map; false where one has a problem. `depth`: of the fields' own types. */
static bool read_fields(reading *reading, const node *map, uint32_t depth, field *fields,
                        place *places, uint32_t *n)
{
    if (map->n == 0 || map->n > TYPE_FIELDS_MAX)
        return problem_add(
            reading->problems, &map->at,
            "a schema must name from 1 to %d columns, each with its type, as in {id: bigint}",
            TYPE_FIELDS_MAX);
    check_map_names(reading, map);
    bool ok = true;
    const node *before = NULL;
    for (const node *child = map->first; child != NULL; before = child, child = child->next) {
        if (is_rest_of_cut(before, child))
            continue;
        const type *type = read_field_type(reading, child, depth);
        ok = check_name(reading, child->key, &child->key_at) && type != NULL && ok;
        if (places != NULL)
            places[*n] = child->at;
        fields[(*n)++] = (field){child->key, type};
    }
    return ok;
}

static void read_schema(reading *reading, const option *option, const node *given,
                        declared_schema *into)
{
    into->at = given->at; /* it is not missing, whatever is wrong with it */
    if (given->kind != NODE_MAP) {
        problem_add(
            reading->problems, &given->at,
            "\"%s\" must be a map of columns and their types, as in {id: bigint, name: string}",
            option->name);
        return;
    }
    field *fields = arena_zero(reading->arena, given->n, sizeof *fields);
    place *places = arena_zero(reading->arena, given->n, sizeof *places);
    uint32_t n = 0;
    if (fields != NULL && places != NULL && read_fields(reading, given, 0, fields, places, &n))
        *into = (declared_schema){{n, fields}, places, given->at};
}

/* ---- blocks in blocks ----------------------------------------------------------------------- */

/* A scalar or list where a map of options is wanted: says how to write it. `what` has its
 * quotes. */
static void wrong_shape(reading *reading, const node *given, const char *what,
                        const block_kind *block)
{
    const option *first = block->options;
    bool hint = given->kind == NODE_SCALAR && first->name != NULL && first->kind <= OPTION_TYPE &&
                !first->secret && strlen(given->raw) <= QUOTED_BYTES_MAX &&
                strpbrk(given->raw, "\"\\\n") == NULL;
    if (hint)
        problem_add(reading->problems, &given->at,
                    "%s must be a map of options: write {%s: \"%s\"}", what, first->name,
                    given->raw);
    else
        problem_add(
            reading->problems, &given->at,
            "%s must be a map of options, each \"key: value\" on a line of its own, not a %s", what,
            given->kind == NODE_LIST ? "list" : "single value");
}

/* A single value in the place of a block: a map of its first option. */
static void read_scalar_block(reading *reading, const block_kind *block, const node *given,
                              void *into)
{
    node value = *given, map = {.kind = NODE_MAP, .tree = given->tree, .at = given->at, .n = 1};
    value.key = block->options[0].name;
    value.key_at = given->at;
    value.next = NULL;
    map.first = map.last = &value;
    read_block(reading, block, &map, &given->at, into);
}

/* Reads a node as a block; null is a block without options. */
static void read_block_node(reading *reading, const block_kind *block, const node *given,
                            const char *what, void *into)
{
    if (given->broken)
        return;
    if (given->kind == NODE_MAP || node_is_null(given))
        read_block(reading, block, given, &given->at, into);
    else if (given->kind == NODE_SCALAR && block->may_be_scalar)
        read_scalar_block(reading, block, given, into);
    else
        wrong_shape(reading, given, what, block);
}

static void read_blocks(reading *reading, const option *option, const node *given,
                        declared_blocks *into)
{
    if (given->kind != NODE_LIST) {
        problem_add(reading->problems, &given->at,
                    "\"%s\" must be a list: begin each item with \"- \"", option->name);
        return;
    }
    if (given->n == 0 && option->required) {
        problem_add(reading->problems, &given->at, "\"%s\" needs at least one item", option->name);
        return;
    }
    char *items = arena_zero(reading->arena, given->n, option->block->size);
    into->places = arena_zero(reading->arena, given->n, sizeof *into->places);
    if (items == NULL || into->places == NULL)
        return;
    into->items = items;
    const char *what = formatted(reading, "an item of \"%s\"", option->name);
    for (const node *item = given->first; item != NULL; item = item->next) {
        const node *whole = option->block->unfold == NULL || item->broken
                                ? item
                                : option->block->unfold(item, reading->problems);
        into->places[into->n] = item->at;
        if (whole != NULL)
            read_block_node(reading, option->block, whole, what,
                            items + (size_t)into->n * option->block->size);
        into->n++;
    }
}

/* The names of the kinds there are, as a list of words. */
static size_t kind_names(const block_kind *const *kinds, const char **names, size_t limit)
{
    size_t n = 0;
    for (; kinds[n] != NULL && n < limit; n++)
        names[n] = kinds[n]->name;
    return n;
}

static void read_kind(reading *reading, block_reading *in, const option *option,
                      declared_kind *into)
{
    const block_kind *const *kinds = registry_kinds(reading->registry, option->kinds);
    const char *names[OPTIONS_MAX + 1] = {NULL};
    size_t n = kind_names(kinds, names, OPTIONS_MAX);
    const node *given = NULL;
    const block_kind *kind = NULL;
    for (const node *child = in->map->first; child != NULL; child = child->next) {
        int i = index_of(names, child->key);
        if (i >= 0 && given == NULL) {
            given = child;
            kind = kinds[i];
        } else if (i >= 0 && kinds[i] != kind) {
            problem_add(reading->problems, &child->key_at,
                        "\"%s\" and \"%s\" exclude each other: each %s has one only", child->key,
                        given->key, in->block->name);
        }
    }
    if (kind == NULL) {
        if (!in->unknown)
            problem_add(reading->problems, in->at, "this %s does not say its kind: add %s",
                        in->block->name, n == 0 ? "one" : enumerate(reading, names, n, " or "));
        return;
    }
    into->kind = kind;
    into->at = given->at;
    into->options = arena_zero(reading->arena, 1, kind->size);
    if (into->options != NULL)
        read_block_node(reading, kind, given, formatted(reading, "\"%s\"", given->key),
                        into->options);
}

/* ---- one block ------------------------------------------------------------------------------ */

/* Words that stand elsewhere. */
static const char *find_later(const char *key)
{
    if (strcmp(key, "cassandra") == 0)
        return "Cassandra is a store of the writer \"online\": write `online: {cassandra: {...}}`";
    return NULL;
}

/* The keys that a block can have. */
static size_t known_keys(const reading *reading, const block_kind *block, const char **names,
                         size_t limit)
{
    size_t n = 0;
    for (const option *option = block->options; option->name != NULL && n < limit; option++)
        if (option->kind == OPTION_KIND)
            n += kind_names(registry_kinds(reading->registry, option->kinds), names + n, limit - n);
        else
            names[n++] = option->name;
    return n;
}

static bool has_option(const block_kind *block, const char *key)
{
    for (const option *option = block->options; option->name != NULL; option++)
        if (option->kind != OPTION_KIND && strcmp(option->name, key) == 0)
            return true;
    return false;
}

/* The block directly inside of this one that has an option of that name, by its key. */
static const char *find_inside(const reading *reading, const block_kind *block, const char *key)
{
    for (const option *option = block->options; option->name != NULL; option++) {
        const block_kind *const own[] = {option->block, NULL};
        const block_kind *const *inner =
            option->kind == OPTION_KIND ? registry_kinds(reading->registry, option->kinds) : own;
        for (; *inner != NULL; inner++)
            if ((*inner)->options != NULL && has_option(*inner, key))
                return option->kind == OPTION_KIND ? (*inner)->name : option->name;
    }
    return NULL;
}

/* What a block is called in the one around it: `features` is the list of the blocks "feature". */
static const char *name_within(const block_kind *outer, const block_kind *inner)
{
    for (const option *option = outer->options; option->name != NULL; option++)
        if (option->kind != OPTION_KIND && option->block == inner)
            return option->name;
    return inner->name;
}

/* Where a key that a block does not have does stand: in a block around it, or in one of its own;
 * `far`: or in one beside it. */
static const char *find_elsewhere(reading *reading, const char *key, bool far)
{
    const char *inside = NULL;
    for (uint32_t i = reading->depth - 1; i > 0 && !far; i--) {
        const block_kind *outer = reading->blocks[i - 1];
        const char *inner = name_within(outer, reading->blocks[i]);
        if (has_option(outer, key))
            return formatted(reading, ": it stands %s%s, beside \"%s\" and not inside of it",
                             i == 1 ? "at the top of the " : "in the ", outer->name, inner);
    }
    for (uint32_t i = reading->depth; inside == NULL && i > 0; i--)
        if (far || i == reading->depth)
            inside = find_inside(reading, reading->blocks[i - 1], key);
    return inside == NULL ? NULL : formatted(reading, ": it stands inside of \"%s\"", inside);
}

static void report_unknown(reading *reading, block_reading *in, const node *child,
                           const char *const *names, size_t n)
{
    in->unknown = true;
    const char *sentence = find_later(child->key);
    if (sentence == NULL && problems_count(reading->problems) >= DECLARATION_PROBLEMS_MAX)
        sentence = "unknown option"; /* only counted: not worth a search for each of thousands */
    if (sentence != NULL) {
        problem_add(reading->problems, &child->key_at, "%s", sentence);
        return;
    }
    const option shown = {.name = child->key};
    const char *elsewhere = find_elsewhere(reading, child->key, false);
    const char *near = elsewhere != NULL ? NULL : nearest(child->key, names, n);
    if (elsewhere == NULL && near == NULL)
        elsewhere = find_elsewhere(reading, child->key, true);
    if (elsewhere != NULL) {
        problem_add(reading->problems, &child->key_at, "unknown option %s in \"%s\"%s",
                    quoted(reading, &shown, child->key), in->block->name, elsewhere);
        return;
    }
    const option *options = in->block->options;
    for (uint32_t i = 0; near != NULL && options[i].name != NULL; i++)
        if (options[i].name == near)
            in->suggested |= UINT64_C(1) << i;
    const char *all = near != NULL
                          ? did_you_mean(reading, near)
                          : formatted(reading, ", which has %s",
                                      n == 0 ? "none" : enumerate(reading, names, n, " and "));
    problem_add(reading->problems, &child->key_at, "unknown option %s in \"%s\"%s",
                quoted(reading, &shown, child->key), in->block->name, all);
}

static void report_unknown_keys(reading *reading, block_reading *in)
{
    const char *names[2 * OPTIONS_MAX + 1] = {NULL};
    size_t n = known_keys(reading, in->block, names, 2 * OPTIONS_MAX);
    const node *before = NULL;
    for (const node *child = in->map->first; child != NULL; before = child, child = child->next)
        if (index_of(names, child->key) < 0 && !is_rest_of_cut(before, child))
            report_unknown(reading, in, child, names, n);
}

/* The value of an option but for a block: from a node, or a default as a node. */
static void read_value(reading *reading, const option *option, const node *given, void *into)
{
    switch (option->kind) {
    case OPTION_BLOCKS: read_blocks(reading, option, given, into); return;
    case OPTION_SCHEMA: read_schema(reading, option, given, into); return;
    case OPTION_TEXTS: read_texts(reading, option, given, into); return;
    case OPTION_PROPERTIES: read_properties(reading, option, given, into); return;
    case OPTION_FUNCTIONS: read_functions(reading, option, given, into); return;
    case OPTION_NODE: *(declared_node *)into = (declared_node){given}; return;
    default: break;
    }
    if (given->kind != NODE_SCALAR)
        problem_add(reading->problems, &given->at, "\"%s\" must be a single value, not a %s",
                    option->name, given->kind == NODE_MAP ? "map of options" : "list");
    else
        read_scalar(reading, option, given, into);
}

/* The option's default, read like any value. */
static void read_standard(reading *reading, const block_reading *in, const option *option)
{
    void *into = in->into + option->offset;
    const node standard = {.kind = NODE_SCALAR, .value = option->standard, .at = *in->at};
    if (option->kind == OPTION_BLOCK)
        read_block(reading, option->block, NULL, in->at, into);
    else if (option->standard != NULL)
        read_value(reading, option, &standard, into);
}

/* An option that was given. The default comes first, so that a wrong value leaves it. */
static void read_given(reading *reading, const block_reading *in, const option *option,
                       const node *given)
{
    void *into = in->into + option->offset;
    if (option->given_offset != 0)
        *(bool *)(in->into + option->given_offset - 1) = true;
    if (option->place_offset != 0)
        *(place *)(in->into + option->place_offset - 1) = given->at;
    if (option->kind == OPTION_BLOCK) {
        read_block_node(reading, option->block, given, formatted(reading, "\"%s\"", option->name),
                        into);
        return;
    }
    read_standard(reading, in, option);
    if (option->kind == OPTION_TEXT || option->kind == OPTION_NAME || option->kind == OPTION_SQL)
        ((declared_text *)into)->at = given->at; /* it is not missing, whatever is wrong with it */
    if (given->broken)
        return;
    bool none = node_is_null(given) &&
                (option->kind != OPTION_CHOICE || index_of(option->choices, given->value) < 0);
    if (none)
        problem_add(reading->problems, &given->at,
                    "\"%s\" has no value: write one behind the colon, or remove the option",
                    option->name);
    else
        read_value(reading, option, given, into);
}

static void report_missing(reading *reading, const block_reading *in, const option *option)
{
    const char *example = option->example;
    if (example != NULL && strchr(example, '\n') == NULL)
        problem_add(reading->problems, in->at,
                    "\"%s\" is missing in \"%s\": write for example %s: %s", option->name,
                    in->block->name, option->name, example);
    else
        problem_add(reading->problems, in->at, "\"%s\" is missing in \"%s\"", option->name,
                    in->block->name);
}

/* Required here: not so where one of the options that do without it is given. */
static bool is_required(const option *option, const node *map)
{
    bool required = option->required;
    for (size_t i = 0; required && option->unless != NULL && option->unless[i] != NULL; i++)
        required = node_find(map, option->unless[i]) == NULL;
    return required;
}

/* `map` NULL: only defaults are filled in, nothing is reported. A null node has no children, and so
 * reads as an empty map. */
static void read_block(reading *reading, const block_kind *block, const node *map, const place *at,
                       void *into)
{
    assert(block->options != NULL && reading->depth < BLOCK_DEPTH_MAX);
    reading->blocks[reading->depth++] = block;
    block_reading in = {.block = block, .map = map, .at = at, .into = into};
    if (map != NULL)
        report_unknown_keys(reading, &in);
    for (uint32_t i = 0; block->options[i].name != NULL; i++) {
        const option *option = &block->options[i];
        if (option->kind == OPTION_KIND) {
            if (map != NULL)
                read_kind(reading, &in, option, (declared_kind *)(in.into + option->offset));
            continue;
        }
        const node *given = map == NULL ? NULL : node_find(map, option->name);
        if (given != NULL) {
            read_given(reading, &in, option, given);
            continue;
        }
        read_standard(reading, &in, option);
        if (map != NULL && is_required(option, map) && (in.suggested >> i & 1) == 0)
            report_missing(reading, &in, option);
    }
    if (map != NULL && block->check != NULL)
        block->check(into, at, reading->problems);
    reading->depth--;
}

void read_block_tree(const node *root, const block_kind *block, const registry *registry,
                     problems *problems, void *into)
{
    reading reading = {.arena = root->tree->arena, .problems = problems, .registry = registry};
    if (root->kind != NODE_MAP && !root->broken)
        problem_add(
            problems, &root->at,
            "a declaration is a map of options, each \"key: value\" on a line of its own, not a %s",
            root->kind == NODE_LIST ? "list" : "single value");
    else
        read_block_node(&reading, block, root, block->name, into);
}
