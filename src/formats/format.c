/* format.c - the table of formats, and what they have in common; see format.h. */
#include "formats/format.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/error.h"
#include "base/text.h"

#define FORMAT_MISSING_MAX 2000 /* bytes of the names of missing columns: they are for messages */

#define FORMAT_NAME(NAME) #NAME,
#define FORMAT_POINTER(NAME) &format_##NAME,

const char *const format_file_names[] = {"auto", FORMATS(FORMAT_NAME) NULL};
const char *const format_message_names[] = {FORMATS_OF_RECORDS(FORMAT_NAME) NULL};
static const format *const formats[] = {FORMATS(FORMAT_POINTER)};

#define FORMAT_INDEX(NAME) INDEX_##NAME,
enum { FORMATS(FORMAT_INDEX) N_FORMATS };

const format *format_of_file(int choice)
{
    return choice == 0 ? NULL : formats[choice - 1];
}

const format *format_of_message(int choice)
{
    return formats[choice];
}

static bool format_ends_in(const char *text, size_t length, const char *ending)
{
    size_t n = strlen(ending);

    return length >= n && strncasecmp(text + length - n, ending, n) == 0;
}

const format *format_of_path(const char *path)
{
    size_t length = strlen(path);

    if (format_ends_in(path, length, ".gz"))
        length -= 3;
    for (int i = 0; i < N_FORMATS; i++)
        for (const char *const *each = formats[i]->endings; each != NULL && *each != NULL; each++)
            if (format_ends_in(path, length, *each))
                return formats[i];
    return NULL;
}

/* ---- what is declared ------------------------------------------------------------------------ */

/* Those options of `of` that are given though another format is chosen. */
static void format_refuse_own(const format *of, const format_options *options,
                              struct problems *problems)
{
    for (const format_option *own = of->own; own != NULL && own->name != NULL; own++) {
        const place *at = (const place *)((const char *)options + own->place);
        if (place_is_set(at))
            problem_add(problems, at, "\"%s\" is of format: %s; remove it, or say format: %s",
                        own->name, of->name, of->name);
    }
}

void format_check(const format *format, const format_options *options, struct problems *problems)
{
    if (format != NULL && format->one_column && options->schema.value.n_fields > 0)
        problem_add(
            problems, &options->schema.at,
            "\"schema\" is of formats with fields, such as json and csv; format: %s has one "
            "column, and \"type\" says of which type",
            format->name);
    for (int i = 0; i < N_FORMATS; i++) {
        if ((format == NULL || format == formats[i]) && formats[i]->check != NULL)
            formats[i]->check(options, problems);
        if (format != NULL && format != formats[i])
            format_refuse_own(formats[i], options, problems);
    }
}

freshet_code format_describe(const format *format, const format_options *options, const char *name,
                             arena *arena, schema *out, freshet_error *err)
{
    if (format->describe != NULL)
        return format->describe(options, name, arena, out, err);
    *out = options->schema.value;
    return FRESHET_OK;
}

static const option message_options[] = {
    {OPTION("format", CHOICE, format_options, choice), .standard = "json",
     .choices = format_message_names,
     .doc = "`json`: one object a message, its fields by name. `raw`: the bytes as they are, one "
            "column. `csv`: one record a message, without a header."},
    {OPTION("schema", SCHEMA, format_options, schema),
     .doc = "JSON and CSV: the columns and their types. A JSON field that is missing is null, and "
            "those that are not in it are ignored; CSV fields are the columns, in order.",
     .example = "{id: bigint, amount: double, at: timestamp}"},
    FORMAT_OPTIONS(0),
    {0},
};

static void message_check(void *checked, const place *at, struct problems *problems)
{
    const format_options *options = checked;
    const format *format = format_of_message(options->choice);
    const declared_schema *schema = &options->schema;

    if (!format->one_column && schema->value.n_fields == 0 && !place_is_set(&schema->at))
        problem_add(problems, at,
                    "\"schema\" is missing: messages in %s need it, as in {format: %s, schema: "
                    "{id: bigint}}",
                    format->name, format->name);
    format_check(format, options, problems);
}

const block_kind format_message_block = {
    .name = "value",
    .title = "Format of messages",
    .doc = "How the bytes of a message's value, or of its key, become columns.",
    .options = message_options,
    .size = sizeof(format_options),
    .check = message_check};

freshet_code format_no_column(const schema *there, const char *but, const char *name,
                              const char *at, const char *no_column, const char *others,
                              freshet_error *err)
{
    text_buffer names;
    freshet_code code;
    uint32_t n = 0;

    text_init(&names, 400);
    for (uint32_t i = 0; i < there->n_fields; i++)
        if (but == NULL || strcmp(there->fields[i].name, but) != 0)
            text_format(&names, "%s%s", n++ > 0 ? ", " : "", there->fields[i].name);
    code = error_set(err, FRESHET_BAD_DECLARATION, FRESHET_STOP, at, "%s \"%s\"; %s %s%s",
                     no_column, name, others, names.length == 0 ? "none" : names.bytes,
                     names.failed ? ", ..." : "");
    text_release(&names);
    return code;
}

/* ---- decoders -------------------------------------------------------------------------------- */

freshet_code decoder_open(const decoder *like, decoder **out, freshet_error *err)
{
    decoder *made = calloc(1, like->format->size);
    freshet_code code;

    if (made == NULL)
        return error_memory(err, "making a decoder");
    *made = *like;
    text_init(&made->missing, FORMAT_MISSING_MAX);
    code = like->format->open == NULL ? FRESHET_OK : like->format->open(made, err);
    if (code == FRESHET_OK)
        *out = made;
    else
        decoder_close(made);
    return code;
}

void decoder_close(decoder *decoder)
{
    if (decoder == NULL)
        return;
    if (decoder->format->close != NULL)
        decoder->format->close(decoder);
    text_release(&decoder->missing);
    free(decoder);
}

void decoder_begin(decoder *decoder, batch *into)
{
    decoder->into = into;
    if (decoder->format->begin != NULL)
        decoder->format->begin(decoder);
}
