/* layout.c - see layout.h. Columns get the width of their widest cell, up to LAYOUT_CELL_MAX; where
 * they do not fit side by side the last ones are left out, as far as needed with every column at
 * its narrowest: whole cells where they must not be cut, else LAYOUT_CELL_MIN. Then the widest of
 * those that may be narrowed are, until the rest fits. */
#define _GNU_SOURCE
#include "cli/layout.h"

#include <stdio.h>
#include <string.h>
#include <wchar.h>

#define GAP 2u
#define LINES_BESIDE_ROWS 3u /* title, header, status */
#define COLUMNS_MAX 256u

static const char replacement[] = "\xef\xbf\xbd";
static const char ellipsis[] = "\xe2\x80\xa6";

/* The next character: its bytes and its width on the terminal; bytes 0 at the end. What cannot be
 * shown is one replacement character. */
typedef struct glyph {
    const char *bytes;
    size_t length;
    size_t consumed;
    uint32_t width;
} glyph;

static glyph next_glyph(const char *text)
{
    if (text[0] == '\0')
        return (glyph){.bytes = text};
    wchar_t wide;
    mbstate_t state = {0};
    size_t length = mbrtowc(&wide, text, strlen(text), &state);
    if (length == 0 || length > 8)
        return (glyph){replacement, sizeof replacement - 1, 1, 1};
    int width = wcwidth(wide);
    if (width < 0)
        return (glyph){replacement, sizeof replacement - 1, length, 1};
    return (glyph){text, length, length, (uint32_t)width};
}

uint32_t layout_width(const char *text)
{
    uint32_t width = 0;
    for (glyph glyph = next_glyph(text); glyph.consumed > 0; glyph = next_glyph(text)) {
        width += glyph.width;
        text += glyph.consumed;
    }
    return width;
}

static void append_blanks(text_buffer *into, uint32_t n)
{
    text_format(into, "%*s", (int)n, "");
}

void layout_fit(const char *text, uint32_t width, bool pad, bool right, text_buffer *into)
{
    uint32_t whole = layout_width(text);
    bool cut = whole > width;
    uint32_t room = cut ? (width > 0 ? width - 1 : 0) : width;
    uint32_t used = 0;
    if (pad && right && !cut)
        append_blanks(into, width - whole);
    for (glyph glyph = next_glyph(text); glyph.consumed > 0; glyph = next_glyph(text)) {
        if (used + glyph.width > room)
            break;
        text_append(into, glyph.bytes, glyph.length);
        used += glyph.width;
        text += glyph.consumed;
    }
    if (cut && width > 0) {
        text_append_c(into, ellipsis);
        used++;
    }
    if (pad && !(right && !cut))
        append_blanks(into, width - used);
}

/* Where a name ends without the word that most names of windows share. */
static const char *name_end(const char *name)
{
    static const char *const shared[] = {"_fixed_windows", "_row_windows", "_rolling_windows"};
    const size_t length = strlen(name);
    for (size_t i = 0; i < sizeof shared / sizeof *shared; i++) {
        const size_t word = strlen(shared[i]);
        if (length > word && strcmp(name + length - word, shared[i]) == 0)
            return name + length - word;
    }
    return name + length;
}

/* Appends what comes before `end`, but for what is before its last `room` columns. */
static void append_tail(const char *name, const char *end, uint32_t room, text_buffer *into)
{
    uint32_t width = 0;
    for (const char *at = name; at < end; at += next_glyph(at).consumed)
        width += next_glyph(at).width;
    while (name < end && width > room) {
        const glyph glyph = next_glyph(name);
        width -= glyph.width;
        name += glyph.consumed;
    }
    text_append(into, name, (size_t)(end - name));
}

static void append_head(const char *name, const char *end, uint32_t room, text_buffer *into)
{
    while (name < end) {
        const glyph glyph = next_glyph(name);
        if (glyph.width > room)
            return;
        room -= glyph.width;
        text_append(into, name, glyph.consumed);
        name += glyph.consumed;
    }
}

void layout_fit_name(const char *name, uint32_t width, bool pad, bool right, text_buffer *into)
{
    if (layout_width(name) <= width || width == 0) {
        layout_fit(name, width, pad, right, into);
        return;
    }
    text_buffer cut;
    text_init(&cut, TEXT_LIMIT_DEFAULT);
    const uint32_t room = width - 1, tail = room * 3 / 5;
    const char *end = name_end(name);
    text_append(&cut, name, (size_t)(end - name));
    if (cut.bytes != NULL && layout_width(cut.bytes) <= room) {
        text_append_c(&cut, ellipsis);
    } else {
        text_reset(&cut);
        append_head(name, end, room - tail, &cut);
        text_append_c(&cut, ellipsis);
        append_tail(name, end, tail, &cut);
    }
    layout_fit(cut.bytes == NULL ? "" : cut.bytes, width, pad, right, into);
    text_release(&cut);
}

void layout_shorten_time(char *text)
{
    size_t length = strlen(text);
    if (length != 27 || text[10] != 'T' || strcmp(text + 19, ".000000Z") != 0)
        return;
    text[10] = ' ';
    text[19] = '\0';
}

uint32_t layout_rows(uint32_t height)
{
    return height > LINES_BESIDE_ROWS ? height - LINES_BESIDE_ROWS : 0;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

/* The width of the widest cell, up to LAYOUT_CELL_MAX. */
static uint32_t cells_width(const view_table *table, uint32_t column)
{
    uint32_t width = 1;
    for (uint32_t row = 0; row < table->n_rows && width < LAYOUT_CELL_MAX; row++) {
        const char *cell = table->cells[(size_t)row * table->n_columns + column];
        width = most(width, cell == NULL ? 1 : layout_width(cell));
    }
    return least(width, LAYOUT_CELL_MAX);
}

typedef struct widths {
    uint32_t now[COLUMNS_MAX];
    uint32_t narrowest[COLUMNS_MAX];
} widths;

/* Narrows the widest column that may be; false where none may. */
static bool narrow_one(widths *widths, uint32_t n)
{
    uint32_t widest = n;
    for (uint32_t i = 0; i < n; i++) {
        if (widths->now[i] > widths->narrowest[i] &&
            (widest == n || widths->now[i] > widths->now[widest]))
            widest = i;
    }
    if (widest == n)
        return false;
    widths->now[widest]--;
    return true;
}

/* Fills in the widths and returns how many columns are shown. */
static uint32_t choose_widths(const view_table *table, uint32_t width, widths *widths)
{
    uint32_t n = 0;
    uint32_t narrowest = 0;
    uint32_t total = 0;
    while (n < table->n_columns && n < COLUMNS_MAX) {
        uint32_t name = least(layout_width(table->names[n]), LAYOUT_CELL_MAX);
        uint32_t cells = cells_width(table, n);
        uint32_t cut = table->whole[n] ? cells : least(cells, LAYOUT_CELL_MIN);
        uint32_t gap = n > 0 ? GAP : 0;
        widths->now[n] = most(name, cells);
        widths->narrowest[n] = most(cut, least(name, LAYOUT_NAME_MIN));
        if (n > 0 && narrowest + gap + widths->narrowest[n] > width)
            break;
        narrowest += gap + widths->narrowest[n];
        total += gap + widths->now[n];
        n++;
    }
    while (total > width && narrow_one(widths, n))
        total--;
    if (n == 1)
        widths->now[0] = least(widths->now[0], width);
    return n;
}

static void style(const view_frame *frame, const char *sequence, text_buffer *into)
{
    if (frame->styled)
        text_append_c(into, sequence);
}

static void append_title(const view_frame *frame, uint32_t n_hidden, text_buffer *into)
{
    char hidden[48] = "";
    if (n_hidden > 0)
        snprintf(hidden, sizeof hidden, "  (+%u column%s)", n_hidden, n_hidden == 1 ? "" : "s");
    text_buffer title;
    text_init(&title, 4096);
    text_format(&title, "%s%s", frame->title, hidden);
    style(frame, "\x1b[1m", into);
    layout_fit(title.bytes == NULL ? "" : title.bytes, frame->width, false, false, into);
    style(frame, "\x1b[0m", into);
    text_append_char(into, '\n');
    text_release(&title);
}

static void append_names(const view_frame *frame, const uint32_t *widths, uint32_t n,
                         text_buffer *into)
{
    style(frame, "\x1b[2m", into);
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            append_blanks(into, GAP);
        bool right = frame->table.numeric[i];
        layout_fit_name(frame->table.names[i], widths[i], i + 1 < n || right, right, into);
    }
    text_append_char(into, '\n');
    style(frame, "\x1b[0m", into);
}

static void append_line(const view_frame *frame, const char *const *cells, const uint32_t *widths,
                        uint32_t n, text_buffer *into)
{
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            append_blanks(into, GAP);
        bool right = frame->table.numeric[i];
        layout_fit(cells[i] == NULL ? "-" : cells[i], widths[i], i + 1 < n || right, right, into);
    }
    text_append_char(into, '\n');
}

/* As many parts as fit, with a dot between them. */
static void append_status(const view_frame *frame, text_buffer *into)
{
    uint32_t used = 0;
    for (uint32_t i = 0; i < frame->n_parts; i++) {
        uint32_t width = layout_width(frame->parts[i]);
        if (i > 0 && used + 3 + width > frame->width)
            break;
        if (i > 0)
            text_append_c(into, " \xc2\xb7 ");
        layout_fit(frame->parts[i], frame->width, false, false, into);
        used += width + (i > 0 ? 3 : 0);
    }
    text_append_char(into, '\n');
}

uint32_t layout_frame(const view_frame *frame, text_buffer *into)
{
    widths widths;
    const view_table *table = &frame->table;
    uint32_t n_lines = 0;
    if (frame->height == 0 || frame->width == 0)
        return 0;
    if (frame->height > LINES_BESIDE_ROWS && table->n_columns > 0) {
        uint32_t n_shown = choose_widths(table, frame->width, &widths);
        uint32_t n_rows = layout_rows(frame->height);
        n_rows = table->n_rows < n_rows ? table->n_rows : n_rows;
        append_title(frame, table->n_columns - n_shown + table->n_left_out, into);
        append_names(frame, widths.now, n_shown, into);
        for (uint32_t row = 0; row < n_rows; row++)
            append_line(frame, table->cells + (size_t)row * table->n_columns, widths.now, n_shown,
                        into);
        n_lines = n_rows + 2;
    }
    append_status(frame, into);
    return n_lines + 1;
}
