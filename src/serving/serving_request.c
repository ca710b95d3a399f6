/* serving_request.c - see serving_request.h. */
#include "serving/serving_request.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "features/cast.h"

#define SHOWN 80 /* bytes of a name or a value in a sentence */
#define INT_TEXT_MAX 32u

bool serving_refuse(serving_refusal *why, unsigned status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(why->sentence, sizeof why->sentence, format, arguments);
    va_end(arguments);
    why->sentence[text_valid_length(why->sentence, strlen(why->sentence))] = '\0';
    why->status = status;
    return false;
}

static bool refuse_memory(serving_refusal *why)
{
    return serving_refuse(why, 503, "Memory is out at the moment: ask again in a while.");
}

/* ---- features -------------------------------------------------------------------------------- */

/* ", did you mean "..."?", or nothing. */
static const char *nearest(arena *arena, const char *word, const char *const *names, uint32_t n)
{
    const char *found = text_nearest(word, names, n);
    const char *said = found == NULL ? "" : arena_format(arena, "; did you mean \"%s\"?", found);
    return said == NULL ? "" : said;
}

static bool refuse_set(const serving_set *sets, uint32_t n_sets, const char *name, arena *arena,
                       serving_refusal *why)
{
    const char *names[SERVING_SETS_MAX];
    char all[SERVING_SENTENCE_MAX / 2] = "";
    for (uint32_t i = 0; i < n_sets; i++) {
        const size_t length = strlen(all);
        names[i] = sets[i].name;
        snprintf(all + length, sizeof all - length, "%s%s", i == 0 ? "" : ", ", sets[i].name);
    }
    return serving_refuse(why, 404,
                          "There is no feature set \"%.*s\" here, but %s%s: write "
                          "\"SET:FEATURE\" in `features`.",
                          SHOWN, name, all, nearest(arena, name, names, n_sets));
}

static bool refuse_feature(const serving_set *set, const char *name, arena *arena,
                           serving_refusal *why)
{
    const uint32_t first = set->n_keys + 1, n = set->schema.n_fields - first;
    const char **names = arena_alloc(arena, (n + (size_t)1) * sizeof *names);
    if (names == NULL)
        return refuse_memory(why);
    for (uint32_t i = 0; i < n; i++)
        names[i] = set->schema.fields[first + i].name;
    return serving_refuse(why, 404,
                          "The feature set \"%s\" serves no feature \"%.*s\"%s: `freshet check` "
                          "prints those of its declaration, and serve.features chooses among them.",
                          set->name, SHOWN, name, nearest(arena, name, names, n));
}

static bool find_field(const serving_set *set, const char *name, uint32_t *out)
{
    for (uint32_t i = set->n_keys + 1; i < set->schema.n_fields; i++)
        if (strcmp(set->schema.fields[i].name, name) == 0) {
            *out = i;
            return true;
        }
    return false;
}

static bool read_feature(const serving_set *sets, uint32_t n_sets, yyjson_val *value, arena *arena,
                         serving_wanted *out, serving_refusal *why)
{
    const char *text = yyjson_get_str(value);
    const char *colon = text == NULL ? NULL : strchr(text, ':');
    if (colon == NULL || strlen(text) != yyjson_get_len(value))
        return serving_refuse(why, 400, "Each of `features` is a text \"SET:FEATURE\"%s%.*s%s.",
                              text == NULL ? "" : ", and there is \"", SHOWN,
                              text == NULL ? "" : text, text == NULL ? "" : "\"");
    const char *set = arena_copy(arena, text, (size_t)(colon - text));
    if (set == NULL)
        return refuse_memory(why);
    for (out->set = 0; out->set < n_sets; out->set++)
        if (strcmp(sets[out->set].name, set) == 0)
            break;
    if (out->set == n_sets)
        return refuse_set(sets, n_sets, set, arena, why);
    return find_field(&sets[out->set], colon + 1, &out->field) ||
           refuse_feature(&sets[out->set], colon + 1, arena, why);
}

/* Without the sets' names two features would have one name. */
static bool check_full_names(const serving_set *sets, const serving_request *request,
                             serving_refusal *why)
{
    for (uint32_t i = 0; !request->has_full_names && i < request->n_features; i++) {
        const serving_wanted *one = &request->features[i];
        const char *name = sets[one->set].schema.fields[one->field].name;
        for (uint32_t k = i + 1; k < request->n_features; k++) {
            const serving_wanted *other = &request->features[k];
            if (one->set != other->set &&
                strcmp(name, sets[other->set].schema.fields[other->field].name) == 0)
                return serving_refuse(why, 422,
                                      "Two of the features have the name \"%.*s\", of \"%s\" and "
                                      "of \"%s\": add \"full_feature_names\": true, and they are "
                                      "%s__%.*s and the like.",
                                      SHOWN, name, sets[one->set].name, sets[other->set].name,
                                      sets[one->set].name, SHOWN, name);
        }
    }
    return true;
}

static bool read_features(const serving_set *sets, uint32_t n_sets, yyjson_val *list, arena *arena,
                          serving_request *out, serving_refusal *why)
{
    const size_t n = yyjson_arr_size(list);
    size_t i, most;
    yyjson_val *value;
    if (!yyjson_is_arr(list) || n == 0)
        return serving_refuse(why, 400,
                              "`features` is missing: write \"features\": [\"SET:FEATURE\", ...].");
    if (n > SERVING_FEATURES_MAX)
        return serving_refuse(why, 413, "%zu features are more than the %u of one request.", n,
                              SERVING_FEATURES_MAX);
    serving_wanted *features = arena_alloc(arena, n * sizeof *features);
    if (features == NULL)
        return refuse_memory(why);
    yyjson_arr_foreach(list, i, most, value)
    {
        if (!read_feature(sets, n_sets, value, arena, &features[i], why))
            return false;
    }
    out->features = features;
    out->n_features = (uint32_t)n;
    return check_full_names(sets, out, why);
}

/* ---- entities -------------------------------------------------------------------------------- */

static bool is_key_of_any(const serving_set *sets, const serving_request *request, const char *name)
{
    for (uint32_t i = 0; i < request->n_features; i++) {
        const serving_set *set = &sets[request->features[i].set];
        if (i > 0 && request->features[i].set == request->features[i - 1].set)
            continue;
        for (uint32_t k = 0; k < set->n_keys; k++)
            if (strcmp(set->schema.fields[k].name, name) == 0)
                return true;
    }
    return false;
}

static bool read_entity_list(const serving_set *sets, yyjson_val *name, yyjson_val *values,
                             serving_request *out, serving_refusal *why)
{
    const char *text = yyjson_get_str(name);
    const size_t n = yyjson_arr_size(values);
    /* Feast's own clients of before wrote {"val": [...]} */
    if (!yyjson_is_arr(values) || n == 0)
        return serving_refuse(why, 422,
                              "entities.%.*s must be a list of one value or more, as in "
                              "\"entities\": {\"%.*s\": [1, 2]}.",
                              SHOWN, text, SHOWN, text);
    if (n > SERVING_ENTITIES_MAX)
        return serving_refuse(why, 413,
                              "%zu values of \"%.*s\" are more than the %u of one request.", n,
                              SHOWN, text, SERVING_ENTITIES_MAX);
    if (strlen(text) != yyjson_get_len(name) || !is_key_of_any(sets, out, text))
        return serving_refuse(why, 422,
                              "\"%.*s\" in `entities` is a key of none of the feature sets that "
                              "are asked for: leave it out.",
                              SHOWN, text);
    for (uint32_t i = 0; i < out->n_keys; i++)
        if (strcmp(out->keys[i].name, text) == 0)
            return serving_refuse(why, 400, "\"%.*s\" is in `entities` twice.", SHOWN, text);
    if (out->n_keys > 0 && n != out->n_rows)
        return serving_refuse(why, 422,
                              "\"%.*s\" has %zu values and \"%.*s\" has %u: the lists in "
                              "`entities` are of one length.",
                              SHOWN, text, n, SHOWN, out->keys[0].name, out->n_rows);
    if (out->n_keys == SERVING_KEYS_MAX)
        return serving_refuse(why, 413, "`entities` has more than %u keys.", SERVING_KEYS_MAX);
    out->keys[out->n_keys++] = (serving_keys){text, values};
    out->n_rows = (uint32_t)n;
    return true;
}

static bool read_entities(const serving_set *sets, yyjson_val *entities, serving_request *out,
                          serving_refusal *why)
{
    size_t i, most;
    yyjson_val *name, *values;
    if (!yyjson_is_obj(entities) || yyjson_obj_size(entities) == 0)
        return serving_refuse(
            why, 400, "`entities` is missing: write \"entities\": {\"KEY\": [value, ...]}.");
    yyjson_obj_foreach(entities, i, most, name, values)
    {
        if (!read_entity_list(sets, name, values, out, why))
            return false;
    }
    if ((uint64_t)out->n_rows * out->n_features > SERVING_CELLS_MAX)
        return serving_refuse(why, 413,
                              "%u features of %u keys are more than the %u values of one answer: "
                              "ask in several requests.",
                              out->n_features, out->n_rows, SERVING_CELLS_MAX);
    return true;
}

/* ---- the request ----------------------------------------------------------------------------- */

static bool read_members(const serving_set *sets, uint32_t n_sets, yyjson_val *root, arena *arena,
                         serving_request *out, serving_refusal *why)
{
    yyjson_val *full = yyjson_obj_get(root, "full_feature_names");
    yyjson_val *service = yyjson_obj_get(root, "feature_service");
    if (!yyjson_is_obj(root))
        return serving_refuse(why, 400,
                              "The body is no JSON object: write {\"features\": [\"SET:FEATURE\"], "
                              "\"entities\": {\"KEY\": [value]}}.");
    if (service != NULL && !yyjson_is_null(service))
        return serving_refuse(why, 422,
                              "There are no feature services here: name the features instead, as "
                              "in \"features\": [\"SET:FEATURE\", ...].");
    if (full != NULL && !yyjson_is_bool(full) && !yyjson_is_null(full))
        return serving_refuse(why, 400, "`full_feature_names` is true or false.");
    out->has_full_names = yyjson_get_bool(full);
    return read_features(sets, n_sets, yyjson_obj_get(root, "features"), arena, out, why) &&
           read_entities(sets, yyjson_obj_get(root, "entities"), out, why);
}

bool serving_request_read(const serving_set *sets, uint32_t n_sets, const char *body, size_t length,
                          arena *arena, serving_request *out, serving_refusal *why)
{
    yyjson_read_err wrong;
    *out = (serving_request){0};
    if (length > SERVING_BODY_MAX)
        return serving_refuse(why, 413, "The body has more than %zu KiB: ask in several requests.",
                              SERVING_BODY_MAX >> 10);
    out->document =
        yyjson_read_opts((char *)(uintptr_t)body, length, YYJSON_READ_NOFLAG, NULL, &wrong);
    if (out->document == NULL)
        return wrong.code == YYJSON_READ_ERROR_MEMORY_ALLOCATION
                   ? refuse_memory(why)
                   : serving_refuse(why, 400, "The body is no JSON: %s at byte %zu.", wrong.msg,
                                    wrong.pos);
    return read_members(sets, n_sets, yyjson_doc_get_root(out->document), arena, out, why);
}

void serving_request_free(serving_request *request)
{
    yyjson_doc_free(request->document);
    request->document = NULL;
}

/* ---- keys ------------------------------------------------------------------------------------ */

/* One list, as a column of the key's type. */
typedef struct key_reading {
    arena *arena;
    const char *name;
    column *into;
    serving_refusal *why;
} key_reading;

static bool refuse_value(const key_reading *reading, uint32_t row, yyjson_val *value,
                         const char *write)
{
    const char *type = type_name(reading->arena, reading->into->type);
    char *shown = yyjson_val_write(value, 0, NULL);
    serving_refuse(reading->why, 422,
                   "entities.%.*s[%u] is %.*s, and the key \"%.*s\" is of type %s: write %s.",
                   SHOWN, reading->name, row, SHOWN, shown == NULL ? "" : shown, SHOWN,
                   reading->name, type == NULL ? "" : type, write);
    free(shown);
    return false;
}

/* "17", 17, 17.0; not 17.5. */
static bool read_whole_key(yyjson_val *value, int64_t *out)
{
    if (yyjson_is_sint(value) || yyjson_is_uint(value)) {
        *out = yyjson_get_sint(value);
        return !yyjson_is_uint(value) || yyjson_get_uint(value) <= INT64_MAX;
    }
    if (yyjson_is_real(value)) {
        const double real = yyjson_get_real(value);
        if (real != floor(real) || real < -9007199254740992.0 || real > 9007199254740992.0)
            return false;
        *out = (int64_t)real;
        return true;
    }
    char *end = NULL;
    const char *text = yyjson_get_str(value);
    if (text == NULL || yyjson_get_len(value) == 0 || yyjson_get_len(value) >= INT_TEXT_MAX ||
        (text[0] != '-' && (text[0] < '0' || text[0] > '9')))
        return false;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return errno == 0 && end == text + yyjson_get_len(value);
}

static bool put_whole_key(const key_reading *reading, uint32_t row, yyjson_val *value)
{
    int64_t whole = 0;
    const bool is_small = reading->into->type->kind == TYPE_INTEGER;
    if (!read_whole_key(value, &whole) || (is_small && (whole < INT32_MIN || whole > INT32_MAX)))
        return refuse_value(reading, row, value,
                            is_small ? "a whole number of 32 bits" : "a whole number of 64 bits");
    if (is_small)
        ((int32_t *)reading->into->data)[row] = (int32_t)whole;
    else
        ((int64_t *)reading->into->data)[row] = whole;
    return true;
}

static bool put_text_key(const key_reading *reading, uint32_t row, yyjson_val *value)
{
    if (!yyjson_is_str(value) || yyjson_get_len(value) > UINT32_MAX)
        return refuse_value(reading, row, value, "a text in quotes");
    ((cell_text *)reading->into->data)[row] =
        text_of(yyjson_get_str(value), (uint32_t)yyjson_get_len(value));
    return true;
}

static bool put_binary_key(const key_reading *reading, uint32_t row, yyjson_val *value)
{
    size_t length = yyjson_get_len(value);
    char *copy =
        yyjson_is_str(value) ? arena_copy(reading->arena, yyjson_get_str(value), length) : NULL;
    if (copy == NULL || !text_from_base64(copy, &length))
        return refuse_value(reading, row, value, "base64 in quotes");
    ((cell_text *)reading->into->data)[row] = text_of(copy, (uint32_t)length);
    return true;
}

/* By its text, or a number: as a cast to the key's type takes it. */
static bool put_cast_key(const key_reading *reading, uint32_t row, yyjson_val *value)
{
    column from, made;
    uint64_t *failed = NULL;
    const bool is_text = yyjson_is_str(value), is_truth = yyjson_is_bool(value);
    const type *type = type_simple(is_text ? TYPE_STRING : is_truth ? TYPE_BOOLEAN : TYPE_DOUBLE);
    if ((!is_text && !is_truth && !yyjson_is_num(value)) ||
        !cast_possible(type, reading->into->type))
        return refuse_value(reading, row, value, "it as a text");
    if (column_init(reading->arena, &from, type, 1, NULL) != FRESHET_OK)
        return refuse_memory(reading->why);
    if (is_text)
        ((cell_text *)from.data)[0] =
            text_of(yyjson_get_str(value), (uint32_t)yyjson_get_len(value));
    else if (is_truth)
        ((uint8_t *)from.data)[0] = yyjson_get_bool(value);
    else
        ((double *)from.data)[0] = yyjson_get_num(value);
    if (cast_column(reading->arena, &from, 1, reading->into->type, &made, &failed, NULL) !=
        FRESHET_OK)
        return refuse_memory(reading->why);
    if (failed != NULL)
        return refuse_value(reading, row, value, "a value that can be one");
    const size_t size = type_cell_size(reading->into->type);
    memcpy((char *)reading->into->data + row * size, made.data, size);
    return true;
}

static bool put_request_key(const key_reading *reading, uint32_t row, yyjson_val *value)
{
    switch (reading->into->type->kind) {
    case TYPE_INTEGER:
    case TYPE_BIGINT: return put_whole_key(reading, row, value);
    case TYPE_STRING: return put_text_key(reading, row, value);
    case TYPE_BINARY: return put_binary_key(reading, row, value);
    default: return put_cast_key(reading, row, value);
    }
}

static bool read_column(const key_reading *reading, yyjson_val *values, uint64_t *absent)
{
    size_t i, most;
    yyjson_val *value;
    yyjson_arr_foreach(values, i, most, value)
    {
        if (yyjson_is_null(value))
            absent[i / 64] |= UINT64_C(1) << i % 64;
        else if (!put_request_key(reading, (uint32_t)i, value))
            return false;
    }
    return true;
}

bool serving_request_keys(const serving_request *request, const serving_set *set, arena *arena,
                          column *keys, uint64_t *absent, serving_refusal *why)
{
    for (uint32_t k = 0; k < set->n_keys; k++) {
        const field *field = &set->schema.fields[k];
        const key_reading reading = {arena, field->name, &keys[k], why};
        uint32_t which = 0;
        while (which < request->n_keys && strcmp(request->keys[which].name, field->name) != 0)
            which++;
        if (which == request->n_keys)
            return serving_refuse(why, 422,
                                  "The key \"%.*s\" of the feature set \"%s\" is missing in "
                                  "`entities`: write \"%.*s\": [value, ...].",
                                  SHOWN, field->name, set->name, SHOWN, field->name);
        if (column_init(arena, &keys[k], field->type, request->n_rows, NULL) != FRESHET_OK)
            return refuse_memory(why);
        if (!read_column(&reading, request->keys[which].values, absent))
            return false;
    }
    return true;
}
