/* blocks.h - the option tables of the blocks that the engine itself knows. */
#ifndef FRESHET_DECLARATION_BLOCKS_H
#define FRESHET_DECLARATION_BLOCKS_H

#include "declaration/declaration.h"

/* The whole declaration; reads into struct declaration. */
extern const block_kind declaration_block;

/* What follows from all options together, after the reading: names that stand twice, the path of
 * the dead letters, whether it streams. Where memory is out, the arena tells. */
void declaration_settle(declaration *declaration, arena *arena, problems *problems);

/* A complete small declaration, for the reference page. */
extern const char declaration_example[];

#endif
