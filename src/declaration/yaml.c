/* yaml.c - YAML text into a tree, by libyaml's events.
 *
 * The text is first looked at as bytes (size, UTF-8), then libyaml gives one event after the other:
 * a scalar, the beginning or end of a map or list, an alias. The maps and lists that are open stand
 * on a stack of DECLARATION_DEPTH_MAX levels, so nothing here recurses on input.
 *
 * Of YAML a declaration uses one document with maps, lists and scalars, and aliases (`*name`),
 * which become copies of what the anchor (`&name`) marks. Tags, merge keys and keys that are no
 * scalars are refused. A mistake of form ends the reading, since what follows it cannot be trusted;
 * duplicate keys, tags and variables that are not set are reported and the reading goes on.
 *
 * libyaml's own messages are about its grammar; `explanations` says the same to the writer of the
 * file.
 */
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/text.h"
#include "declaration/declaration_tree.h"

#define DECLARATION_ANCHORS_MAX 256u

typedef struct anchor {
    const char *name;
    node *node;
} anchor;

/* A map or list that is open; a map with a key waits for the key's value. */
typedef struct level {
    node *node;
    const char *key;
    place key_at;
    const char *anchor;
} level;

typedef struct yaml_reading {
    yaml_parser_t parser;
    tree *tree;
    level levels[DECLARATION_DEPTH_MAX];
    uint32_t depth;
    uint32_t n_documents;
    uint32_t n_anchors;
    anchor anchors[DECLARATION_ANCHORS_MAX];
    bool done;
} yaml_reading;

static place place_of(const yaml_reading *reading, const yaml_mark_t *mark)
{
    return (place){.file = reading->tree->file,
                   .line = (uint32_t)mark->line + 1,
                   .column = (uint32_t)mark->column + 1};
}

/* ---- what libyaml says, in other words ------------------------------------------------------ */

/* libyaml says where it noticed, and where what it was reading (the "context") began. */
typedef enum explained_at {
    AT_PROBLEM,
    AT_CONTEXT,            /* the mistake is where the context began */
    AT_PROBLEM_AND_CONTEXT /* the sentence ends with the context's line */
} explained_at;

typedef struct explanation {
    const char *problem; /* libyaml's words */
    explained_at at;
    const char *sentence;
} explanation;

static const explanation explanations[] = {
    {"could not find expected ':'", AT_CONTEXT,
     "this line has no colon: write \"key: value\", or indent the line so that it belongs to the "
     "text above it"},
    {"mapping values are not allowed in this context", AT_PROBLEM,
     "a colon stands where no key can be: put the value in quotes if it holds \": \", else check "
     "the indentation"},
    {"did not find expected key", AT_PROBLEM_AND_CONTEXT,
     "this does not line up with the keys above it: keys of one map begin in the same column"},
    {"did not find expected '-' indicator", AT_PROBLEM_AND_CONTEXT,
     "this does not line up with the list above it: the items of one list begin with \"- \" in the "
     "same column"},
    {"block sequence entries are not allowed in this context", AT_PROBLEM,
     "a list item (\"- \") cannot begin here: put the list on the lines below its key"},
    {"did not find expected ',' or '}'", AT_PROBLEM_AND_CONTEXT,
     "the { ... } is not closed, or a comma is missing; inside of { } a value that holds { } [ ] , "
     "or \": \" must be in quotes, as in \"${VAR}\""},
    {"did not find expected ',' or ']'", AT_PROBLEM_AND_CONTEXT,
     "the [ ... ] is not closed, or a comma is missing; inside of [ ] a value that holds { } [ ] , "
     "or \": \" must be in quotes, as in \"${VAR}\""},
    {"found unexpected end of stream", AT_CONTEXT, "a quote that was opened is not closed"},
    {"found unknown escape character", AT_PROBLEM,
     "in double quotes a backslash begins an escape such as \\n: write \\\\ for a backslash, or "
     "use single quotes"},
    {"did not find expected hexdecimal number", AT_PROBLEM,
     "\\x, \\u and \\U in double quotes need 2, 4 and 8 hexadecimal digits"},
    {"found a tab character that violates indentation", AT_PROBLEM,
     "a tab stands where YAML wants blanks: indent with blanks only"},
    {"found a tab character where an indentation space is expected", AT_PROBLEM,
     "a tab stands where YAML wants blanks: indent with blanks only"},
    {"control characters are not allowed", AT_PROBLEM,
     "a control character stands here: remove it, or write it as an escape in double quotes"},
    {"found incompatible YAML document", AT_PROBLEM, "this is not YAML 1.1 or 1.2"},
    {"did not find expected node content", AT_PROBLEM, "a value is missing here"},
    {"did not find expected <document start>", AT_PROBLEM,
     "this is neither part of the declaration above nor a new document: check the indentation"},
    {"found unexpected document indicator", AT_CONTEXT, "a quote that was opened is not closed"},
    {"did not find expected alphabetic or numeric character", AT_PROBLEM,
     "a value that begins with \"*\" or \"&\" must be in quotes"},
    {"did not find expected comment or line break", AT_PROBLEM,
     "behind \"|\" or \">\" the line must end: the text begins on the next line"},
};

/* A character that cannot begin a value has a sentence of its own. */
static const char *explain_character(tree *tree, const place *at)
{
    char here = *tree_byte_at(tree, at);
    if (here == '\t')
        return "a tab stands where YAML wants blanks: indent with blanks only";
    if (here == '|' || here == '>')
        return "\"|\" and \">\" begin a text of several lines only outside of { } and [ ]: use "
               "quotes here";
    if (here == '%')
        return "a value that begins with \"%\" must be in quotes";
    return "a value that begins with \"@\" or \"`\" must be in quotes";
}

static explanation yaml_explain(const yaml_reading *reading, const char *problem, const place *at)
{
    if (strcmp(problem, "found character that cannot start any token") == 0)
        return (explanation){problem, AT_PROBLEM, explain_character(reading->tree, at)};
    for (size_t i = 0; i < sizeof explanations / sizeof explanations[0]; i++)
        if (strcmp(explanations[i].problem, problem) == 0)
            return explanations[i];
    return (explanation){problem, AT_PROBLEM, NULL};
}

/* Lines and columns of a byte of the text. */
static place place_of_byte(tree *tree, size_t offset)
{
    place at = {.file = tree->file, .line = 1, .column = 1};
    for (size_t i = 0; i < offset && i < tree->source_length; i++) {
        unsigned char c = (unsigned char)tree->source[i];
        if (c == '\n') {
            at.line++;
            at.column = 1;
        } else if ((c & 0xC0) != 0x80) {
            at.column++;
        }
    }
    return at;
}

static bool report_libyaml(yaml_reading *reading)
{
    const yaml_parser_t *parser = &reading->parser;
    if (parser->error == YAML_MEMORY_ERROR) {
        reading->tree->no_memory = true;
        return false;
    }
    const char *problem = parser->problem == NULL ? "it cannot be read" : parser->problem;
    bool by_byte = parser->error == YAML_READER_ERROR;
    place at = by_byte ? place_of_byte(reading->tree, parser->problem_offset)
                       : place_of(reading, &parser->problem_mark);
    explanation found = yaml_explain(reading, problem, &at);
    bool has_context = parser->context != NULL && !by_byte;
    char since[64] = "";
    if (has_context && found.at == AT_CONTEXT)
        at = place_of(reading, &parser->context_mark);
    if (has_context && found.at == AT_PROBLEM_AND_CONTEXT &&
        parser->context_mark.line + 1 < at.line)
        snprintf(since, sizeof since, " (it began at line %zu)", parser->context_mark.line + 1);
    if (found.sentence != NULL)
        return problem_add(reading->tree->problems, &at, "%s%s", found.sentence, since);
    return problem_add(reading->tree->problems, &at, "this is not YAML: %s%s%s",
                       has_context ? parser->context : "", has_context ? ", " : "", problem);
}

/* ---- events --------------------------------------------------------------------------------- */

static bool add_anchor(yaml_reading *reading, const char *name, node *node)
{
    if (name == NULL)
        return true;
    if (reading->n_anchors == DECLARATION_ANCHORS_MAX)
        return problem_add(reading->tree->problems, &node->at,
                           "a declaration can hold %u anchors (&name)", DECLARATION_ANCHORS_MAX);
    const char *copy = arena_text(reading->tree->arena, name);
    reading->anchors[reading->n_anchors++] = (anchor){copy, node};
    return copy != NULL;
}

/* Puts a finished or opened node into the innermost map or list, or makes it the root. */
static bool place_node(yaml_reading *reading, node *made)
{
    if (reading->depth == 0) {
        reading->tree->root = made;
        return true;
    }
    level *open = &reading->levels[reading->depth - 1];
    bool ok = tree_append(open->node, made, open->key, &open->key_at);
    open->key = NULL;
    return ok;
}

static bool refuse_tag(yaml_reading *reading, const yaml_char_t *tag, const place *at)
{
    static const char usual[] = "tag:yaml.org,2002:"; /* what libyaml makes of !! */
    if (tag == NULL)
        return false;
    const char *name = (const char *)tag;
    bool is_usual = strncmp(name, usual, strlen(usual)) == 0;
    problem_add(
        reading->tree->problems, at,
        "the tag \"%s%.60s\" has no meaning here: remove it; a value gets its type from its option",
        is_usual ? "!!" : "", is_usual ? name + strlen(usual) : name);
    return true;
}

/* Whether the innermost open node is a map that waits for a key. */
static bool wants_key(const yaml_reading *reading)
{
    return reading->depth > 0 && reading->levels[reading->depth - 1].node->kind == NODE_MAP &&
           reading->levels[reading->depth - 1].key == NULL;
}

static bool on_key(yaml_reading *reading, const yaml_event_t *event, const place *at)
{
    level *open = &reading->levels[reading->depth - 1];
    const char *text = (const char *)event->data.scalar.value;
    if (strlen(text) != event->data.scalar.length)
        return problem_add(reading->tree->problems, at, "a key cannot hold a NUL character");
    if (strcmp(text, "<<") == 0)
        return problem_add(reading->tree->problems, at,
                           "merge keys (<<) are not used in declarations: write the options out, "
                           "or use an alias (*name) for the whole map");
    refuse_tag(reading, event->data.scalar.tag, at);
    open->key = arena_text(reading->tree->arena, text);
    open->key_at = *at;
    return open->key != NULL;
}

static scalar_style style_of(yaml_scalar_style_t style)
{
    switch (style) {
    case YAML_SINGLE_QUOTED_SCALAR_STYLE: return SCALAR_SINGLE_QUOTED;
    case YAML_DOUBLE_QUOTED_SCALAR_STYLE: return SCALAR_DOUBLE_QUOTED;
    case YAML_LITERAL_SCALAR_STYLE: return SCALAR_LITERAL;
    case YAML_FOLDED_SCALAR_STYLE: return SCALAR_FOLDED;
    default: return SCALAR_PLAIN;
    }
}

static bool on_scalar(yaml_reading *reading, const yaml_event_t *event)
{
    place at = place_of(reading, &event->start_mark);
    if (wants_key(reading))
        return on_key(reading, event, &at);

    node *made = tree_node(reading->tree, NODE_SCALAR, &at);
    if (made == NULL)
        return false;
    made->style = style_of(event->data.scalar.style);
    made->several_lines = event->start_mark.line != event->end_mark.line;
    if (!place_node(reading, made))
        return false;
    made->broken = refuse_tag(reading, event->data.scalar.tag, &at);
    tree_set_text(made, (const char *)event->data.scalar.value, event->data.scalar.length, true);
    return !arena_failed(reading->tree->arena) &&
           add_anchor(reading, (const char *)event->data.scalar.anchor, made);
}

static bool on_begin(yaml_reading *reading, node_kind kind, const place *at,
                     const yaml_char_t *anchor, const yaml_char_t *tag)
{
    if (wants_key(reading))
        return problem_add(reading->tree->problems, at,
                           "a key must be a single word, but here a %s begins; inside of quotes { "
                           "and [ are taken as they are",
                           kind == NODE_MAP ? "map ({)" : "list ([ or -)");
    if (reading->depth == DECLARATION_DEPTH_MAX)
        return problem_add(reading->tree->problems, at,
                           "maps and lists can be nested %d deep, no further",
                           DECLARATION_DEPTH_MAX);
    node *made = tree_node(reading->tree, kind, at);
    if (made == NULL || !place_node(reading, made))
        return false;
    made->broken = refuse_tag(reading, tag, at);
    const char *name = arena_text(reading->tree->arena, (const char *)anchor);
    reading->levels[reading->depth++] = (level){.node = made, .anchor = name};
    return anchor == NULL || name != NULL;
}

/* Reports each key that stands twice in a map. */
static bool check_duplicates(tree *tree, node *map)
{
    given_name *names = arena_alloc(tree->arena, map->n * sizeof *names);
    uint32_t n = 0;
    if (names == NULL)
        return false;
    for (node *child = map->first; child != NULL; child = child->next, n++)
        names[n] = (given_name){.name = child->key, .at = &child->key_at, .order = n};
    names_sort(names, n, false);
    for (uint32_t i = 0; i < n; i++) {
        char where[200];
        if (names[i].first != NULL)
            problem_add(tree->problems, names[i].at,
                        "\"%.60s\" was already given at %s: remove one of the two", names[i].name,
                        place_text(names[i].first->at, where, sizeof where));
    }
    return true;
}

static bool on_end(yaml_reading *reading)
{
    level *closed = &reading->levels[--reading->depth];
    if (closed->node->kind == NODE_MAP && !check_duplicates(reading->tree, closed->node))
        return false;
    return add_anchor(reading, closed->anchor, closed->node);
}

static bool on_alias(yaml_reading *reading, const yaml_event_t *event)
{
    place at = place_of(reading, &event->start_mark);
    const char *name = (const char *)event->data.alias.anchor;
    if (wants_key(reading))
        return problem_add(reading->tree->problems, &at, "a key cannot be an alias: write it out");
    const node *marked = NULL; /* the last anchor of that name counts */
    for (uint32_t i = 0; i < reading->n_anchors; i++)
        if (strcmp(reading->anchors[i].name, name) == 0)
            marked = reading->anchors[i].node;
    if (marked == NULL)
        return problem_add(reading->tree->problems, &at,
                           "nothing before this place is marked \"&%.60s\"; put a value that "
                           "begins with \"*\" in quotes",
                           name);
    if (reading->depth + node_height(marked) > DECLARATION_DEPTH_MAX)
        return problem_add(reading->tree->problems, &at,
                           "maps and lists can be nested %d deep, no further",
                           DECLARATION_DEPTH_MAX);
    node *copy = tree_copy(marked, reading->depth);
    return copy != NULL && place_node(reading, copy);
}

static bool on_document(yaml_reading *reading, const yaml_event_t *event)
{
    if (++reading->n_documents == 1)
        return true;
    place at = place_of(reading, &event->start_mark);
    return problem_add(reading->tree->problems, &at,
                       "a second document begins here: a file holds one declaration, so remove "
                       "\"---\" and what follows, or make it a file of its own");
}

static bool on_event(yaml_reading *reading, const yaml_event_t *event)
{
    place at = place_of(reading, &event->start_mark);
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT: return on_document(reading, event);
    case YAML_SCALAR_EVENT: return on_scalar(reading, event);
    case YAML_ALIAS_EVENT: return on_alias(reading, event);
    case YAML_MAPPING_START_EVENT:
        return on_begin(reading, NODE_MAP, &at, event->data.mapping_start.anchor,
                        event->data.mapping_start.tag);
    case YAML_SEQUENCE_START_EVENT:
        return on_begin(reading, NODE_LIST, &at, event->data.sequence_start.anchor,
                        event->data.sequence_start.tag);
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT: return on_end(reading);
    case YAML_STREAM_END_EVENT: reading->done = true; return true;
    default: return true;
    }
}

static bool read_events(yaml_reading *reading)
{
    while (!reading->done) {
        yaml_event_t event;
        if (yaml_parser_parse(&reading->parser, &event) == 0)
            return report_libyaml(reading);
        bool ok = on_event(reading, &event);
        yaml_event_delete(&event);
        if (!ok)
            return false;
    }
    return true;
}

/* Size and encoding, before libyaml sees the text. Keeps a copy of it without a byte order mark. */
static bool take_source(tree *tree, const char *text, size_t length)
{
    place start = {.file = tree->file, .line = 1, .column = 1};
    if (length > DECLARATION_BYTES_MAX)
        return problem_add(
            tree->problems, &start,
            "a declaration can have %zu bytes, and this one has more: is it the right file?",
            DECLARATION_BYTES_MAX);
    if (length >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) {
        text += 3;
        length -= 3;
    }
    tree->source = arena_copy(tree->arena, text, length);
    tree->source_length = length;
    if (tree->source == NULL)
        return false;
    size_t bad = text_valid_length(text, length);
    if (bad == length)
        return true;
    place at = place_of_byte(tree, bad);
    return problem_add(tree->problems, &at,
                       "this byte is not valid UTF-8: save the file with the encoding UTF-8");
}

static bool has_root(tree *tree)
{
    place start = {.file = tree->file, .line = 1, .column = 1};
    if (tree->root != NULL && !node_is_null(tree->root))
        return true;
    return problem_add(
        tree->problems, &start,
        "the declaration is empty: it begins with \"version: 1\" and \"pipeline: NAME\"");
}

bool yaml_read(tree *tree, const char *text, size_t length, const char *file)
{
    tree->file = file;
    if (!take_source(tree, text, length))
        return false;
    yaml_reading *reading = arena_zero(tree->arena, 1, sizeof *reading);
    if (reading == NULL)
        return false;
    reading->tree = tree;
    if (yaml_parser_initialize(&reading->parser) == 0)
        return report_libyaml(reading);
    yaml_parser_set_encoding(&reading->parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&reading->parser, (const unsigned char *)tree->source,
                                 tree->source_length);
    bool ok = read_events(reading);
    yaml_parser_delete(&reading->parser);
    return ok && has_root(tree);
}
