/* fuzz_json_path.c - bytes as a path, up to the first zero, and a JSON text: what get_json_object
 * gives is UTF-8 where both are, and the functions of JSON end. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "functions/spark_rows.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *)data, *zero = memchr(bytes, 0, size);
    if (zero == NULL || size > 8192)
        return 0;
    arena *arena = arena_open();
    field fields[2] = {{"json", type_simple(TYPE_STRING)}, {"path", type_simple(TYPE_STRING)}};
    schema schema = {2, fields};
    batch in;
    column out;
    if (batch_init(&in, arena, &schema, 1, NULL) != FRESHET_OK)
        abort();
    in.n_rows = 1;
    ((cell_text *)in.columns[1].data)[0] = text_of(bytes, (uint32_t)(zero - bytes));
    ((cell_text *)in.columns[0].data)[0] =
        text_of(zero + 1, (uint32_t)(size - (size_t)(zero + 1 - bytes)));
    for (const sql_function *one = spark_json; one->name != NULL; one++) {
        if (column_init(arena, &out, type_parse(arena, one->returns), 1, NULL) != FRESHET_OK)
            abort();
        in.schema.n_fields = one->arguments[1] == NULL ? 1 : 2;
        one->call(one->context, &in, &out, NULL);
        if (out.type->kind == TYPE_STRING && text_is_utf8(bytes, (size_t)(zero - bytes)) &&
            text_is_utf8(zero + 1, size - (size_t)(zero + 1 - bytes))) {
            const cell_text *text = out.data;
            if (!text_is_utf8(text_bytes(text), text->length))
                abort();
        }
    }
    arena_close(arena);
    return 0;
}
