/* divide.c - a plugin with one SQL function: safe_divide(a, b), null where b is 0. The manual is
 * freshet/plugin.h.
 */
#include <freshet/plugin.h>

#include <stdio.h>
#include <stdlib.h>

static void release(struct ArrowArray *array)
{
    free((void *)array->buffers[0]);
    free((void *)array->buffers[1]);
    free(array->buffers);
    array->release = NULL;
}

/* No bitmap: no nulls. */
static bool has_value(const struct ArrowArray *array, int64_t row)
{
    const uint8_t *bits = array->buffers[0];
    const int64_t at = row + array->offset;
    return bits == NULL || (bits[at / 8] >> (at % 8) & 1) != 0;
}

static freshet_code divide(void *context, struct ArrowSchema *types, struct ArrowArray *arguments,
                           struct ArrowSchema *result_type, struct ArrowArray *result,
                           freshet_error *err)
{
    const struct ArrowArray *a = arguments->children[0], *b = arguments->children[1];
    const double *dividends = (const double *)a->buffers[1] + a->offset;
    const double *divisors = (const double *)b->buffers[1] + b->offset;
    uint8_t *bits = calloc((size_t)a->length / 8 + 1, 1);
    double *values = calloc((size_t)a->length + 1, sizeof *values);
    const void **buffers = calloc(2, sizeof *buffers);
    int64_t nulls = 0;
    (void)context, (void)types, (void)result_type;
    if (bits == NULL || values == NULL || buffers == NULL) {
        free(bits);
        free(values);
        free(buffers);
        snprintf(err->text, sizeof err->text, "no memory for %lld rows", (long long)a->length);
        err->then = FRESHET_STOP;
        return FRESHET_NO_MEMORY;
    }
    for (int64_t row = 0; row < a->length; row++) {
        if (!has_value(a, row) || !has_value(b, row) || divisors[row] == 0) {
            nulls++;
            continue;
        }
        values[row] = dividends[row] / divisors[row];
        bits[row / 8] |= (uint8_t)(1u << (row % 8));
    }
    buffers[0] = bits;
    buffers[1] = values;
    *result = (struct ArrowArray){.length = a->length,
                                  .null_count = nulls,
                                  .n_buffers = 2,
                                  .buffers = buffers,
                                  .release = release};
    return FRESHET_OK;
}

static freshet_code add(const freshet_plugin_host *host, freshet_error *err)
{
    static const char *const arguments[] = {"double", "double"};
    return host->add_function(host->handle, "safe_divide", "double", arguments, 2, divide, NULL,
                              err);
}

FRESHET_PLUGIN_EXPORT const freshet_plugin *freshet_plugin_get(void)
{
    static const freshet_plugin plugin = {FRESHET_PLUGIN_ABI, add};
    return &plugin;
}
