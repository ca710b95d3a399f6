/* regex_internal.h - the tree of a pattern, between regex_parse.c and regex.c. */
#ifndef FRESHET_FUNCTIONS_REGEX_INTERNAL_H
#define FRESHET_FUNCTIONS_REGEX_INTERNAL_H

#include "functions/regex.h"

#define REGEX_COMPILING "reading a regular expression"

typedef struct regex_range {
    uint32_t first, last;
} regex_range;

/* Characters, as ranges in order that do not touch. */
typedef struct regex_set {
    uint32_t n;
    regex_range *ranges;
    uint64_t low[2]; /* those of ASCII, as bits */
} regex_set;

typedef enum regex_place {
    PLACE_BEGIN,
    PLACE_LINE_BEGIN,
    PLACE_END,
    PLACE_LAST_LINE_END, /* the end, or before the last line's end */
    PLACE_LINE_END,
    PLACE_WORD_EDGE,
    PLACE_NO_WORD_EDGE
} regex_place;

typedef enum node_kind {
    NODE_EMPTY,
    NODE_SET,
    NODE_PLACE,
    NODE_SERIES,
    NODE_CHOICE,
    NODE_REPEAT,
    NODE_GROUP
} node_kind;

typedef struct regex_node regex_node;
struct regex_node {
    node_kind kind;
    regex_node *next;  /* in a series or choice */
    regex_node *child; /* SERIES, CHOICE: the first; REPEAT, GROUP: the one */
    regex_set set;
    regex_place place;
    uint32_t group;       /* from 1 */
    uint32_t least, most; /* most: UINT32_MAX without end */
    bool lazy;
};

freshet_code regex_parse(arena *arena, const char *pattern, size_t length, regex_node **out,
                         uint32_t *n_groups, freshet_error *err);

/* ---- regex_set.c ---- */

/* False: memory is out. */
bool set_add(arena *arena, regex_set *set, uint32_t first, uint32_t last);
bool set_add_all(arena *arena, regex_set *set, const regex_set *more);
/* In order, and `low` filled; to be called once all is added. */
void set_close(regex_set *set);
bool set_negate(arena *arena, regex_set *set);
bool set_intersect(arena *arena, regex_set *set, const regex_set *with);
/* A letter's other case, of ASCII, is in it, too. */
bool set_add_cases(arena *arena, regex_set *set);
/* The characters of \d \w \s \h \v by their letter; false: none has it. */
bool set_of_letter(arena *arena, regex_set *set, char letter, bool *known);
/* The characters of \p{NAME}. */
bool set_of_name(arena *arena, regex_set *set, const char *name, bool *known);

#endif
