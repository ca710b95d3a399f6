/* tally.c - see tally.h.
 *
 * A B+ TREE of the distinct values. A leaf has up to NODE_MAX of them, in order, each with its
 * count. A node above has up to NODE_MAX children, and of each child three facts about all that is
 * below it:
 *
 *     keys     the smallest value
 *     counts   the sum of the counts:   leads to a place of the order
 *     tops     the greatest count:      leads to the most frequent value
 *
 *     inner    keys    [  3 |  20 |  71 ]
 *              counts  [ 12 |   6 |   9 ]          the 15th value is the 3rd below the second child
 *              tops    [  7 |   2 |   4 ]          the mode is below the first
 *                         |      \      \
 *     leaf     keys    [ 3 | 8 | 11 ]  [ 20 | ..   [ 71 | ..
 *              counts  [ 2 | 7 |  3 ]  [  1 | ..   [  4 | ..
 *
 * ADDING goes down once and cuts every full node on its way in half, so that there is room for a
 * half above; on the way up the facts are brought up to date. REMOVING frees a node when it is
 * empty, and does not join half-empty ones: values that come and go at random keep nodes more than
 * half full, and those of a moving range (prices, counters) leave whole nodes behind (Johnson and
 * Shasha, "B-trees with inserts and deletes: why free-at-empty is better than merge-at-half",
 * 1993). A node is cut only when it is full, so a tree of height h has seen NODE_MAX / 2 to the
 * power h - 1 additions: HEIGHT_MAX is never met.
 *
 * KEYS of eight bytes stand for all types of eight bytes or fewer (families.h), 128-bit integers
 * for decimals, cells of text for the rest. The texts above the leaves are those of the leaves: a
 * node's smallest value changes when that of the leaf does, so none outlives its bytes.
 */
#include "aggregate/tally.h"

#include <assert.h>

#include "aggregate/families.h"

#define NODE_MAX 64u
#define HEIGHT_MAX 16u

typedef enum key_form { FORM_KEY, FORM_DECIMAL, FORM_TEXT } key_form;

typedef union tally_key {
    int64_t key;
    int128 decimal;
    cell_text text;
} tally_key;

/* Behind `keys` lie the counts, and in a node above the leaves the tops and the children. */
struct tally_node {
    uint32_t n;
    _Alignas(16) unsigned char keys[];
};

/* From a node to one of its children, or to a value of a leaf. */
typedef struct step {
    tally_node *node;
    uint32_t i;
} step;

/* ---- nodes --------------------------------------------------------------------------------- */

static key_form form_of(const type *type)
{
    return type_has_keys(type) ? FORM_KEY : type->kind == TYPE_DECIMAL ? FORM_DECIMAL : FORM_TEXT;
}

static size_t key_width(key_form form)
{
    return form == FORM_KEY ? sizeof(int64_t) : sizeof(tally_key);
}

static uint32_t *node_counts(const tally_node *node, key_form form)
{
    return (uint32_t *)(void *)((unsigned char *)node->keys + NODE_MAX * key_width(form));
}

static uint32_t *node_tops(const tally_node *node, key_form form)
{
    return node_counts(node, form) + NODE_MAX;
}

static tally_node **node_children(const tally_node *node, key_form form)
{
    return (tally_node **)(void *)(node_tops(node, form) + NODE_MAX);
}

static size_t node_bytes(key_form form, uint32_t level)
{
    size_t leaf = sizeof(tally_node) + NODE_MAX * (key_width(form) + sizeof(uint32_t));
    return level == 0 ? leaf : leaf + NODE_MAX * (sizeof(uint32_t) + sizeof(tally_node *));
}

static tally_node *node_open(memory *memory, key_form form, uint32_t level)
{
    tally_node *node = memory_take(memory, node_bytes(form, level));
    if (node != NULL)
        node->n = 0;
    return node;
}

static void copy_key(tally_node *into, uint32_t i, const tally_node *from, uint32_t j,
                     key_form form)
{
    size_t width = key_width(form);
    memcpy(into->keys + i * width, from->keys + j * width, width);
}

/* Moves what stands from place `from` on to place `to`; `n` is not changed. */
static void move_places(tally_node *node, key_form form, uint32_t level, uint32_t from, uint32_t to)
{
    size_t n = node->n - from, width = key_width(form);
    uint32_t *counts = node_counts(node, form), *tops = node_tops(node, form);
    memmove(node->keys + to * width, node->keys + from * width, n * width);
    memmove(counts + to, counts + from, n * sizeof *counts);
    if (level == 0)
        return;
    tally_node **children = node_children(node, form);
    memmove(tops + to, tops + from, n * sizeof *tops);
    memmove(children + to, children + from, n * sizeof(tally_node *));
}

static uint32_t greatest(const uint32_t *counts, uint32_t n)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < n; i++)
        most = counts[i] > most ? counts[i] : most;
    return most;
}

static uint32_t node_top(const tally_node *node, key_form form, uint32_t level)
{
    return greatest(level == 0 ? node_counts(node, form) : node_tops(node, form), node->n);
}

/* The facts about child i of a node of level `level`, from the child. */
static void sum_up(tally_node *node, uint32_t i, key_form form, uint32_t level)
{
    const tally_node *child = node_children(node, form)[i];
    const uint32_t *counts = node_counts(child, form);
    uint32_t sum = 0;
    for (uint32_t c = 0; c < child->n; c++)
        sum += counts[c];
    copy_key(node, i, child, 0, form);
    node_counts(node, form)[i] = sum;
    node_tops(node, form)[i] = node_top(child, form, level - 1);
}

/* ---- keys ---------------------------------------------------------------------------------- */

static tally_key key_of_cell(const type *type, const void *cell)
{
    aggregate_value value;
    aggregate_load(type, cell, &value);
    switch (type->kind) {
    case TYPE_DECIMAL: return (tally_key){.decimal = value.decimal};
    case TYPE_STRING:
    case TYPE_BINARY: return (tally_key){.text = text_of(text_bytes(cell), value.text.length)};
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return (tally_key){.key = one_zero(type, key_of_real(value.real))};
    default: return (tally_key){.key = value.integer};
    }
}

static void value_of(const type *type, key_form form, const tally_node *node, uint32_t i,
                     aggregate_value *out)
{
    tally_key key;
    memcpy(&key, node->keys + i * key_width(form), key_width(form));
    if (form == FORM_KEY)
        value_of_key(type, key.key, out);
    else if (form == FORM_DECIMAL)
        out->decimal = key.decimal;
    else
        out->text = key.text;
}

/* Where the key stands in a node, or would stand. */
static uint32_t place_of(const tally_node *node, key_form form, const tally_key *key, bool *equal)
{
    uint32_t low = 0, high = node->n;
    switch (form) {
    case FORM_KEY: {
        const int64_t *keys = (const int64_t *)(const void *)node->keys;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            bool smaller = keys[middle] < key->key;
            low = smaller ? middle + 1 : low;
            high = smaller ? high : middle;
        }
        *equal = low < node->n && keys[low] == key->key;
        return low;
    }
    case FORM_DECIMAL: {
        const int128 *keys = (const int128 *)(const void *)node->keys;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (keys[middle] < key->decimal)
                low = middle + 1;
            else
                high = middle;
        }
        *equal = low < node->n && keys[low] == key->decimal;
        return low;
    }
    default: {
        const cell_text *keys = (const cell_text *)(const void *)node->keys;
        *equal = false;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            int order = compare_texts(&keys[middle], &key->text);
            *equal = *equal || order == 0;
            if (order < 0)
                low = middle + 1;
            else
                high = middle;
        }
        return low;
    }
    }
}

/* The child below which the key is, or would be. */
static uint32_t child_of(const tally_node *node, key_form form, const tally_key *key)
{
    bool equal;
    uint32_t i = place_of(node, form, key, &equal);
    return equal || i == 0 ? i : i - 1;
}

static bool own_text(memory *memory, tally_key *key)
{
    if (key->text.length <= TEXT_INLINE_MAX)
        return true;
    char *bytes = memory_take(memory, key->text.length);
    if (bytes == NULL)
        return false;
    memcpy(bytes, text_bytes(&key->text), key->text.length);
    key->text = text_of(bytes, key->text.length);
    return true;
}

static void give_text(memory *memory, const tally_node *leaf, uint32_t i)
{
    const cell_text *text = (const cell_text *)(const void *)leaf->keys + i;
    if (text->length > TEXT_INLINE_MAX)
        memory_give(memory, text->as.outside.pointer, text->length);
}

/* ---- adding -------------------------------------------------------------------------------- */

/* A root that is full gets one above it; the next step down cuts it. */
static bool grow_root(tally *tally, memory *memory, key_form form)
{
    if (tally->height == HEIGHT_MAX)
        return false;
    tally_node *root = node_open(memory, form, tally->height);
    if (root == NULL)
        return false;
    if (tally->height > 0) {
        root->n = 1;
        node_children(root, form)[0] = tally->root;
        sum_up(root, 0, form, tally->height);
    }
    tally->root = root;
    tally->height++;
    return true;
}

/* Cuts the full child i of a node that has room; `level` is the node's. */
static bool split_child(memory *memory, tally_node *node, uint32_t i, key_form form, uint32_t level)
{
    tally_node *left = node_children(node, form)[i];
    tally_node *right = node_open(memory, form, level - 1);
    if (right == NULL)
        return false;
    uint32_t cut = NODE_MAX / 2, moved = left->n - cut;
    size_t width = key_width(form);
    memcpy(right->keys, left->keys + cut * width, moved * width);
    memcpy(node_counts(right, form), node_counts(left, form) + cut, moved * sizeof(uint32_t));
    if (level > 1) {
        memcpy(node_tops(right, form), node_tops(left, form) + cut, moved * sizeof(uint32_t));
        memcpy(node_children(right, form), node_children(left, form) + cut,
               moved * sizeof(tally_node *));
    }
    left->n = cut;
    right->n = moved;
    move_places(node, form, level, i + 1, i + 2);
    node->n++;
    node_children(node, form)[i + 1] = right;
    sum_up(node, i, form, level);
    sum_up(node, i + 1, form, level);
    return true;
}

/* Goes down to the leaf of the key, with room for it there: path[0] is the leaf. */
static bool go_down(tally *tally, memory *memory, key_form form, const tally_key *key, step *path)
{
    if ((tally->height == 0 || tally->root->n == NODE_MAX) && !grow_root(tally, memory, form))
        return false;
    tally_node *node = tally->root;
    for (uint32_t level = tally->height - 1; level > 0; level--) {
        uint32_t i = child_of(node, form, key);
        if (node_children(node, form)[i]->n == NODE_MAX) {
            if (!split_child(memory, node, i, form, level))
                return false;
            i = child_of(node, form, key);
        }
        path[level] = (step){node, i};
        node = node_children(node, form)[i];
    }
    path[0].node = node;
    return true;
}

bool tally_add(tally *tally, memory *memory, const type *type, const void *cell)
{
    key_form form = form_of(type);
    tally_key key = key_of_cell(type, cell);
    step path[HEIGHT_MAX];
    if (!go_down(tally, memory, form, &key, path))
        return false;
    tally_node *leaf = path[0].node;
    bool known;
    uint32_t i = place_of(leaf, form, &key, &known);
    if (!known) {
        if (form == FORM_TEXT && !own_text(memory, &key))
            return false;
        move_places(leaf, form, 0, i, i + 1);
        memcpy(leaf->keys + i * key_width(form), &key, key_width(form));
        node_counts(leaf, form)[i] = 0;
        leaf->n++;
        tally->n_distinct++;
    }
    uint32_t count = ++node_counts(leaf, form)[i];
    tally->n++;
    for (uint32_t level = 1; level < tally->height; level++) {
        tally_node *node = path[level].node;
        uint32_t *top = &node_tops(node, form)[path[level].i];
        node_counts(node, form)[path[level].i]++;
        *top = count > *top ? count : *top;
        if (!known)
            copy_key(node, path[level].i, path[level - 1].node, 0, form);
    }
    return true;
}

/* ---- removing ------------------------------------------------------------------------------ */

static void remove_place(tally_node *node, key_form form, uint32_t level, uint32_t i)
{
    move_places(node, form, level, i + 1, i);
    node->n--;
}

/* A root that has lost all but one child, or all. */
static void shrink_root(tally *tally, memory *memory, key_form form)
{
    while (tally->height > 1 && tally->root->n == 1) {
        tally_node *root = tally->root;
        tally->root = node_children(root, form)[0];
        memory_give(memory, root, node_bytes(form, --tally->height));
    }
    if (tally->height > 0 && tally->root->n == 0) {
        memory_give(memory, tally->root, node_bytes(form, tally->height - 1));
        *tally = (struct tally){0};
    }
}

void tally_remove(tally *tally, memory *memory, const type *type, const void *cell)
{
    key_form form = form_of(type);
    tally_key key = key_of_cell(type, cell);
    step path[HEIGHT_MAX];
    assert(tally->n > 0);
    tally_node *node = tally->root;
    for (uint32_t level = tally->height - 1; level > 0; level--) {
        path[level] = (step){node, child_of(node, form, &key)};
        node = node_children(node, form)[path[level].i];
    }
    bool known;
    uint32_t i = place_of(node, form, &key, &known);
    assert(known);
    uint32_t count = node_counts(node, form)[i]--;
    bool gone = count == 1;
    if (gone) {
        if (form == FORM_TEXT)
            give_text(memory, node, i);
        remove_place(node, form, 0, i);
        tally->n_distinct--;
    }
    tally->n--;
    for (uint32_t level = 1; level < tally->height; level++) {
        tally_node *child = node;
        node = path[level].node;
        i = path[level].i;
        if (child->n == 0) {
            memory_give(memory, child, node_bytes(form, level - 1));
            remove_place(node, form, level, i);
            continue;
        }
        node_counts(node, form)[i]--;
        if (gone)
            copy_key(node, i, child, 0, form);
        if (node_tops(node, form)[i] == count)
            node_tops(node, form)[i] = node_top(child, form, level - 1);
    }
    shrink_root(tally, memory, form);
}

/* `level` is at most HEIGHT_MAX. */
static void free_node(memory *memory, tally_node *node, key_form form, uint32_t level)
{
    for (uint32_t i = 0; level > 0 && i < node->n; i++)
        free_node(memory, node_children(node, form)[i], form, level - 1);
    for (uint32_t i = 0; level == 0 && form == FORM_TEXT && i < node->n; i++)
        give_text(memory, node, i);
    memory_give(memory, node, node_bytes(form, level));
}

void tally_clear(tally *tally, memory *memory, const type *type)
{
    if (tally->height > 0)
        free_node(memory, tally->root, form_of(type), tally->height - 1);
    *tally = (struct tally){0};
}

/* ---- asking -------------------------------------------------------------------------------- */

void tally_at(const tally *tally, const type *type, uint32_t place, aggregate_value *out)
{
    key_form form = form_of(type);
    assert(place < tally->n);
    const tally_node *node = tally->root;
    for (uint32_t level = tally->height; level-- > 0;) {
        const uint32_t *counts = node_counts(node, form);
        uint32_t i = 0;
        while (place >= counts[i])
            place -= counts[i++];
        if (level == 0)
            value_of(type, form, node, i, out);
        else
            node = node_children(node, form)[i];
    }
}

void tally_mode(const tally *tally, const type *type, aggregate_value *out)
{
    key_form form = form_of(type);
    assert(tally->n > 0);
    const tally_node *node = tally->root;
    uint32_t most = node_top(node, form, tally->height - 1);
    for (uint32_t level = tally->height; level-- > 0;) {
        const uint32_t *counts = level == 0 ? node_counts(node, form) : node_tops(node, form);
        uint32_t i = 0;
        while (counts[i] != most)
            i++;
        if (level == 0)
            value_of(type, form, node, i, out);
        else
            node = node_children(node, form)[i];
    }
}

/* ---- checking ------------------------------------------------------------------------------ */

static bool in_order(const tally_node *node, key_form form)
{
    for (uint32_t i = 0; i < node->n; i++) {
        tally_key key;
        bool equal;
        memcpy(&key, node->keys + i * key_width(form), key_width(form));
        if (place_of(node, form, &key, &equal) != i || !equal)
            return false;
    }
    return node->n > 0 && node->n <= NODE_MAX;
}

static const char *check_node(const tally_node *node, key_form form, uint32_t level,
                              uint32_t *n_distinct)
{
    const uint32_t *counts = node_counts(node, form);
    if (!in_order(node, form))
        return "the order of a tally";
    if (level == 0)
        *n_distinct += node->n;
    for (uint32_t i = 0; level > 0 && i < node->n; i++) {
        const tally_node *child = node_children(node, form)[i];
        const uint32_t *below = node_counts(child, form);
        uint32_t sum = 0;
        for (uint32_t c = 0; c < child->n; c++)
            sum += below[c];
        if (sum != counts[i] || node_tops(node, form)[i] != node_top(child, form, level - 1))
            return "the counts of a tally";
        if (memcmp(node->keys + i * key_width(form), child->keys, key_width(form)) != 0)
            return "the smallest value of a tally's node";
        const char *wrong = check_node(child, form, level - 1, n_distinct);
        if (wrong != NULL)
            return wrong;
    }
    return NULL;
}

const char *tally_check(const tally *tally, const type *type)
{
    key_form form = form_of(type);
    uint32_t n_distinct = 0, n = 0;
    if (tally->height == 0)
        return tally->n + tally->n_distinct != 0 ? "the number of values in a tally" : NULL;
    if (tally->height == 1 && tally->root->n == 0)
        return tally->n != 0 ? "the number of values in a tally" : NULL;
    const char *wrong = check_node(tally->root, form, tally->height - 1, &n_distinct);
    for (uint32_t i = 0; i < tally->root->n; i++)
        n += node_counts(tally->root, form)[i];
    if (wrong == NULL && (n != tally->n || n_distinct != tally->n_distinct))
        wrong = "the number of values in a tally";
    return wrong;
}
