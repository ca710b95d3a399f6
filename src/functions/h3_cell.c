/* h3_cell.c - see h3_cell.h. */
#include "functions/h3_cell.h"

#include <math.h>
#include <stdio.h>

#include <h3api.h>

#include "base/error.h"

#define CELL_TEXT_BYTES 17u /* 16 digits and NUL */
#define FINDING "finding H3 cells"

/* Writes the cell's digits, and gives how many there are. */
static freshet_code find_cell(double lat, double lng, int32_t resolution, char *into,
                              uint32_t *length, freshet_error *err)
{
    if (resolution < 0 || resolution > H3_RESOLUTION_MAX)
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         H3_CELL_FUNCTION
                         "(): resolutions of H3 go from 0 to %d, and this one is %d",
                         H3_RESOLUTION_MAX, resolution);
    const LatLng place = {.lat = degsToRads(lat), .lng = degsToRads(lng)};
    H3Index cell;
    if (!isfinite(lat) || !isfinite(lng) || latLngToCell(&place, resolution, &cell) != E_SUCCESS)
        return error_set(err, FRESHET_FAILED, FRESHET_SKIP_ROW, NULL,
                         H3_CELL_FUNCTION "(): %g, %g is no latitude and longitude", lat, lng);
    *length = (uint32_t)snprintf(into, CELL_TEXT_BYTES, "%llx", (unsigned long long)cell);
    return FRESHET_OK;
}

freshet_code h3_cell_call(void *context, const batch *arguments, column *result, freshet_error *err)
{
    const column *columns = arguments->columns;
    char *text = arena_alloc(arguments->arena, (arguments->n_rows + (size_t)1) * CELL_TEXT_BYTES);
    (void)context;
    if (text == NULL)
        return error_memory(err, FINDING);
    for (uint32_t row = 0; row < arguments->n_rows; row++, text += CELL_TEXT_BYTES) {
        uint32_t length = 0;
        if (!column_is_valid(&columns[0], row) || !column_is_valid(&columns[1], row) ||
            !column_is_valid(&columns[2], row))
            continue;
        freshet_code code = find_cell(((const double *)columns[0].data)[row],
                                      ((const double *)columns[1].data)[row],
                                      ((const int32_t *)columns[2].data)[row], text, &length, err);
        if (code != FRESHET_OK)
            return code;
        ((cell_text *)result->data)[row] = text_of(text, length);
    }
    return FRESHET_OK;
}
