/* dates.c - see dates.h. */
#include "pipeline/dates.h"

#include <string.h>

#include "base/error.h"
#include "base/timestamp.h"
#include "windows/window.h"

#define SECOND_US INT64_C(1000000)
#define DAY_US (INT64_C(86400) * 1000000)

static freshet_code read_day(const char *name, const char *text, int64_t *day, freshet_error *err)
{
    static const char form[] = "dddd-dd-dd";
    bool good = strlen(text) == sizeof form - 1;
    for (size_t i = 0; good && i < sizeof form - 1; i++)
        good = form[i] == 'd' ? text[i] >= '0' && text[i] <= '9' : text[i] == form[i];
    int32_t days;
    if (!good || !date_parse(text, sizeof form - 1, &days))
        return error_set(
            err, FRESHET_USAGE, FRESHET_STOP, name,
            "the %s must be a day of the form YYYY-MM-DD, such as 2024-05-01, not \"%s\"", name,
            text);
    *day = days;
    return FRESHET_OK;
}

freshet_code dates_read(const char *start_date, const char *end_date, dates *out,
                        freshet_error *err)
{
    int64_t day = 0;
    freshet_code code = FRESHET_OK;
    *out = (dates){.first_us = INT64_MIN, .last_us = INT64_MAX};
    if (start_date != NULL) {
        code = read_day("start date", start_date, &day, err);
        out->first_us = day * DAY_US;
    }
    if (code == FRESHET_OK && end_date != NULL) {
        code = read_day("end date", end_date, &day, err);
        out->last_us = (day + 1) * DAY_US - 1;
    }
    if (code != FRESHET_OK)
        return code;
    if (out->first_us <= out->last_us)
        return FRESHET_OK;
    return error_set(err, FRESHET_USAGE, FRESHET_STOP, "start date",
                     "the start date %s is after the end date %s: both days are included",
                     start_date, end_date);
}

/* The longest of these windows, or `longest`; INT64_MAX where it has no length in time. */
static int64_t longest_of(arena *arena, const declared_list *over, window_mode mode,
                          int64_t longest)
{
    for (uint32_t i = 0; i < over->n; i++) {
        int64_t length = INT64_MAX;
        const char *name;
        if (mode != WINDOW_FIXED ||
            window_parse(arena, over->items[i].value, mode, &length, &name, NULL) != FRESHET_OK)
            return INT64_MAX;
        longest = length * SECOND_US > longest ? length * SECOND_US : longest;
    }
    return longest;
}

static int64_t look_back(const declaration *declaration)
{
    const feature_set_block *set = &declaration->feature_set;
    const feature_block *features = set->features.items;
    arena *arena = arena_open();
    int64_t longest = arena == NULL ? INT64_MAX : 0;
    for (uint32_t i = 0; arena != NULL && i < set->features.n; i++)
        longest = longest_of(arena, &features[i].window.over, (window_mode)features[i].window.mode,
                             longest);
    if (arena != NULL && set->has_aggregated && set->aggregated.has_windows)
        longest = longest_of(arena, &set->aggregated.windows.over, WINDOW_FIXED, longest);
    arena_close(arena);
    return longest;
}

bool dates_to_read(const dates *dates, const declaration *declaration, int64_t *first_us,
                   int64_t *last_us)
{
    const int64_t back = dates->first_us == INT64_MIN ? 0 : look_back(declaration);
    *first_us = dates->first_us;
    *last_us = dates->last_us;
    if (back == INT64_MAX)
        *first_us = INT64_MIN;
    else if (back > 0)
        *first_us -= (back + DAY_US - 1) / DAY_US * DAY_US;
    return *first_us != INT64_MIN || *last_us != INT64_MAX;
}

freshet_code dates_cut(const dates *dates, uint32_t time_column, batch *rows, freshet_error *err)
{
    if (rows->n_rows == 0 || (dates->first_us == INT64_MIN && dates->last_us == INT64_MAX))
        return FRESHET_OK;
    const int64_t *times_us = rows->columns[time_column].data;
    uint8_t *keep = arena_alloc(rows->arena, rows->n_rows);
    batch kept;
    if (keep == NULL)
        return error_memory(err, "cutting a batch to its days");
    for (uint32_t i = 0; i < rows->n_rows; i++)
        keep[i] = times_us[i] >= dates->first_us && times_us[i] <= dates->last_us;
    freshet_code code = batch_select(rows, keep, &kept, err);
    if (code == FRESHET_OK)
        *rows = kept;
    return code;
}
