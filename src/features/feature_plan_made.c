/* feature_plan_made.c - features and keys that transformations make (feature_plan.h).
 *
 * FUNCTION AND H3 are SQL that is written here, `abs("x")`, one expression a column: what is
 * unknown, an aggregate or of a wrong type is found where SQL is. Where no type is declared, the
 * expression is asked for its own.
 *
 * A STACK is a step that makes several rows of each. The columns that it may take are those that
 * are seen where it stands: the query's, those that keys have added, the timestamp, the features
 * above. h3 with `with_stack` is both: columns that no output has, and a stack of these.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"
#include "features/cast.h"
#include "features/common_type.h"
#include "features/feature_plan_internal.h"
#include "features/stack_columns.h"
#include "functions/h3_cell.h"

#define H3_COLUMN "lat_lng__h3_hash__%s"
#define NAMES_SHOWN_MAX 12u /* of columns, in a message */

/* ---- how many -------------------------------------------------------------------------------- */

uint64_t plan_count_keys(const feature_set_block *block)
{
    const key_block *keys = block->keys.items;
    uint64_t n = 0;
    for (uint32_t i = 0; i < block->keys.n; i++)
        n += keys[i].has_function                       ? keys[i].function.functions.n
             : keys[i].has_h3 && !keys[i].h3.with_stack ? keys[i].h3.resolutions.n
                                                        : 1;
    return n;
}

uint64_t plan_made_slots(const feature_set_block *block)
{
    const key_block *keys = block->keys.items;
    const feature_block *features = block->features.items;
    uint64_t n = 0;
    for (uint32_t i = 0; i < block->keys.n; i++)
        n += keys[i].h3.resolutions.n;
    for (uint32_t i = 0; i < block->features.n; i++)
        n += (uint64_t)features[i].function.functions.n + features[i].h3.resolutions.n + 1;
    return n;
}

/* ---- outputs --------------------------------------------------------------------------------- */

static const char *made_who(planner *planner, const made *made)
{
    return planner_who(planner, made->what, made->name->value);
}

/* The slot that the next column of it gets. */
static uint32_t next_slot(const planner *planner, const made *made)
{
    return made->feature == NULL ? planner->plan->keys[planner->n_keys].to : planner->plan->n_slots;
}

/* A type that was not declared. */
static void check_found_type(planner *planner, const made *made, const place *at, const type *type)
{
    const bool nests = type->kind == TYPE_ARRAY || type->kind == TYPE_STRUCT;
    if (nests && (made->feature == NULL || type->kind == TYPE_STRUCT))
        problem_add(planner->problems, at,
                    "%s \"%s\": its value would be %s, and a %s cannot be: say its \"type\"",
                    made->what, made->name->value,
                    type->kind == TYPE_ARRAY ? "an array" : "a struct", made->what);
}

/* Puts the column into the slot of next_slot. `type` NULL: a problem was reported. */
static void add_made(planner *planner, const made *made, const char *name, const type *type,
                     plan_phase phase)
{
    plan *plan = planner->plan;
    type = type == NULL ? type_simple(TYPE_STRING) : type;
    if (made->feature != NULL) {
        plan->phases[planner_add_output(planner, made->feature, name, type)] = (uint8_t)phase;
        return;
    }
    cast_step *key = &plan->keys[planner->n_keys++];
    for (uint32_t i = 0; i + 1 < planner->n_keys; i++)
        if (strcasecmp(plan->slots[plan->keys[i].to].name, name) == 0)
            problem_add(planner->problems, &made->name->at,
                        "key \"%s\": there is a key \"%s\" already: choose another name",
                        made->name->value, name);
    *key = (cast_step){.who = planner_who(planner, "key", name), .from = NO_SLOT, .to = key->to};
    plan->slots[key->to] = (field){name, type};
    plan->phases[key->to] = (uint8_t)phase;
}

/* ---- SQL ------------------------------------------------------------------------------------- */

static freshet_code add_made_sql(planner *planner, const made *made, const char *name,
                                 const sql_feature *from)
{
    sql_feature feature = *from;
    const bool is_said = feature.type.value != NULL;
    plan_phase phase = PHASE_ROW;
    feature.who = name == NULL ? NULL : planner_who(planner, made->what, name);
    feature.is_key = made->feature == NULL;
    feature.to = next_slot(planner, made);
    if (name == NULL)
        return error_memory(planner->err, PLANNING);
    freshet_code code = planner_add_sql(planner, &feature, &phase);
    if (code == FRESHET_OK && !is_said && feature.type.value != NULL)
        check_found_type(planner, made, &feature.sql->at, feature.type.value);
    add_made(planner, made, name, feature.type.value, phase);
    return code;
}

static declared_text *write_sql(planner *planner, const place *at, const char *sql)
{
    declared_text *text = arena_alloc(planner->plan->arena, sizeof *text);
    if (text == NULL || sql == NULL)
        return NULL;
    *text = (declared_text){sql, *at};
    return text;
}

/* The name as a column in the dialect's SQL; NULL where memory is out. */
static const char *quote_column(planner *planner, const char *name)
{
    arena *arena = planner->plan->arena;
    if (declaration_of(planner->handle)->dialect == DIALECT_DUCKDB)
        return sql_quote(arena, name);
    char *quoted = arena_alloc(arena, 2 * strlen(name) + 3), *at = quoted;
    if (quoted == NULL)
        return NULL;
    *at++ = '`';
    for (; *name != '\0'; name++) {
        if (*name == '`')
            *at++ = '`';
        *at++ = *name;
    }
    *at++ = '`';
    *at = '\0';
    return quoted;
}

static bool is_identifier(const char *text)
{
    const char *c = text;
    while (isalnum((unsigned char)*c) || *c == '_')
        c++;
    return *c == '\0' && c > text && !isdigit((unsigned char)*text);
}

/* A function of the column; `column` NULL: there is none such, which was reported. */
static freshet_code plan_function(planner *planner, const made *made,
                                  const function_block *function, const char *column)
{
    arena *arena = planner->plan->arena;
    const declared_text *name = &function->name;
    const declared_type *type = function->type.value != NULL ? &function->type : made->type;
    const char *output = arena_format(arena, "%s__%s", made->name->value, name->value);
    if (output == NULL)
        return error_memory(planner->err, PLANNING);
    if (column != NULL && !is_identifier(name->value))
        problem_add(planner->problems, &name->at,
                    "%s \"%s\": \"%s\" is no function's name: what takes more than the column is "
                    "written as `sql`, as in sql: round(%s, 2)",
                    made->what, made->name->value, name->value, made->from->value);
    if (column == NULL || !is_identifier(name->value)) {
        add_made(planner, made, output, type->value, PHASE_ROW);
        return FRESHET_OK;
    }
    const declared_text *sql =
        write_sql(planner, &name->at, arena_format(arena, "%s(%s)", name->value, column));
    if (sql == NULL)
        return error_memory(planner->err, PLANNING);
    const sql_feature feature = {.sql = sql, .type = *type, .is_written = true};
    return add_made_sql(planner, made, output, &feature);
}

static freshet_code plan_functions(planner *planner, const made *made)
{
    const declared_blocks *functions = &made->function->functions;
    const char *column = quote_column(planner, made->from->value);
    const char *who = made_who(planner, made);
    uint32_t slot;
    if (column == NULL)
        return error_memory(planner->err, PLANNING);
    freshet_code code = planner_resolve(planner, made->from, who, &slot);
    for (uint32_t i = 0; code == FRESHET_OK && i < functions->n; i++)
        code = plan_function(planner, made, &((const function_block *)functions->items)[i],
                             slot == NO_SLOT ? NULL : column);
    return code;
}

/* ---- stacks ---------------------------------------------------------------------------------- */

/* Columns that a stack may take, and those that it does. */
typedef struct stack_choice {
    const char **names; /* of planner->seen */
    bool *takes;
    uint32_t n_taken;
} stack_choice;

/* `"a", "b" ...`; NULL where memory is out. */
static const char *list_names(const planner *planner, const char *const *names)
{
    arena *arena = planner->plan->arena;
    const char *text = "";
    const uint32_t n = planner->n_seen < NAMES_SHOWN_MAX ? planner->n_seen : NAMES_SHOWN_MAX;
    for (uint32_t i = 0; text != NULL && i < n; i++)
        text = arena_format(arena, "%s%s%s", text, i == 0 ? "" : ", ", names[i]);
    return text == NULL || n == planner->n_seen ? text : arena_format(arena, "%s ...", text);
}

/* What differs by capital letters only is nearest. */
static const char *near_name(const planner *planner, const stack_choice *choice, const char *text)
{
    for (uint32_t i = 0; i < planner->n_seen; i++)
        if (strcasecmp(choice->names[i], text) == 0)
            return choice->names[i];
    return strchr(text, '*') != NULL ? NULL : text_nearest(text, choice->names, planner->n_seen);
}

/* A text that takes no column: a mistake where no other does either. */
static void report_nothing(planner *planner, const char *who, const stack_choice *choice,
                           const declared_text *text, bool is_first)
{
    const char *near = near_name(planner, choice, text->value + (text->value[0] == '!'));
    const char *hint =
        near == NULL ? "" : arena_format(planner->plan->arena, " (did you mean \"%s\"?)", near);
    const char *names = list_names(planner, choice->names);
    hint = hint == NULL ? "" : hint;
    if (choice->n_taken > 0)
        problem_warn(planner->problems, &text->at, "%s: no column matches \"%s\"%s", who,
                     text->value, hint);
    else if (names != NULL)
        problem_add(planner->problems, &text->at, "%s: no column matches \"%s\"%s%s%s", who,
                    text->value, hint, is_first ? "; the columns here are " : "",
                    is_first ? names : "");
}

/* Which columns one of the texts takes. */
static freshet_code take_columns(planner *planner, const char *who, const declared_text *text,
                                 bool is_regex, const stack_choice *choice, bool *takes)
{
    sql_problem problem;
    if (!is_regex) {
        for (uint32_t i = 0; i < planner->n_seen; i++)
            takes[i] = stack_pattern_takes(text->value, choice->names[i]);
        return FRESHET_OK;
    }
    freshet_code code =
        stack_regex_takes(planner->plan->session, planner->plan->arena, text->value, choice->names,
                          planner->n_seen, takes, &problem, planner->err);
    if (code == FRESHET_USAGE)
        problem_add(planner->problems, &text->at, "%s: \"%s\" is no regular expression: %s", who,
                    text->value, problem.text);
    return code;
}

static freshet_code choose_columns(planner *planner, const char *who, const stack_block *block,
                                   stack_choice *choice)
{
    arena *arena = planner->plan->arena;
    const uint32_t n = planner->n_seen;
    bool *nothing = arena_zero(arena, block->columns.n + (size_t)1, sizeof *nothing);
    choice->names = arena_alloc(arena, (n + (size_t)1) * sizeof *choice->names);
    choice->takes = arena_zero(arena, n + (size_t)1, sizeof *choice->takes);
    if (nothing == NULL || choice->names == NULL || choice->takes == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; i < n; i++)
        choice->names[i] = planner->plan->slots[planner->seen[i]].name;
    for (uint32_t k = 0; k < block->columns.n; k++) {
        bool *takes = arena_zero(arena, n + (size_t)1, sizeof *takes), any = false;
        if (takes == NULL)
            return error_memory(planner->err, PLANNING);
        freshet_code code =
            take_columns(planner, who, &block->columns.items[k], block->is_regex, choice, takes);
        if (code != FRESHET_OK)
            return code;
        for (uint32_t i = 0; i < n; i++) {
            choice->n_taken += takes[i] && !choice->takes[i];
            choice->takes[i] |= takes[i];
            any |= takes[i];
        }
        nothing[k] = !any;
    }
    for (uint32_t k = 0; k < block->columns.n; k++)
        if (nothing[k])
            report_nothing(planner, who, choice, &block->columns.items[k], k == 0);
    return FRESHET_OK;
}

/* The type that the columns have in common; NULL after a reported problem. */
static freshet_code find_common(planner *planner, const stack_step *stack, const type **common)
{
    plan *plan = planner->plan;
    bool no_memory = false;
    const type **types = arena_alloc(plan->arena, stack->n * sizeof(const type *));
    if (types == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; i < stack->n; i++)
        types[i] = plan->slots[stack->from[i]].type;
    *common = common_type_of(plan->arena, types, stack->n, &no_memory);
    if (no_memory)
        return error_memory(planner->err, PLANNING);
    if (*common != NULL)
        return FRESHET_OK;
    uint32_t other = 1;
    while (other + 1 < stack->n && common_type(plan->arena, types[0], types[other], &no_memory))
        other++;
    const char *first = type_name(plan->arena, types[0]);
    const char *second = type_name(plan->arena, types[other]);
    problem_add(planner->problems, stack->at,
                "%s: its columns have no type in common: \"%s\" is %s, \"%s\" is %s; leave one of "
                "them out, or cast them in the query",
                stack->who, plan->slots[stack->from[0]].name, first == NULL ? "?" : first,
                plan->slots[stack->from[other]].name, second == NULL ? "?" : second);
    return FRESHET_OK;
}

/* When the stack makes its rows: behind windows, if any are declared above it. */
static plan_phase phase_of(const planner *planner, const stack_step *stack)
{
    plan_phase phase = planner->plan->n_many > 0 ? PHASE_WINDOWS : PHASE_STACKS;
    for (uint32_t i = 0; i < stack->n; i++)
        if (plan_is_windowed(planner->plan, stack->from[i]))
            phase = PHASE_WINDOWS;
    return phase;
}

/* A stack of the slots that stack->from has. */
static freshet_code add_stack(planner *planner, const made *made, stack_step *stack)
{
    plan *plan = planner->plan;
    const plan_phase phase = phase_of(planner, stack);
    const problem_sink to = planner_sink(planner);
    const type *type = made->type->value;
    freshet_code code = find_common(planner, stack, &stack->common);
    if (code == FRESHET_OK && stack->common != NULL && type != NULL)
        code = plan_check_cast(&to, arena_format(plan->arena, "%s: its columns are", stack->who),
                               stack->common, made->type);
    else if (stack->common != NULL)
        check_found_type(planner, made, stack->at, stack->common);
    if (code != FRESHET_OK)
        return code;
    stack->copies = plan_copies(plan) > PLAN_COPIES_MAX / stack->n ? PLAN_COPIES_MAX + 1
                                                                   : plan_copies(plan) * stack->n;
    if (stack->copies > PLAN_COPIES_MAX)
        problem_add(planner->problems, stack->at,
                    "%s: a row would become more than %u rows: stack fewer columns", stack->who,
                    PLAN_COPIES_MAX);
    stack->to = next_slot(planner, made);
    stack->is_key = made->feature == NULL;
    for (uint32_t i = 0; i < stack->n; i++)
        plan->needed[stack->from[i]] = true;
    planner_add_step(planner, phase)->stack = stack;
    plan->stacks[plan->n_stacks++] = stack;
    add_made(planner, made, made->name->value, type != NULL ? type : stack->common, phase);
    return FRESHET_OK;
}

static stack_step *new_stack(planner *planner, const made *made, const place *at, uint32_t n,
                             uint32_t **from)
{
    stack_step *stack = arena_zero(planner->plan->arena, 1, sizeof *stack);
    *from = arena_zero(planner->plan->arena, n + (size_t)1, sizeof **from);
    if (stack == NULL || *from == NULL)
        return NULL;
    *stack = (stack_step){.who = made_who(planner, made), .at = at, .from = *from, .n = n};
    return stack->who == NULL ? NULL : stack;
}

static freshet_code plan_stack(planner *planner, const made *made)
{
    const stack_block *block = made->stack;
    const char *who = made_who(planner, made);
    stack_choice choice = {0};
    freshet_code code = who == NULL ? error_memory(planner->err, PLANNING)
                                    : choose_columns(planner, who, block, &choice);
    if (code == FRESHET_USAGE || (code == FRESHET_OK && choice.n_taken == 0)) {
        add_made(planner, made, made->name->value, made->type->value, PHASE_STACKS);
        return FRESHET_OK;
    }
    if (code != FRESHET_OK)
        return code;
    uint32_t *from, n = 0;
    stack_step *stack =
        new_stack(planner, made, &block->columns.items[0].at, choice.n_taken, &from);
    if (stack == NULL)
        return error_memory(planner->err, PLANNING);
    for (uint32_t i = 0; i < planner->n_seen; i++)
        if (choice.takes[i])
            from[n++] = planner->seen[i];
    return add_stack(planner, made, stack);
}

/* ---- H3 -------------------------------------------------------------------------------------- */

/* A coordinate's column is a number. */
static freshet_code check_coordinate(planner *planner, const char *who, const declared_text *name,
                                     bool *sound)
{
    uint32_t slot;
    freshet_code code = planner_resolve(planner, name, who, &slot);
    if (code != FRESHET_OK || slot == NO_SLOT) {
        *sound = false;
        return code;
    }
    const type *type = planner->plan->slots[slot].type;
    const char *is = type_name(planner->plan->arena, type);
    if (!type_is_number(type)) {
        problem_add(planner->problems, &name->at,
                    "%s: a coordinate is a number of degrees, and column \"%s\" is %s: cast it in "
                    "the query",
                    who, name->value, is == NULL ? "?" : is);
        *sound = false;
    }
    return code;
}

/* `h3_latlng_to_cell_string("lat", "lng", 6)`. */
static const char *h3_sql(planner *planner, const h3_block *block, const char *resolution)
{
    arena *arena = planner->plan->arena;
    const char *lat = sql_quote(arena, block->lat.value), *lng = sql_quote(arena, block->lng.value);
    if (lat == NULL || lng == NULL)
        return NULL;
    const char *sql = arena_format(arena, H3_CELL_FUNCTION "(%s, %s, %s)", lat, lng, resolution);
    return sql == NULL || !block->zero_is_missing
               ? sql
               : arena_format(arena, "CASE WHEN %s <> 0 AND %s <> 0 THEN %s END", lat, lng, sql);
}

/* A column that no output has, for a stack. */
static freshet_code add_hidden(planner *planner, const made *made, const char *name,
                               const sql_feature *from, uint32_t *slot)
{
    sql_feature feature = *from;
    plan_phase phase = PHASE_ROW;
    feature.who =
        arena_format(planner->plan->arena, "%s \"%s\" (%s)", made->what, made->name->value, name);
    feature.to = planner->plan->n_slots;
    freshet_code code = planner_add_sql(planner, &feature, &phase);
    *slot = planner_add_slot(planner, name, feature.type.value);
    planner->plan->phases[*slot] = (uint8_t)phase;
    return code;
}

static freshet_code plan_h3(planner *planner, const made *made)
{
    const h3_block *block = made->h3;
    arena *arena = planner->plan->arena;
    const char *who = made_who(planner, made);
    bool sound = who != NULL;
    uint32_t *slots = NULL;
    stack_step *stack =
        new_stack(planner, made, &block->resolutions.items[0].at, block->resolutions.n, &slots);
    freshet_code code = stack == NULL ? error_memory(planner->err, PLANNING) : FRESHET_OK;
    if (code == FRESHET_OK)
        code = check_coordinate(planner, who, &block->lat, &sound);
    if (code == FRESHET_OK)
        code = check_coordinate(planner, who, &block->lng, &sound);
    for (uint32_t i = 0; code == FRESHET_OK && i < block->resolutions.n; i++) {
        const declared_text *resolution = &block->resolutions.items[i];
        const char *name = arena_format(arena, H3_COLUMN, resolution->value);
        const declared_text *sql =
            write_sql(planner, &resolution->at, h3_sql(planner, block, resolution->value));
        if (name == NULL || sql == NULL)
            return error_memory(planner->err, PLANNING);
        const bool is_output = !block->with_stack;
        sql_feature feature = {.sql = sql,
                               .type = {type_simple(TYPE_STRING), resolution->at},
                               .is_written = true,
                               .is_of_duckdb = true};
        if (is_output && made->type->value != NULL)
            feature.type = *made->type;
        if (!sound && is_output)
            add_made(planner, made, name, feature.type.value, PHASE_ROW);
        else if (sound)
            code = is_output ? add_made_sql(planner, made, name, &feature)
                             : add_hidden(planner, made, name, &feature, &slots[i]);
    }
    if (code != FRESHET_OK || !block->with_stack)
        return code;
    if (sound)
        return add_stack(planner, made, stack);
    add_made(planner, made, made->name->value, made->type->value, PHASE_STACKS);
    return FRESHET_OK;
}

/* ---- all of them ----------------------------------------------------------------------------- */

freshet_code plan_made(planner *planner, const made *made)
{
    const sql_feature feature = {.sql = made->sql, .type = *made->type};
    if (made->function != NULL)
        return plan_functions(planner, made);
    if (made->stack != NULL)
        return plan_stack(planner, made);
    return made->h3 != NULL ? plan_h3(planner, made)
                            : add_made_sql(planner, made, made->name->value, &feature);
}
