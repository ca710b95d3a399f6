/* time_look.c - see time_look.h. */
#include "features/time_look.h"

#include <math.h>

#include "base/error.h"
#include "base/number.h"
#include "base/text.h"

#define YEAR_1990_US INT64_C(631152000000000)
#define YEAR_US (INT64_C(366) * 86400 * 1000000)

static const double unit_us[TIME_LOOK_UNITS] = {1e6, 1e3, 1, 1e-3};

void time_look_begin(time_look *look, int64_t now_us)
{
    *look = (time_look){.least_us = YEAR_1990_US, .most_us = now_us + YEAR_US};
}

/* The number in a row, or NaN. */
static double number_at(const column *from, uint64_t row)
{
    const void *data = from->data;
    double value = (double)NAN;

    switch (from->type->kind) {
    case TYPE_INTEGER: return ((const int32_t *)data)[row];
    case TYPE_BIGINT: return (double)((const int64_t *)data)[row];
    case TYPE_FLOAT: return (double)((const float *)data)[row];
    case TYPE_DOUBLE: return ((const double *)data)[row];
    case TYPE_DECIMAL:
        return number_double_of_decimal(((const int128 *)data)[row], from->type->scale);
    case TYPE_STRING: {
        const cell_text *text = &((const cell_text *)data)[row];
        number_double(text_bytes(text), text->length, NUMBER_BLANKS, &value);
        return value;
    }
    default: return value;
    }
}

static void look_at_number(time_look *look, double value)
{
    for (int i = 0; i < TIME_LOOK_UNITS; i++) {
        double us = value * unit_us[i];
        look->in_unit[i] += us >= (double)look->least_us && us <= (double)look->most_us;
    }
}

freshet_code time_look_at(time_look *look, const feature_set *set, arena *arena, const batch *in,
                          freshet_error *err)
{
    uint32_t at;
    const event_time *event_time = feature_set_event_time(set, &at);
    const column *from = &in->columns[at];
    const int64_t *times;
    uint64_t *failed = NULL;
    column made;
    freshet_code code = event_time_column(event_time, arena, from, in->n_rows, &made, &failed, err);

    if (code != FRESHET_OK)
        return code;
    times = made.data;
    for (uint32_t row = 0; row < in->n_rows; row++) {
        if (!column_is_valid(from, row))
            continue;
        look->n++;
        look_at_number(look, number_at(from, row));
        if (!column_is_valid(&made, row))
            continue;
        if (times[row] >= look->least_us && times[row] <= look->most_us) {
            look->n_likely++;
        } else if (!look->has_first) {
            look->has_first = true;
            look->first_us = times[row];
        }
    }
    return FRESHET_OK;
}

/* What to do about it; NULL where no unit would help. */
static const char *time_look_advice(const time_look *look)
{
    static const char *const advice[TIME_LOOK_UNITS] = {
        "; did you mean unit: s?", "; did you mean unit: ms?", "; did you mean unit: us?",
        "; they look like nanoseconds: divide them by 1000 in the query, and say unit: us"};

    for (int i = 0; i < TIME_LOOK_UNITS; i++)
        if (look->in_unit[i] * 2 > look->n)
            return advice[i];
    return NULL;
}

const char *time_look_tell(const time_look *look, arena *arena)
{
    const char *advice = time_look_advice(look);
    text_buffer text;

    if (look->n_likely * 2 >= look->n || (!look->has_first && advice == NULL))
        return NULL;
    text_init(&text, 1000);
    text_append_c(&text, "timestamp: ");
    text_append_count(&text, look->n - look->n_likely);
    text_append_c(&text, " of the first ");
    text_append_count_of(&text, look->n, "time");
    text_append_c(&text, " lie outside 1990 to a year from now");
    if (look->has_first) { /* else they are no times at all in that unit */
        text_append_c(&text, ", as ");
        text_append_timestamp(&text, look->first_us);
    }
    text_append_c(&text, advice != NULL
                             ? advice
                             : "; look at timestamp.from, unit and mask, unless such times are "
                               "meant");
    return text_keep(&text, arena);
}
