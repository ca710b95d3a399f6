/* option.h - option tables: one row an option, from which everything else follows.
 *
 * Each block of the declaration (a reader's `file`, the `feature_set`, a key ...) has one table
 * and one C struct. The table gives parsing into the struct by offset, defaults, checks and their
 * messages, the JSON Schema (`freshet schema`) and the reference page
 * (docs/reference/declaration.md). There is no second description of an option anywhere.
 *
 * Blocks that the engine does not know by itself, the kinds of readers, steps and writers, come in
 * a `registry` that the pipeline fills: the one file of each owns its table.
 */
#ifndef FRESHET_DECLARATION_OPTION_H
#define FRESHET_DECLARATION_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/type.h"

/* A place in the declaration, for messages. line 0: built by calls; `path` then says where
 * ("feature_set.keys[0].type"). Lines and columns count from 1. */
typedef struct place {
    const char *file;
    const char *path;
    uint32_t line;
    uint32_t column;
} place;

static inline bool place_is_set(const place *at)
{
    return at->line != 0 || at->path != NULL;
}

/* A scalar and where it stands. `value` is NULL where an optional one was not given and has no
 * default. */
typedef struct declared_text {
    const char *value;
    place at;
} declared_text;

typedef struct declared_list {
    declared_text *items;
    uint32_t n;
} declared_list;

/* `options: {name: value}`, names as they are written: settings of a library that Freshet hands
 * on. */
typedef struct declared_property {
    const char *name;
    declared_text value;
    place name_at;
} declared_property;

typedef struct declared_properties {
    declared_property *items;
    uint32_t n;
} declared_properties;

typedef struct declared_type {
    const type *value; /* NULL where not given */
    place at;
} declared_type;

/* `schema: {name: type, nested: {a: type}}`; n_fields 0 where not given. places[i] is field i's. */
typedef struct declared_schema {
    schema value;
    place *places;
    place at;
} declared_schema;

/* A part of the tree as it was written, for who reads it later (rows of tests). */
typedef struct declared_node {
    const struct node *value; /* NULL where not given */
} declared_node;

typedef enum option_kind {
    OPTION_TEXT,       /* declared_text */
    OPTION_NAME,       /* declared_text: letters, digits, _; not beginning with a digit */
    OPTION_SQL,        /* declared_text: kept to the letter */
    OPTION_BOOLEAN,    /* bool: true/false (yes/no/on/off are refused with a hint) */
    OPTION_INTEGER,    /* int64_t, within minimum..maximum */
    OPTION_DURATION,   /* int64_t microseconds: "10 minutes", "1 second", "500 ms" */
    OPTION_BYTES,      /* int64_t: "100 MB" (10^6), "64 MiB", "4096" */
    OPTION_MEMORY,     /* int64_t: the same; or a share of the machine, "25%", which is -25 */
    OPTION_CHOICE,     /* int (index into choices) */
    OPTION_TYPE,       /* declared_type */
    OPTION_SCHEMA,     /* declared_schema */
    OPTION_TEXTS,      /* declared_list: a scalar or a list of scalars */
    OPTION_PROPERTIES, /* declared_properties: a map of any names and their values */
    OPTION_NODE,       /* declared_node: anything */
    OPTION_FUNCTIONS,  /* declared_blocks of function_block: names, or maps {name: type} */
    OPTION_BLOCK, /* a nested struct at the offset itself; with_flag: bool before it, see `given` */
    OPTION_BLOCKS, /* declared_blocks: a list of blocks of `block` */
    OPTION_KIND    /* declared_kind: exactly one of the kinds of a registry list is a key here */
} option_kind;

struct block_kind;

/* A list of parsed structs, each block->size bytes, one after the other; places[i] is item i's. */
typedef struct declared_blocks {
    void *items;
    place *places;
    uint32_t n;
} declared_blocks;

/* The one chosen kind of a reader or writer and its parsed options (a struct of kind->size
 * bytes). */
typedef struct declared_kind {
    const struct block_kind *kind; /* NULL only after a reported problem */
    void *options;
    place at;
} declared_kind;

typedef struct option {
    const char *name; /* NULL ends a table */
    option_kind kind;
    bool required;
    bool secret;         /* hidden by `freshet show` and in messages */
    bool is_aside;       /* no part of what runs: `freshet show` and macros leave it out */
    bool names_are_data; /* OPTION_PROPERTIES: no name of a property tells that it is a secret */
    size_t offset;
    const char *standard; /* the default, as YAML text; NULL: none */
    const char *doc;      /* one or two sentences, Markdown, for the reference page and schema */
    int64_t minimum, maximum;       /* of numbers: 0,0 = no bounds */
    const char *const *choices;     /* OPTION_CHOICE: NULL-terminated */
    const struct block_kind *block; /* OPTION_BLOCK, OPTION_BLOCKS */
    const char *kinds;   /* OPTION_KIND: "readers", "steps" or "writers", a list of the registry */
    size_t given_offset; /* offset + 1 of a bool that is set when the option is there; or 0 */
    /* offset + 1 of a place that is set when the option is there, and which it is shown only then;
     * or 0 */
    size_t place_offset;
    const char *example; /* for the reference page; NULL: none */
    const char *const
        *unless; /* required only where none of these options is given; NULL-terminated */
} option;

/* The beginning of a row: the option's name, its kind, and the member of the block's struct that
 * gets its value. */
#define OPTION(named, of_kind, block_struct, member) \
    .name = (named), .kind = OPTION_##of_kind, .offset = offsetof(block_struct, member)

/* The same of a block that may be left out: a bool has_MEMBER of the struct tells whether it is
 * there. */
#define OPTION_GIVEN(named, block_struct, member) \
    OPTION(named, BLOCK, block_struct, member),   \
        .given_offset = offsetof(block_struct, has_##member) + 1

struct declaration;
struct freshet_declaration;
struct problems;

/* True for the names of properties that hold a password, a key or a token: their values are shown
 * as "***" and stand in no message. */
bool property_is_secret(const char *name);

/* A block: its name, table, struct size, and an optional check across its options that the table
 * cannot say (called after parsing; reports to `problems` with problem_add). */
typedef struct block_kind {
    const char *name;
    const char *title; /* of its section in the reference page */
    const char *doc;
    const option *options;
    size_t size;
    void (*check)(void *options, const place *at, struct problems *problems);
    bool may_be_scalar; /* a single value in the place of the map is its first option */
    /* Its short form as the map of its options, where the item has that form; else the item, or
     * NULL after a reported problem. NULL: it has none. */
    const struct node *(*unfold)(const struct node *item, struct problems *problems);
} block_kind;

/* The beginning of a block: its name, its title, the struct it is read into and its table. */
#define BLOCK_KIND(named, titled, block_struct, table) \
    .name = (named), .title = (titled), .options = (table), .size = sizeof(block_struct)

/* The kinds of readers, steps and writers there are: NULL-terminated lists. Filled by
 * pipeline/registry.c.
 * `check_broken` (may be NULL) adds what else can be said of a declaration that has problems
 * already; what is missing in it is NULL or zero. */
typedef struct registry {
    const block_kind *const *readers;
    const block_kind *const *steps; /* of a reader's `preprocess` */
    const block_kind *const *writers;
    void (*check_broken)(const struct freshet_declaration *handle, const struct declaration *parsed,
                         struct problems *problems);
} registry;

#endif
