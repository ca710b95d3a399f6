/* dates.c - see dates.h. */
#include "pipeline/dates.h"

#include <string.h>

#include "base/error.h"
#include "base/timestamp.h"

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
