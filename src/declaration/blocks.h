/* blocks.h - the option tables of the blocks that the engine itself knows. */
#ifndef FRESHET_DECLARATION_BLOCKS_H
#define FRESHET_DECLARATION_BLOCKS_H

#include "declaration/declaration.h"

/* The whole declaration; reads into struct declaration. */
extern const block_kind declaration_block;

/* transform_blocks.c: how features and keys are made, where they are neither a column nor SQL. */
extern const block_kind function_kind, stack_kind, h3_kind;

/* batch_block.c: what a batch may take. */
extern const block_kind batch_kind;

/* http_block.c: where a run answers by HTTP. */
extern const block_kind http_kind;
/* serve_block.c: which features models may ask for. */
extern const block_kind serve_kind;

/* hook_blocks.c: `hooks`; and reports the first of hooks that have no place here. */
extern const block_kind hooks_kind;
extern const block_kind test_kind;
void blocks_check_hooks(const declared_blocks *given, const char *instead, problems *problems);

/* The ways in which a feature or key may be made. */
typedef struct made_block {
    const declared_text *from, *sql;
    const h3_block *h3;
    bool has_function, has_stack, has_h3, has_window, has_aggregate;
} made_block;

/* Reports two of them where one is a transformation, and what is wrong with that. */
void blocks_check_made(const made_block *made, const char *what, const place *at,
                       problems *problems);

/* What follows from all options together, after the reading: names that stand twice, the path of
 * the dead letters, whether it streams. Where memory is out, the arena tells. */
void declaration_settle(declaration *declaration, arena *arena, problems *problems);

/* A complete small declaration, for the reference page. */
extern const char declaration_example[];

#endif
