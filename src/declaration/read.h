/* read.h - reads a tree by the option tables into the structs of declaration.h. */
#ifndef FRESHET_DECLARATION_READ_H
#define FRESHET_DECLARATION_READ_H

#include "declaration/declaration_tree.h"

/* Blocks inside of blocks, as the tables nest them. */
#define BLOCK_DEPTH_MAX 12

/* Reads `root` as a block of that kind into `into` (block->size bytes, zeroed). Every problem is
 * added to `problems`; the fields of options with a problem keep their zero or default. False where memory is
 * out. The structs refer to the tree's texts. */
bool read_block_tree(const node *root, const block_kind *block, const registry *registry,
                     arena *arena, problems *problems, void *into);

/* The kinds that an OPTION_KIND chooses from: a NULL-terminated list, never NULL. */
const block_kind *const *registry_kinds(const registry *registry, const char *kinds);

#endif
