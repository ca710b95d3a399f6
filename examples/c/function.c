/* function.c - an SQL function in C: words(text), how many words a text has. The whole manual is in
 * freshet.h.
 *
 *     cc function.c -lfreshet && ./a.out          prints the feature rows of two comments
 */
#include <freshet/freshet.h>
#include <stdio.h>
#include <stdlib.h>

static void release(struct ArrowArray *array)
{
    free((void *)array->buffers[1]);
    free(array->buffers);
    array->release = NULL;
}

/* Nulls have no words: the result has none. */
static freshet_code words(void *context, struct ArrowSchema *types, struct ArrowArray *arguments,
                          struct ArrowSchema *result_type, struct ArrowArray *result,
                          freshet_error *err)
{
    const struct ArrowArray *texts = arguments->children[0];
    const int32_t *offsets = texts->buffers[1];
    const char *bytes = texts->buffers[2];
    int32_t *counts = calloc((size_t)texts->length + 1, sizeof *counts);
    const void **buffers = calloc(2, sizeof *buffers);
    (void)context, (void)types, (void)result_type;
    if (counts == NULL || buffers == NULL) {
        free(counts);
        free(buffers);
        snprintf(err->text, sizeof err->text, "no memory for %lld rows", (long long)texts->length);
        err->then = FRESHET_STOP;
        return FRESHET_NO_MEMORY;
    }
    for (int64_t row = 0; row < texts->length; row++)
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++)
            counts[row] += bytes[i] != ' ' && (i == offsets[row] || bytes[i - 1] == ' ');
    buffers[1] = counts; /* buffers[0], the bitmap of nulls, is not needed */
    *result = (struct ArrowArray){
        .length = texts->length, .n_buffers = 2, .buffers = buffers, .release = release};
    return FRESHET_OK;
}

static bool print(void *context, const char *bytes, size_t length)
{
    return fwrite(bytes, 1, length, context) == length;
}

int main(void)
{
    static const char *const arguments[] = {"string"};
    freshet_declaration *declaration = NULL;
    freshet_pipeline *pipeline = NULL;
    freshet_result *result = NULL;
    freshet_error err = {0};
    freshet_code code = freshet_declaration_load("comments.yaml", NULL, NULL, &declaration, &err);
    if (code == FRESHET_OK)
        code = freshet_add_function(declaration, "words", "integer", arguments, 1, words, NULL,
                                    &err);
    if (code == FRESHET_OK)
        code = freshet_pipeline_open(declaration, NULL, NULL, NULL, &pipeline, &err);
    if (code == FRESHET_OK)
        code = freshet_run(pipeline, &err);
    if (code == FRESHET_OK)
        code = freshet_query(pipeline, "SELECT * FROM online_feature_store__comments ORDER BY id",
                             NULL, &result, &err);
    if (code == FRESHET_OK)
        code = freshet_result_print(result, FRESHET_CSV, print, stdout, &err);
    if (code != FRESHET_OK)
        fprintf(stderr, "%s: %s\n", err.at, err.text);
    freshet_result_close(result);
    freshet_pipeline_close(pipeline);
    freshet_declaration_close(declaration);
    return code;
}
