/* builder.c - the same tree by calls.
 *
 * A freshet_block is a map node. Its place is its path ("feature_set.keys[0]"), made when the node
 * is. A call that cannot do what it says adds a problem to the tree and returns NULL; blocks may be
 * NULL, so a chain of calls goes on, and freshet_declaration_finish() reports what was remembered.
 */
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "declaration/handle.h"

static node *node_of(freshet_block *block)
{
    return (node *)block;
}

static freshet_block *block_of(node *node)
{
    return (freshet_block *)node;
}

/* The place of what `parent` has under `key` (NULL: of its next item). */
static bool place_below(const node *parent, const char *key, place *into)
{
    const char *path = parent->at.path;
    memset(into, 0, sizeof *into);
    into->path = key == NULL ? arena_format(parent->tree->arena, "%s[%u]", path, parent->n)
                             : arena_format(parent->tree->arena, "%s%s%s", path,
                                            path[0] == '\0' ? "" : ".", key);
    return into->path != NULL;
}

static bool is_usable(node *block, const char *key)
{
    if (block == NULL || block->tree->frozen)
        return false;
    if (key != NULL && text_is_utf8(key, strlen(key)))
        return true;
    problem_add(block->tree->problems, &block->at, "the name of an option must be %s",
                key == NULL ? "a text, not NULL" : "valid UTF-8");
    return false;
}

static node *append(node *parent, node_kind kind, const char *key)
{
    place at;
    if (!place_below(parent, key, &at))
        return NULL;
    if (parent->depth + 1 >= DECLARATION_DEPTH_MAX) {
        problem_add(parent->tree->problems, &at, "maps and lists can be nested %d deep, no further",
                    DECLARATION_DEPTH_MAX);
        return NULL;
    }
    node *made = tree_node(parent->tree, kind, &at);
    return made != NULL && tree_append(parent, made, key, &at) ? made : NULL;
}

/* What is under `key`, made where it is not there; NULL where something else is, or the block
 * cannot be used. */
static node *get(freshet_block *from, node_kind kind, const char *key)
{
    static const char *const words[] = {"a value", "a block", "a list"};
    node *block = node_of(from);
    if (!is_usable(block, key))
        return NULL;
    node *found = node_find(block, key);
    if (found == NULL)
        return append(block, kind, key);
    if (found->kind == kind)
        return found;
    problem_add(block->tree->problems, &found->at,
                "\"%.60s\" is %s here, but a call wants %s there", key, words[found->kind],
                words[kind]);
    return NULL;
}

static void set_text(node *scalar, const char *value)
{
    if (scalar == NULL)
        return;
    tree *tree = scalar->tree;
    scalar->style = SCALAR_BUILT;
    scalar->broken = true;
    size_t length = value == NULL ? 0 : strlen(value);
    if (value == NULL) {
        problem_add(tree->problems, &scalar->at, "the value must be a text, not NULL");
    } else if (!text_is_utf8(value, length)) {
        problem_add(tree->problems, &scalar->at, "the value is not valid UTF-8");
    } else if (length > DECLARATION_BYTES_MAX - tree->n_value_bytes) {
        problem_add(tree->problems, &scalar->at, "the declaration has more than %zu bytes",
                    DECLARATION_BYTES_MAX);
    } else {
        tree->n_value_bytes += length;
        scalar->broken = !tree_set_text(scalar, value, length, false);
    }
}

freshet_code freshet_declaration_new(const char *pipeline, freshet_declaration **out,
                                     freshet_error *err)
{
    static const place top = {.path = ""};
    if (pipeline == NULL)
        return error_set(err, FRESHET_USAGE, FRESHET_STOP, NULL,
                         "freshet_declaration_new needs the pipeline's name, and got NULL");
    freshet_declaration *handle = handle_open();
    if (handle == NULL)
        return error_memory(err, "making a declaration");
    handle->tree.root = tree_node(&handle->tree, NODE_MAP, &top);
    freshet_set(block_of(handle->tree.root), "version", "1");
    freshet_set(block_of(handle->tree.root), "pipeline", pipeline);
    if (arena_failed(handle->arena)) {
        freshet_declaration_close(handle);
        return error_memory(err, "making a declaration");
    }
    *out = handle;
    return FRESHET_OK;
}

freshet_block *freshet_declaration_root(freshet_declaration *declaration)
{
    return declaration == NULL || declaration->tree.frozen ? NULL
                                                           : block_of(declaration->tree.root);
}

freshet_block *freshet_block_in(freshet_block *block, const char *key)
{
    return block_of(get(block, NODE_MAP, key));
}

freshet_block *freshet_block_add(freshet_block *block, const char *key)
{
    node *list = get(block, NODE_LIST, key);
    return list == NULL ? NULL : block_of(append(list, NODE_MAP, NULL));
}

void freshet_set(freshet_block *block, const char *key, const char *value)
{
    set_text(get(block, NODE_SCALAR, key), value);
}

void freshet_set_add(freshet_block *block, const char *key, const char *value)
{
    node *list = get(block, NODE_LIST, key);
    set_text(list == NULL ? NULL : append(list, NODE_SCALAR, NULL), value);
}

/* ---- the usual calls ------------------------------------------------------------------------ */

static freshet_block *block_at(freshet_declaration *declaration, const char *key)
{
    return freshet_block_in(freshet_declaration_root(declaration), key);
}

/* NULL leaves the option out. */
static void set_given(freshet_block *block, const char *key, const char *value)
{
    if (value != NULL)
        freshet_set(block, key, value);
}

freshet_block *freshet_add_reader(freshet_declaration *declaration, const char *id)
{
    freshet_block *reader = freshet_block_add(block_at(declaration, "source"), "readers");
    set_given(reader, "id", id);
    return reader;
}

void freshet_set_query(freshet_declaration *declaration, const char *sql)
{
    freshet_set(block_at(declaration, "source"), "query", sql);
}

void freshet_set_feature_set(freshet_declaration *declaration, const char *name, const char *entity)
{
    freshet_block *set = block_at(declaration, "feature_set");
    set_given(set, "name", name);
    set_given(set, "entity", entity);
}

freshet_block *freshet_add_key(freshet_declaration *declaration, const char *name, const char *type)
{
    freshet_block *key = freshet_block_add(block_at(declaration, "feature_set"), "keys");
    set_given(key, "name", name);
    set_given(key, "type", type);
    return key;
}

freshet_block *freshet_set_timestamp(freshet_declaration *declaration, const char *from)
{
    freshet_block *timestamp = freshet_block_in(block_at(declaration, "feature_set"), "timestamp");
    set_given(timestamp, "from", from);
    return timestamp;
}

freshet_block *freshet_add_feature(freshet_declaration *declaration, const char *name,
                                   const char *type, const char *from)
{
    freshet_block *feature = freshet_block_add(block_at(declaration, "feature_set"), "features");
    set_given(feature, "name", name);
    set_given(feature, "type", type);
    set_given(feature, "from", from);
    return feature;
}

freshet_block *freshet_add_sql_feature(freshet_declaration *declaration, const char *name,
                                       const char *type, const char *sql)
{
    freshet_block *feature = freshet_add_feature(declaration, name, type, NULL);
    freshet_set(feature, "sql", sql);
    return feature;
}

freshet_block *freshet_add_macro(freshet_declaration *declaration, const char *name,
                                 const char *sql)
{
    freshet_block *macro = freshet_block_add(freshet_declaration_root(declaration), "macros");
    set_given(macro, "name", name);
    set_given(macro, "sql", sql);
    return macro;
}

freshet_block *freshet_add_writer(freshet_declaration *declaration)
{
    return freshet_block_add(block_at(declaration, "sink"), "writers");
}
