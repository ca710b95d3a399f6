/* layout.h - the live view as text: cells in, lines that fit the terminal out. Pure functions.
 *
 * Text is UTF-8 and widths are those of the terminal (wcwidth), for which main sets LC_CTYPE.
 * Control characters in data never reach the terminal: each becomes a replacement character.
 */
#ifndef FRESHET_CLI_LAYOUT_H
#define FRESHET_CLI_LAYOUT_H

#include <stdbool.h>

#include "base/text.h"

#define LAYOUT_CELL_MAX 40u /* a cell is never wider than this */
#define LAYOUT_CELL_MIN 8u  /* texts are not cut to less than this: columns are left out instead */
#define LAYOUT_NAME_MIN 12u /* nor are the names of columns, which are cut in the middle */
#define LAYOUT_PARTS_MAX 10u

typedef struct view_table {
    uint32_t n_columns;
    uint32_t n_rows;
    const char *const *names;
    const char *const *cells; /* row after row; NULL is a null */
    const bool *numeric;      /* per column: to the right */
    const bool *whole;   /* per column: its cells are not cut, as half a number or time is none */
    uint32_t n_left_out; /* columns of the result that are not here */
} view_table;

typedef struct view_frame {
    const char *title;
    view_table table;
    const char
        *parts[LAYOUT_PARTS_MAX]; /* of the status line; those that do not fit are left out */
    uint32_t n_parts;
    uint32_t width;
    uint32_t height;
    bool styled; /* bold and dim by escape sequences */
} view_frame;

/* Appends at most `height` lines, each ended by a newline, none wider than `width`; returns how
 * many. */
uint32_t layout_frame(const view_frame *frame, text_buffer *into);

/* How many of the table's rows a frame of that height has room for. */
uint32_t layout_rows(uint32_t height);

/* The width of text on the terminal. */
uint32_t layout_width(const char *text);

/* Appends the text cut to `width` (with an ellipsis) and, where `pad`, filled up to it. */
void layout_fit(const char *text, uint32_t width, bool pad, bool right, text_buffer *into);

/* The same of a column's name, to the left: what tells names of windows apart stands at their end,
 * so that they are cut in the middle, "avg_amount..._7_days", and before that at the word behind
 * the window (`_fixed_windows` ...), which most of them share. */
void layout_fit_name(const char *name, uint32_t width, bool pad, bool right, text_buffer *into);

/* "2013-01-01T05:00:00.000000Z" as "2013-01-01 05:00:00", in place; other text stays as it is. */
void layout_shorten_time(char *text);

#endif
