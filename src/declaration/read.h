/* read.h - reads a tree by the option tables into the structs of declaration.h. */
#ifndef FRESHET_DECLARATION_READ_H
#define FRESHET_DECLARATION_READ_H

#include "declaration/declaration_tree.h"

/* Blocks inside of blocks, as the tables nest them. */
#define BLOCK_DEPTH_MAX 12

/* Reads `root` as a block of that kind into `into` (block->size bytes, zeroed). Every problem is
 * added to `problems`; the fields of options with a problem keep their zero or default. The structs
 * live in the tree's arena, which tells where memory is out (arena_failed), and refer to the tree's
 * texts. */
void read_block_tree(const node *root, const block_kind *block, const registry *registry,
                     problems *problems, void *into);

/* The kinds that an OPTION_KIND chooses from: a NULL-terminated list, never NULL. */
const block_kind *const *registry_kinds(const registry *registry, const char *kinds);

#endif
