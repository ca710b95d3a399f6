/* catalogue_html.c - catalogues as one page of HTML; see catalogue.h.
 *
 * The lineage is drawn as SVG in three columns: the readers' columns, the query's, the features.
 * Lines go from what is made to what it is made of. A box says in its classes of which numbers of
 * its neighbours it is made, and a few lines of script light up what belongs to the one under the
 * pointer. The page loads nothing.
 */
#include <stdlib.h>
#include <string.h>

#include "catalogue/catalogue.h"

#define BOX_WIDTH 240
#define BOX_HEIGHT 22
#define STEP_HEIGHT 28
#define LAYER_STEP 370
#define TOP 34
#define NAME_CHARACTERS_MAX 30
#define NOT_DRAWN UINT32_MAX

static const char page_begin[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Feature "
    "sets</title>\n<style>\n"
    ":root{--ink:#1d2733;--soft:#5c6b7a;--line:#d5dde5;--page:#fff;--box:#f3f6f9;--lit:#0b6bcb}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e3e9ef;--soft:#94a3b1;--line:#33404d;"
    "--page:#141a21;--box:#1e2730;--lit:#5aa9f5}}\n"
    "body{margin:0 auto;max-width:1100px;padding:24px;color:var(--ink);background:var(--page);"
    "font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:24px}h2{font-size:20px;margin-top:48px;border-top:1px solid var(--line);"
    "padding-top:24px}h3{font-size:15px;color:var(--soft);margin-bottom:6px}\n"
    "a{color:var(--lit)}code,pre{font:13px/1.5 ui-monospace,monospace}"
    "pre{background:var(--box);padding:12px;overflow:auto;border-radius:6px}\n"
    ".wide{overflow-x:auto}table{border-collapse:collapse;width:100%}"
    "th,td{text-align:left;vertical-align:top;padding:5px 10px 5px 0;"
    "border-bottom:1px solid var(--line)}th{color:var(--soft);font-weight:500}\n"
    "svg text{font:12px ui-monospace,monospace;fill:var(--ink)}svg .head{fill:var(--soft)}\n"
    "svg rect{fill:var(--box);stroke:var(--line)}svg path{fill:none;stroke:var(--line)}\n"
    "svg .lit rect{stroke:var(--lit);stroke-width:2}svg path.lit{stroke:var(--lit);stroke-width:2}"
    "\nsvg g.node{cursor:default}\n</style></head><body>\n<h1>Feature sets</h1>\n";

static const char page_end[] =
    "<script>\n"
    "for(const svg of document.querySelectorAll('svg')){\n"
    "  const lines=[...svg.querySelectorAll('path')];\n"
    "  const reach=(id,from,to,seen)=>{for(const l of lines)if(l.dataset[from]===id){seen.add(l);"
    "reach(l.dataset[to],from,to,seen)}return seen};\n"
    "  for(const g of svg.querySelectorAll('g.node')){\n"
    "    g.onmouseenter=()=>{const on=reach(g.id,'a','b',new Set());reach(g.id,'b','a',on);"
    "g.classList.add('lit');for(const l of on){l.classList.add('lit');"
    "for(const e of ['a','b'])document.getElementById(l.dataset[e]).classList.add('lit')}};\n"
    "    g.onmouseleave=()=>svg.querySelectorAll('.lit').forEach(e=>e.classList.remove('lit'));\n"
    "  }\n}\n</script>\n</body></html>\n";

static void put_html(text_buffer *into, const char *text)
{
    for (; text != NULL && *text != '\0'; text++)
        switch (*text) {
        case '<': text_append_c(into, "&lt;"); break;
        case '>': text_append_c(into, "&gt;"); break;
        case '&': text_append_c(into, "&amp;"); break;
        case '"': text_append_c(into, "&quot;"); break;
        default: text_append_char(into, *text);
        }
}

/* What stands between backticks is code. */
static void put_prose(text_buffer *into, const char *text)
{
    bool is_code = false;
    while (text != NULL && *text != '\0') {
        const size_t length = strcspn(text, "`");
        char *part = strndup(text, length);
        into->failed |= part == NULL;
        put_html(into, part);
        free(part);
        text += length;
        if (*text != '`')
            continue;
        is_code = !is_code;
        text_append_c(into, is_code ? "<code>" : "</code>");
        text++;
    }
    if (is_code)
        text_append_c(into, "</code>");
}

/* The beginning of a name that is too long for its box, without half a character. */
static void put_name(text_buffer *into, const char *name)
{
    char cut[4 * NAME_CHARACTERS_MAX + 4];
    size_t bytes = 0, characters = 0;
    while (name[bytes] != '\0' && characters < NAME_CHARACTERS_MAX) {
        bytes++;
        while (((unsigned char)name[bytes] & 0xC0u) == 0x80u)
            bytes++;
        characters++;
    }
    if (bytes >= sizeof cut)
        bytes = sizeof cut - 1;
    memcpy(cut, name, bytes);
    cut[bytes] = '\0';
    put_html(into, cut);
    if (name[bytes] != '\0')
        text_append_c(into, "&hellip;");
}

/* ---- the drawing ----------------------------------------------------------------------------- */

typedef struct drawing {
    const catalogue *of;
    uint32_t number; /* of the feature set on the page */
    text_buffer *into;
    uint32_t *rows; /* of each reader's column, from the top; or NOT_DRAWN */
    uint32_t n_rows;
} drawing;

static void put_node(const drawing *drawing, char layer, uint32_t i, uint32_t row, const char *name,
                     const char *tip)
{
    const int x = (layer - 'a') * LAYER_STEP, y = TOP + (int)row * STEP_HEIGHT;
    text_format(drawing->into, "<g class=\"node\" id=\"s%u%c%u\"><title>", drawing->number, layer,
                i);
    put_html(drawing->into, tip);
    text_format(drawing->into,
                "</title><rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"4\"/>"
                "<text x=\"%d\" y=\"%d\">",
                x + 1, y, BOX_WIDTH, BOX_HEIGHT, x + 9, y + 15);
    put_name(drawing->into, name);
    text_append_c(drawing->into, "</text></g>\n");
}

/* From node a of one layer to node b of the next; rows are their places. */
static void put_line(const drawing *drawing, char layer, uint32_t a, uint32_t row_a, uint32_t b,
                     uint32_t row_b)
{
    const int x1 = (layer - 'a') * LAYER_STEP + BOX_WIDTH + 1, x2 = (layer + 1 - 'a') * LAYER_STEP;
    const int y1 = TOP + (int)row_a * STEP_HEIGHT + BOX_HEIGHT / 2,
              y2 = TOP + (int)row_b * STEP_HEIGHT + BOX_HEIGHT / 2;
    const int middle = (x1 + x2) / 2;
    text_format(drawing->into,
                "<path data-a=\"s%u%c%u\" data-b=\"s%u%c%u\" d=\"M%d %dC%d %d %d %d %d %d\"/>\n",
                drawing->number, layer, a, drawing->number, layer + 1, b, x1, y1, middle, y1,
                middle, y2, x2, y2);
}

/* Columns of readers that nothing is made of are left out: their rows are those of the others. */
static void find_rows(drawing *drawing)
{
    const catalogue *of = drawing->of;
    for (uint32_t column = 0; column < of->lineage.n; column++) {
        bool is_drawn = false;
        for (uint32_t i = 0; i < of->query->n_fields; i++)
            is_drawn |= of->lineage.made[i * (size_t)of->lineage.n + column];
        drawing->rows[column] = is_drawn ? drawing->n_rows++ : NOT_DRAWN;
    }
}

static void put_lines(const drawing *drawing)
{
    const catalogue *of = drawing->of;
    for (uint32_t column = 0; column < of->lineage.n; column++)
        for (uint32_t i = 0; i < of->query->n_fields; i++)
            if (of->lineage.made[i * (size_t)of->lineage.n + column])
                put_line(drawing, 'a', column, drawing->rows[column], i, i);
    for (uint32_t i = 0; i < of->query->n_fields; i++)
        for (uint32_t k = 0; k < of->n_items; k++)
            if (of->items[k].made[i])
                put_line(drawing, 'b', i, i, k, k);
}

static void put_reader_nodes(const drawing *drawing)
{
    const catalogue *of = drawing->of;
    const lineage *lineage = &of->lineage;
    text_buffer name;
    text_init(&name, TEXT_LIMIT_DEFAULT);
    for (uint32_t r = 0; r < lineage->n_readers; r++)
        for (uint32_t c = 0; c < lineage->columns[r]->n_fields; c++) {
            const uint32_t column = lineage->first[r] + c;
            if (drawing->rows[column] == NOT_DRAWN)
                continue;
            text_reset(&name);
            text_format(&name, "%s.%s", of->pipeline->readers[r].reader->block->id.value,
                        lineage->columns[r]->fields[c].name);
            put_node(drawing, 'a', column, drawing->rows[column], name.failed ? "" : name.bytes,
                     name.failed ? "" : name.bytes);
        }
    drawing->into->failed |= name.failed;
    text_release(&name);
}

static void put_drawing(drawing *drawing)
{
    static const char *const heads[] = {"readers", "query", "features"};
    const catalogue *of = drawing->of;
    drawing->rows = arena_zero(of->pipeline->arena, of->lineage.n + (size_t)1, sizeof(uint32_t));
    if (drawing->rows == NULL) {
        drawing->into->failed = true;
        return;
    }
    find_rows(drawing);
    uint32_t rows = drawing->n_rows;
    rows = rows < of->query->n_fields ? of->query->n_fields : rows;
    rows = rows < of->n_items ? of->n_items : rows;
    const int width = 2 * LAYER_STEP + BOX_WIDTH + 2, height = TOP + (int)rows * STEP_HEIGHT;
    text_format(drawing->into,
                "<div class=\"wide\"><svg role=\"img\" aria-label=\"lineage\" width=\"%d\" "
                "height=\"%d\" viewBox=\"0 0 %d %d\">\n",
                width, height, width, height);
    for (int i = 0; i < 3; i++)
        text_format(drawing->into, "<text class=\"head\" x=\"%d\" y=\"18\">%s</text>\n",
                    i * LAYER_STEP + 1, heads[i]);
    put_lines(drawing);
    put_reader_nodes(drawing);
    for (uint32_t i = 0; i < of->query->n_fields; i++)
        put_node(drawing, 'b', i, i, of->query->fields[i].name, of->query->fields[i].name);
    for (uint32_t i = 0; i < of->n_items; i++)
        put_node(drawing, 'c', i, i, of->items[i].name, of->items[i].how);
    text_append_c(drawing->into, "</svg></div>\n");
}

/* ---- the page -------------------------------------------------------------------------------- */

static void put_table(const catalogue *of, text_buffer *into)
{
    text_append_c(into, "<div class=\"wide\"><table><tr><th>column</th><th>type</th><th></th>"
                        "<th>description</th><th>how</th></tr>\n");
    for (uint32_t i = 0; i < of->n_items; i++)
        for (uint32_t k = 0; k < of->items[i].n_outputs; k++) {
            const catalogue_item *item = &of->items[i];
            text_append_c(into, "<tr><td><code>");
            put_html(into, of->outputs->fields[item->outputs[k]].name);
            text_append_c(into, "</code></td><td>");
            put_html(into, of->pipeline->output_types[item->outputs[k]]);
            text_format(into, "</td><td>%s</td><td>", catalogue_kind_name(item->kind));
            put_html(into, item->description);
            text_append_c(into, "</td><td>");
            put_prose(into, item->how);
            text_append_c(into, "</td></tr>\n");
        }
    text_append_c(into, "</table></div>\n");
}

static void put_set(const catalogue *of, uint32_t number, text_buffer *into)
{
    const declaration *declaration = of->pipeline->declaration;
    const feature_set_block *set = &declaration->feature_set;
    drawing drawing = {.of = of, .number = number, .into = into};
    text_format(into, "<h2 id=\"s%u\">", number);
    put_html(into, set->name.value);
    text_append_c(into, "</h2>\n<p>");
    put_html(into, set->description.value);
    text_format(into, "</p>\n<p>Pipeline <code>%s</code>, a %s; entity <code>",
                declaration->pipeline.value, pipeline_kind(of->pipeline));
    put_html(into, set->entity.value);
    text_append_c(into, "</code>; declared in <code>");
    put_html(into, of->file);
    text_append_c(into, "</code></p>\n");
    put_table(of, into);
    text_append_c(into, "<h3>Where it comes from</h3>\n");
    if (of->lineage.is_known)
        put_drawing(&drawing);
    else
        text_append_c(into, "<p>That cannot be told from the query's text.</p>\n");
    text_append_c(into, "<h3>Query</h3>\n<pre>");
    put_html(into, declaration->source.query.value);
    text_append_c(into, "</pre>\n<h3>Writers</h3>\n<ul>\n");
    for (uint32_t i = 0; i < of->n_writers; i++) {
        text_append_c(into, "<li>");
        put_html(into, of->writers[i]);
        text_append_c(into, "</li>\n");
    }
    text_append_c(into, "</ul>\n");
}

void catalogue_html(const catalogue *all, uint32_t n, text_buffer *into)
{
    text_append_c(into, page_begin);
    text_append_c(into, "<ul>\n");
    for (uint32_t i = 0; i < n; i++) {
        text_format(into, "<li><a href=\"#s%u\">", i);
        put_html(into, all[i].pipeline->declaration->feature_set.name.value);
        text_format(into, "</a> (%s) ", all[i].pipeline->declaration->pipeline.value);
        put_html(into, all[i].pipeline->declaration->feature_set.description.value);
        text_append_c(into, "</li>\n");
    }
    text_append_c(into, "</ul>\n");
    for (uint32_t i = 0; i < n; i++)
        put_set(&all[i], i, into);
    text_append_c(into, page_end);
}
