/* declaration_tree.h - a declaration as written: nodes (scalar, map, list) with their places.
 *
 * YAML (yaml.c) and the builder calls (builder.c) both make such a tree; read.c reads it by the
 * option tables. A node keeps what was written (`raw`) and what it means (`value`, variables
 * replaced), and how the one came from the other, so that a byte of the value can be shown in the
 * file.
 *
 * All of it lives in the tree's arena. Memory and size have limits: DECLARATION_NODES_MAX nodes,
 * DECLARATION_BYTES_MAX bytes of replaced text, DECLARATION_DEPTH_MAX levels. What goes wrong is
 * added to tree->problems; a function that returns NULL or false has reported why, or
 * memory is out (arena_failed; tree->no_memory).
 *
 * Order of calls: tree_init, then tree_node, tree_append and tree_set_text in any number.
 */
#ifndef FRESHET_DECLARATION_DECLARATION_TREE_H
#define FRESHET_DECLARATION_DECLARATION_TREE_H

#include "declaration/declaration.h"

#define DECLARATION_NODES_MAX 200000u

typedef enum node_kind { NODE_SCALAR, NODE_MAP, NODE_LIST } node_kind;

/* How a scalar was written, which decides where its bytes stand in the file. */
typedef enum scalar_style {
    SCALAR_PLAIN,
    SCALAR_SINGLE_QUOTED,
    SCALAR_DOUBLE_QUOTED,
    SCALAR_LITERAL, /* | */
    SCALAR_FOLDED,  /* > */
    SCALAR_BUILT    /* by a builder call */
} scalar_style;

/* raw[raw .. raw + raw_length) became value[value .. value + value_length). */
typedef struct substitution {
    size_t raw;
    size_t raw_length;
    size_t value;
    size_t value_length;
} substitution;

typedef struct tree tree;
typedef struct node node;

struct node {
    node_kind kind;
    scalar_style style;
    bool several_lines; /* a plain or quoted scalar that goes over more than one line */
    bool broken;        /* its problem is reported: read it no further */
    uint8_t depth;      /* 0: the root */
    tree *tree;
    place at;
    const char *key; /* in a map; else NULL */
    place key_at;
    node *next;
    node *first; /* children of a map or list */
    node *last;
    uint32_t n;
    uint32_t n_substitutions, substitutions_capacity;
    const char *raw;
    const char *value;
    substitution *substitutions;
};

struct tree {
    arena *arena;
    problems *problems;
    node *root;
    const char *file;   /* the name in messages; NULL: built by calls */
    const char *folder; /* what ${file:PATH} is relative to; NULL: the working directory */
    const char *source; /* the YAML text; NULL: built by calls */
    size_t source_length;
    uint32_t n_nodes;
    size_t n_value_bytes;
    bool no_memory; /* libyaml had none */
    bool frozen;    /* builder: finished, no more changes */
    /* node_place: the line found last and its first byte */
    uint32_t line;
    size_t line_start;
};

void tree_init(tree *tree, arena *arena, problems *problems);

/* A new node at `at`, not yet in the tree. */
node *tree_node(tree *tree, node_kind kind, const place *at);

/* Puts `child` at the end of a map or list; `key` is copied (NULL in a list). */
bool tree_append(node *parent, node *child, const char *key, const place *key_at);

/* Gives a scalar its text. With `variables`, ${VAR} and ${VAR:default} are replaced from the
 * environment, ${file:PATH} by what that file holds, and $${ stands for ${. False where a problem
 * was reported; the node is then `broken`. */
bool tree_set_text(node *scalar, const char *raw, size_t length, bool variables);

/* A copy of `from` and all below it, at `depth` levels below the root. */
node *tree_copy(const node *from, uint32_t depth);

/* Levels below `node`: 0 for a scalar. */
uint32_t node_height(const node *node);

/* The value of `key` in a map, or NULL. */
node *node_find(const node *map, const char *key);

/* Nothing was written: `key:`, `key: ~` or `key: null`. */
bool node_is_null(const node *node);

/* The place of byte `offset` of a scalar's raw text, or value, in the YAML file; the scalar's own
 * place where it cannot be told. */
place node_place_raw(const node *scalar, size_t offset);
place node_place(const node *scalar, size_t offset);

/* The byte of the YAML text that stands at a place; its closing NUL where the place is behind the
 * end. */
const char *tree_byte_at(tree *tree, const place *place);

/* A name (of a key, a column ...) that must stand once, and its place. */
typedef struct given_name {
    const char *name;
    const char *what; /* "feature" */
    const place *at;
    uint32_t order;
    const struct given_name *first; /* set by names_sort: the first of the same name, or NULL */
} given_name;

/* Sorts names, the same ones in their order; with `fold`, capital letters are no difference. */
void names_sort(given_name *names, uint32_t n, bool fold);

/* Reads YAML into tree->root. False where the text is no YAML or no declaration in form; the
 * reasons are in tree->problems. */
bool yaml_read(tree *tree, const char *text, size_t length, const char *file);

#endif
