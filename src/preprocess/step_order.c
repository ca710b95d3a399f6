/* step_order.c - what steps that need order share: comparing cells, refusing rows, their parts. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "preprocess/segment.h"

#define COMPARED(a, b) (((a) > (b)) - ((a) < (b)))

static int compare_reals(double a, double b)
{
    if (isnan(a) || isnan(b))
        return COMPARED(isnan(a) != 0, isnan(b) != 0);
    return COMPARED(a, b);
}

static int compare_strings(const cell_text *a, const cell_text *b)
{
    const uint32_t shorter = a->length < b->length ? a->length : b->length;
    const int order = shorter == 0 ? 0 : memcmp(text_bytes(a), text_bytes(b), shorter);
    return order != 0 ? COMPARED(order, 0) : COMPARED(a->length, b->length);
}

int step_compare(const column *a, uint64_t a_row, const column *b, uint64_t b_row)
{
    const bool has_a = column_is_valid(a, a_row), has_b = column_is_valid(b, b_row);
    const size_t size = type_cell_size(a->type);
    const void *x = (const char *)a->data + a_row * size, *y = (const char *)b->data + b_row * size;
    if (!has_a || !has_b)
        return COMPARED(has_a, has_b);
    switch (a->type->kind) {
    case TYPE_BOOLEAN: return COMPARED(*(const uint8_t *)x, *(const uint8_t *)y);
    case TYPE_INTEGER:
    case TYPE_DATE: return COMPARED(*(const int32_t *)x, *(const int32_t *)y);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP: return COMPARED(*(const int64_t *)x, *(const int64_t *)y);
    case TYPE_FLOAT: return compare_reals(*(const float *)x, *(const float *)y);
    case TYPE_DOUBLE: return compare_reals(*(const double *)x, *(const double *)y);
    case TYPE_DECIMAL: return COMPARED(*(const int128 *)x, *(const int128 *)y);
    default: return compare_strings(x, y);
    }
}

freshet_code step_refuse(const preprocess_step *step, const step_run *run, uint32_t row,
                         reason_code code, freshet_error *err, const char *format, ...)
{
    char sentence[320];
    va_list values;
    va_start(values, format);
    vsnprintf(sentence, sizeof sentence, format, values);
    va_end(values);
    run->keep[row] = 0;
    return segment_refuse(step->chain, run->in, row, run->raw, run->rejects, code, sentence, err);
}

freshet_code step_drop_refused(const step_run *run, freshet_error *err)
{
    const batch all = *run->out;
    return batch_select(&all, run->keep, run->out, err);
}

size_t step_memory(const preprocess_step *step)
{
    return declaration_memory(declaration_of(step->chain->options.handle));
}

freshet_code step_part_names(const preprocess_step *step, const char *what, const field *keys,
                             uint32_t n_keys, const char **name, const char **shape,
                             freshet_error *err)
{
    preprocess *chain = step->chain;
    const char *steps = preprocess_text_until(chain->arena, chain->block, step->number);
    text_buffer text;
    text_init(&text, TEXT_LIMIT_DEFAULT);
    text_append_c(&text, what == NULL ? "" : what);
    for (uint32_t i = 0; i < n_keys; i++) {
        const char *type = type_name(chain->arena, keys[i].type);
        text_format(&text, "%s %s %s", i == 0 ? " by" : ",", keys[i].name,
                    type == NULL ? "" : type);
        text.failed |= type == NULL;
    }
    text_format(&text, ", behind the steps: %s", steps == NULL ? "" : steps);
    *name = arena_format(chain->arena, "%s of %s, step %u", step->ops->block.name,
                         chain->block->id.value, step->number);
    *shape = text_keep(&text, chain->arena);
    return what == NULL || steps == NULL || *name == NULL || *shape == NULL
               ? error_memory(err, PREPROCESSING)
               : FRESHET_OK;
}
